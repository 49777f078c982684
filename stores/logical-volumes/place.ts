/** Where an SR of logical volumes lives, as its driver says it; shared by every driver that puts VDIs into a volume group. */
import type { SrUuid } from '../../core/ids.ts'
import type { VgPlace } from '../../host/lvm/build.ts'
import { vgPrefix } from '../../host/lvm/names.ts'

export interface VolumePlace {
  /** Device nodes as they were named, best by a name that does not change: all that carry the group and no others. */
  readonly devices: readonly string[]
  /** thick: a volume has all its space from the start. thin: one pool, space with use, snapshots. */
  readonly kind: 'thick' | 'thin'
  /** Tells the devices below when space becomes free. */
  readonly discard: boolean
  /** thin: when the pool is full, writes fail at once; else they wait for room. */
  readonly errorWhenFull?: boolean
  /** thick: what is done about old content. head: the first MiB of a new VDI is zeroed. full: also all of a deleted one. */
  readonly wipe: 'head' | 'full'
}

/** The one thin pool of a thin SR. */
export const poolName = 'pool'

export const vgOf = (sr: SrUuid): string => `${vgPrefix}${sr}`

export const vgPlaceOf = (sr: SrUuid, place: Pick<VolumePlace, 'devices'>): VgPlace => ({ vg: vgOf(sr), devices: place.devices })
