/** From volumes and tags to VDIs: pure. Names tell the role of a volume, tags everything else. */
import type { VdiKind, VdiLock, VdiRecord } from '../../core/contract.ts'
import { reportError, StorageError } from '../../core/errors.ts'
import { asVdiUuid, isUuid, type VdiUuid } from '../../core/ids.ts'
import { lvPrefix } from '../../host/lvm/names.ts'
import type { LogicalVolume } from '../../host/lvm/parse.ts'
import { decodeTags, encodeTags, isUnder } from '../../host/lvm/tags.ts'
import { poolName } from './place.ts'
import type { Report } from './report.ts'

/**
 * Roles by name. A revert prepares the new content as `RV-`, moves the old one to `OLD-`, and gives the new one the VDI's
 * name (revert.ts). `wipe-` waits for the collector to overwrite it.
 */
const prefixes = { vdi: lvPrefix, replacement: 'RV-', old: 'OLD-', wipe: 'wipe-' } as const

export const volumeName = (role: keyof typeof prefixes, id: VdiUuid): string => `${prefixes[role]}${id}`

/** What the tags of a VDI's volume say; all are texts, absent ones are the defaults. */
export interface VdiTags {
  readonly name?: string
  readonly description?: string
  readonly kind?: 'snapshot'
  /** Of a snapshot: the VDI it was taken of, and when (ms). */
  readonly of?: string
  readonly taken?: string
  readonly shareable?: 'yes'
  /** The head still holds what was there before: to be zeroed before anybody may see it. */
  readonly fresh?: 'yes'
  readonly lock?: string
  /** thin: its space is being taken; until that is done it is no VDI. */
  readonly filling?: 'yes'
  /** Last epoch of an unlocked VDI. */
  readonly epoch?: string
  /** thin: bytes in use when it was last seen active. */
  readonly used?: string
  /** Of a re-identified copy: the VDI of the original SR. */
  readonly 'copy-of'?: string
}

export const vdiTags = (values: VdiTags): readonly string[] => encodeTags(values as Readonly<Record<string, string | undefined>>)

const [fillingTag = ''] = vdiTags({ filling: 'yes' })

export interface VdiVolume {
  readonly vdi: VdiUuid
  readonly volume: LogicalVolume
  readonly tags: Readonly<Record<string, string>>
  readonly unreadable: readonly string[]
}

/** A revert that was interrupted: which of its volumes are there. */
export interface Unfinished {
  readonly vdi: VdiUuid
  readonly present: boolean
  readonly replacement: boolean
  readonly old: boolean
}

export interface Contents {
  readonly vdis: ReadonlyMap<VdiUuid, VdiVolume>
  readonly unfinished: readonly Unfinished[]
  /** Volumes whose creation was not finished. */
  readonly halfMade: readonly LogicalVolume[]
  /** Waiting to be overwritten. */
  readonly toWipe: readonly { readonly id: VdiUuid; readonly volume: LogicalVolume; readonly wiped: number }[]
  readonly pool?: LogicalVolume
  /** Nothing of ours. */
  readonly foreign: readonly LogicalVolume[]
}

const idIn = (name: string, role: keyof typeof prefixes): VdiUuid | undefined => {
  const rest = name.slice(prefixes[role].length)
  return name.startsWith(prefixes[role]) && isUuid(rest) ? asVdiUuid(rest) : undefined
}

const asVdi = (vdi: VdiUuid, volume: LogicalVolume): VdiVolume => {
  const { values, unreadable } = decodeTags(volume.tags)
  return { vdi, volume, tags: values, unreadable }
}

const pools = (volume: LogicalVolume): boolean => volume.name === poolName && volume.attributes.kind === 'thin-pool'

export const sortOut = ({ volumes }: Report): Contents => {
  const own = new Map<VdiUuid, LogicalVolume>()
  const replacements = new Map<VdiUuid, LogicalVolume>()
  const olds = new Map<VdiUuid, LogicalVolume>()
  const toWipe: { id: VdiUuid; volume: LogicalVolume; wiped: number }[] = []
  const foreign: LogicalVolume[] = []
  const halfMade: LogicalVolume[] = []
  let pool: LogicalVolume | undefined
  for (const volume of volumes) {
    const { name } = volume
    const [vdi, replacement, old, wipe] = [idIn(name, 'vdi'), idIn(name, 'replacement'), idIn(name, 'old'), idIn(name, 'wipe')]
    if (vdi !== undefined && volume.tags.includes(fillingTag)) halfMade.push(volume)
    else if (vdi !== undefined) own.set(vdi, volume)
    else if (replacement !== undefined) replacements.set(replacement, volume)
    else if (old !== undefined) olds.set(old, volume)
    else if (wipe !== undefined) toWipe.push({ id: wipe, volume, wiped: Number(decodeTags(volume.tags).values['wiped'] ?? 0) })
    else if (pools(volume)) pool = volume
    else if (volume.attributes.kind !== 'hidden') foreign.push(volume)
  }
  // Between the two renames of a revert the VDI has no volume of its name: it is then what it is about to become.
  const vdis = new Map([...own].map(([vdi, volume]) => [vdi, asVdi(vdi, volume)]))
  for (const [vdi, volume] of olds) if (!vdis.has(vdi)) vdis.set(vdi, asVdi(vdi, replacements.get(vdi) ?? volume))
  const unfinished = [...new Set([...replacements.keys(), ...olds.keys()])].map((vdi) => ({
    vdi, present: own.has(vdi), replacement: replacements.has(vdi), old: olds.has(vdi),
  }))
  return { vdis, unfinished, halfMade, toWipe, foreign, ...(pool === undefined ? {} : { pool }) }
}

/** `<epoch> <since> <expires or -> <host> <owner>`; the owner may hold spaces, the host id cannot. */
export const formatLock = (lock: VdiLock): string => `${lock.epoch} ${lock.sinceMs ?? 0} ${lock.expiresMs ?? '-'} ${lock.host} ${lock.owner}`

export const parseLock = (text: string | undefined): VdiLock | undefined => {
  const match = /^(\d+) (\d+) (\d+|-) (\S+) (.+)$/s.exec(text ?? '')
  if (match === null) return undefined
  const [, epoch, since, expires, host = '', owner = ''] = match
  return { epoch: Number(epoch), sinceMs: Number(since), host, owner, ...(expires === '-' ? {} : { expiresMs: Number(expires) }) }
}

/** Bytes in use: the kernel's figure while it is active, else the one of its last detach. */
export const usedBytes = ({ volume, tags }: Pick<VdiVolume, 'volume' | 'tags'>): number => {
  if (volume.attributes.kind !== 'thin') return volume.size
  if (volume.dataUsed !== undefined) return Math.round(volume.dataUsed * volume.size)
  return Math.min(Number(tags['used'] ?? 0) || 0, volume.size)
}

const problemOf = ({ volume, tags, unreadable }: VdiVolume, pool: LogicalVolume | undefined): StorageError | undefined => {
  const where = { layer: 'store:logical-volumes', details: { volume: volume.name } }
  if (volume.attributes.partial || volume.health === 'partial') {
    return new StorageError('placeMissing', 'A physical volume that holds part of this VDI is missing', { ...where, remedy: 'Bring the missing device back; pvs names it' })
  }
  if (volume.attributes.state === 'damaged') {
    return new StorageError('ioError', `Device-mapper has no working table for this VDI (attributes of ${volume.name})`, { ...where, remedy: 'Detach it and attach it again; the kernel log tells more' })
  }
  if (volume.attributes.kind === 'thin' && pool?.attributes.pool === 'failed') {
    return new StorageError('ioError', 'The thin pool has failed: its metadata may be damaged', { ...where, remedy: 'Detach the SR, then repair the pool: lvconvert --repair (see lvmthin(7))' })
  }
  if (unreadable.some((tag) => isUnder(tag, 'lock')) || (tags['lock'] !== undefined && parseLock(tags['lock']) === undefined)) {
    return new StorageError('imageCorrupt', 'The lock of this VDI is not readable: it may be held by somebody', { ...where, remedy: 'Find out who holds it (lvs -o +lv_tags), then take it with force' })
  }
  return undefined
}

export const recordOf = (found: VdiVolume, pool: LogicalVolume | undefined): VdiRecord => {
  const { vdi, volume, tags, unreadable } = found
  const kind: VdiKind = tags['kind'] === 'snapshot' ? 'snapshot' : 'disk'
  const of = tags['of']
  const taken = Number(tags['taken'])
  const lock = parseLock(tags['lock'])
  const problem = problemOf(found, pool)
  const warnings = unreadable.map((tag) => `The tag ${tag.slice(0, 80)} is not readable`)
  return {
    uuid: vdi,
    kind,
    size: volume.size,
    utilisation: usedBytes(found),
    readOnly: kind === 'snapshot' || !volume.attributes.writable,
    shareable: tags['shareable'] === 'yes',
    name: tags['name'] ?? '',
    description: tags['description'] ?? '',
    format: 'raw',
    ...(of === undefined || !isUuid(of) ? {} : { snapshotOf: asVdiUuid(of) }),
    ...(kind === 'snapshot' && taken > 0 ? { snapshotMs: taken } : {}),
    ...(lock === undefined ? {} : { lock }),
    ...(problem === undefined ? {} : { problem: reportError(problem) }),
    ...(warnings.length === 0 ? {} : { warnings }),
  }
}
