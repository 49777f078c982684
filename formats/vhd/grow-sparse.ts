/**
 * Enlarging dynamic and differencing images. When the table has enough entries only the footers change. Otherwise the
 * table must grow where it is, because other programs want all blocks behind all metadata:
 *
 *   before  | header | table | batmap | locators | block A | block B | ... | block Z | footer |
 *   moved   | header | table | batmap | locators |  free   | block B | ... | block Z | block A | footer |
 *   after   | header | table ...... | batmap .... | locators | block B | ... | block Z | block A | footer |
 *
 * Steps, each made durable before the next:
 *   1. zeros behind the old end of the disk, in a last block that is there only in part
 *   2. footer behind the new end of data; copies of the lowest blocks there
 *   3. the table names the copies
 *   4. the redo record is saved
 *   5. the record is applied: new entries, batmap, locators; header; copy of the footer; footer (redo.ts)
 *   6. the redo record is cleared
 * A crash in 1 to 3 leaves the old image and some free space in it; from 4 on replay brings the new one.
 */
import { StorageError } from '../../core/errors.ts'
import { roundUp, sectorSize } from '../../core/units.ts'
import type { RedoLog } from '../format.ts'
import { placeBatmap } from './batmap.ts'
import { checkSize } from './create.ts'
import { footerOf, patchFooter, promisesBatmap } from './footer.ts'
import { headerLocators, headerOf, patchHeader } from './header.ts'
import { batmapAt, batmapLength, bitmapLength, blockCount, locatorSpans, tableLength, unallocated } from './layout.ts'
import { moveLocator } from './locators.ts'
import { encodeRecord, type SparseRecord } from './redo-record.ts'
import { applyRecord } from './redo.ts'
import { commit, moveFooter, placesFor, writeTableSectors } from './sparse-write.ts'
import { blockAt, decisive, readExactly, refuseTakenBeyondEnd, syncFile, vitalOf, writableTable, writeZeros, type Sparse, type Table } from './sparse.ts'
import { copyOf, corrupt, layer } from './wire.ts'

const copyChunk = 1024 * 1024
/** Windows reserves 64 KiB for a locator; much more than that is no locator. */
const largestLocator = 1024 * 1024

type Piece = SparseRecord['pieces'][number]

export const refuseShrink = (from: number, to: number): void => {
  if (to >= from) return
  throw new StorageError('sizeOutOfRange', `A disk of ${from} bytes cannot be made smaller, to ${to} bytes`, { field: 'size', layer, remedy: 'Copy what is needed into a new, smaller disk' })
}

/** Step 1. What lies behind the end of the disk was never anybody's content; after growing it would be. */
const clearBehindEnd = async (image: Sparse, table: Table): Promise<void> => {
  const { blockSize } = image.header
  const inside = image.footer.size % blockSize
  const block = Math.floor(image.footer.size / blockSize)
  if (inside === 0 || table.entries[block] === unallocated) return
  const dataAt = blockAt(image, table, block) + bitmapLength(blockSize)
  await writeZeros(image.file, dataAt + inside, dataAt + blockSize)
  await syncFile(image)
}

/** Steps 2 and 3: nothing but free space in front of `end` and behind the old metadata. */
const makeRoom = async (image: Sparse, table: Table, end: number): Promise<void> => {
  const { blockSize } = image.header
  const low: { readonly block: number; readonly at: number }[] = []
  table.entries.forEach((entry, block) => {
    if (entry !== unallocated && entry * sectorSize < end) low.push({ block, at: entry * sectorSize })
  })
  low.sort((a, b) => a.at - b.at)
  const free = Math.max(table.dataEnd, end)
  const places = placesFor(free, blockSize, low.length)
  const moved = await moveFooter(image, places.at(-1)?.end ?? free)
  if (!moved && low.length === 0) return
  image.zeroFrom = Math.max(image.zeroFrom, image.length)
  for (const [index, place] of places.entries()) {
    const from = low[index]?.at ?? 0
    await writeZeros(image.file, place.gapAt, place.bitmapAt)
    const length = place.end - place.bitmapAt
    for (let done = 0; done < length; done += copyChunk) {
      await image.file.write(place.bitmapAt + done, await readExactly(image.file, from + done, Math.min(copyChunk, length - done)))
    }
  }
  await syncFile(image)
  table.dataEnd = places.at(-1)?.end ?? free
  if (low.length === 0) return
  places.forEach((place, index) => {
    table.entries[low[index]?.block ?? 0] = place.bitmapAt / sectorSize
  })
  await decisive(image, async () => writeTableSectors(image, table, low.map(({ block }) => block)))
  await syncFile(image)
}

/** The batmap as it will lie behind the larger table: known bits stay, new ones are clear. */
const batmapPiece = async (image: Sparse, table: Table, entries: number): Promise<readonly Piece[]> => {
  if (!promisesBatmap(image.footer)) return []
  const at = batmapAt({ tableAt: image.header.tableAt, entries })
  const bytes = new Uint8Array(batmapLength(entries))
  bytes.set(await readExactly(image.file, batmapAt(image.header), sectorSize))
  if (table.batmap !== undefined) bytes.set(table.batmap.map, sectorSize)
  placeBatmap(bytes, at, entries)
  return [{ at, bytes }]
}

/** Locators behind the table are packed behind the new metadata; those in front of it stay. */
const locatorPieces = async (image: Sparse, from: number): Promise<readonly (Piece & { readonly slot: number })[]> => {
  if (image.footer.type !== 'differencing') return []
  const pieces: (Piece & { readonly slot: number })[] = []
  let at = from
  for (const locator of headerLocators(image.header)) {
    const [span] = locatorSpans([locator])
    if (span === undefined || span.end <= image.header.tableAt) continue
    const space = roundUp(span.end - span.at, sectorSize)
    if (space > largestLocator || span.at + space > image.length) throw corrupt(`The parent locator ${locator.code} claims ${space} bytes at ${span.at}, which cannot be moved`, 'Re-parent the image first, then try again')
    pieces.push({ slot: locator.slot, at, bytes: await readExactly(image.file, span.at, space) })
    at += space
  }
  return pieces
}

const planTable = async (image: Sparse, table: Table, size: number, entries: number): Promise<SparseRecord> => {
  const { header, footer, headerAt } = image
  const batmap = await batmapPiece(image, table, entries)
  const behind = batmap[0] === undefined ? header.tableAt + tableLength(entries) : batmap[0].at + batmap[0].bytes.length
  const locators = await locatorPieces(image, behind)
  const newHeader = patchHeader(header.bytes, {
    entries, locators: (bytes, at) => locators.forEach((piece) => moveLocator(bytes, at, piece.slot, piece.at)),
  })
  return {
    kind: 'vhd sparse 1', id: footer.id, headerAt,
    oldHeader: copyOf(header.bytes), newHeader,
    oldFooter: copyOf(footer.bytes), newFooter: patchFooter(footer.bytes, { size }),
    pieces: [...batmap, ...locators.map(({ at, bytes }) => ({ at, bytes }))],
  }
}

/** Steps 2 to 5. */
const growTable = async (image: Sparse, table: Table, size: number, entries: number, redo: RedoLog): Promise<void> => {
  const record = await planTable(image, table, size, entries)
  const end = Math.max(image.header.tableAt + tableLength(entries), ...record.pieces.map((piece) => piece.at + piece.bytes.length), ...vitalOf(image).map((span) => span.end))
  await makeRoom(image, table, roundUp(end, sectorSize))
  await redo.save(encodeRecord(record))
  await decisive(image, async () => applyRecord(image.file, record, async () => image.file.sync()))
  image.header = headerOf(record.newHeader)
  image.footer = footerOf(record.newFooter)
  image.table = undefined
}

/** Copy at 0 first: when both are good and differ, it is the one that counts. */
export const writeFooters = async (image: Sparse, bytes: Uint8Array): Promise<void> => {
  await decisive(image, async () => {
    await image.file.write(0, bytes)
    await image.file.sync()
    if (image.footerAt !== undefined) await image.file.write(image.footerAt, bytes)
    await image.file.sync()
  })
  image.footer = footerOf(bytes)
}

/** One caller at a time, and nobody reads meanwhile. */
export const growSparse = async (image: Sparse, size: number, redo: RedoLog): Promise<void> => {
  refuseShrink(image.footer.size, size)
  checkSize(size, sectorSize)
  const table = await writableTable(image)
  if (table.dirty.size > 0) await commit(image)
  if (size === image.footer.size) return
  const { blockSize, entries } = image.header
  // Growing would make part of the file content.
  refuseTakenBeyondEnd(image, table)
  await clearBehindEnd(image, table)
  const needed = blockCount(size, blockSize)
  const larger = needed > entries
  if (larger) await growTable(image, table, size, needed, redo)
  else await writeFooters(image, patchFooter(image.footer.bytes, { size }))
  image.summary = { ...image.summary, size }
  if (larger) await redo.clear()
}
