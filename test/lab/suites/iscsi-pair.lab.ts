/**
 * Two hosts on one target: lab-b has the LUNs and is a host, too; lab-a uses them over the net and loses its power. A LUN, and an SR
 * on LUNs, has one writable side, always: the array itself refuses the other one.
 */
import assert from 'node:assert/strict'
import { closeSync, ftruncateSync, mkdirSync, openSync } from 'node:fs'
import type { MethodName } from '../../../core/methods/index.ts'
import type { Engine } from '../../../core/caller.ts'
import { StorageError } from '../../../core/errors.ts'
import { lunIdentity, vdiOfLun } from '../../../host/scsi/identity.ts'
import { cutsFor } from '../fixtures/cuts.ts'
import { iqn, MiB, naa, serial, sessionsNow } from '../fixtures/iscsi-stand.ts'
import { iscsiInitiator } from '../fixtures/iscsi.ts'
import { initiatorOf, lioTarget } from '../fixtures/lio.ts'
import { loopDevice } from '../fixtures/loop.ts'
import { prepareLvm } from '../fixtures/lvm.ts'
import { mapsNow } from '../fixtures/lvm-stand.ts'
import { logbook, realEngine, srMounts } from '../fixtures/real-world.ts'
import { must, tool } from '../fixtures/tool.ts'
import type { Guest } from '../guest.ts'
import { suite, type Entry, type LabHost } from '../suite.ts'

const address = '10.77.0.2'
const raw_uuid = '87b8646b-b800-9500-cb7b-af3b74e02f5c'
const sr_uuid = '1b4e28ba-2fa1-41d2-883f-0016d3cca427'
const state = '/run/lab-luns'
const at = { target: address, targetIQN: iqn, multipath: 'no', login_timeout: '60', replacement_timeout: '120' }
const raw = { type: 'iscsi', device_config: at } as const
const volumes = { type: 'lvmoiscsi', device_config: { ...at, SCSIid: `3${naa(1)}` } } as const
const files = { type: 'extoiscsi', device_config: { ...at, SCSIid: `3${naa(2)}` } } as const
const uuidOf = { lvmoiscsi: sr_uuid, extoiscsi: '2b4e28ba-2fa1-41d2-883f-0016d3cca427' } as const

/** Nobody's death is waited for here: on a busy machine a guest may be silent for longer than the quick settings allow. */
const patient = { 'node.conn[0].timeo.noop_out_interval': '10', 'node.conn[0].timeo.noop_out_timeout': '60' }

/** The engine of this host, whatever it remembers. */
const withEngine = async <T>(work: (engine: Engine) => Promise<T>): Promise<T> => {
  await prepareLvm()
  await iscsiInitiator(patient)
  mkdirSync(state, { recursive: true })
  const engine = await realEngine(state, logbook().log)
  try {
    return await work(engine)
  } finally {
    await engine.close()
  }
}

/** A call of the storage manager, or a look at a disk past it: `write` and `read` at a path, `left` for what this host still has. */
type Step = readonly [method: MethodName | 'write' | 'read' | 'left', params?: Readonly<Record<string, unknown>>]
/** What a step answered, or how it failed. */
type Outcome = Readonly<Record<string, unknown>> & { readonly failed?: string; readonly message?: string; readonly remedy?: string }

/** The steps of one process on that host; each must end as it says: well, or refused as `wanted` (by its place in the list) has it. */
const on = (lab: LabHost, guest: Guest) => async (steps: readonly Step[], wanted: Readonly<Record<number, string>> = {}): Promise<readonly Outcome[]> => {
  const answers = await lab.call('steps', { guest, args: [JSON.stringify(steps)] }) as readonly Outcome[]
  assert.equal(answers.length, steps.length)
  for (const [index, answer] of answers.entries()) {
    assert.equal(answer.failed, wanted[index], `step ${index}, ${steps[index]?.[0] ?? ''} on ${guest.name}: ${answer.message ?? JSON.stringify(answer)}`)
    assert.ok(answer.failed === undefined || answer.remedy !== '', `${answer.message ?? ''} has no remedy`)
  }
  return answers
}

const pair = (lab: LabHost) => {
  const [first, second] = lab.guests
  assert.ok(second)
  return { a: on(lab, first), b: on(lab, second), first, second }
}

type Row = { readonly uuid: string; readonly size: number }
const rows = (outcome: Outcome | undefined): readonly Row[] => {
  const vdis = outcome?.['vdis']
  assert.ok(Array.isArray(vdis), JSON.stringify(outcome))
  return vdis as readonly Row[]
}

const identity = lunIdentity(`naa.${naa(3)}`)
assert.ok(identity)
/** LUN 3, as a VDI of both hosts. */
const lun = { sr_uuid: raw_uuid, vdi_uuid: vdiOfLun(identity, iqn) }
const lock = (owner: string, force = false): Step => ['VDI.lock', { ...lun, owner, force }]
const unlock = (owner: string): Step => ['VDI.unlock', { ...lun, owner }]
const at3 = { path: `/dev/disk/by-id/wwn-0x${naa(3)}` }
const at1 = { path: `/dev/disk/by-id/wwn-0x${naa(1)}` }

/** A VDI of the SR on LUN 1. */
const vdi = { sr_uuid, vdi_uuid: '98de866e-b035-4b1a-a571-613bff542b89' }
const inVdi = { path: `/dev/VG_XenStorage-${sr_uuid}/LV-${vdi.vdi_uuid}` }
const attach: Step = ['SR.attach', { sr_uuid, ...volumes }]
const takeOver = (from: string): Step => ['SR.attach', { sr_uuid, ...volumes, take_over_from: from }]
const scan: Step = ['SR.scan', { sr_uuid }]
const detach: Step = ['SR.detach', { sr_uuid }]
const yes = { done: true }
const no = { done: false }

/** Makes, grows and deletes disks for ever, each step said; what is about to go is said before. */
const workload = (place: typeof volumes | typeof files): Entry => async (context) => withEngine(async (engine) => {
  const sr = { sr_uuid: uuidOf[place.type] }
  const remove = async (vdi_uuid: string): Promise<void> => {
    context.ack(`leaving ${vdi_uuid}`)
    await engine.call('VDI.delete', { ...sr, vdi_uuid })
    context.ack(`gone ${vdi_uuid}`)
  }
  await engine.call('SR.attach', { ...sr, ...place })
  for (const { uuid } of (await engine.call('SR.scan', sr)).vdis) await remove(uuid)
  for (;;) {
    const { uuid: vdi_uuid } = await engine.call('VDI.create', { ...sr, size: 4 * MiB })
    context.ack(`there ${vdi_uuid}`)
    await engine.call('VDI.resize', { ...sr, vdi_uuid, size: 8 * MiB })
    context.ack(`large ${vdi_uuid}`)
    const { uuid: second } = await engine.call('VDI.create', { ...sr, size: 4 * MiB })
    context.ack(`there ${second}`)
    await remove(vdi_uuid)
    await remove(second)
  }
})

const check = (place: typeof volumes | typeof files): Entry => async ({ args }) => withEngine(async (engine) => {
  assert.deepEqual(sessionsNow(), [])
  const sr = { sr_uuid: uuidOf[place.type] }
  const said = (word: string): readonly string[] => args.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1))
  await engine.call('SR.attach', { ...sr, ...place })
  const { vdis } = await engine.call('SR.scan', sr)
  const there = new Map(vdis.map((row) => [row.uuid as string, row]))
  const leaving = new Set(said('leaving'))
  for (const uuid of said('there')) assert.ok(leaving.has(uuid) || there.has(uuid), `${uuid} was acknowledged and is gone`)
  for (const uuid of said('gone')) assert.ok(!there.has(uuid), `${uuid} was deleted and is there`)
  for (const uuid of said('large')) assert.ok(!there.has(uuid) || there.get(uuid)?.size === 8 * MiB, `${uuid} has lost its growth`)
  for (const { uuid, problem } of vdis) {
    assert.equal(problem, undefined, `${uuid}: ${problem?.message ?? ''}`)
  }
  assert.deepEqual((await engine.call('SR.verify', sr)).findings.filter(({ weight }) => weight !== 'note'), [])
  await engine.call('SR.detach', sr)
})
/** Path and file of the LUN that can grow. */
let loop: readonly string[] = []

export default suite({
  name: 'iscsi-pair',
  onlyByName: 'it has passed once, on a busy machine in eleven minutes: it is to be made shorter first',
  driver: 'iscsi, lvmoiscsi, extoiscsi',
  guests: 2,
  memoryMiB: 1024,
  entries: {
    /** Answers the file of the LUN that can grow. */
    async serve() {
      const loop = await loopDevice(96 * MiB)
      await lioTarget({
        iqn, portals: [`${address}:3260`], initiators: [initiatorOf('lab-a'), initiatorOf('lab-b')],
        luns: [{ number: 0, size: 4 * MiB, serial: serial(0) }, { number: 1, device: loop.path, serial: serial(1) }, { number: 2, size: 64 * MiB, serial: serial(2) }, { number: 3, size: 32 * MiB, serial: serial(3) }],
      })
      return [loop.path, loop.file]
    },
    async grow({ args: [device = '', file = '', size] }) {
      const fd = openSync(file, 'a')
      ftruncateSync(fd, Number(size))
      closeSync(fd)
      await must(['losetup', '-c', device])
    },
    steps: async ({ args: [list = '[]'] }) => withEngine(async (engine) => {
      const answers: unknown[] = []
      const past: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
        write: async (path) => ({ done: (await tool(['dd', 'if=/dev/zero', `of=${path}`, 'bs=4096', 'count=1', 'seek=16', 'oflag=direct', 'conv=notrunc'])).code === 0 }),
        read: async (path) => ({ done: (await tool(['dd', `if=${path}`, 'of=/dev/null', 'bs=4096', 'count=1', 'skip=16', 'iflag=direct'])).code === 0 }),
        left: async () => ({ left: [...sessionsNow(), ...mapsNow(), ...srMounts(state)] }),
      }
      for (const [method, params = {}] of JSON.parse(list) as readonly Step[]) {
        try {
          answers.push(await (past[method]?.(String(params['path'])) ?? engine.call(method as MethodName, params as never)))
        } catch (error) {
          if (!(error instanceof StorageError)) throw error
          answers.push({ failed: error.kind, message: error.message, remedy: error.facts.remedy ?? '' })
        }
      }
      return answers
    }),
    workVolumes: workload(volumes), checkVolumes: check(volumes),
    workFiles: workload(files), checkFiles: check(files),
  },
  host: [
    {
      name: 'raw LUNs: both hosts see the same VDIs; a lock keeps the writes of the other host out, not only its locks, until it is released or broken by force',
      async run(lab) {
        const { a, b, second } = pair(lab)
        loop = await lab.call('serve', { guest: second }) as readonly string[]
        const reach: readonly Step[] = [['SR.attach', { sr_uuid: raw_uuid, ...raw }], ['SR.scan', { sr_uuid: raw_uuid }]]
        const here = await a([...reach, lock('vm-a'), ['VDI.attach', lun], ['write', at3], ['VDI.lock', { ...lun, owner: 'vm-a', ttl_seconds: 60 }]], { 5: 'notSupported' })
        const there = await b([
          ...reach, lock('vm-b'), unlock('vm-b'), ['VDI.attach', lun], ['write', at3], ['read', at3], lock('vm-b', true), ['write', at3],
        ], { 2: 'lockUnavailable', 3: 'lockUnavailable' })
        assert.equal(rows(here[1]).length, 4)
        assert.deepEqual(rows(here[1]).map(({ uuid, size }) => [uuid, size]), rows(there[1]).map(({ uuid, size }) => [uuid, size]))
        assert.deepEqual([here[4], there[5], there[6], there[8]], [yes, no, yes, yes])
        assert.deepEqual((await a([['write', at3], unlock('vm-a')], { 1: 'lockUnavailable' }))[0], no)
        await b([unlock('vm-b'), ['VDI.detach', lun]])
        assert.deepEqual((await a([lock('vm-a'), ['write', at3]]))[1], yes)
      },
    },
    {
      name: 'an SR on a LUN: a second host is refused and told who holds it, and the array refuses what it writes past the storage manager',
      async run(lab) {
        const { a, b } = pair(lab)
        await a([['SR.create', { sr_uuid, ...volumes, name: 'on one host' }], attach, ['VDI.create', { ...vdi, size: 16 * MiB }]])
        const said = await b([
          attach, ['SR.create', { type: 'extoiscsi', device_config: volumes.device_config }], takeOver('iqn.2024-01.org.example:another'), ['SR.probe', volumes], ['read', at1], ['write', at1],
        ], { 0: 'busy', 1: 'busy', 2: 'busy' })
        assert.match(said[0]?.message ?? '', new RegExp(`held by another host, ${initiatorOf('lab-a')}`))
        assert.ok(said[0]?.remedy?.includes(`smctl sr attach ${sr_uuid} --take-over-from`), said[0]?.remedy)
        const candidates = said[3]?.['candidates'] as readonly { readonly found: string; readonly says: string }[] | undefined
        assert.deepEqual(candidates?.map(({ found, says }) => [found, says.includes(`held by ${initiatorOf('lab-a')}`)]), [['sr', true]])
        // It is logged in, for its raw SR.
        assert.deepEqual([said[4], said[5]], [yes, no])
      },
    },
    {
      name: 'a host that lost its power: its lock is broken by force, its SR is taken over by name, and it gets nothing back by itself',
      async run(lab) {
        const { a, b, first } = pair(lab)
        await first.powerCut()
        const [dead] = await Promise.all([
          b([lock('vm-b'), lock('vm-b', true), unlock('vm-b'), attach, takeOver(initiatorOf('lab-a')), scan, ['VDI.attach', vdi], ['write', inVdi]], { 0: 'lockUnavailable', 3: 'busy' }),
          first.reboot(),
        ])
        assert.deepEqual([rows(dead[5]).map(({ uuid, size }) => [uuid, size]), dead[7]], [[[vdi.vdi_uuid, 16 * MiB]], yes])
        const back = await a([attach, ['left']], { 0: 'busy' })
        assert.deepEqual(back[1], { left: [] })
        await b([['VDI.detach', vdi], detach])
      },
    },
    {
      name: 'a host that was taken over while it lives can write no more, says so, and lets go without touching what is the other one\'s',
      async run(lab) {
        const { a, b } = pair(lab)
        assert.deepEqual((await a([attach, ['VDI.attach', vdi], ['write', inVdi]]))[2], yes)
        await b([takeOver(initiatorOf('lab-a'))])
        const lost = await a([['write', inVdi], ['VDI.create', { sr_uuid, size: 4 * MiB }], ['VDI.detach', vdi], detach, ['left']], { 1: 'busy' })
        assert.deepEqual([lost[0], lost[4]], [no, { left: [] }])
        assert.match(lost[1]?.message ?? '', /was taken over/)
        const kept = await b([['VDI.create', { sr_uuid, size: 4 * MiB }], ['SR.verify', { sr_uuid }], detach])
        assert.deepEqual(kept[1]?.['findings'], [])
      },
    },
    {
      name: 'a LUN that has grown on the array is taken whole at the next attach',
      async run(lab) {
        const { a, second } = pair(lab)
        const [, before] = await a([attach, ['SR.stat', { sr_uuid }]])
        await lab.call('grow', { guest: second, args: [...loop, String(160 * MiB)] })
        const [, , after] = await a([detach, attach, ['SR.stat', { sr_uuid }], ['VDI.resize', { ...vdi, size: 100 * MiB }], detach])
        assert.equal(Number(after?.['physical_size']) - Number(before?.['physical_size']), 64 * MiB)
      },
    },
    {
      name: 'power cuts in the middle of creations, growth and deletions on LUNs lose nothing that was acknowledged, and no reservation stands in the way',
      async run(lab) {
        const { a } = pair(lab)
        const one = await lab.cutAndCheck({ workload: 'workVolumes', check: 'checkVolumes', cuts: cutsFor(2), atLeast: 4, between: [0, 2000] })
        await a([['SR.create', { sr_uuid: uuidOf.extoiscsi, ...files }]])
        const other = await lab.cutAndCheck({ workload: 'workFiles', check: 'checkFiles', cuts: cutsFor(1), atLeast: 4, between: [0, 2000] })
        lab.say(`${one.cuts + other.cuts} power cuts, ${one.acknowledged + other.acknowledged} acknowledged words`)
      },
    },
  ],
})
