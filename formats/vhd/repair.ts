/**
 * Mending what can be mended without any doubt about content: footer from its copy and back, geometry, batmap from the
 * bitmaps. The table and the header are never guessed. A plan is made first, so that a dry run tells exactly what would
 * be done, and a check tells what is repairable.
 *
 * Steps, each made durable before the next: 1. copy of the footer at 0; 2. footer at the end; 3. batmap, which can always
 * be made again. After a crash in any of them the image is as readable as before, and the same repair finishes.
 */
import type { RandomAccess } from '../../core/bytes.ts'
import { roundUp, sectorSize } from '../../core/units.ts'
import type { Finding } from '../format.ts'
import { batmapMapAt, newBatmap, placeBatmap } from './batmap.ts'
import { allSet, bitmapOf, bitmapsOf, eachRun, setBits } from './bitmaps.ts'
import type { Fixed } from './fixed.ts'
import { footerLength, patchFooter, promisesBatmap, sizeBelievedFrom, type Footer } from './footer.ts'
import { geometryOf } from './geometry.ts'
import { headerLocators } from './header.ts'
import { batmapSpan, bitmapLength, blockCount, locatorSpans, overlaps, unallocated } from './layout.ts'
import { fixedOf, probe, sparseOf } from './probe.ts'
import { loadTable, type Sparse, type Table } from './sparse.ts'
import { sameBytes } from './wire.ts'

/** One writing that mends everything in `reasons`. */
interface Mend {
  readonly reasons: readonly string[]
  readonly apply: () => Promise<void>
}

/** xapi's check wants the stored geometry, taken as one number, to be at most the computed one. */
export const geometryTooLarge = (footer: Footer): boolean => footer.geometry > geometryOf(footer.size)

/** For other creators qemu takes the size of the disk from the geometry: there a smaller one would cut the disk. */
export const geometryIsFree = (footer: Footer): boolean => sizeBelievedFrom.has(footer.creator)

const mendedFooter = (footer: Footer): { readonly bytes: Uint8Array; readonly what: readonly string[] } =>
  geometryTooLarge(footer) && geometryIsFree(footer)
    ? { bytes: patchFooter(footer.bytes, { geometry: geometryOf(footer.size) }), what: ['its geometry is larger than its size'] }
    : { bytes: footer.bytes, what: [] }

const placeFooter = async (file: RandomAccess, at: number, bytes: Uint8Array): Promise<void> => {
  if (sameBytes(await file.read(at, footerLength), bytes)) return
  await file.write(at, bytes)
  await file.sync()
}

/** The block that the end of the file cuts, when sectors that it says it has are cut off with it. */
export const cutBlock = async (image: Sparse, table: Table): Promise<number | undefined> => {
  const { blockSize } = image.header
  const bitmap = bitmapLength(blockSize)
  for (let block = 0; block < blockCount(image.footer.size, blockSize); block += 1) {
    const entry = table.entries[block] ?? unallocated
    if (entry === unallocated || entry * sectorSize + bitmap + blockSize <= image.length) continue
    const whole = Math.max(0, Math.floor((image.length - entry * sectorSize - bitmap) / sectorSize))
    let cut = false
    eachRun(await bitmapOf(image, table, block), whole, blockSize / sectorSize, () => {
      cut = true
    })
    if (cut) return block
  }
  return undefined
}

/** Where a lost footer belongs: at the end, but never on a block. undefined when that cannot be told. */
const footerPlace = async (image: Sparse, table: Table): Promise<number | undefined> => {
  if (image.footerAt !== undefined) return image.footerAt
  if (table.damage !== undefined || (await cutBlock(image, table)) !== undefined) return undefined
  return Math.max(roundUp(image.length, sectorSize) - footerLength, table.dataEnd)
}

/** A batmap can be written where it belongs: no block, locator or footer is there. */
export const batmapPlaceFree = (image: Sparse, table: Table): boolean => {
  const place = batmapSpan(image.header)
  const whole = bitmapLength(image.header.blockSize) + image.header.blockSize
  const hit = (entry: number): boolean => entry !== unallocated && overlaps(place, { at: entry * sectorSize, end: entry * sectorSize + whole })
  const locators = image.footer.type === 'differencing' ? locatorSpans(headerLocators(image.header)) : []
  return place.end <= (image.footerAt ?? image.length) && !table.entries.some(hit) && !locators.some((span) => overlaps(span, place)) && !table.vital.some((span) => overlaps(span, place))
}

/** Blocks that the batmap calls full although the file does not have them at all. */
export const fullButAbsent = (table: Table): readonly number[] => {
  const blocks: number[] = []
  const map = table.batmap?.map ?? new Uint8Array(0)
  for (let block = 0; block < table.entries.length; block += 1) {
    if (table.entries[block] === unallocated && ((map[block >>> 3] ?? 0) & (0x80 >>> (block & 7))) !== 0) blocks.push(block)
  }
  return blocks
}

const bitmapsAtOnce = 256

const writeBatmap = async (image: Sparse, table: Table): Promise<void> => {
  const { header, file } = image
  const { at } = batmapSpan(header)
  const bytes = newBatmap(at, header.entries)
  const old = await file.read(at, sectorSize)
  // A header that is one keeps its key hash and marker.
  if (batmapMapAt(old) !== undefined) bytes.set(old)
  const blocks = [...table.entries.keys()].filter((block) => table.entries[block] !== unallocated && block < blockCount(image.footer.size, header.blockSize))
  const map = bytes.subarray(sectorSize)
  for (let from = 0; from < blocks.length; from += bitmapsAtOnce) {
    const some = blocks.slice(from, from + bitmapsAtOnce)
    const bitmaps = await bitmapsOf(image, table, some)
    some.forEach((block, index) => {
      if (allSet(bitmaps[index] ?? new Uint8Array(0), 0, header.blockSize / sectorSize)) setBits(map, block, block + 1)
    })
  }
  placeBatmap(bytes, at, header.entries)
  await file.write(at, bytes)
  await file.sync()
}

/** What repair would do to a sparse image, in order. */
export const planSparse = async (image: Sparse, table: Table): Promise<readonly Mend[]> => {
  const footer = mendedFooter(image.footer)
  const place = await footerPlace(image, table)
  const footers: Mend = {
    reasons: place === undefined ? [] : [...image.footerProblems, ...footer.what],
    apply: async () => {
      await placeFooter(image.file, 0, footer.bytes)
      if (place !== undefined) await placeFooter(image.file, place, footer.bytes)
    },
  }
  const absent = fullButAbsent(table)
  const batmap: Mend = {
    reasons: !promisesBatmap(image.footer) || table.damage !== undefined || !batmapPlaceFree(image, table) ? [] : [
      ...(table.batmapBad ? ['its batmap is bad'] : []),
      ...(absent.length > 0 ? [`its batmap calls ${absent.length} blocks full that the file does not have`] : []),
    ],
    apply: async () => writeBatmap(image, table),
  }
  return [footers, batmap].filter(({ reasons }) => reasons.length > 0)
}

export const planFixed = ({ file, footer, footerAt, footerProblems }: Fixed): readonly Mend[] => {
  const mended = mendedFooter(footer)
  const reasons = [...footerProblems, ...mended.what]
  return reasons.length === 0 ? [] : [{ reasons, apply: async () => placeFooter(file, footerAt, mended.bytes) }]
}

export const findingsOf = (mends: readonly Mend[]): readonly Finding[] =>
  mends.flatMap(({ reasons }) => reasons.map((what): Finding => ({ weight: 'repairable', what })))

export const repair = async (file: RandomAccess, dryRun: boolean): Promise<readonly Finding[]> => {
  const found = await probe(file)
  const { sparse } = found.verdict
  const image = sparse === undefined ? fixedOf(file, found) : sparseOf(file, found, sparse)
  const mends = 'header' in image ? await planSparse(image, await loadTable(image)) : planFixed(image)
  if (!dryRun) for (const { apply } of mends) await apply()
  return findingsOf(mends)
}
