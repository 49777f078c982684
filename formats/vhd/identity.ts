/** Changing who an image is, and whose child. */
import { StorageError } from '../../core/errors.ts'
import { roundUp, sectorSize } from '../../core/units.ts'
import type { RedoLog } from '../format.ts'
import { checkId } from './create.ts'
import type { Fixed } from './fixed.ts'
import { footerOf, patchFooter, type DiskType, type FooterChange } from './footer.ts'
import { writeFooters } from './grow-sparse.ts'
import { headerLocators, headerOf, patchHeader } from './header.ts'
import { locatorSpans, overlaps } from './layout.ts'
import { checkParentName, clearLocator, locatorText, putLocatorLength } from './locators.ts'
import { encodeRecord, type SparseRecord } from './redo-record.ts'
import { applyRecord } from './redo.ts'
import { decisive, refuseUnwritable, vitalOf, refuseTakenBeyondEnd, writableTable, type Sparse } from './sparse.ts'
import { copyOf, layer, sameBytes } from './wire.ts'

const checkChange = (change: FooterChange): void => {
  if (change.id !== undefined) checkId(change.id)
}

/** A fixed image has one footer, and that is one sector. */
export const setFixedIdentity = async (image: Fixed, change: FooterChange): Promise<void> => {
  checkChange(change)
  refuseUnwritable(image)
  const bytes = patchFooter(image.footer.bytes, change)
  await decisive(image, async () => {
    await image.file.write(image.footerAt, bytes)
    await image.file.sync()
  })
  image.footer = footerOf(bytes)
  image.summary = { ...image.summary, id: image.footer.id, hidden: image.footer.hidden }
}

/** Steps: 1. copy at 0; 2. footer at the end. After a crash between them the copy counts, and repair renews the footer. */
export const setSparseIdentity = async (image: Sparse, change: FooterChange): Promise<void> => {
  checkChange(change)
  refuseUnwritable(image)
  await writeFooters(image, patchFooter(image.footer.bytes, change))
  image.summary = { ...image.summary, id: image.footer.id, hidden: image.footer.hidden }
}

export const notDifferencing = (kind: DiskType): StorageError =>
  new StorageError('invalidArgument', `An image of the kind ${kind} has no parent to change`, { field: 'parent', layer, remedy: 'Re-parent differencing images only' })

/**
 * The header for another parent and the texts for its locators. A locator keeps its place; one whose code nobody writes,
 * or whose place is too small or no place at all, is dropped: it would name the old parent for ever.
 */
const planParent = (image: Sparse, parent: { readonly id: string; readonly fileName: string }): SparseRecord => {
  const { header, footer, headerAt } = image
  const vital = vitalOf(image)
  const pieces: { readonly at: number; readonly bytes: Uint8Array }[] = []
  const newHeader = patchHeader(header.bytes, {
    parent,
    locators: (bytes, at) => {
      for (const locator of headerLocators(header)) {
        const text = locatorText(locator.code, parent.fileName)
        const [span] = locatorSpans([{ ...locator, length: 0 }])
        const usable = text !== undefined && span !== undefined && text.length <= locator.space && span.at % sectorSize === 0 && span.end <= image.length && !vital.some((other) => overlaps(span, other))
        if (!usable) {
          clearLocator(bytes, at, locator.slot)
          continue
        }
        putLocatorLength(bytes, at, locator.slot, text.length)
        const padded = new Uint8Array(Math.min(roundUp(text.length, sectorSize), locator.space))
        padded.set(text)
        pieces.push({ at: locator.at, bytes: padded })
      }
    },
  })
  return { kind: 'vhd sparse 1', id: footer.id, headerAt, oldHeader: copyOf(header.bytes), newHeader, oldFooter: copyOf(footer.bytes), newFooter: copyOf(footer.bytes), pieces }
}

/**
 * Steps: 1. when both sectors of the header change, the redo record is saved; 2. texts of the locators, then the header;
 * 3. the record is cleared. After a crash in 2 the id in the header says which parent counts, and the name beside it in
 * the same sector is the right one; a header torn in two only replay can mend.
 */
export const reparent = async (image: Sparse, parent: { readonly id: string; readonly fileName: string }, redo: RedoLog): Promise<void> => {
  if (image.footer.type !== 'differencing') throw notDifferencing(image.footer.type)
  checkId(parent.id)
  checkParentName(parent.fileName)
  // Also sees that no locator overlaps a block.
  refuseTakenBeyondEnd(image, await writableTable(image))
  const record = planParent(image, parent)
  const tearable = !sameBytes(record.oldHeader.subarray(sectorSize), record.newHeader.subarray(sectorSize))
  if (tearable) await redo.save(encodeRecord(record))
  await decisive(image, async () => applyRecord(image.file, record, async () => image.file.sync()))
  image.header = headerOf(record.newHeader)
  image.summary = { ...image.summary, parent: { id: parent.id, names: [parent.fileName] } }
  if (tearable) await redo.clear()
}
