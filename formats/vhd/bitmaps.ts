/** Bitmaps in front of blocks: which sectors of a block are in this file. One bit a sector, most significant bit first. */
import { sectorSize } from '../../core/units.ts'
import { batmapBit } from './batmap.ts'
import { bitmapLength } from './layout.ts'
import { blockAt, readExactly, type Sparse, type Table } from './sparse.ts'

/** Bytes of bitmaps that are kept; a whole scan of a large image must not fill the memory. */
const cacheBytes = 1024 * 1024
const readsInFlight = 16

/** Calls `emit` for each run of set bits in [from, to). */
export const eachRun = (bitmap: Uint8Array, from: number, to: number, emit: (start: number, end: number) => void): void => {
  let start = -1
  for (let i = from; i < to;) {
    const byte = bitmap[i >>> 3] ?? 0
    const uniform = (i & 7) === 0 && to - i >= 8 && (byte === 0 || byte === 0xff)
    const set = uniform ? byte === 0xff : (byte & (0x80 >>> (i & 7))) !== 0
    if (set && start < 0) start = i
    if (!set && start >= 0) {
      emit(start, i)
      start = -1
    }
    i += uniform ? 8 : 1
  }
  if (start >= 0) emit(start, to)
}

export const allSet = (bitmap: Uint8Array, from: number, to: number): boolean => {
  let all = from >= to
  eachRun(bitmap, from, to, (start, end) => {
    all = start === from && end === to
  })
  return all
}

export const setBits = (bitmap: Uint8Array, from: number, to: number): void => {
  for (let i = from; i < to;) {
    const whole = (i & 7) === 0 && to - i >= 8
    bitmap[i >>> 3] = whole ? 0xff : (bitmap[i >>> 3] ?? 0) | (0x80 >>> (i & 7))
    i += whole ? 8 : 1
  }
}

export const remember = (table: Table, block: number, bitmap: Uint8Array): void => {
  table.clean.delete(block)
  table.clean.set(block, bitmap)
  const most = Math.max(16, Math.floor(cacheBytes / Math.max(bitmap.length, sectorSize)))
  for (const oldest of table.clean.keys()) {
    if (table.clean.size <= most) break
    table.clean.delete(oldest)
  }
}

/** Says by itself that every sector is there. */
export const batmapFull = (table: Table, block: number): boolean => table.batmap !== undefined && batmapBit(table.batmap, block)

/** The bitmap of an allocated block. */
export const bitmapOf = async (image: Sparse, table: Table, block: number): Promise<Uint8Array> => {
  const known = table.dirty.get(block) ?? table.clean.get(block)
  if (known !== undefined) {
    if (table.clean.has(block)) remember(table, block, known)
    return known
  }
  const { commits } = table
  const read = await readExactly(image.file, blockAt(image, table, block), bitmapLength(image.header.blockSize))
  const newer = table.dirty.get(block) ?? table.clean.get(block)
  if (newer !== undefined) return newer
  if (commits === table.commits) remember(table, block, read)
  return read
}

/** Reads the bitmaps of many blocks, some at once; all blocks are allocated. */
export const bitmapsOf = async (image: Sparse, table: Table, blocks: readonly number[]): Promise<readonly Uint8Array[]> => {
  const bitmaps: Uint8Array[] = []
  for (let from = 0; from < blocks.length; from += readsInFlight) {
    bitmaps.push(...await Promise.all(blocks.slice(from, from + readsInFlight).map(async (block) => bitmapOf(image, table, block))))
  }
  return bitmaps
}
