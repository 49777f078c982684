/**
 * Writing dynamic and differencing images.
 *
 * `write` puts data where nothing refers to it yet, or over sectors that are in the file already; `commit` makes it part
 * of the image. Steps, and what is there after a crash or a power cut in any of them:
 *
 *   write   1. a new footer behind the new blocks, when they do not fit before the present one
 *           2. zeros over what may lie in the space of the new blocks, then data
 *   commit  3. gap and bitmap of each new block
 *           4. sync: all of the above is on disk
 *           5. the sectors of the table that name new blocks; bitmaps of old blocks that got new bits
 *           6. sync
 *
 * Before 5 nothing refers to the new blocks: old content, and some space behind the last block that counts as free. From 5
 * on each sector of the table and each bitmap decides by itself, all or nothing, about data that 4 made durable. An
 * overwritten sector is old or new. The copy of the footer at 0 is never touched here, so there is a good footer at any
 * instant; only a power cut between 1 and 4 can lose the one at the end, which needs a repair but no knowledge.
 */
import { StorageError } from '../../core/errors.ts'
import { sectorSize } from '../../core/units.ts'
import { allSet, batmapFull, bitmapOf, remember, setBits } from './bitmaps.ts'
import { footerLength } from './footer.ts'
import { bitmapLength, lastBlockPlace, nextPlace, unallocated, type BlockPlace } from './layout.ts'
import { blockAt, decisive, encodeTable, refuseBroken, syncFile, writableTable, writeZeros, type Sparse, type Table } from './sparse.ts'
import { isZero, layer, sameBytes } from './wire.ts'

/** Bitmaps held back before a commit is made unasked: 2 GiB of data at the usual block size. */
const mostDirty = 1024

interface Portion {
  readonly block: number
  /** Within the block. */
  readonly from: number
  readonly bytes: Uint8Array
}

const portionsOf = (offset: number, bytes: Uint8Array, blockSize: number): readonly Portion[] => {
  const portions: Portion[] = []
  for (let done = 0; done < bytes.length;) {
    const from = (offset + done) % blockSize
    const length = Math.min(blockSize - from, bytes.length - done)
    portions.push({ block: Math.floor((offset + done) / blockSize), from, bytes: bytes.subarray(done, done + length) })
    done += length
  }
  return portions
}

const zeros = new Uint8Array(64 * 1024)

const allZero = (bytes: Uint8Array): boolean => {
  if (!isZero(bytes, 0, Math.min(bytes.length, 16))) return false
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const part = bytes.subarray(at, at + zeros.length)
    if (!sameBytes(part, zeros.subarray(0, part.length))) return false
  }
  return true
}

/** Step 1. Everything from the end of data to the new footer is then free space inside the file. False when it was there already. */
export const moveFooter = async (image: Sparse, at: number): Promise<boolean> => {
  if (image.footerAt !== undefined && at <= image.footerAt) return false
  // After a failure nobody knows how long the file is.
  await decisive(image, async () => image.file.write(at, image.footer.bytes))
  image.footerAt = at
  image.length = at + footerLength
  return true
}

/** Places for so many new blocks, one behind the other. */
export const placesFor = (free: number, blockSize: number, count: number): readonly BlockPlace[] => {
  const places: BlockPlace[] = []
  for (let i = 0, at = free; i < count; i += 1) {
    const place = nextPlace(at, blockSize)
    if (place.bitmapAt > lastBlockPlace) {
      throw new StorageError('limitExceeded', 'The image file would grow beyond 2 TiB, where its table cannot point', { layer, remedy: 'Move the disk to a new image: unused space of this one is then left behind' })
    }
    places.push(place)
    at = place.end
  }
  return places
}

const writeNew = async (image: Sparse, table: Table, portions: readonly Portion[]): Promise<void> => {
  const { blockSize } = image.header
  const places = placesFor(table.dataEnd, blockSize, portions.length)
  const { zeroFrom } = image
  await moveFooter(image, places.at(-1)?.end ?? 0)
  image.zeroFrom = Math.max(zeroFrom, image.length)
  for (const [index, place] of places.entries()) {
    const portion = portions[index]
    if (portion === undefined) break
    const oldEnd = Math.min(place.end, zeroFrom)
    const covered = portion.from === 0 && portion.bytes.length >= oldEnd - place.dataAt
    if (!covered) await writeZeros(image.file, place.dataAt, oldEnd)
    await image.file.write(place.dataAt + portion.from, portion.bytes)
    const bitmap = new Uint8Array(bitmapLength(blockSize))
    setBits(bitmap, portion.from / sectorSize, (portion.from + portion.bytes.length) / sectorSize)
    table.entries[portion.block] = place.bitmapAt / sectorSize
    table.dataEnd = place.end
    table.fresh.set(portion.block, place)
    table.dirty.set(portion.block, bitmap)
  }
}

const writeOld = async (image: Sparse, table: Table, { block, from, bytes }: Portion): Promise<void> => {
  const dataAt = blockAt(image, table, block) + bitmapLength(image.header.blockSize)
  const first = from / sectorSize
  const last = (from + bytes.length) / sectorSize
  const bitmap = batmapFull(table, block) ? undefined : await bitmapOf(image, table, block)
  await image.file.write(dataAt + from, bytes)
  if (bitmap === undefined || allSet(bitmap, first, last)) return
  setBits(bitmap, first, last)
  table.clean.delete(block)
  table.dirty.set(block, bitmap)
}

/** Whole sectors within the disk. One caller at a time. */
export const writeSparse = async (image: Sparse, offset: number, bytes: Uint8Array): Promise<void> => {
  const table = await writableTable(image)
  const isNew: Portion[] = []
  for (const portion of portionsOf(offset, bytes, image.header.blockSize)) {
    if (table.entries[portion.block] !== unallocated) await writeOld(image, table, portion)
    // A block that no file of the chain has reads as zeros already.
    else if (image.footer.type === 'differencing' || !allZero(portion.bytes)) isNew.push(portion)
  }
  if (isNew.length > 0) await writeNew(image, table, isNew)
  if (table.dirty.size >= mostDirty) await commit(image)
}

/** Writes the sectors of the table that hold these blocks; neighbours in one write. */
export const writeTableSectors = async (image: Sparse, table: Table, blocks: Iterable<number>): Promise<void> => {
  const perSector = sectorSize / 4
  const sectors = [...new Set([...blocks].map((block) => Math.floor(block / perSector)))].sort((a, b) => a - b)
  for (let i = 0; i < sectors.length;) {
    const first = sectors[i] ?? 0
    let count = 1
    while (sectors[i + count] === first + count) count += 1
    await image.file.write(image.header.tableAt + first * sectorSize, encodeTable(table.entries, first * perSector, (first + count) * perSector))
    i += count
  }
}

/** Step 5. After half of it, repeating step 3 would write bits of blocks that are referred to: only opening again helps. */
const refer = async (image: Sparse, table: Table): Promise<void> => decisive(image, async () => {
  if (table.fresh.size > 0) await writeTableSectors(image, table, table.fresh.keys())
  for (const [block, bitmap] of table.dirty) {
    if (!table.fresh.has(block)) await image.file.write(blockAt(image, table, block), bitmap)
  }
})

/** Steps 3 to 6. One caller at a time. */
export const commit = async (image: Sparse): Promise<void> => {
  const { table } = image
  refuseBroken(image)
  if (table === undefined || table.dirty.size === 0) return syncFile(image)
  for (const [block, place] of table.fresh) {
    const bitmap = table.dirty.get(block) ?? new Uint8Array(0)
    const gap = place.bitmapAt - place.gapAt
    const bytes = new Uint8Array(gap + bitmap.length)
    bytes.set(bitmap, gap)
    await image.file.write(place.gapAt, bytes)
  }
  await syncFile(image)
  await refer(image, table)
  await syncFile(image)
  table.commits += 1
  for (const [block, bitmap] of table.dirty) remember(table, block, bitmap)
  table.fresh.clear()
  table.dirty.clear()
}
