/**
 * The state of an open dynamic or differencing image. Footer and header are read when it is opened, the table of blocks
 * when it is first needed. Nothing in the table is believed before it was held against the file's length.
 */
import type { RandomAccess } from '../../core/bytes.ts'
import { StorageError } from '../../core/errors.ts'
import { lazily } from '../../core/lazily.ts'
import { roundUp, sectorSize } from '../../core/units.ts'
import type { ImageSummary } from '../format.ts'
import { batmapMapAt, batmapMapLength, parseBatmap, type Batmap } from './batmap.ts'
import { promisesBatmap, type Footer } from './footer.ts'
import { headerLocators, type Header } from './header.ts'
import { batmapAt, batmapLength, batmapSpan, bitmapLength, blockCount, locatorSpans, overlaps, tableLength, unallocated, vitalSpans, type BlockPlace, type Span } from './layout.ts'
import { badBatmapWarning } from './summary.ts'
import { corrupt, layer } from './wire.ts'

export interface Table {
  /** Sector numbers of the bitmaps, `unallocated` for blocks that are not in the file. */
  entries: Uint32Array
  /** Everything from here to the footer is free, whatever lies there. */
  dataEnd: number
  /** Only when it is good and promises more than nothing. */
  batmap: Batmap | undefined
  batmapBad: boolean
  readonly vital: readonly Span[]
  /** Why nothing may be written: an entry that points where no block can be. */
  damage: string | undefined
  /** The blocks were seen not to overlap each other, batmap or locators. */
  disjoint: boolean
  /** Allocated since the last commit: in `entries`, but not in the file's table yet. */
  readonly fresh: Map<number, BlockPlace>
  /** Bitmaps that the file does not have yet; those of fresh blocks, too. */
  readonly dirty: Map<number, Uint8Array>
  /** Bitmaps as they are in the file, least recently used first. */
  readonly clean: Map<number, Uint8Array>
  /** Grows with each commit: a bitmap read across one may be outdated. */
  commits: number
}

export interface Sparse {
  readonly file: RandomAccess
  readonly headerAt: number
  footer: Footer
  header: Header
  /** undefined when the footer at the end is lost. */
  footerAt: number | undefined
  /** Of the file. */
  length: number
  /** From here on the file was never written: fresh space reads as zeros. */
  zeroFrom: number
  summary: ImageSummary
  /** What was wrong with the footers when the file was opened. */
  readonly footerProblems: readonly string[]
  table: Table | undefined
  /** Set when a sync or a decisive write failed: the kernel may have dropped what was written, so memory and disk may differ for ever. */
  broken: boolean
}

/** Why no block can be at this entry; undefined when one can. A lost footer leaves the file's end open. */
export const badEntry = (image: Pick<Sparse, 'footerAt' | 'length'>, vital: readonly Span[], blockSize: number, entry: number): string | undefined => {
  const at = entry * sectorSize
  const bitmapEnd = at + bitmapLength(blockSize)
  const end = bitmapEnd + blockSize
  const limit = image.footerAt ?? Infinity
  if (end > limit || bitmapEnd > image.length) return `lies at ${at}, beyond the ${image.length} bytes of the file`
  const hit = vital.find((span) => overlaps(span, { at, end }))
  return hit === undefined ? undefined : `lies at ${at}, inside ${hit.what}`
}

export const vitalOf = (image: Pick<Sparse, 'headerAt' | 'header'>): readonly Span[] => vitalSpans(image.headerAt, image.header)

/** Metadata that the image can do without, but that a block must not be written over. */
const softSpans = (image: Pick<Sparse, 'footer' | 'header'>, batmapGood: boolean): readonly Span[] => [
  ...(batmapGood ? [batmapSpan(image.header)] : []),
  ...(image.footer.type === 'differencing' ? locatorSpans(headerLocators(image.header)) : []),
]

const decodeTable = (bytes: Uint8Array, entries: number): Uint32Array => {
  const table = new Uint32Array(entries)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let i = 0; i < entries; i += 1) table[i] = view.getUint32(4 * i)
  return table
}

/** Entries are host-independent: big-endian, the last sector filled up with ones. */
export const encodeTable = (entries: Uint32Array, from: number, to: number): Uint8Array => {
  const bytes = new Uint8Array(roundUp(4 * (to - from), sectorSize)).fill(0xff)
  const view = new DataView(bytes.buffer)
  for (let i = from; i < Math.min(to, entries.length); i += 1) view.setUint32(4 * (i - from), entries[i] ?? unallocated)
  return bytes
}

const readBatmap = async (image: Sparse, behindTable: Uint8Array): Promise<Batmap | undefined> => {
  const mapAt = batmapMapAt(behindTable)
  if (mapAt === undefined) return undefined
  const mapLength = batmapMapLength(image.header.entries)
  const near = mapAt - batmapAt(image.header)
  const map = near >= 0 && near + mapLength <= behindTable.length ? behindTable.subarray(near, near + mapLength) : await image.file.read(mapAt, mapLength)
  return map.length < mapLength ? undefined : parseBatmap(behindTable, map, image.footer.size)
}

/** End of the last block, or of the metadata when there is none; blocks that cannot be are left out. */
const endOfData = (image: Sparse, entries: Uint32Array, batmap: Batmap | undefined): { readonly dataEnd: number; readonly damage: string | undefined } => {
  const { blockSize } = image.header
  const vital = vitalOf(image)
  const used = blockCount(image.footer.size, blockSize)
  const whole = bitmapLength(blockSize) + blockSize
  let last = -1
  let damage: string | undefined
  for (let block = 0; block < entries.length; block += 1) {
    const entry = entries[block] ?? unallocated
    if (entry === unallocated) continue
    const bad = badEntry(image, vital, blockSize, entry)
    if (bad === undefined) last = Math.max(last, entry)
    else if (block < used) damage ??= `Block ${block} ${bad}`
  }
  const metadata = [...vital, ...softSpans(image, batmap !== undefined || promisesBatmap(image.footer))]
  const metadataEnd = Math.max(...metadata.filter((span) => span.end <= image.length).map((span) => span.end))
  return { dataEnd: Math.max(roundUp(metadataEnd, sectorSize), last < 0 ? 0 : last * sectorSize + whole), damage }
}

/** Reads the table of blocks, and the batmap behind it, in one go. */
export const loadTable = async (image: Sparse): Promise<Table> => {
  if (image.table !== undefined) return image.table
  const { header, footer } = image
  const promised = promisesBatmap(footer)
  const onDisk = tableLength(header.entries)
  const bytes = await image.file.read(header.tableAt, onDisk + (promised ? batmapLength(header.entries) : 0))
  if (bytes.length < 4 * header.entries) throw corrupt(`The table of the image ends after ${bytes.length} bytes of ${4 * header.entries}`, 'Restore it from a backup: its end is cut off')
  const entries = decodeTable(bytes, header.entries)
  const batmap = promised ? await readBatmap(image, bytes.subarray(onDisk)) : undefined
  const { dataEnd, damage } = endOfData(image, entries, batmap)
  const batmapBad = promised && batmap === undefined
  // Another caller may have been faster; what it has allocated since must not be forgotten.
  if (image.table !== undefined) return image.table
  const table: Table = {
    entries, dataEnd, damage, batmapBad,
    batmap: batmap !== undefined && batmap.map.some((byte) => byte !== 0) ? batmap : undefined,
    vital: vitalOf(image), disjoint: false, fresh: new Map(), dirty: new Map(), clean: new Map(), commits: 0,
  }
  image.table = table
  if (batmapBad && !image.summary.warnings.includes(badBatmapWarning)) {
    image.summary = { ...image.summary, warnings: [...image.summary.warnings, badBatmapWarning], needsRepair: true }
  }
  return table
}

/** Where the bitmap of an allocated block is. Throws imageCorrupt for an entry that cannot be. */
export const blockAt = (image: Sparse, table: Table, block: number): number => {
  const entry = table.entries[block] ?? unallocated
  if (!table.fresh.has(block)) {
    const bad = badEntry(image, table.vital, image.header.blockSize, entry)
    if (bad !== undefined) throw corrupt(`Block ${block} ${bad}`, 'Restore the image from a backup; its other blocks can still be read')
  }
  return entry * sectorSize
}

/** The first thing that a block overlaps: another block, the batmap or a locator. */
export const firstOverlap = (image: Sparse, table: Table): string | undefined => {
  const { blockSize } = image.header
  const whole = bitmapLength(blockSize) + blockSize
  const used = blockCount(image.footer.size, blockSize)
  const places = table.entries.slice(0, used).filter((entry) => entry !== unallocated).sort()
  for (let i = 1; i < places.length; i += 1) {
    const before = places[i - 1] ?? 0
    const here = places[i] ?? 0
    if (before * sectorSize + whole > here * sectorSize) return `Two blocks overlap at ${here * sectorSize}`
  }
  for (const span of softSpans(image, promisesBatmap(image.footer) && !table.batmapBad)) {
    const hit = places.find((place) => overlaps(span, { at: place * sectorSize, end: place * sectorSize + whole }))
    if (hit !== undefined) return `A block at ${hit * sectorSize} overlaps ${span.what}`
  }
  return undefined
}

/** Entries behind the end of the disk are nobody's: one that is not free may point at anything, also at what is to be written. */
export const refuseTakenBeyondEnd = ({ header, footer }: Pick<Sparse, 'header' | 'footer'>, table: Table): void => {
  const used = blockCount(footer.size, header.blockSize)
  const taken = table.entries.findIndex((entry, block) => block >= used && entry !== unallocated)
  if (taken >= 0) throw corrupt(`Entry ${taken} of the table is beyond the end of the disk and not free`, 'Copy the disk into a new image, then change that one')
}

export const refuseBroken = (image: Pick<Sparse, 'broken'>): void => {
  if (!image.broken) return
  throw new StorageError('ioError', 'An earlier write to this image failed half-way, so what is on disk is not known any more', { layer, remedy: 'Look at the storage, then open the image again' })
}

/** Everything that has to be so before the first byte is written. */
export const refuseUnwritable = (image: Pick<Sparse, 'summary' | 'broken'>): void => {
  refuseBroken(image)
  if (image.summary.needsRepair) throw corrupt(`The image cannot be written before it is repaired: ${image.summary.warnings.join('; ')}`, 'Repair it first: verify with repair')
}

/** The table of an image that may be written. */
export const writableTable = async (image: Sparse): Promise<Table> => {
  const table = await loadTable(image)
  refuseUnwritable(image)
  if (!table.disjoint) {
    const damage = table.damage ?? firstOverlap(image, table)
    if (damage !== undefined) throw corrupt(`The image is damaged and must not be written: ${damage}`, 'Restore it from a backup, or copy what can be read into a new one')
    table.disjoint = true
  }
  return table
}

/** Bytes of the file, all of them. */
export const readExactly = async (file: RandomAccess, at: number, length: number): Promise<Uint8Array> => {
  const bytes = await file.read(at, length)
  if (bytes.length < length) throw corrupt(`The file ends at ${at + bytes.length}, inside of data that should reach to ${at + length}`, 'Restore the image from a backup: its end is cut off')
  return bytes
}

/** Work after whose failure nobody knows what is on disk: nothing more is written through this handle then. */
export const decisive = async <T>(image: { broken: boolean }, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    image.broken = true
    throw error
  }
}

export const syncFile = async (image: { readonly file: RandomAccess; broken: boolean }): Promise<void> => {
  // A second sync after a failed one succeeds without having written anything.
  refuseBroken(image)
  await decisive(image, async () => image.file.sync())
}

const zeroChunk = lazily(() => new Uint8Array(1024 * 1024))

export const writeZeros = async (file: RandomAccess, from: number, to: number): Promise<void> => {
  const zeros = zeroChunk()
  for (let at = from; at < to; at += zeros.length) await file.write(at, zeros.subarray(0, Math.min(zeros.length, to - at)))
}

