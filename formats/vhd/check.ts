/**
 * Everything that can be told of one image by itself. It reads the file afresh, so it sees what is on disk. Whether a
 * parent exists and fits is the store's to say, and so is whether its clock agrees with the time in the footer.
 */
import type { RandomAccess } from '../../core/bytes.ts'
import { sectorSize } from '../../core/units.ts'
import type { Finding } from '../format.ts'
import { batmapFull, bitmapsOf, eachRun } from './bitmaps.ts'
import { footerOddities, promisesBatmap } from './footer.ts'
import { headerLocators, headerParentName, headerReservedClean } from './header.ts'
import { bitmapLength, blockCount, locatorSpans, overlaps, unallocated } from './layout.ts'
import { nameInLocator } from './locators.ts'
import { fixedOf, probe, sparseOf } from './probe.ts'
import { batmapPlaceFree, cutBlock, findingsOf, fullButAbsent, geometryIsFree, geometryTooLarge, planFixed, planSparse } from './repair.ts'
import { badEntry, firstOverlap, loadTable, type Sparse, type Table } from './sparse.ts'
import { isZero } from './wire.ts'

const note = (what: string): Finding => ({ weight: 'note', what })
const damage = (what: string): Finding => ({ weight: 'damage', what })

/** So many of one kind are told one by one. */
const mostAlike = 20
const blocksAtOnce = 64
const chunk = 1024 * 1024

const some = (findings: readonly Finding[]): readonly Finding[] =>
  findings.length <= mostAlike ? findings : [...findings.slice(0, mostAlike), ...findings.slice(0, 1).map(({ weight }): Finding => ({ weight, what: `and ${findings.length - mostAlike} more like these` }))]

const checkEntries = (image: Sparse, table: Table): readonly Finding[] => {
  const { blockSize } = image.header
  const used = blockCount(image.footer.size, blockSize)
  const bad: Finding[] = []
  let spare = 0
  table.entries.forEach((entry, block) => {
    if (entry === unallocated) return
    const problem = block < used ? badEntry(image, table.vital, blockSize, entry) : undefined
    if (problem !== undefined) bad.push(damage(`block ${block} ${problem}`))
    if (block >= used) spare += 1
  })
  const overlap = firstOverlap(image, table)
  return [
    ...some(bad),
    ...(overlap === undefined ? [] : [damage(overlap)]),
    ...(spare === 0 ? [] : [note(`${spare} entries of the table beyond the end of the disk are not free`)]),
  ]
}

/** Bytes that are not zero where the bitmap says that nothing is; programs that ignore bitmaps show them. */
const strayData = async (image: Sparse, dataAt: number, bitmap: Uint8Array): Promise<boolean> => {
  const clear = bitmap.map((byte) => byte ^ 0xff)
  const runs: { readonly from: number; readonly to: number }[] = []
  eachRun(clear, 0, image.header.blockSize / sectorSize, (from, to) => runs.push({ from: from * sectorSize, to: to * sectorSize }))
  for (const { from, to } of runs) {
    for (let at = from; at < to; at += chunk) {
      if (!isZero(await image.file.read(dataAt + at, Math.min(chunk, to - at)))) return true
    }
  }
  return false
}

const checkBlocks = async (image: Sparse, table: Table): Promise<readonly Finding[]> => {
  const { blockSize } = image.header
  const findings: Finding[] = []
  const sound = [...table.entries.keys()].filter((block) => {
    const entry = table.entries[block] ?? unallocated
    return block < blockCount(image.footer.size, blockSize) && entry !== unallocated && badEntry(image, table.vital, blockSize, entry) === undefined
  })
  for (let from = 0; from < sound.length; from += blocksAtOnce) {
    const blocks = sound.slice(from, from + blocksAtOnce)
    const bitmaps = await bitmapsOf(image, table, blocks)
    for (const [index, block] of blocks.entries()) {
      const bitmap = bitmaps[index] ?? new Uint8Array(0)
      const missing = bitmap.subarray(0, Math.ceil(blockSize / sectorSize / 8)).some((byte) => byte !== 0xff)
      if (missing && batmapFull(table, block)) findings.push(damage(`the batmap calls block ${block} full, its bitmap does not`))
      else if (missing && await strayData(image, (table.entries[block] ?? 0) * sectorSize + bitmapLength(blockSize), bitmap)) {
        findings.push(note(`block ${block} has data in sectors that its bitmap calls absent`))
      }
    }
  }
  const cut = table.damage === undefined ? await cutBlock(image, table) : undefined
  return [...some(findings), ...(cut === undefined ? [] : [damage(`block ${cut} is cut off by the end of the file`)])]
}

const checkLocators = async (image: Sparse): Promise<readonly Finding[]> => {
  if (image.footer.type !== 'differencing') return []
  const findings: Finding[] = []
  const locators = headerLocators(image.header)
  const own = headerParentName(image.header)
  if (own === undefined) findings.push(note('its header names no parent'))
  for (const [index, locator] of locators.entries()) {
    const [span] = locatorSpans([locator])
    if (span === undefined || span.end > image.length) findings.push(note(`the parent locator ${locator.code} lies outside of the file`))
    else if (locator.length > locator.space) findings.push(note(`the parent locator ${locator.code} is longer than its space`))
    else {
      const name = nameInLocator(locator.code, await image.file.read(locator.at, Math.min(locator.length, chunk)))
      if (name !== undefined && own !== undefined && name !== own) findings.push(note(`the parent locator ${locator.code} names ${JSON.stringify(name)}, the header ${JSON.stringify(own)}`))
    }
    if (locators.some((other, at) => at < index && other.code === locator.code)) findings.push(note(`there are two parent locators ${locator.code}`))
    if (span !== undefined && locatorSpans(locators).some((other, at) => at < index && overlaps(other, span))) findings.push(note(`the parent locator ${locator.code} overlaps another one`))
  }
  return findings
}

const checkSparse = async (image: Sparse): Promise<readonly Finding[]> => {
  const table = await loadTable(image)
  const batmapLost = promisesBatmap(image.footer) && table.batmapBad && !batmapPlaceFree(image, table)
  const free = image.footerAt === undefined ? 0 : image.footerAt - table.dataEnd
  return [
    ...findingsOf(await planSparse(image, table)),
    ...checkEntries(image, table),
    ...(batmapLost ? [damage('its batmap is bad, and something else lies in its place')] : []),
    ...(fullButAbsent(table).length > 0 && !batmapPlaceFree(image, table) ? [damage('its batmap calls blocks full that the file does not have')] : []),
    ...await checkBlocks(image, table),
    ...await checkLocators(image),
    ...(headerReservedClean(image.header) ? [] : [note('its header has bytes in a reserved area')]),
    ...(free >= image.header.blockSize ? [note(`${free} bytes behind its last block are unused`)] : []),
  ]
}

export const check = async (file: RandomAccess): Promise<readonly Finding[]> => {
  const found = await probe(file)
  const { footer, sparse } = found.verdict
  const particular = sparse === undefined ? findingsOf(planFixed(fixedOf(file, found))) : await checkSparse(sparseOf(file, found, sparse))
  const odd = found.length % sectorSize !== 0 && found.length % sectorSize !== sectorSize - 1
  return [
    ...particular,
    ...footerOddities(footer).map(note),
    ...(geometryTooLarge(footer) && !geometryIsFree(footer) ? [note('its geometry is larger than its size, and some programs take the size from it')] : []),
    ...(odd ? [note(`its file of ${found.length} bytes is no whole number of sectors`)] : []),
  ]
}
