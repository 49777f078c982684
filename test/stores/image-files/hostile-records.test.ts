/**
 * Records of unfinished changes, facts and identity that are torn, flipped, foreign or forged: recovery never guesses. Such a record
 * stands in the way of its own VDIs and of no other, the error names its file, no image is touched, and when it is gone all is as before.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { VdiUuid } from '../../../core/ids.ts'
import { MiB } from '../../../core/units.ts'
import { vhd } from '../../../formats/vhd/format.ts'
import { files, fileWorld, newVdi, type FileWorld } from './world.ts'

/** `HOSTILE_SEED` draws others, `HOSTILE_RUNS` more. */
const drawn = (usual: number) => ({ seed: Number(process.env['HOSTILE_SEED'] ?? 1), numRuns: Number(process.env['HOSTILE_RUNS'] ?? usual) })

// On a busy machine that takes a while.
vi.setConfig({ testTimeout: 240_000 })

let world: FileWorld
let vdis: readonly VdiUuid[] = []
beforeEach(async () => {
  world = await fileWorld()
  const one = await create()
  const other = await create()
  await world.write(one, 0, new Uint8Array(8192).fill(1))
  await world.write(other, 0, new Uint8Array(8192).fill(2))
  const snapshot = newVdi()
  await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: one, dest_uuid: snapshot })
  await world.write(one, 4096, new Uint8Array(4096).fill(3))
  vdis = [one, other, snapshot]
})
afterEach(async () => world.dispose())

const create = async (): Promise<VdiUuid> => {
  const uuid = newVdi()
  await world.engine.call('VDI.create', { sr_uuid: world.sr, vdi_uuid: uuid, size: 4 * MiB })
  return uuid
}

const own = (...names: readonly string[]): string => join(world.location, '.storage-manager', ...names)
const image = (vdi: string): string => join(world.location, `${vdi}.vhd`)
const images = (): Readonly<Record<string, string>> =>
  Object.fromEntries(readdirSync(world.location).filter((name) => name.endsWith('.vhd')).sort().map((name) => [name, Buffer.from(readFileSync(join(world.location, name))).toString('latin1')]))
const rows = async () => (await world.engine.call('SR.scan', { sr_uuid: world.sr })).vdis
const clear = (): void => {
  for (const name of readdirSync(own('intents'))) rmSync(own('intents', name), { recursive: true })
}
const isSound = async (): Promise<void> => {
  expect((await rows()).filter(({ problem }) => problem !== undefined)).toEqual([])
  expect((await world.engine.call('SR.verify', { sr_uuid: world.sr })).findings).toEqual([])
}

/** What `grow` saves before it touches the image. */
const recordOf = async (vdi: string): Promise<Uint8Array> => {
  let saved: Uint8Array | undefined
  const file = await files.open(image(vdi), 'write')
  try {
    const grown = (await vhd.open(file)).grow(64 * MiB, {
      save: async (record) => {
        saved = record
        throw new Error('enough')
      },
      clear: async () => undefined,
    })
    await expect(grown).rejects.toThrow('enough')
  } finally {
    await file.close()
  }
  if (saved === undefined) throw new Error('it saved nothing')
  return saved
}

type Change = (record: Uint8Array) => Uint8Array

const changes: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(fc.nat(), fc.nat(7)).map(([at, bit]): Change => (record) => record.map((byte, index) => (index === at % record.length ? byte ^ (1 << bit) : byte))),
  fc.nat().map((length): Change => (record) => record.subarray(0, length % record.length)),
  fc.uint8Array({ minLength: 1, maxLength: 600 }).map((more): Change => (record) => new Uint8Array(Buffer.concat([record, more]))),
  fc.uint8Array({ maxLength: 2000 }).map((foreign): Change => () => foreign),
)

describe('the redo record of an enlargement', () => {
  it('that is flipped, torn, too long or foreign touches nothing and stops only its own VDI, which names the file', async () => {
    const [, vdi = ''] = vdis
    const record = await recordOf(vdi)
    const before = images()
    const path = own('intents', `grow.${vdi}`)
    await fc.assert(fc.asyncProperty(changes, async (change) => {
      writeFileSync(path, change(record))
      const found = await rows()
      expect(found.map(({ uuid }) => uuid).sort()).toEqual([...vdis].sort())
      expect(found.filter(({ problem }) => problem !== undefined).map(({ uuid }) => uuid)).toEqual([vdi])
      await expect(world.engine.call('VDI.attach', { sr_uuid: world.sr, vdi_uuid: vdi })).rejects.toMatchObject({ kind: 'imageCorrupt', facts: { remedy: expect.stringContaining(path) as unknown } })
      await expect(world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: vdi })).rejects.toMatchObject({ kind: 'imageCorrupt' })
      expect(images()).toEqual(before)
      rmSync(path)
    }), drawn(30))
    await isSound()
  })

  it('of another image is refused, and its own is obeyed', async () => {
    const [one = '', other = ''] = vdis
    const record = await recordOf(other)
    const before = images()
    writeFileSync(own('intents', `grow.${one}`), record)
    await expect(world.engine.call('VDI.attach', { sr_uuid: world.sr, vdi_uuid: one })).rejects.toMatchObject({ kind: 'imageCorrupt', message: expect.stringContaining('belongs to the image') as unknown })
    expect(images()).toEqual(before)
    clear()
    writeFileSync(own('intents', `grow.${other}`), record)
    expect(await rows()).toContainEqual(expect.objectContaining({ uuid: other, size: 64 * MiB }))
    expect(readdirSync(own('intents'))).toEqual([])
    expect(await world.read(vdis[1] ?? newVdi(), 0, 8192)).toEqual(new Uint8Array(8192).fill(2))
    await isSound()
  })

  it('is no obstacle to deleting its VDI, and goes with it', async () => {
    const [, other = ''] = vdis
    writeFileSync(own('intents', `grow.${other}`), 'no record')
    expect(await world.engine.call('VDI.delete', { sr_uuid: world.sr, vdi_uuid: other })).toEqual({ changed: true })
    expect((await rows()).map(({ uuid }) => uuid)).not.toContain(other)
    expect(readdirSync(own('intents'))).toEqual([])
  })

  it('is told by verify and orphans while it stands there', async () => {
    const [, other = ''] = vdis
    writeFileSync(own('intents', `grow.${other}`), 'no record')
    await rows()
    expect((await world.engine.call('SR.verify', { sr_uuid: world.sr })).findings).toMatchObject([{ vdi_uuid: other, weight: 'damage' }])
    expect((await world.engine.call('SR.orphans', { sr_uuid: world.sr })).orphans).toMatchObject([{ where: `.storage-manager/intents/grow.${other}`, collectable: false }])
    expect((await world.engine.call('SR.backlog', { sr_uuid: world.sr })).steps).toEqual([])
  })
})

describe('intents that nobody of us wrote', () => {
  const kinds = ['create', 'remove', 'snapshot', 'clone', 'revert', 'grow', 'swap', 'twin', 'tmp', 'reparent', 'explode', '']
  const planted = fc.record({
    kind: fc.constantFrom(...kinds),
    /** Which VDIs it names: those that are there, one that is not, and what is no uuid at all. */
    names: fc.array(fc.constantFrom(0, 1, 2, 'nobody', 'junk', ''), { maxLength: 4 }),
    what: fc.constantFrom('bytes', 'id', 'image', 'directory', 'link'),
    bytes: fc.uint8Array({ maxLength: 64 }),
  })

  it('lose no VDI, change no byte of an image, and are harmless once they are gone', async () => {
    const before = images()
    await fc.assert(fc.asyncProperty(fc.array(planted, { minLength: 1, maxLength: 4 }), async (plants) => {
      for (const { kind, names, what, bytes } of plants) {
        const file = [kind, ...names.map((name) => (typeof name === 'number' ? vdis[name] : name === 'nobody' ? newVdi() : name))].join('.')
        if (['', '.', '..'].includes(file)) continue
        const path = own('intents', file)
        rmSync(path, { recursive: true, force: true })
        if (what === 'directory') mkdirSync(path)
        else if (what === 'link') symlinkSync(image(vdis[0] ?? ''), path)
        else if (what === 'image') copyFileSync(image(vdis[1] ?? ''), path)
        else writeFileSync(path, what === 'id' ? 'a'.repeat(32) : bytes)
      }
      const found = await rows()
      expect(found.map(({ uuid }) => uuid).sort()).toEqual([...vdis].sort())
      for (const { problem } of found) if (problem !== undefined) expect(problem.remedy).toContain(own('intents'))
      expect(images()).toEqual(before)
      clear()
      await isSound()
    }), drawn(80))
    expect(await world.read(vdis[0] ?? newVdi(), 0, 8192)).toEqual(new Uint8Array([...new Uint8Array(4096).fill(1), ...new Uint8Array(4096).fill(3)]))
  })

  it('a forged swap does not put one image in the place of another', async () => {
    const [one = '', other = ''] = vdis
    const before = images()
    writeFileSync(own('intents', `swap.${one}.${other}`), 'a'.repeat(32))
    for (const vdi of [one, other]) {
      await expect(world.engine.call('VDI.attach', { sr_uuid: world.sr, vdi_uuid: vdi })).rejects.toMatchObject({ kind: 'imageCorrupt', facts: { remedy: expect.stringContaining(`swap.${one}.${other}`) as unknown } })
    }
    await world.engine.call('SR.detach', { sr_uuid: world.sr })
    expect(await world.engine.call('SR.attach', { sr_uuid: world.sr })).toEqual({ changed: true, recovered: [] })
    expect(images()).toEqual(before)
  })
})

describe('facts and identity', () => {
  it('facts with flipped bits or a torn end never hide a VDI, and never make a snapshot writable without a word', async () => {
    const [, , snapshot = ''] = vdis
    const path = own('vdis', `${snapshot}.json`)
    const facts = readFileSync(path)
    await fc.assert(fc.asyncProperty(changes, async (change) => {
      writeFileSync(path, change(facts))
      const row = (await rows()).find(({ uuid }) => uuid === snapshot)
      expect(row).toBeDefined()
      if (row?.problem === undefined) expect(row?.kind).toBe('snapshot')
      else expect(`${row.problem.message} ${row.problem.remedy ?? ''}`).toContain(path)
    }), drawn(30))
    writeFileSync(path, facts)
    await isSound()
  })

  it('an identity with flipped bits or a torn end is never a blank place, nor another SR that is created over it', async () => {
    const path = own('sr.json')
    const identity = readFileSync(path)
    const before = images()
    await world.engine.call('SR.detach', { sr_uuid: world.sr })
    await fc.assert(fc.asyncProperty(changes, async (change) => {
      writeFileSync(path, change(identity))
      const place = { type: 'file', device_config: { location: world.location } }
      const { candidates } = await world.engine.call('SR.probe', place)
      expect(candidates.map(({ found }) => found)).not.toContain('blank')
      await expect(world.engine.call('SR.create', { ...place })).rejects.toBeDefined()
      const attached = await world.engine.call('SR.attach', { sr_uuid: world.sr }).then(() => 'attached', (error: unknown) => (error as { readonly message: string }).message)
      if (attached === 'attached') await world.engine.call('SR.detach', { sr_uuid: world.sr })
      else expect(attached).toContain(world.location)
      expect(images()).toEqual(before)
    }), drawn(30))
    writeFileSync(path, identity)
    await world.engine.call('SR.attach', { sr_uuid: world.sr })
    await isSound()
  })
})
