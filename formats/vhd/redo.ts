/**
 * Applying a redo record: the one way in which a change of more than one sector reaches an image, the first time and at
 * every repetition. Steps, each made durable before the next:
 *
 *   1. new entries of the table, batmap, locators - where the old header sees nothing that it cannot do without
 *   2. header
 *   3. copy of the footer at 0
 *   4. footer at the end
 *
 * Each step replaces what is still old and leaves everything else alone, so a record that should have been discarded long
 * ago does no harm: the header tells whether 1 and 2 are done, each footer tells by itself.
 * After a crash in 1 the old image is there, at most without batmap and locators; in 2 either, or a header whose halves
 * do not fit and that only this can mend; in 3 and 4 the new table with the old or the new size.
 */
import type { RandomAccess } from '../../core/bytes.ts'
import { StorageError } from '../../core/errors.ts'
import { sectorSize } from '../../core/units.ts'
import { footerLength, parseFooter } from './footer.ts'
import { headerLength, parseHeaderBytes, type Header } from './header.ts'
import { bitmapLength, overlaps, tableLength, unallocated, vitalSpans, type Span } from './layout.ts'
import type { SparseRecord } from './redo-record.ts'
import { readExactly } from './sparse.ts'
import { corrupt, layer, sameBytes, u32 } from './wire.ts'

const headerIn = (bytes: Uint8Array): Header | undefined => {
  const header = parseHeaderBytes(bytes)
  return typeof header === 'string' ? undefined : header
}

/** Each half of a header is one sector: after a crash it is old or new by itself. */
const isTornMix = (bytes: Uint8Array, a: Uint8Array, b: Uint8Array): boolean =>
  [0, sectorSize].every((at) => [a, b].some((whole) => sameBytes(bytes.subarray(at, at + sectorSize), whole.subarray(at, at + sectorSize))))

const refuse = (found: string): StorageError =>
  new StorageError('staleGeneration', `The redo record does not fit the image any more: ${found}`, { layer, remedy: 'Verify the image; discard the record if it is sound' })

/** What step 1 writes: the pieces of the record, and ones for the new entries up to the end of the table. */
const writesOf = async (file: RandomAccess, record: SparseRecord, before: Header, after: Header): Promise<readonly { readonly at: number; readonly bytes: Uint8Array }[]> => {
  const oldEnd = before.tableAt + 4 * before.entries
  const newEnd = after.tableAt + tableLength(after.entries)
  if (oldEnd >= newEnd || before.entries === after.entries) return record.pieces
  // Whole sectors: old entries that share one with new entries are as the disk has them.
  const at = oldEnd - (oldEnd % sectorSize)
  const bytes = new Uint8Array(newEnd - at).fill(0xff)
  bytes.set(await readExactly(file, at, oldEnd - at))
  return [{ at, bytes }, ...record.pieces]
}

/** Nothing that step 1 writes may touch a block, the old entries of the table, or what lies in front of them. */
const checkWrites = async (file: RandomAccess, record: SparseRecord, before: Header, after: Header, fileLength: number): Promise<void> => {
  const written: readonly Span[] = [
    ...record.pieces.map(({ at, bytes }) => ({ at, end: at + bytes.length, what: 'metadata' })),
    ...(before.entries === after.entries ? [] : [{ at: before.tableAt + 4 * before.entries, end: after.tableAt + tableLength(after.entries), what: 'the table' }]),
  ]
  const end = Math.max(0, ...written.map((span) => span.end))
  if (end > fileLength) throw refuse(`it wants to write up to ${end}, the file has ${fileLength} bytes`)
  const vital = vitalSpans(record.headerAt, before)
  const hit = written.find((span) => vital.some((other) => overlaps(span, other)))
  if (hit !== undefined) throw refuse(`it wants to write over what must stay, at ${hit.at}`)
  const whole = bitmapLength(before.blockSize) + before.blockSize
  const table = await readExactly(file, before.tableAt, 4 * before.entries)
  for (let at = 0; at < table.length; at += 4) {
    const entry = u32(table, at)
    if (entry === unallocated || entry * sectorSize >= end) continue
    const block = { at: entry * sectorSize, end: entry * sectorSize + whole }
    if (written.some((span) => overlaps(span, block))) throw refuse(`block ${at / 4} lies where it wants to write`)
  }
}

/** Steps 1 and 2. */
const applyHeader = async (file: RandomAccess, record: SparseRecord, sync: () => Promise<void>): Promise<void> => {
  const { headerAt, oldHeader, newHeader } = record
  const present = await readExactly(file, headerAt, headerLength)
  if (sameBytes(present, newHeader)) return
  if (!isTornMix(present, oldHeader, newHeader)) {
    // A good header of neither kind: the change was finished, and the image has gone on from there.
    if (headerIn(present) !== undefined) return
    throw corrupt('The header of the image is bad, and it is not the one that the redo record is about', 'Restore the image from a backup')
  }
  const before = headerIn(oldHeader)
  const after = headerIn(newHeader)
  if (before === undefined || after === undefined || before.tableAt !== after.tableAt || after.entries < before.entries) throw refuse('its headers do not belong together')
  await checkWrites(file, record, before, after, await file.length())
  for (const { at, bytes } of await writesOf(file, record, before, after)) await file.write(at, bytes)
  await sync()
  // A half that stays as it is is not written: most changes are one sector, and cannot tear.
  for (const half of [sectorSize, 0]) {
    const bytes = newHeader.subarray(half, half + sectorSize)
    if (!sameBytes(bytes, present.subarray(half, half + sectorSize))) await file.write(headerAt + half, bytes)
  }
  await sync()
}

const replaceFooter = async (file: RandomAccess, at: number, { oldFooter, newFooter }: SparseRecord, sync: () => Promise<void>): Promise<void> => {
  if (sameBytes(oldFooter, newFooter) || !sameBytes(await file.read(at, footerLength), oldFooter)) return
  await file.write(at, newFooter)
  await sync()
}

/** Identity by whichever footer is good; throws unless it is the record's. */
const checkIdentity = async (file: RandomAccess, record: SparseRecord, fileLength: number): Promise<void> => {
  const found = [await file.read(0, footerLength), await file.read(Math.max(0, fileLength - footerLength), footerLength)]
    .map(parseFooter).flatMap((footer) => (typeof footer === 'string' ? [] : [footer.id]))
  if (found.includes(record.id)) return
  throw new StorageError('identityMismatch', `The redo record belongs to the image ${record.id}, but this one is ${found[0] ?? 'none that can be told'}`, {
    layer, remedy: 'Give the record to the image that it was saved for',
  })
}

/** `sync` is the file's, or one that notes a failure. */
export const applyRecord = async (file: RandomAccess, record: SparseRecord, sync: () => Promise<void>): Promise<void> => {
  const length = await file.length()
  await checkIdentity(file, record, length)
  await applyHeader(file, record, sync)
  await replaceFooter(file, 0, record, sync)
  await replaceFooter(file, length - footerLength, record, sync)
}
