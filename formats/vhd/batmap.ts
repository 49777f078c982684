/**
 * The batmap of xapi's tools: one bit a block, set when every sector of that block is in this file. It is a hint and only
 * ever says too little: we read it, keep it valid, and never set a bit, because map and checksum cannot change in one write.
 */
import { roundUp, sectorSize } from '../../core/units.ts'
import { byteSum, copyOf, putAscii, putU32, putU64, startsWith, u32, u64 } from './wire.ts'

const cookie = 'tdbatmap'
const currentVersion = 0x00010002
/** Summed its bytes signed. */
const signedVersion = 0x00010001
const field = { mapAt: 8, sectors: 16, version: 20, checksum: 24 } as const

/** Bytes of the map for a table of so many entries. */
export const batmapMapLength = (entries: number): number => Math.max(roundUp(Math.ceil(entries / 8), sectorSize), sectorSize)

/** Only so many bytes of the map are summed: a bit for each whole 2 MiB of the disk, in whole sectors. Bits beyond say nothing. */
const summedLength = (size: number, mapLength: number): number =>
  Math.min(Math.max(Math.ceil(Math.floor(size / 2 ** 24) / sectorSize), 1) * sectorSize, mapLength)

const mapChecksum = (map: Uint8Array, length: number, version: number): number => {
  let sum = byteSum(map, 0, length)
  if (version === signedVersion) for (let i = 0; i < length; i += 1) if ((map[i] ?? 0) > 127) sum -= 256
  return ~sum >>> 0
}

export interface Batmap {
  /** The sector in front of the map: key hash and marker are kept when the map moves. */
  readonly header: Uint8Array
  /** One bit a block, most significant first; bits that nothing vouches for are cleared. */
  readonly map: Uint8Array
}

export const newBatmap = (at: number, entries: number): Uint8Array => {
  const bytes = new Uint8Array(sectorSize + batmapMapLength(entries))
  putAscii(bytes, 0, cookie)
  putU32(bytes, field.version, currentVersion)
  placeBatmap(bytes, at, entries)
  return bytes
}

/** Sets the header in `bytes` right for the map behind it, when both lie at `at` of the file. */
export const placeBatmap = (bytes: Uint8Array, at: number, entries: number): void => {
  const mapLength = batmapMapLength(entries)
  putU64(bytes, field.mapAt, at + sectorSize)
  putU32(bytes, field.sectors, mapLength / sectorSize)
  putU32(bytes, field.checksum, mapChecksum(bytes.subarray(sectorSize), mapLength, u32(bytes, field.version)))
}

/** Where the map lies by the header in `bytes`; undefined when it is no batmap header. */
export const batmapMapAt = (bytes: Uint8Array): number | undefined => {
  if (bytes.length < sectorSize || !startsWith(bytes, 0, cookie)) return undefined
  const at = u64(bytes, field.mapAt)
  return Number.isSafeInteger(at) ? at : undefined
}

/** undefined when the checksum is wrong. `map` is as long as the table wants it, `size` the disk's. */
export const parseBatmap = (header: Uint8Array, map: Uint8Array, size: number): Batmap | undefined => {
  const summed = summedLength(size, map.length)
  if (map.length === 0 || mapChecksum(map, summed, u32(header, field.version)) !== u32(header, field.checksum)) return undefined
  const vouched = new Uint8Array(map.length)
  vouched.set(map.subarray(0, summed))
  return { header: copyOf(header.subarray(0, sectorSize)), map: vouched }
}

export const batmapBit = (batmap: Batmap, block: number): boolean => ((batmap.map[block >>> 3] ?? 0) & (0x80 >>> (block & 7))) !== 0
