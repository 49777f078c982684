/** LUNs of an array, put together from the disks that this host sees over its paths. Pure: nothing is asked here. */
import type { VdiRecord } from '../../core/contract.ts'
import { reportError, StorageError } from '../../core/errors.ts'
import type { SrUuid, VdiUuid } from '../../core/ids.ts'
import { formatSize } from '../../core/units.ts'
import type { MapDevice, ScsiDisk } from '../../host/scsi/disks.ts'
import { vdiOfLun, type LunIdentity } from '../../host/scsi/identity.ts'
import type { LunClaim } from './claims.ts'

/** One way to a LUN. */
export interface LunPath {
  readonly disk: ScsiDisk
  /** The portal it goes through, for people. */
  readonly via: string
  /** The session it needs is up. */
  readonly up: boolean
  /** Name in /dev that is made of target and number: the only steady one of a LUN with a weak identity. */
  readonly link: string
}

export interface Lun {
  readonly vdi: VdiUuid
  readonly identity: LunIdentity
  /** Its number on the first path. */
  readonly number: number
  readonly target: string
  /** At least one, those that work first. */
  readonly paths: readonly [LunPath, ...LunPath[]]
  readonly map: MapDevice | undefined
  /** Bytes; of a map the size of the map. */
  readonly size: number
  readonly readOnly: boolean
}

export const works = (path: LunPath): boolean => path.up && path.disk.state === 'running' && path.disk.size > 0

/** A disk whose LUN the kernel has found gone: it would answer reads with nothing, and call that success. */
export const isDead = (path: LunPath): boolean => path.up && path.disk.size === 0

/** LUNs by identity, never by number. Disks without an identity and dead ones are left out. */
export const lunsOf = (target: string, paths: readonly LunPath[], maps: ReadonlyMap<string, MapDevice>): readonly Lun[] => {
  const byVdi = new Map<VdiUuid, LunPath[]>()
  for (const path of paths) {
    if (path.disk.identity === undefined || path.disk.size === 0) continue
    const vdi = vdiOfLun(path.disk.identity, target)
    byVdi.set(vdi, [...(byVdi.get(vdi) ?? []), path])
  }
  return [...byVdi].flatMap(([vdi, all]): readonly Lun[] => {
    const [first, ...rest] = all.toSorted((a, b) => Number(works(b)) - Number(works(a)))
    const identity = first?.disk.identity
    if (first === undefined || identity === undefined) return []
    const map = all.map(({ disk }) => maps.get(disk.name)).find((found) => found !== undefined)
    return [{
      vdi, identity, number: first.disk.lun, target, paths: [first, ...rest], map,
      size: map?.size ?? first.disk.size, readOnly: map?.readOnly ?? first.disk.readOnly,
    }]
  }).sort((a, b) => a.number - b.number || (a.vdi < b.vdi ? -1 : 1))
}

/** Odd things about the paths of a LUN, a sentence each. */
export const pathWarnings = (lun: Lun): readonly string[] => {
  const failed = lun.paths.filter((path) => !works(path))
  const sizes = [...new Set(lun.paths.filter(works).map(({ disk }) => disk.size))]
  return [
    ...(failed.length === 0 ? [] : [`${failed.length} of ${lun.paths.length} paths do not work: ${failed.map(({ disk, via }) => `${disk.name} via ${via}`).join(', ')}`]),
    ...(sizes.length < 2 ? [] : [`Its paths do not agree on the size: ${sizes.map(formatSize).join(', ')}`]),
    ...(lun.map !== undefined && sizes.length === 1 && sizes[0] !== lun.map.size ? [`Its multipath map has ${formatSize(lun.map.size)}, its paths have ${formatSize(sizes[0] ?? 0)}: multipathd resize map ${lun.map.map}`] : []),
    ...(lun.identity.weak ? ['The array gives it an identity that may not be unique in the world; it is told apart by its target, too'] : []),
  ]
}

export const describeLun = (lun: Lun): string => {
  const [{ disk }] = lun.paths
  return `LUN ${lun.number} of ${lun.target}, ${[disk.vendor, disk.model].filter((text) => text !== '').join(' ') || 'unknown make'}, SCSI id ${lun.identity.scsiId}`
}

/** A raw LUN takes up all of its size, as far as this side of the array can tell. */
export const vdiOf = (lun: Lun, claim: LunClaim | undefined, sr: SrUuid): VdiRecord => {
  // A disk that was made read-only for a reader is not read-only by itself.
  const madeReadOnly = claim?.sr === sr && claim.madeReadOnly === true
  const warnings = [...pathWarnings(lun), ...(claim !== undefined && claim.sr !== sr ? [`It belongs to SR ${claim.sr} (${claim.driver}) on this host`] : [])]
  return {
    uuid: lun.vdi, kind: 'disk', size: lun.size, utilisation: lun.size, readOnly: lun.readOnly && !madeReadOnly, shareable: false,
    name: `LUN ${lun.number}`, description: describeLun(lun), format: 'raw', ...(warnings.length === 0 ? {} : { warnings }),
  }
}

/** What is left to say of a VDI that is attached here and whose LUN is not offered any more. */
export const vanishedVdi = (vdi: VdiUuid, claim: LunClaim): VdiRecord => ({
  uuid: vdi, kind: 'disk', size: claim.size, utilisation: claim.size, readOnly: false, shareable: false, name: `LUN ${claim.number}`,
  description: `Was LUN ${claim.number}, SCSI id ${claim.scsiId}`, format: 'raw',
  problem: reportError(new StorageError('placeMissing', `The LUN ${claim.scsiId} is attached to this host, but the target does not offer it any more`, {
    layer: 'store:raw-luns', remedy: 'See on the array whether it was deleted, unmapped, or another LUN was given its number; whoever uses it must stop, then detach it', details: { scsi_id: claim.scsiId, lun: claim.number },
  })),
})
