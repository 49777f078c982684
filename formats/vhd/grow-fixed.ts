/**
 * Enlarging fixed images. The footer lies where new content will be:
 *
 *   before  | content | footer |
 *   between | content | footer | zeros ... | footer of the new size |
 *   after   | content | zeros ............ | footer of the new size |
 *
 * Steps, each made durable before the next:
 *   1. zeros between the content and the footer, where a larger device has room there; if that is enough, the new footer
 *      over the old one, and done
 *   2. the redo record is saved
 *   3. the footer of the new size at its new place: from here on the disk is larger
 *   4. zeros between the two footers
 *   5. zeros over the old footer: done
 *   6. the redo record is cleared
 * A crash in 1 leaves the old disk. From 2 to 5 replay repeats 3 to 5, and knows by the old footer that it has to.
 */
import type { RandomAccess } from '../../core/bytes.ts'
import { StorageError } from '../../core/errors.ts'
import { sectorSize } from '../../core/units.ts'
import type { RedoLog } from '../format.ts'
import { checkSize } from './create.ts'
import type { Fixed } from './fixed.ts'
import { footerLength, footerOf, parseFooter, patchFooter } from './footer.ts'
import { refuseShrink } from './grow-sparse.ts'
import { encodeRecord, type FixedRecord } from './redo-record.ts'
import { decisive, refuseUnwritable, syncFile, writeZeros } from './sparse.ts'
import { copyOf, corrupt, layer, sameBytes } from './wire.ts'

/** Steps 3 to 5. */
const moveEnd = async (file: RandomAccess, { oldFooterAt, newFooterAt, newFooter }: FixedRecord): Promise<void> => {
  await file.write(newFooterAt, newFooter)
  await file.sync()
  await writeZeros(file, oldFooterAt + footerLength, newFooterAt)
  await file.sync()
  await writeZeros(file, oldFooterAt, oldFooterAt + footerLength)
  await file.sync()
}

/** Repeats what a crash has interrupted; an old footer that is gone means that all of it was done. */
export const replayFixed = async (file: RandomAccess, record: FixedRecord): Promise<void> => {
  const old = await file.read(record.oldFooterAt, footerLength)
  if (sameBytes(old, record.oldFooter)) return moveEnd(file, record)
  const end = parseFooter(await file.read(Math.max(0, await file.length() - footerLength), footerLength))
  if (typeof end !== 'string' && end.id === record.id) return
  throw new StorageError('identityMismatch', `The redo record belongs to the image ${record.id}, but this one is ${typeof end === 'string' ? 'none that can be told' : end.id}`, {
    layer, remedy: 'Give the record to the image that it was saved for',
  })
}

export const growFixed = async (image: Fixed, size: number, redo: RedoLog): Promise<void> => {
  const { footer, footerAt } = image
  refuseShrink(footer.size, size)
  checkSize(size, sectorSize)
  refuseUnwritable(image)
  if (size === footer.size) return
  // The old and the new footer must not share a sector.
  if (footerAt % sectorSize !== 0) throw corrupt('The file is no whole number of sectors long, so its end cannot be moved safely', 'Copy the disk into a new image, then grow that')
  const newFooter = patchFooter(footer.bytes, { size })
  const moves = size > footerAt
  await writeZeros(image.file, footer.size, Math.min(size, footerAt))
  await syncFile(image)
  const record: FixedRecord = { kind: 'vhd fixed 1', id: footer.id, oldFooter: copyOf(footer.bytes), newFooter, oldFooterAt: footerAt, newFooterAt: size }
  if (moves) await redo.save(encodeRecord(record))
  await decisive(image, async () => {
    if (moves) return moveEnd(image.file, record)
    await image.file.write(footerAt, newFooter)
    await image.file.sync()
  })
  image.footerAt = Math.max(footerAt, size)
  image.footer = footerOf(newFooter)
  image.summary = { ...image.summary, size }
  if (moves) await redo.clear()
}
