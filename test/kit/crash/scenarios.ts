/** The calls that change a storage, each with a state in which it has the most to lose. Repeatable: all uuids are given. */
import type { Feature, SrOperation } from '../../../core/contract.ts'
import type { MethodName, ParamsIn } from '../../../core/methods/index.ts'
import type { VdiInfo } from '../../../core/methods/wire.ts'
import { MiB } from '../../../core/units.ts'
import type { TestSr } from '../stage.ts'

export const srUuid = '1b4e28ba-2fa1-41d2-883f-0016d3cca427'
const uuids = {
  disk: 'd1000000-0000-4000-8000-000000000001',
  neighbour: 'd2000000-0000-4000-8000-000000000002',
  one: 'a1000000-0000-4000-8000-000000000003',
  two: 'a2000000-0000-4000-8000-000000000004',
  three: 'a3000000-0000-4000-8000-000000000005',
  fresh: 'f0000000-0000-4000-8000-000000000006',
} as const

export interface Scenario {
  readonly name: string
  readonly needs: readonly Feature[]
  readonly needsSr?: readonly SrOperation[]
  /** Before this call there is no SR, or it is not attached: the set-up is done by hand. */
  readonly sr?: 'none' | 'detached'
  /** The call leaves what users see as it is. */
  readonly invisible?: true
  setUp?(sr: TestSr): Promise<void>
  readonly call: readonly [MethodName, Readonly<Record<string, unknown>>]
  /** The call names its place, too. */
  readonly withPlace?: true
}

const at = (offset: number): readonly [{ readonly offset: number; readonly length: number }] => [{ offset, length: 4096 }]

/** A disk with content, and one beside it that must never be touched. */
const twoDisks = async (sr: TestSr): Promise<VdiInfo> => {
  const disk = await sr.disk({ vdi_uuid: uuids.disk, name: 'disk', description: 'of a guest' })
  await sr.stamp(disk, 'disk')
  const neighbour = await sr.disk({ vdi_uuid: uuids.neighbour, name: 'neighbour' })
  await sr.stamp(neighbour, 'neighbour')
  return disk
}

/** A disk with snapshots, and writes of its own after each. */
const withSnapshots = (...snapshots: readonly string[]) => async (sr: TestSr): Promise<void> => {
  const disk = await twoDisks(sr)
  for (const [level, dest_uuid] of snapshots.entries()) {
    await sr.call('VDI.snapshot', { vdi_uuid: disk.uuid, dest_uuid, name: `snapshot ${level}` })
    await sr.stamp(disk, `after ${level}`, at(level * 4096))
    await sr.stamp(disk, `after ${level}`, at(disk.size - 4096))
  }
}

const removed = (setUp: (sr: TestSr) => Promise<void>, ...gone: readonly string[]) => async (sr: TestSr): Promise<void> => {
  await setUp(sr)
  for (const vdi_uuid of gone) await sr.call('VDI.delete', { vdi_uuid })
}

const withClone = async (sr: TestSr): Promise<void> => {
  await twoDisks(sr)
  const clone = await sr.call('VDI.clone', { vdi_uuid: uuids.disk, dest_uuid: uuids.one, name: 'clone' })
  await sr.stamp(clone, 'clone', at(0))
}

const locked = async (sr: TestSr): Promise<void> => {
  await twoDisks(sr)
  await sr.call('VDI.lock', { vdi_uuid: uuids.disk, owner: 'host7/vm3' })
}

const disks = async (sr: TestSr): Promise<void> => void (await twoDisks(sr))

const of = <M extends MethodName>(method: M, params: Omit<ParamsIn<M>, 'sr_uuid' | 'type' | 'device_config'>): Scenario['call'] => [method, params]

export const scenarios = (size: number): readonly Scenario[] => [
  { name: 'creating an SR', needs: [], needsSr: ['create', 'delete'], sr: 'none', withPlace: true, call: of('SR.create', { name: 'new', description: 'SR' }) },
  { name: 'deleting an SR', needs: [], needsSr: ['create', 'delete'], withPlace: true, call: of('SR.delete', {}) },
  { name: 'deleting a detached SR', needs: [], needsSr: ['create', 'delete'], sr: 'detached', withPlace: true, call: of('SR.delete', {}) },
  { name: 'attaching an SR', needs: ['create'], sr: 'detached', setUp: disks, invisible: true, withPlace: true, call: of('SR.attach', {}) },
  { name: 'detaching an SR', needs: ['create'], setUp: disks, invisible: true, call: of('SR.detach', {}) },
  { name: 'naming an SR', needs: ['names', 'create'], setUp: disks, call: of('SR.set_names', { name: 'renamed', description: 'anew' }) },
  { name: 'creating a VDI', needs: ['create'], setUp: disks, call: of('VDI.create', { vdi_uuid: uuids.fresh, size, name: 'fresh', description: 'new' }) },
  { name: 'creating a VDI with all its space', needs: ['create'], setUp: disks, call: of('VDI.create', { vdi_uuid: uuids.fresh, size, provisioning: 'full' }) },
  { name: 'deleting a VDI', needs: ['create', 'destroy'], setUp: disks, call: of('VDI.delete', { vdi_uuid: uuids.disk }) },
  { name: 'deleting a VDI that has a snapshot', needs: ['create', 'destroy', 'snapshot'], setUp: withSnapshots(uuids.one), call: of('VDI.delete', { vdi_uuid: uuids.disk }) },
  { name: 'deleting a snapshot', needs: ['create', 'destroy', 'snapshot'], setUp: withSnapshots(uuids.one, uuids.two), call: of('VDI.delete', { vdi_uuid: uuids.one }) },
  { name: 'deleting a clone', needs: ['create', 'destroy', 'clone'], setUp: withClone, call: of('VDI.delete', { vdi_uuid: uuids.one }) },
  { name: 'attaching a VDI', needs: ['create'], setUp: disks, invisible: true, call: of('VDI.attach', { vdi_uuid: uuids.disk }) },
  { name: 'detaching a VDI', needs: ['create'], setUp: async (sr) => {
    await twoDisks(sr)
    await sr.call('VDI.attach', { vdi_uuid: uuids.disk })
  }, invisible: true, call: of('VDI.detach', { vdi_uuid: uuids.disk }) },
  { name: 'taking a snapshot', needs: ['create', 'snapshot'], setUp: disks, call: of('VDI.snapshot', { vdi_uuid: uuids.disk, dest_uuid: uuids.fresh, name: 'snapshot', description: 'kept' }) },
  { name: 'taking a further snapshot', needs: ['create', 'snapshot'], setUp: withSnapshots(uuids.one), call: of('VDI.snapshot', { vdi_uuid: uuids.disk, dest_uuid: uuids.fresh }) },
  { name: 'taking a snapshot of a snapshot', needs: ['create', 'snapshot'], setUp: withSnapshots(uuids.one), call: of('VDI.snapshot', { vdi_uuid: uuids.one, dest_uuid: uuids.fresh }) },
  { name: 'cloning a VDI', needs: ['create', 'clone'], setUp: disks, call: of('VDI.clone', { vdi_uuid: uuids.disk, dest_uuid: uuids.fresh, name: 'clone' }) },
  { name: 'cloning a snapshot', needs: ['create', 'clone', 'snapshot'], setUp: withSnapshots(uuids.one), call: of('VDI.clone', { vdi_uuid: uuids.one, dest_uuid: uuids.fresh }) },
  { name: 'growing a VDI', needs: ['create', 'resize'], setUp: disks, call: of('VDI.resize', { vdi_uuid: uuids.disk, size: size + 4 * MiB }) },
  { name: 'growing a VDI that has a snapshot', needs: ['create', 'resize', 'snapshot'], setUp: withSnapshots(uuids.one), call: of('VDI.resize', { vdi_uuid: uuids.disk, size: size + 4 * MiB }) },
  { name: 'going back to a snapshot', needs: ['create', 'snapshot', 'revert'], setUp: withSnapshots(uuids.one, uuids.two), call: of('VDI.revert', { vdi_uuid: uuids.disk, snapshot_uuid: uuids.one }) },
  { name: 'naming a VDI', needs: ['create', 'names'], setUp: disks, call: of('VDI.set_names', { vdi_uuid: uuids.disk, name: 'renamed', description: 'anew' }) },
  { name: 'locking a VDI', needs: ['create', 'lock'], setUp: disks, call: of('VDI.lock', { vdi_uuid: uuids.disk, owner: 'host7/vm3' }) },
  { name: 'breaking a lock', needs: ['create', 'lock'], setUp: locked, call: of('VDI.lock', { vdi_uuid: uuids.disk, owner: 'host8/vm4', force: true }) },
  { name: 'unlocking a VDI', needs: ['create', 'lock'], setUp: locked, call: of('VDI.unlock', { vdi_uuid: uuids.disk, owner: 'host7/vm3' }) },
  { name: 'collecting a deleted snapshot', needs: ['create', 'snapshot', 'destroy', 'collect'], invisible: true, setUp: removed(withSnapshots(uuids.one), uuids.one), call: of('SR.collect', {}) },
  { name: 'collecting a snapshot from the middle', needs: ['create', 'snapshot', 'destroy', 'collect'], invisible: true, setUp: removed(withSnapshots(uuids.one, uuids.two, uuids.three), uuids.two), call: of('SR.collect', {}) },
  { name: 'collecting a whole chain', needs: ['create', 'snapshot', 'destroy', 'collect'], invisible: true, setUp: removed(withSnapshots(uuids.one, uuids.two, uuids.three), uuids.one, uuids.two, uuids.three), call: of('SR.collect', {}) },
  { name: 'collecting what a deleted source left to its clone', needs: ['create', 'clone', 'destroy', 'collect'], invisible: true, setUp: removed(withClone, uuids.disk), call: of('SR.collect', {}) },
  { name: 'collecting everything', needs: ['create', 'snapshot', 'destroy', 'collect'], invisible: true, setUp: removed(withSnapshots(uuids.one), uuids.disk, uuids.one, uuids.neighbour), call: of('SR.collect', {}) },
]
