/** The suite is only worth what it catches: the template driver with one sin each, and the case that must fail for it. */
import { describe, expect, it } from 'vitest'
import type { Ctx, Driver, Sr } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import type { Files } from '../../core/ports.ts'
import template from '../../drivers/template/driver.ts'
import { explore } from './crash/explore.ts'
import { scenarios } from './crash/scenarios.ts'
import { runCases } from './run.ts'
import { secretiveHarness, withSecret } from './secretive-harness.ts'
import { templateHarness, templatePlace, templateSettings } from './template-harness.ts'

type Change = (sr: Required<Sr>) => Partial<Sr>

/** The template whose opened SR does some things differently. */
const sinning = (change: Change): Driver => ({
  ...template,
  async open(ctx, dconf) {
    const sr = (await template.open(ctx, dconf)) as Required<Sr>
    return { ...sr, ...change(sr) }
  },
})

/** The template on files that do some things differently. */
const onFiles = (change: (files: Files) => Partial<Files>): Driver => {
  const changed = (ctx: Ctx): Ctx => ({ ...ctx, host: { ...ctx.host, files: { ...ctx.host.files, ...change(ctx.host.files) } } })
  return {
    ...template,
    prepare: async (ctx, dconf, want) => template.prepare?.(changed(ctx), dconf, want),
    async open(ctx, dconf) {
      const sr = await template.open(ctx, dconf)
      return Object.fromEntries(Object.entries(sr).map(([name, value]) => [
        name,
        typeof value === 'function' && name !== 'close' ? (first: Ctx, ...rest: never[]) => (value as (...args: unknown[]) => unknown)(changed(first), ...rest) : value,
      ])) as unknown as Sr
    },
  }
}

const raw = (vdi: string): string => `${templatePlace}/${vdi}.raw`
const json = (vdi: string): string => `${templatePlace}/${vdi}.json`

const write = async (ctx: Ctx, path: string, text: string): Promise<void> => {
  await ctx.host.files.unlink(path)
  const file = await ctx.host.files.create(path)
  await file.write(0, new TextEncoder().encode(text))
  await file.close()
}

const change = async (ctx: Ctx, vdi: VdiUuid, how: (facts: Record<string, unknown>) => Record<string, unknown>): Promise<void> => {
  const facts = JSON.parse((await ctx.host.files.readText(json(vdi), 65536)) ?? '{}') as Record<string, unknown>
  await write(ctx, json(vdi), JSON.stringify(how(facts)))
}

interface Sin {
  readonly sin: string
  readonly driver: Driver
  /** The case that must fail, and what it must complain of. */
  readonly caughtBy: string
  readonly complains: RegExp
  readonly secretive?: true
}

const forgotten = new Map<string, { readonly name?: string; readonly description?: string }>()

const sins: readonly Sin[] = [
  {
    sin: 'deleting what is gone is an error',
    driver: sinning((sr) => ({
      async destroy(ctx, vdi) {
        if ((await sr.vdi(ctx, vdi)) === undefined) throw new StorageError('notFound', `There is no VDI ${vdi}`)
        await sr.destroy(ctx, vdi)
      },
    })),
    caughtBy: 'deleting can be repeated, also for a VDI that never was', complains: /There is no VDI/,
  },
  {
    sin: 'growing loses the end',
    driver: sinning((sr) => ({
      async resize(ctx, vdi, size) {
        const file = await ctx.host.files.open(raw(vdi), 'write')
        await file.truncate((await file.length()) - 4096)
        await file.close()
        return sr.resize(ctx, vdi, size)
      },
    })),
    caughtBy: 'growing keeps the content, the new end reads as zeros and can be written', complains: /does not hold what was expected \(before\)/,
  },
  {
    sin: 'the new end shows what was there before',
    driver: sinning((sr) => ({
      async resize(ctx, vdi, size) {
        const before = await sr.vdi(ctx, vdi)
        await sr.resize(ctx, vdi, size)
        const file = await ctx.host.files.open(raw(vdi), 'write')
        await file.write(before?.size ?? 0, new TextEncoder().encode('what the disk of somebody else held'))
        await file.close()
        return (await sr.vdi(ctx, vdi)) ?? Promise.reject(new Error('gone'))
      },
    })),
    caughtBy: 'growing keeps the content, the new end reads as zeros and can be written', complains: /does not hold what was expected \(zeros\)/,
  },
  {
    sin: 'a snapshot sees what is written later',
    driver: sinning((sr) => ({
      async snapshot(ctx, want) {
        await sr.snapshot(ctx, want)
        await ctx.host.files.unlink(raw(want.dest))
        await ctx.host.files.link(raw(want.source), raw(want.dest))
        return (await sr.vdi(ctx, want.dest)) ?? Promise.reject(new Error('gone'))
      },
    })),
    caughtBy: 'a snapshot tells what it is of, and keeps what its source held whatever is written later', complains: /does not hold what was expected \(then\)/,
  },
  {
    sin: 'a clone is a snapshot',
    driver: sinning((sr) => ({ clone: async (ctx, want) => sr.snapshot(ctx, want) })),
    caughtBy: 'a clone is writable, and neither of the two sees what the other writes', complains: /kind/,
  },
  {
    sin: 'going back uses the snapshot up',
    driver: sinning((sr) => ({
      async revert(ctx, vdi, snapshot) {
        await ctx.host.files.rename(raw(snapshot), raw(vdi))
        await ctx.host.files.unlink(json(snapshot))
        return (await sr.vdi(ctx, vdi)) ?? Promise.reject(new Error('gone'))
      },
    })),
    caughtBy: 'going back gives the content of the snapshot and keeps identity, names and the snapshot', complains: /no VDI|does not list/,
  },
  {
    sin: 'a lock is given to everybody',
    driver: sinning((sr) => ({ lock: async (ctx, vdi, want) => sr.lock(ctx, vdi, { ...want, force: true }) })),
    caughtBy: 'another owner is refused, and told who holds it', complains: /expected lockUnavailable, but it succeeded/,
  },
  {
    sin: 'everybody may unlock',
    driver: sinning((sr) => ({
      unlock: async (ctx, vdi) => {
        const held = await sr.readLock(ctx, vdi)
        return held === undefined ? false : sr.unlock(ctx, vdi, held.owner)
      },
    })),
    caughtBy: 'unlocking can be repeated, and is refused to everybody but the owner', complains: /expected lockUnavailable, but it succeeded/,
  },
  {
    sin: 'an unlock forgets the epoch',
    driver: sinning((sr) => ({
      async unlock(ctx, vdi, owner) {
        const done = await sr.unlock(ctx, vdi, owner)
        await change(ctx, vdi, ({ lock: _lock, ...facts }) => facts)
        return done
      },
    })),
    caughtBy: 'every change of owner has an epoch larger than all before, also after an unlock', complains: /epochs/,
  },
  {
    sin: 'a lock never ends',
    driver: sinning((sr) => ({ lock: async (ctx, vdi, { owner, force }) => sr.lock(ctx, vdi, { owner, force }) })),
    caughtBy: 'a lock ends at its time, for others as for its owner', complains: /true/,
  },
  {
    sin: 'a damaged VDI is not listed',
    driver: sinning((sr) => ({
      async scan(ctx) {
        const contents = await sr.scan(ctx)
        return { ...contents, vdis: contents.vdis.filter((vdi) => vdi.problem === undefined) }
      },
    })),
    caughtBy: 'a damaged VDI is listed with its problem, is not attached, and takes no other down with it', complains: /does not list/,
  },
  {
    sin: 'one damaged VDI spoils the scan',
    driver: sinning((sr) => ({
      async scan(ctx) {
        const contents = await sr.scan(ctx)
        if (contents.vdis.some((vdi) => vdi.problem !== undefined)) throw new StorageError('imageCorrupt', 'One of the images is damaged')
        return contents
      },
    })),
    caughtBy: 'a damaged VDI is listed with its problem, is not attached, and takes no other down with it', complains: /One of the images is damaged/,
  },
  {
    sin: 'sizes are rounded down',
    driver: sinning((sr) => ({ create: async (ctx, want) => sr.create(ctx, { ...want, size: Math.max(4096, want.size - 4096) }) })),
    caughtBy: 'a VDI is at least as large as asked and at most one step larger, down to its last sector', complains: /rounded down/,
  },
  {
    sin: 'a place that is gone looks like an empty SR',
    driver: sinning((sr) => ({
      scan: async (ctx) => sr.scan(ctx).catch(() => ({ stat: { physicalSize: 1, physicalUtilisation: 0, free: 1, name: '', description: '' }, virtualAllocation: 0, vdis: [] })),
      recover: async () => ({ replayed: [] }),
    })),
    caughtBy: 'a place that is gone is an error and never an empty SR; when it is back, so is everything', complains: /but it succeeded/,
  },
  {
    sin: 'whatever is in the place is wiped',
    driver: {
      ...template,
      async prepare(ctx, dconf, want) {
        for (const name of (await ctx.host.files.list(templatePlace)) ?? []) await ctx.host.files.unlink(`${templatePlace}/${name}`)
        await template.prepare?.(ctx, dconf, want)
      },
    },
    caughtBy: 'a place that holds anything is not made into an SR, and is left as it is', complains: /expected placeNotBlank, but it succeeded/,
  },
  {
    sin: 'any SR is taken for the one that was asked for',
    driver: {
      ...template,
      async attach(ctx, dconf) {
        const { candidates } = await template.probe(ctx, dconf)
        await template.attach({ ...ctx, sr: candidates[0]?.sr?.uuid ?? ctx.sr }, dconf)
      },
      async open(ctx, dconf) {
        const { candidates } = await template.probe(ctx, dconf)
        return template.open({ ...ctx, sr: candidates[0]?.sr?.uuid ?? ctx.sr }, dconf)
      },
    },
    caughtBy: 'attaching an SR that is not in the place fails, and nothing is attached', complains: /but it succeeded/,
  },
  {
    sin: 'deleting an SR leaves something in its place',
    driver: {
      ...template,
      async remove(ctx, dconf) {
        await template.remove?.(ctx, dconf)
        await write(ctx, `${templatePlace}/.trash`, '')
      },
    },
    caughtBy: 'deleting an SR can be repeated, and its place is blank again', complains: /\.trash/,
  },
  {
    sin: 'the content of a deleted VDI stays and is called nobody\'s business',
    driver: sinning(() => ({
      destroy: async (ctx, vdi) => void (await ctx.host.files.unlink(json(vdi))),
      backlog: async () => [],
      orphans: async () => [],
    })),
    caughtBy: 'deleting and collecting everything leaves no image, no orphan and no space taken', complains: /deep-equal|deepEqual|strictly equal/,
  },
  {
    sin: 'names are remembered and not written',
    driver: sinning((sr) => ({
      setVdiNames: async (_ctx, vdi, names) => void forgotten.set(vdi, names),
      async scan(ctx) {
        const contents = await sr.scan(ctx)
        // Only this very process knows them.
        return { ...contents, vdis: contents.vdis.map((vdi) => (ctx.callId.startsWith('never') ? { ...vdi, ...forgotten.get(vdi.uuid) } : vdi)) }
      },
    })),
    caughtBy: 'names of a VDI live on the storage, whatever characters they hold', complains: /changed|name/,
  },
  {
    sin: 'nothing is made durable',
    driver: onFiles(() => ({ syncDirectory: async () => undefined })),
    caughtBy: 'after a power cut nothing is attached, and everything that was done is there', complains: /no SR in|does not|deep-equal|no longer/,
  },
  {
    sin: 'a copy is visible before it is whole, and stays so when the call is called off',
    driver: sinning((sr) => ({
      async clone(ctx, want) {
        await sr.create(ctx, { uuid: want.dest, size: (await sr.vdi(ctx, want.source))?.size ?? 0, name: '', description: '', shareable: false, provisioning: 'sparse' })
        ctx.progress(0, 1)
        await new Promise((resolve) => {
          setTimeout(resolve, 5)
        })
        ctx.signal.throwIfAborted()
        await sr.destroy(ctx, want.dest)
        return sr.clone(ctx, want)
      },
    })),
    caughtBy: 'a copy called off midway is either done or gone, and its source is whole', complains: /does not hold what was expected \(kept\)/,
  },
  {
    sin: 'an attachment leaves a file behind when it is detached',
    driver: sinning((sr) => ({
      async detach(ctx, vdi, attachment) {
        await sr.detach(ctx, vdi, attachment)
        await write(ctx, `${ctx.host.runDirectory}/${ctx.callId}`, 'left behind')
      },
    })),
    caughtBy: 'a detached VDI leaves nothing behind on this host', complains: /run\/storage-manager/,
  },
  {
    sin: 'a detach needs the place',
    driver: Object.fromEntries(Object.entries(template).filter(([name]) => name !== 'letGo')) as unknown as Driver,
    caughtBy: 'a VDI is detached and its SR, too, while the place is gone', complains: /no SR in|no longer|no directory/,
  },
  {
    sin: 'an answer shows the secret',
    driver: {
      ...withSecret(template),
      async open(ctx, dconf) {
        const sr = await withSecret(template).open(ctx, dconf)
        return { ...sr, stat: async (call) => ({ ...(await sr.stat(call)), description: `reached with ${dconf['token'] ?? ''}` }) }
      },
    },
    caughtBy: 'no error repeats a secret: not under a misspelt key, not for a wrong place, not for another way to a known SR',
    complains: /the answer of SR\.stat shows a secret/,
    secretive: true,
  },
]

const run = async ({ driver, caughtBy, secretive }: Sin) => {
  const results = await runCases(secretive === true ? secretiveHarness(driver) : templateHarness(driver), { filter: (_topic, name) => name === caughtBy })
  expect(results, `there is no case "${caughtBy}"`).toHaveLength(1)
  return results[0]
}

describe('the conformance suite', () => {
  it.each(sins)('catches that $sin', async (one) => {
    const result = await run(one)
    expect(result?.outcome).toBe('failed')
    expect(result?.why).toMatch(one.complains)
  })
})

const shipped = scenarios(64 * 1024)

interface CrashSin {
  readonly sin: string
  readonly driver: Driver
  readonly caughtBy: string
  readonly complains: RegExp
}

const crashSins: readonly CrashSin[] = [
  {
    sin: 'a VDI is announced before its content is there',
    driver: sinning((sr) => ({
      async create(ctx, want) {
        const made = await sr.create(ctx, want)
        await ctx.host.files.rename(raw(want.uuid), `${raw(want.uuid)}.tmp`)
        await ctx.host.files.rename(`${raw(want.uuid)}.tmp`, raw(want.uuid))
        await ctx.host.files.syncDirectory(templatePlace)
        return made
      },
    })),
    caughtBy: 'creating a VDI', complains: /neither the old nor the new/,
  },
  {
    sin: 'content goes before the VDI that has it',
    driver: sinning((sr) => ({
      async destroy(ctx, vdi) {
        await ctx.host.files.unlink(raw(vdi))
        await ctx.host.files.syncDirectory(templatePlace)
        await sr.destroy(ctx, vdi)
      },
    })),
    caughtBy: 'deleting a VDI', complains: /neither the old nor the new/,
  },
  {
    sin: 'going back overwrites in place',
    driver: sinning((sr) => ({
      async revert(ctx, vdi, snapshot) {
        const from = await ctx.host.files.open(raw(snapshot), 'read')
        const to = await ctx.host.files.open(raw(vdi), 'write')
        for (let at = 0; at < (await from.length()); at += 8192) await to.write(at, await from.read(at, 8192))
        await to.sync()
        await to.close()
        await from.close()
        return (await sr.vdi(ctx, vdi)) ?? Promise.reject(new Error('gone'))
      },
    })),
    caughtBy: 'going back to a snapshot', complains: /neither the old nor the new/,
  },
  {
    sin: 'a name is renamed into place before its content is durable',
    driver: onFiles((files) => ({
      async create(path) {
        const file = await files.create(path)
        return { ...file, sync: async () => undefined }
      },
    })),
    caughtBy: 'naming a VDI', complains: /neither the old nor the new|is not what it should be/,
  },
  {
    sin: 'what was answered is not durable yet',
    driver: onFiles(() => ({ syncDirectory: async () => undefined })),
    caughtBy: 'locking a VDI', complains: /after the answer/,
  },
  {
    sin: 'recovery never ends',
    driver: sinning(() => ({ recover: async () => ({ replayed: ['looked for something to do'] }) })),
    caughtBy: 'creating a VDI', complains: /a second recovery still finds something to do/,
  },
  {
    sin: 'an interrupted call cannot be repeated',
    driver: sinning((sr) => ({
      async create(ctx, want) {
        if ((await ctx.host.files.stat(raw(want.uuid))) !== undefined) throw new StorageError('alreadyExists', 'The file is there already')
        return sr.create(ctx, want)
      },
    })),
    caughtBy: 'creating a VDI', complains: /cannot be repeated/,
  },
  {
    sin: 'what a crash left is never removed',
    driver: sinning(() => ({ backlog: async () => [], orphans: async () => [], recover: async () => ({ replayed: [] }) })),
    caughtBy: 'deleting a VDI', complains: /leaked|holds \d+ files|notEmpty/,
  },
  {
    sin: 'a failure of the place is taken for a bug',
    driver: onFiles((files) => ({
      async link(from, to) {
        await files.link(from, to)
      },
      async rename(from, to) {
        await files.rename(from, to).catch((error: unknown) => {
          throw new TypeError(String(error))
        })
      },
    })),
    caughtBy: 'naming a VDI', complains: /without a known kind/,
  },
]

describe('the crash explorer', () => {
  it.each(crashSins)('catches that $sin', async ({ driver, caughtBy, complains }) => {
    const scenario = shipped.find((one) => one.name === caughtBy)
    expect(scenario, `there is no scenario "${caughtBy}"`).toBeDefined()
    if (scenario === undefined) return
    const { problems } = await explore({ ...templateSettings, driver, vdiSize: 64 * 1024 }, scenario, { enough: 1000 })
    expect(problems.length).toBeGreaterThan(0)
    expect(problems.join('\n')).toMatch(complains)
  })
})
