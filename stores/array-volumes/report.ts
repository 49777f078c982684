/** What the SR and its VDIs are, read from the array in a number of calls that does not depend on how many there are. */
import type { Snapshot, Volume } from '../../core/array/types.ts'
import type { Ctx, Finding, Orphan, SrContents, SrStat, VdiRecord } from '../../core/contract.ts'
import { reportError, StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { layer, vdiLock, type Notes, type VdiNote } from './notes.ts'
import { lost, volumeOf } from './objects.ts'
import { readSr } from './place.ts'
import type { Side, Sides } from './sides.ts'
import type { ArrayStore } from './store.ts'

/** VDIs as they are shown: one that is being made, or is on its way out, is none. */
const shownStates: readonly VdiNote['state'][] = ['ready', 'reverting']

const base = (vdi: VdiUuid, note: VdiNote, notes: Notes): Omit<VdiRecord, 'size' | 'utilisation'> => {
  const lock = vdiLock(notes.locks.get(vdi))
  return {
    uuid: vdi, kind: note.kind, readOnly: note.kind === 'snapshot', shareable: note.shareable, name: note.name, description: note.description, format: 'raw',
    ...(note.of === undefined ? {} : { snapshotOf: note.of }), ...(note.ms === undefined ? {} : { snapshotMs: note.ms }), ...(lock === undefined ? {} : { lock }),
  }
}

const rowOf = (vdi: VdiUuid, note: VdiNote, notes: Notes, side: Side, volume: Volume | undefined, snapshotThere: boolean): VdiRecord => {
  const row = base(vdi, note, notes)
  if (note.object === 'snapshot' ? !snapshotThere : volume === undefined) return { ...row, size: note.size ?? 0, utilisation: 0, problem: reportError(lost(vdi, note, side.name)) }
  // A snapshot takes what its volume has overwritten since; arrays tell that of the volume, if at all.
  if (volume === undefined) return { ...row, size: note.size ?? 0, utilisation: 0 }
  const warnings = [
    ...(volume.health === 'ok' || volume.health === 'unknown' ? [] : [`${side.name} says of its volume: ${volume.health}, ${volume.says}`]),
    ...(side.unit !== undefined && note.kind === 'disk' && volume.replicationUnit === undefined ? [`Its volume is not replicated: it is in no group on ${side.name}`] : []),
  ]
  return { ...row, size: volume.size, utilisation: Math.min(volume.size, volume.allocated ?? volume.size), ...(warnings.length === 0 ? {} : { warnings }) }
}

const unreadableRow = (vdi: VdiUuid, problem: StorageError): VdiRecord =>
  ({ uuid: vdi, kind: 'disk', size: 0, utilisation: 0, readOnly: false, shareable: false, name: '', description: '', format: 'raw', problem: reportError(problem) })

export const readVdi = async (ctx: Ctx, { pair }: ArrayStore, vdi: VdiUuid): Promise<VdiRecord | undefined> => {
  const { active } = await pair.sides(ctx)
  const notes = await readSr(ctx, pair.pool, active)
  const unreadable = notes.unreadable.get(vdi)
  if (unreadable !== undefined) return unreadableRow(vdi, unreadable)
  const note = notes.vdis.get(vdi)
  if (note === undefined || !shownStates.includes(note.state)) return undefined
  if (note.object === 'snapshot') return rowOf(vdi, note, notes, active, undefined, (await active.array.snapshots?.current(ctx))?.some(({ id }) => id === note.id) ?? false)
  return rowOf(vdi, note, notes, active, await volumeOf(ctx, active, note), false)
}

interface Seen {
  readonly sides: Sides
  readonly notes: Notes & { readonly sr: NonNullable<Notes['sr']> }
  readonly volumes: ReadonlyMap<string, Volume>
  readonly snapshots: ReadonlyMap<string, Snapshot>
}

const look = async (ctx: Ctx, { pair }: ArrayStore): Promise<Seen> => {
  const sides = await pair.sides(ctx)
  const { array } = sides.active
  const [notes, volumes] = await Promise.all([readSr(ctx, pair.pool, sides.active), array.list(ctx)])
  const snapshots = [...notes.vdis.values()].some(({ object }) => object === 'snapshot') ? ((await array.snapshots?.current(ctx)) ?? []) : []
  return { sides, notes, volumes: new Map(volumes.map((volume) => [volume.name, volume])), snapshots: new Map(snapshots.map((one) => [one.id, one])) }
}

const statOf = async (ctx: Ctx, { pair }: ArrayStore, { sides, notes, volumes }: Seen): Promise<SrStat> => {
  const pool = (await sides.active.array.pools(ctx)).find(({ id }) => id === pair.pool.cpg)
  if (pool === undefined) throw new StorageError('placeMissing', `${sides.active.name} has no pool ${pair.pool.cpg} any more`, { layer, field: 'device_config.cpg', remedy: 'See on the array what became of it' })
  const own = [...notes.vdis.values()].flatMap(({ called }) => volumes.get(called) ?? [])
  const used = own.reduce((sum, { size, allocated }) => sum + Math.min(size, allocated ?? size), 0)
  const physicalSize = pool.totalSize ?? pool.freeSize + used
  const warnings = [
    ...(pair.pool.group !== undefined && sides.other === undefined ? [`The other array does not answer${sides.silent === undefined ? '' : `: ${sides.silent.message}`}; disks are neither made nor deleted meanwhile`] : []),
    ...(sides.active.unit !== undefined && sides.active.name !== pair.pool.backend ? [`Failed over: the disks are served by ${sides.active.name}`] : []),
    ...(sides.active.unit !== undefined && ['interrupted', 'paused', 'stopped'].includes(sides.active.unit.transfer) ? [`Replication of ${sides.active.unit.name} is ${sides.active.unit.transfer}`] : []),
  ]
  return {
    physicalSize, physicalUtilisation: Math.min(used, physicalSize), free: Math.min(pool.freeSize, physicalSize), name: notes.sr.name, description: notes.sr.description,
    ...(warnings.length === 0 ? {} : { warnings }),
  }
}

export const statSr = async (ctx: Ctx, store: ArrayStore): Promise<SrStat> => statOf(ctx, store, await look(ctx, store))

export const scanSr = async (ctx: Ctx, store: ArrayStore): Promise<SrContents> => {
  const seen = await look(ctx, store)
  const { notes, volumes, snapshots, sides } = seen
  const vdis = [
    ...[...notes.vdis].filter(([, { state }]) => shownStates.includes(state)).map(([vdi, note]) => rowOf(vdi, note, notes, sides.active, note.object === 'volume' ? volumes.get(note.called) : undefined, note.id !== undefined && snapshots.has(note.id))),
    ...[...notes.unreadable].map(([vdi, problem]) => unreadableRow(vdi, problem)),
  ].sort((a, b) => (a.uuid < b.uuid ? -1 : 1))
  return { stat: await statOf(ctx, store, seen), virtualAllocation: vdis.reduce((sum, { size }) => sum + size, 0), vdis }
}

export const verifySr = async (ctx: Ctx, store: ArrayStore, vdi: VdiUuid | undefined): Promise<readonly Finding[]> => {
  const { notes, sides } = await look(ctx, store)
  const findings: Finding[] = []
  for (const row of (await scanSr(ctx, store)).vdis) {
    if (vdi !== undefined && row.uuid !== vdi) continue
    const where = notes.vdis.get(row.uuid)?.called ?? row.uuid
    if (row.problem !== undefined) findings.push({ vdi: row.uuid, where, weight: 'damage', what: row.problem.message, repaired: false })
    for (const what of row.warnings ?? []) findings.push({ vdi: row.uuid, where, weight: 'damage', what, repaired: false })
  }
  if (vdi !== undefined) return findings
  for (const [uuid, note] of notes.vdis) {
    if (shownStates.includes(note.state)) continue
    findings.push({ vdi: uuid, where: note.called, weight: 'note', what: `Host ${note.by?.host ?? 'unknown'} is ${note.state} it since ${new Date(note.by?.sinceMs ?? 0).toISOString()} on ${sides.active.name}`, repaired: false })
  }
  return findings
}

/** Nothing of the SR is without a note; what deleted VDIs leave for their copies goes with those. */
export const orphansOf = async (ctx: Ctx, store: ArrayStore): Promise<readonly Orphan[]> => {
  const { notes, volumes } = await look(ctx, store)
  return [...notes.remnants].map(([name, { object }]) => ({
    where: `${object} ${name}`, bytes: volumes.get(name)?.allocated ?? 0, why: 'its VDI was deleted, and copies that are still there depend on it', collectable: false,
  }))
}
