/**
 * The world of one replication call: the array of this site, and the peer's where this process reaches it too. A site that
 * knows only its own array goes by what that array tells of the peer.
 */
import type { OpenArray } from '../array/contract.ts'
import type { ArrayReplication, ReplicationTraits, ReplicationUnit, Side } from '../array/replication.ts'
import type { ArrayCtx } from '../array/types.ts'
import { StorageError } from '../errors.ts'

export interface ReplicationSite {
  readonly ctx: ArrayCtx
  readonly local: OpenArray
  /** Absent: unreachable, or none of this site's business. */
  readonly remote?: OpenArray
  readonly traits: ReplicationTraits
}

/** A unit by its id at the local array, or by its key (a target that was never promoted is known by that alone to some callers). */
export type UnitRef = { readonly id: string } | { readonly key: string }

export const layer = 'engine:replication'

export const nameOf = (ref: UnitRef): string => ('id' in ref ? ref.id : ref.key)

export const replicationOf = (array: OpenArray): ArrayReplication => {
  if (array.replication !== undefined) return array.replication
  throw new StorageError('notSupported', `The array of type ${array.type} does not replicate`, { layer, remedy: 'Name an array that does: smctl array capabilities shows it' })
}

export const findUnit = async (site: ReplicationSite, ref: UnitRef): Promise<ReplicationUnit> => {
  const replication = replicationOf(site.local)
  const unit = 'id' in ref ? await replication.unit(site.ctx, ref.id) : (await replication.units(site.ctx)).find(({ key }) => key === ref.key)
  if (unit !== undefined) return unit
  throw new StorageError('notFound', `There is no replicated unit ${JSON.stringify(nameOf(ref).slice(0, 80))} on this array`, {
    field: 'unit', layer, remedy: 'See which units there are: smctl replication list',
  })
}

/** One side of a unit, as an operation works on it. */
export interface SideHandle {
  readonly side: Side
  readonly replication: ArrayReplication
  readonly unit: ReplicationUnit
}
