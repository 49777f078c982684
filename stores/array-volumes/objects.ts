/** What a VDI is on the array now: its volume, or its part of a snapshot. Found by name: ids differ between the arrays of a pair. */
import type { OpenArray } from '../../core/array/contract.ts'
import type { Snapshot, Volume } from '../../core/array/types.ts'
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { layer, type VdiNote } from './notes.ts'
import type { Side } from './sides.ts'

export const volumeOf = async (ctx: Ctx, { array }: Pick<Side, 'array'>, note: Pick<VdiNote, 'id' | 'called'>): Promise<Volume | undefined> => {
  const direct = note.id === undefined ? undefined : await array.volume(ctx, note.id)
  if (direct?.name === note.called) return direct
  return (await array.list(ctx)).find(({ name }) => name === note.called)
}

export const lost = (vdi: VdiUuid, note: Pick<VdiNote, 'called' | 'object'>, side: string): StorageError =>
  new StorageError('placeMissing', `The ${note.object} ${note.called} of VDI ${vdi} is not on ${side} any more`, {
    layer, remedy: 'See on the array who removed it; when its data is known to be lost, delete the VDI', details: { vdi_uuid: vdi },
  })

export const needVolume = async (ctx: Ctx, side: Side, vdi: VdiUuid, note: VdiNote): Promise<Volume> => {
  const volume = await volumeOf(ctx, side, note)
  if (volume === undefined) throw lost(vdi, note, side.name)
  return volume
}

/** What is presented to a host. */
export interface Presentable {
  readonly id: string
  readonly wwid: string
  readonly size: number
  readonly presentedTo: readonly string[]
}

export const presentableOf = async (ctx: Ctx, side: Side, vdi: VdiUuid, note: VdiNote): Promise<Presentable> => {
  if (note.object === 'snapshot') {
    if (note.part === undefined || note.wwid === undefined) throw lost(vdi, note, side.name)
    const groups = (await accessOf(side).presentations(ctx, [note.part])).map(({ group }) => group)
    return { id: note.part, wwid: note.wwid, size: note.size ?? 0, presentedTo: [...new Set(groups)] }
  }
  const { id, wwid, size, presentedTo } = await needVolume(ctx, side, vdi, note)
  if (wwid === undefined) throw new StorageError('identityMismatch', `Volume ${note.called} on ${side.name} states no identity (page 83h): it cannot be told from another one`, { layer, remedy: 'Wait until the array has finished making it' })
  return { id, wwid, size, presentedTo }
}

export const accessOf = ({ array, name }: Pick<Side, 'array' | 'name'>): NonNullable<OpenArray['access']> => {
  if (array.access !== undefined) return array.access
  throw new StorageError('notSupported', `${name} presents no volumes`, { layer, field: 'device_config.backend', remedy: 'Use another array' })
}

export const snapshotsOf = ({ array, name }: Pick<Side, 'array' | 'name'>): NonNullable<OpenArray['snapshots']> => {
  if (array.snapshots !== undefined) return array.snapshots
  throw new StorageError('notSupported', `${name} takes no snapshots`, { layer, remedy: 'smctl array info shows what it can do' })
}

export const clonesOf = ({ array, name }: Pick<Side, 'array' | 'name'>): NonNullable<OpenArray['clones']> => {
  if (array.clones !== undefined) return array.clones
  throw new StorageError('notSupported', `${name} makes no clones`, { layer, remedy: 'smctl array info shows what it can do' })
}

export const findSnapshot = async (ctx: Ctx, side: Side, called: string): Promise<Snapshot | undefined> => (await snapshotsOf(side).current(ctx)).find(({ name, id }) => name === called || id === called)
