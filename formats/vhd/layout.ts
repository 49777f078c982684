/**
 * Where things lie in a sparse image:
 *
 *   | copy of footer | header | table | batmap header, map | locators |  gap, bitmap, data | gap, bitmap, data | ... | footer |
 *   0               512     1536  <-------- metadata -------->         <------ a block ---->
 *
 * Blocks come in any order, with holes, behind all metadata. The data of those we place begins on 4096 bytes.
 */
import { roundUp, sectorSize } from '../../core/units.ts'
import { batmapMapLength } from './batmap.ts'
import { headerLength, type Header } from './header.ts'
import type { Locator } from './locators.ts'

const dataAlignment = 4096

/** Entry of the table for a block that the file does not hold. */
export const unallocated = 0xffffffff
/** Entries are sector numbers of 32 bits, and the last is taken by `unallocated`: no block begins beyond 2 TiB. */
export const lastBlockPlace = (unallocated - 1) * sectorSize

/** Bytes of the bitmap in front of each block: one bit a sector, in whole sectors. */
export const bitmapLength = (blockSize: number): number => roundUp(Math.ceil(blockSize / sectorSize / 8), sectorSize)

export const blockCount = (size: number, blockSize: number): number => Math.ceil(size / blockSize)

/** The table on disk, padded to whole sectors. */
export const tableLength = (entries: number): number => roundUp(4 * entries, sectorSize)

/** By rule behind the table, padding included; whether there is one, the creator tells. */
export const batmapAt = (header: { readonly tableAt: number; readonly entries: number }): number => header.tableAt + tableLength(header.entries)

export const batmapLength = (entries: number): number => sectorSize + batmapMapLength(entries)

export interface Span {
  readonly at: number
  readonly end: number
  readonly what: string
}

/** What no block may touch, because without it there is no image. */
export const vitalSpans = (headerAt: number, header: Header): readonly Span[] => [
  { at: 0, end: sectorSize, what: 'the copy of the footer' },
  { at: headerAt, end: headerAt + headerLength, what: 'the header' },
  { at: header.tableAt, end: header.tableAt + 4 * header.entries, what: 'the table' },
]

export const batmapSpan = (header: Header): Span => ({ at: batmapAt(header), end: batmapAt(header) + batmapLength(header.entries), what: 'the batmap' })

export const locatorSpans = (locators: readonly Locator[]): readonly Span[] =>
  locators.map((locator) => ({ at: locator.at, end: locator.at + Math.max(locator.space, locator.length), what: `the parent locator ${locator.code}` }))

export const overlaps = (a: { readonly at: number; readonly end: number }, b: { readonly at: number; readonly end: number }): boolean => a.at < b.end && b.at < a.end

export interface BlockPlace {
  /** From here to the bitmap lies nothing. */
  readonly gapAt: number
  readonly bitmapAt: number
  readonly dataAt: number
  readonly end: number
}

/** The place of the next block when everything before `free` is taken. */
export const nextPlace = (free: number, blockSize: number): BlockPlace => {
  const bitmap = bitmapLength(blockSize)
  const dataAt = roundUp(free + bitmap, dataAlignment)
  return { gapAt: free, bitmapAt: dataAt - bitmap, dataAt, end: dataAt + blockSize }
}
