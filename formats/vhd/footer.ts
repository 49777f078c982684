/**
 * The footer: 512 bytes that say what the file is. It stands at the end; sparse images keep a copy at offset 0. Fields
 * that we do not know are never lost: a footer is changed by patching its bytes.
 */
import { StorageError } from '../../core/errors.ts'
import { sectorSize } from '../../core/units.ts'
import { geometryOf } from './geometry.ts'
import { ascii, checksumOf, copyOf, hex, isZero, layer, putAscii, putHex, putOnes, putU32, putU64, startsWith, u32, u64 } from './wire.ts'

export const footerLength = sectorSize
export const footerCookie = 'conectix'
/** Stands in place of the cookie while a journaled resize of vhd-util runs. */
export const poisonCookie = 'v_poison'

/** Seconds between the epochs of Unix and VHD (2000-01-01 UTC). */
const epochOffset = 946_684_800

const field = {
  features: 8, version: 12, dataOffset: 16, timestamp: 24, creator: 28, creatorVersion: 32, originalSize: 40,
  currentSize: 48, geometry: 56, type: 60, checksum: 64, id: 68, saved: 84, hidden: 85, reserved: 86,
} as const

const typeNumbers = { fixed: 2, dynamic: 3, differencing: 4 } as const
export type DiskType = keyof typeof typeNumbers
const typesByNumber: Readonly<Record<number, DiskType>> = { 2: 'fixed', 3: 'dynamic', 4: 'differencing' }

export interface Footer {
  /** All 512 bytes; a view of what was parsed. */
  readonly bytes: Uint8Array
  readonly type: DiskType
  /** Of the dynamic header; meaningless for fixed disks. */
  readonly headerAt: number
  readonly size: number
  readonly geometry: number
  readonly creator: string
  readonly creatorVersion: number
  readonly id: string
  readonly hidden: boolean
}

/** Creator ids whose current size qemu believes; for all others it computes the size from the geometry. */
export const sizeBelievedFrom: ReadonlySet<string> = new Set(['tap\0', 'qem2', 'win ', 'd2v ', 'CTXS'])

/** Images of xapi's tools since 1.2 promise a batmap. */
export const promisesBatmap = (footer: Footer): boolean => footer.creator.startsWith('tap') && footer.creatorVersion >= 0x00010002

/** A footer of 511 bytes, as Virtual PC wrote before 2004, lacks its last reserved byte. */
export const completeFooter = (bytes: Uint8Array): Uint8Array => {
  const whole = new Uint8Array(footerLength)
  whole.set(bytes)
  return whole
}

const checksumGood = (bytes: Uint8Array): boolean => checksumOf(bytes, 0, footerLength, field.checksum) === u32(bytes, field.checksum)

/** xapi 0.1 and 1.1 set `hidden` in the copy at 0 and left the checksum as it was. Answers the footer as it should have been. */
export const mendOldHidden = (bytes: Uint8Array): Uint8Array | undefined => {
  if (!startsWith(bytes, 0, footerCookie) || ascii(bytes, field.creator, 3) !== 'tap' || bytes[field.hidden] !== 1) return undefined
  const version = u32(bytes, field.creatorVersion)
  if (version !== 0x00000001 && version !== 0x00010001) return undefined
  const shown = copyOf(bytes)
  shown[field.hidden] = 0
  return checksumGood(shown) ? patchFooter(bytes, {}) : undefined
}

/** The footer in 512 bytes, or why there is none. Strict on cookie, checksum, version, type and size; lenient on all else. */
export const parseFooter = (bytes: Uint8Array): Footer | string => {
  if (bytes.length < footerLength || !startsWith(bytes, 0, footerCookie)) return 'has no VHD footer'
  if (!checksumGood(bytes)) return 'has a VHD footer with a wrong checksum'
  const version = u32(bytes, field.version)
  if (version >>> 16 !== 1) return `has a VHD footer of the unknown version 0x${version.toString(16)}`
  const type = typesByNumber[u32(bytes, field.type)]
  if (type === undefined) return `has a VHD footer of the unknown disk type ${u32(bytes, field.type)}`
  const size = u64(bytes, field.currentSize)
  if (!Number.isSafeInteger(size) || size % sectorSize !== 0) return `has a VHD footer with the impossible size ${size}`
  return {
    bytes, type, size,
    headerAt: u64(bytes, field.dataOffset),
    geometry: u32(bytes, field.geometry),
    creator: ascii(bytes, field.creator, 4),
    creatorVersion: u32(bytes, field.creatorVersion),
    id: hex(bytes, field.id, 16),
    hidden: bytes[field.hidden] !== 0,
  }
}

/** A footer that we have made ourselves. */
export const footerOf = (bytes: Uint8Array): Footer => {
  const footer = parseFooter(bytes)
  if (typeof footer === 'string') throw new StorageError('driverBug', `A footer made here ${footer}`, { layer, mayHaveChanged: true, remedy: 'Report this' })
  return footer
}

export interface FooterChange {
  readonly size?: number
  readonly id?: string
  readonly hidden?: boolean
  readonly geometry?: number
}

/**
 * A copy with the change made and a new checksum. A new size becomes the original size, too: libvhdi takes that one for
 * the size of the disk, and would cut off what a grow has added.
 */
export const patchFooter = (bytes: Uint8Array, change: FooterChange): Uint8Array => {
  const patched = copyOf(bytes)
  if (change.size !== undefined) {
    putU64(patched, field.originalSize, change.size)
    putU64(patched, field.currentSize, change.size)
    putU32(patched, field.geometry, geometryOf(change.size))
  }
  if (change.geometry !== undefined) putU32(patched, field.geometry, change.geometry)
  if (change.id !== undefined) putHex(patched, field.id, change.id)
  if (change.hidden !== undefined) patched[field.hidden] = change.hidden ? 1 : 0
  putU32(patched, field.checksum, checksumOf(patched, 0, footerLength, field.checksum))
  return patched
}

/** The footer of a new image. `headerAt` absent: a fixed disk. */
export const newFooter = (image: { readonly type: DiskType; readonly size: number; readonly id: string; readonly createdMs: number; readonly headerAt?: number }): Uint8Array => {
  const bytes = new Uint8Array(footerLength)
  putAscii(bytes, 0, footerCookie)
  // The one reserved feature bit that is always set.
  putU32(bytes, field.features, 2)
  putU32(bytes, field.version, 0x00010000)
  if (image.headerAt === undefined) putOnes(bytes, field.dataOffset, 8)
  else putU64(bytes, field.dataOffset, image.headerAt)
  putU32(bytes, field.timestamp, Math.min(Math.max(0, Math.floor(image.createdMs / 1000) - epochOffset), 0xffffffff))
  // xapi's id and version: the one creator whose size, geometry, batmap and alignment all readers take as we write them.
  putAscii(bytes, field.creator, 'tap\0')
  putU32(bytes, field.creatorVersion, 0x00010003)
  putU32(bytes, field.type, typeNumbers[image.type])
  putHex(bytes, field.id, image.id)
  return patchFooter(bytes, { size: image.size })
}

/** Oddities of the fields that nobody reads, for a check. */
export const footerOddities = (footer: Footer): readonly string[] => [
  ...(footer.id === '0'.repeat(32) ? ['its identity is all zeros'] : []),
  ...((footer.bytes[field.saved] ?? 0) > 1 ? ['its saved-state byte is neither 0 nor 1'] : []),
  ...((footer.bytes[field.hidden] ?? 0) > 1 ? ['its hidden byte is neither 0 nor 1'] : []),
  ...(isZero(footer.bytes, field.reserved) ? [] : ['its footer has bytes in a reserved area']),
]

/** Program and version as recorded, for people: `tap 1.3`. */
export const creatorText = (footer: Footer): string =>
  `${footer.creator.replace(/[^\x20-\x7e]/g, ' ').trim() || 'unknown'} ${footer.creatorVersion >>> 16}.${footer.creatorVersion & 0xffff}`
