/**
 * What head and tail of a file say about it. A scan does this for every file of a directory, so nothing is allocated or
 * summed without need; an open image does the same, so that both always say the same.
 *
 * Which footer counts: the one at the end, if it says that the disk is fixed (content may begin with anything, even with a
 * VHD). Else the copy at 0, if it and its header are good: whoever changes both writes the copy first or alone. Else the
 * one at the end.
 */
import { sectorSize } from '../../core/units.ts'
import type { ImageSummary } from '../format.ts'
import { batmapMapAt, batmapMapLength, parseBatmap } from './batmap.ts'
import { completeFooter, creatorText, footerCookie, footerLength, mendOldHidden, parseFooter, poisonCookie, promisesBatmap, type Footer } from './footer.ts'
import { headerLength, headerLocators, headerParentName, maxEntries, parseHeader, type Header } from './header.ts'
import { batmapAt, batmapLength, blockCount } from './layout.ts'
import { nameInLocator } from './locators.ts'
import { corrupt, sameBytes, startsWith } from './wire.ts'

/** One page: footer, header, and what little lies behind them in small images. */
export const headLength = 4096
export const tailLength = footerLength

export interface Verdict {
  readonly footer: Footer
  /** Absent for fixed disks. */
  readonly sparse?: { readonly headerAt: number; readonly header: Header }
  /** Where the good footer at the end begins; undefined when there is none. */
  readonly footerAt: number | undefined
  readonly warnings: readonly string[]
  readonly needsRepair: boolean
}

const wholeSparse = (footer: Footer, head: Uint8Array, fileLength: number): { readonly headerAt: number; readonly header: Header } | string => {
  const header = parseHeader(head, footer.headerAt)
  if (typeof header === 'string') return header
  const { tableAt, entries, blockSize } = header
  if (!Number.isSafeInteger(tableAt) || tableAt % sectorSize !== 0 || tableAt < sectorSize || (tableAt < footer.headerAt + headerLength && tableAt + 4 * entries > footer.headerAt)) {
    return `its table would be at the impossible offset ${tableAt}`
  }
  if (entries > maxEntries) return `its table of ${entries} entries is larger than any that is read (${maxEntries})`
  if (tableAt + 4 * entries > fileLength) return `its table ends at ${tableAt + 4 * entries}, beyond the ${fileLength} bytes of the file`
  const needed = blockCount(footer.size, blockSize)
  if (entries < needed) return `its table has ${entries} entries, but ${footer.size} bytes in blocks of ${blockSize} need ${needed}`
  return { headerAt: footer.headerAt, header }
}

const poisoned = (): Error =>
  corrupt('A journaled resize of vhd-util was interrupted here (cookie v_poison)', 'Take it back with `vhd-util revert -n FILE -j JOURNAL`, then try again')

const useCopy = (footer: Footer, sparse: NonNullable<Verdict['sparse']>, end: Footer | string, endAt: number, short: boolean, oldHidden: boolean): Verdict => {
  const warnings: string[] = []
  if (typeof end === 'string') warnings.push('the footer at its end is lost; its copy at the start is used')
  else if (!sameBytes(end.bytes, footer.bytes)) warnings.push('the footer at its end differs from its copy at the start, which is newer')
  if (oldHidden) warnings.push('only the copy of its footer is marked hidden, with an outdated checksum')
  if (short) warnings.push('the footer at its end is one byte short')
  return { footer, sparse, footerAt: typeof end === 'string' ? undefined : endAt, warnings, needsRepair: warnings.length > 0 }
}

/** Throws imageCorrupt. What it answers holds views of `head` and `tail`. */
export const judge = (head: Uint8Array, tail: Uint8Array, fileLength: number): Verdict => {
  let endAt = fileLength - footerLength
  let endBytes = tail.subarray(Math.max(0, tail.length - footerLength))
  let end = parseFooter(endBytes)
  if (typeof end === 'string' && fileLength % sectorSize === sectorSize - 1) {
    const completed = completeFooter(tail.subarray(Math.max(0, tail.length - footerLength + 1)))
    const short = parseFooter(completed)
    if (typeof short !== 'string') {
      end = short
      endBytes = completed
      endAt = fileLength - footerLength + 1
    }
  }
  const short = endBytes.length === footerLength && endAt + footerLength > fileLength
  const fixedFits = typeof end !== 'string' && end.type === 'fixed' && end.size <= endAt
  if (typeof end !== 'string' && fixedFits) {
    return { footer: end, footerAt: endAt, warnings: short ? ['the footer at its end is one byte short'] : [], needsRepair: short }
  }
  if (startsWith(endBytes, 0, poisonCookie) || startsWith(head, 0, poisonCookie)) throw poisoned()

  const copyBytes = head.subarray(0, footerLength)
  // Healthy files carry the same bytes twice: one comparison then saves one checksum.
  let copy = typeof end !== 'string' && sameBytes(copyBytes, endBytes) ? end : parseFooter(copyBytes)
  const mended = typeof copy === 'string' ? mendOldHidden(copyBytes) : undefined
  if (mended !== undefined) copy = parseFooter(mended)
  const problems: string[] = []
  if (typeof copy !== 'string' && copy.type !== 'fixed') {
    const sparse = wholeSparse(copy, head, fileLength)
    if (typeof sparse !== 'string') return useCopy(copy, sparse, end, endAt, short, mended !== undefined)
    problems.push(sparse)
  }
  if (typeof end !== 'string') {
    if (end.type === 'fixed') throw corrupt(`The file has ${fileLength} bytes, but its footer tells of a fixed disk of ${end.size} bytes`, 'Restore it from a backup: its end is cut off')
    const sparse = wholeSparse(end, head, fileLength)
    if (typeof sparse !== 'string') {
      return { footer: end, sparse, footerAt: endAt, warnings: ['the copy of the footer at its start is bad', ...(short ? ['the footer at its end is one byte short'] : [])], needsRepair: true }
    }
    problems.push(sparse)
  }
  if (problems.length > 0) throw corrupt(`The image has a good footer, but ${problems[0]}`, 'Restore it from a backup: nothing else tells what the header said')
  const claimed = startsWith(head, 0, footerCookie)
  throw corrupt(
    `The file ${typeof end === 'string' ? end : 'has no VHD footer'} at its end${claimed && typeof copy === 'string' ? `, and its start ${copy}` : ''}`,
    claimed ? 'Restore it from a backup' : 'If it is no VHD, move it out of this directory; else restore it from a backup',
  )
}

/** File names of the parent, best first: the header's own, then those of locators as far as the head reaches. */
const parentNames = (header: Header, head: Uint8Array): readonly string[] => {
  const names = new Set<string>()
  const own = headerParentName(header)
  if (own !== undefined) names.add(own)
  const locators = headerLocators(header)
  for (const code of ['W2ru', 'W2ku', 'MacX']) {
    for (const locator of locators) {
      if (locator.code !== code || locator.at + locator.length > head.length) continue
      const name = nameInLocator(code, head.subarray(locator.at, locator.at + locator.length))
      if (name !== undefined) names.add(name)
    }
  }
  return [...names]
}

export const badBatmapWarning = 'its batmap is bad; it is read without'

/** Only small images have their batmap within the head; for the others it is judged when the table is read. */
const batmapBadInHead = (verdict: Verdict, head: Uint8Array): boolean => {
  if (verdict.sparse === undefined || !promisesBatmap(verdict.footer)) return false
  const { header } = verdict.sparse
  const at = batmapAt(header)
  if (at + batmapLength(header.entries) > head.length) return false
  const mapAt = batmapMapAt(head.subarray(at))
  if (mapAt === undefined) return true
  const mapLength = batmapMapLength(header.entries)
  if (mapAt + mapLength > head.length) return false
  return parseBatmap(head.subarray(at), head.subarray(mapAt, mapAt + mapLength), verdict.footer.size) === undefined
}

export const summaryOf = (verdict: Verdict, head: Uint8Array): ImageSummary => {
  const { footer, sparse } = verdict
  const batmapBad = batmapBadInHead(verdict, head)
  return {
    kind: footer.type,
    size: footer.size,
    id: footer.id,
    ...(sparse !== undefined && footer.type === 'differencing' ? { parent: { id: sparse.header.parentId, names: parentNames(sparse.header, head) } } : {}),
    hidden: footer.hidden,
    creator: creatorText(footer),
    warnings: batmapBad ? [...verdict.warnings, badBatmapWarning] : verdict.warnings,
    needsRepair: verdict.needsRepair || batmapBad,
  }
}
