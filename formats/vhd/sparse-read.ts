/** Reading dynamic and differencing images: what is in this file, and its bytes. */
import { sectorSize } from '../../core/units.ts'
import { batmapFull, bitmapOf, bitmapsOf, eachRun } from './bitmaps.ts'
import { bitmapLength, unallocated } from './layout.ts'
import { blockAt, loadTable, readExactly, type Sparse, type Table } from './sparse.ts'

interface Range {
  readonly offset: number
  readonly length: number
}

/** Ranges in ascending order, merged where they touch. */
const createRanges = () => {
  const ranges: { offset: number; length: number }[] = []
  return {
    ranges,
    add: (from: number, to: number): void => {
      if (from >= to) return
      const last = ranges.at(-1)
      if (last !== undefined && last.offset + last.length === from) last.length += to - from
      else ranges.push({ offset: from, length: to - from })
    },
  }
}

/** Blocks whose bitmaps are held at once while ranges are made of them. */
const blocksAtOnce = 64

const allocatedFrom = (table: Table, from: number, to: number): readonly number[] => {
  const blocks: number[] = []
  for (let block = from; block < to; block += 1) if (table.entries[block] !== unallocated) blocks.push(block)
  return blocks
}

/** [offset, end) lies within the disk. */
export const presentRanges = async (image: Sparse, offset: number, end: number): Promise<readonly Range[]> => {
  const table = await loadTable(image)
  const { blockSize } = image.header
  const { ranges, add } = createRanges()
  const blocks = allocatedFrom(table, Math.floor(offset / blockSize), Math.ceil(end / blockSize))
  for (let i = 0; i < blocks.length; i += blocksAtOnce) {
    const some = blocks.slice(i, i + blocksAtOnce)
    const asked = some.filter((block) => !batmapFull(table, block))
    const bitmaps = new Map((await bitmapsOf(image, table, asked)).map((bitmap, index) => [asked[index], bitmap]))
    for (const block of some) {
      const start = block * blockSize
      const from = Math.max(offset, start)
      const to = Math.min(end, start + blockSize)
      const bitmap = bitmaps.get(block)
      if (bitmap === undefined) add(from, to)
      else {
        eachRun(bitmap, Math.floor((from - start) / sectorSize), Math.ceil((to - start) / sectorSize), (first, last) => {
          add(Math.max(from, start + first * sectorSize), Math.min(to, start + last * sectorSize))
        })
      }
    }
  }
  return ranges
}

/** Bytes of [offset, end); what is not in this file reads as zeros. */
export const readSparse = async (image: Sparse, offset: number, end: number): Promise<Uint8Array> => {
  const table = await loadTable(image)
  const { blockSize } = image.header
  let bytes: Uint8Array | undefined
  for (let block = Math.floor(offset / blockSize); block * blockSize < end; block += 1) {
    if (table.entries[block] === unallocated) continue
    const start = block * blockSize
    const dataAt = blockAt(image, table, block) + bitmapLength(blockSize)
    const from = Math.max(offset, start)
    const to = Math.min(end, start + blockSize)
    const runs = createRanges()
    if (batmapFull(table, block)) runs.add(from, to)
    else {
      const bitmap = await bitmapOf(image, table, block)
      eachRun(bitmap, Math.floor((from - start) / sectorSize), Math.ceil((to - start) / sectorSize), (first, last) => {
        runs.add(Math.max(from, start + first * sectorSize), Math.min(to, start + last * sectorSize))
      })
    }
    const first = runs.ranges[0]
    const last = runs.ranges.at(-1)
    if (first === undefined || last === undefined) continue
    // One read, whatever the bitmap looks like: small gaps cost less than more reads.
    const part = await readExactly(image.file, dataAt + first.offset - start, last.offset + last.length - first.offset)
    if (runs.ranges.length === 1 && part.length === end - offset) return part
    bytes ??= new Uint8Array(end - offset)
    for (const run of runs.ranges) bytes.set(part.subarray(run.offset - first.offset, run.offset - first.offset + run.length), run.offset - offset)
  }
  return bytes ?? new Uint8Array(end - offset)
}
