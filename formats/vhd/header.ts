/** The dynamic header: 1024 bytes that describe the table of blocks and, in differencing images, the parent. */
import { StorageError } from '../../core/errors.ts'
import { sectorSize } from '../../core/units.ts'
import { locatorsLength, nameInField, parseLocators, putLocator, type Locator } from './locators.ts'
import { checksumOf, copyOf, hex, isZero, layer, putAscii, putHex, putOnes, putU16, putU32, putU64, startsWith, u32, u64 } from './wire.ts'

export const headerLength = 1024
const headerCookie = 'cxsparse'

export const defaultBlockSize = 2 * 1024 * 1024
const smallestBlock = sectorSize
const largestBlock = 64 * 1024 * 1024
/** 2 TiB in blocks of 512 KiB: a table of 16 MiB, the largest that is read. */
export const maxEntries = 4 * 1024 * 1024

const field = {
  dataOffset: 8, tableAt: 16, version: 24, entries: 28, blockSize: 32, checksum: 36, parentId: 40, reserved: 60, parentName: 64, locators: 576,
} as const
const parentNameLength = 512

export interface Header {
  /** All 1024 bytes; a view of what was parsed. */
  readonly bytes: Uint8Array
  readonly tableAt: number
  readonly entries: number
  readonly blockSize: number
  readonly parentId: string
}

/** The header in exactly 1024 bytes, or why there is none. Not yet compared with the footer or the file. */
export const parseHeaderBytes = (bytes: Uint8Array): Header | string => {
  if (!startsWith(bytes, 0, headerCookie)) return 'there is no header where its footer says'
  if (checksumOf(bytes, 0, headerLength, field.checksum) !== u32(bytes, field.checksum)) return 'the checksum of its header is wrong'
  const version = u32(bytes, field.version)
  if (version >>> 16 !== 1) return `its header has the unknown version 0x${version.toString(16)}`
  const blockSize = u32(bytes, field.blockSize)
  if (blockSize < smallestBlock || blockSize > largestBlock || (blockSize & (blockSize - 1)) !== 0) return `its blocks of ${blockSize} bytes are no power of two from ${smallestBlock} to ${largestBlock}`
  return { bytes, blockSize, tableAt: u64(bytes, field.tableAt), entries: u32(bytes, field.entries), parentId: hex(bytes, field.parentId, 16) }
}

/** The header at `at` of the head of a file. */
export const parseHeader = (head: Uint8Array, at: number): Header | string => {
  if (!Number.isSafeInteger(at) || at % sectorSize !== 0 || at < sectorSize) return `its header would be at the impossible offset ${at}`
  if (at + headerLength > head.length) return `its header would be at offset ${at}, where no program puts one`
  return parseHeaderBytes(head.subarray(at, at + headerLength))
}

/** A header that we have made ourselves. */
export const headerOf = (bytes: Uint8Array): Header => {
  const header = parseHeaderBytes(bytes)
  if (typeof header === 'string') throw new StorageError('driverBug', `In an image changed here ${header}`, { layer, mayHaveChanged: true, remedy: 'Report this' })
  return header
}

export const headerLocators = (header: Header): readonly Locator[] => parseLocators(header.bytes, field.locators)

/** The parent's file name as the header itself has it. */
export const headerParentName = (header: Header): string | undefined => nameInField(header.bytes.subarray(field.parentName, field.parentName + parentNameLength))

/** Nothing in the areas that the specification keeps zero. */
export const headerReservedClean = (header: Header): boolean => isZero(header.bytes, field.reserved, field.parentName) && isZero(header.bytes, field.locators + locatorsLength)

interface HeaderChange {
  readonly entries?: number
  readonly parent?: { readonly id: string; readonly fileName: string }
  /** Makes further changes, to locators, in the bytes; `at` is the offset of the first locator. */
  readonly locators?: (bytes: Uint8Array, at: number) => void
}

/**
 * A copy with the change made and a new checksum. The parent's time is left zero, as Windows does: coalescing and hiding
 * touch parents, so nobody may rely on it.
 */
export const patchHeader = (bytes: Uint8Array, change: HeaderChange): Uint8Array => {
  const patched = copyOf(bytes)
  if (change.entries !== undefined) putU32(patched, field.entries, change.entries)
  if (change.parent !== undefined) {
    putHex(patched, field.parentId, change.parent.id)
    patched.fill(0, field.parentId + 16, field.parentName + parentNameLength)
    for (let i = 0; i < change.parent.fileName.length; i += 1) putU16(patched, field.parentName + 2 * i, change.parent.fileName.charCodeAt(i))
  }
  change.locators?.(patched, field.locators)
  putU32(patched, field.checksum, checksumOf(patched, 0, headerLength, field.checksum))
  return patched
}

export const newHeader = (image: { readonly tableAt: number; readonly entries: number; readonly parent?: HeaderChange['parent']; readonly locators: readonly Locator[] }): Uint8Array => {
  const bytes = new Uint8Array(headerLength)
  putAscii(bytes, 0, headerCookie)
  putOnes(bytes, field.dataOffset, 8)
  putU64(bytes, field.tableAt, image.tableAt)
  putU32(bytes, field.version, 0x00010000)
  putU32(bytes, field.blockSize, defaultBlockSize)
  return patchHeader(bytes, {
    entries: image.entries,
    ...(image.parent === undefined ? {} : { parent: image.parent }),
    locators: (patched, at) => image.locators.forEach((locator) => putLocator(patched, at, locator)),
  })
}
