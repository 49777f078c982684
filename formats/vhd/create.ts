/** The bytes of new, empty, sparse images. */
import { StorageError } from '../../core/errors.ts'
import { GiB, MiB, formatSize, sectorSize } from '../../core/units.ts'
import type { NewImage } from '../format.ts'
import { batmapMapLength, newBatmap } from './batmap.ts'
import { footerLength, newFooter } from './footer.ts'
import { defaultBlockSize, headerLength, newHeader } from './header.ts'
import { batmapAt, blockCount, tableLength } from './layout.ts'
import { checkParentName, locatorText, writtenCodes, type Locator } from './locators.ts'
import { layer } from './wire.ts'

/** 2040 GiB is the most that fits below 2 TiB of file together with bitmaps and gaps. */
export const limits = { minSize: 2 * MiB, maxSize: 2040 * GiB, sizeStep: 2 * MiB } as const

/** What a new size must be; `step` is a sector where an image that others made is grown, or gets a child of its size. */
export const checkSize = (size: number, step: number): void => {
  if (Number.isSafeInteger(size) && size >= Math.min(step, limits.minSize) && size <= limits.maxSize && size % step === 0) return
  throw new StorageError('sizeOutOfRange', `A VHD cannot have ${size} bytes: it must be a multiple of ${formatSize(step)} up to ${limits.maxSize / GiB} GiB`, {
    field: 'size', layer, remedy: 'Choose another size, or another image format for larger disks',
    details: { size, maximum: limits.maxSize, step },
  })
}

export const checkId = (id: string): void => {
  if (/^[0-9a-f]{32}$/.test(id) && !/^0+$/.test(id)) return
  throw new StorageError('invalidArgument', `${JSON.stringify(id.slice(0, 60))} is no image identity`, { field: 'id', layer, remedy: 'Give 32 lower-case hex digits, not all zero' })
}

export const checkNewImage = (image: NewImage): void => {
  checkSize(image.size, image.parent === undefined ? limits.sizeStep : sectorSize)
  checkId(image.id)
  if (image.parent !== undefined) {
    checkId(image.parent.id)
    checkParentName(image.parent.fileName)
  }
}

/** Everything right behind each other: header at 512, table at 1536, batmap, locators of one sector each, footer. */
export const createSparse = (image: NewImage): Uint8Array => {
  checkNewImage(image)
  const { parent } = image
  const tableAt = footerLength + headerLength
  const entries = blockCount(image.size, defaultBlockSize)
  const mapAt = batmapAt({ tableAt, entries })
  const locatorsAt = mapAt + sectorSize + batmapMapLength(entries)
  const texts = parent === undefined ? [] : writtenCodes.map((code) => ({ code, text: locatorText(code, parent.fileName) ?? new Uint8Array(0) }))
  const locators = texts.map(({ code, text }, slot): Locator => ({ slot, code, space: sectorSize, length: text.length, at: locatorsAt + slot * sectorSize }))
  const footer = newFooter({ type: parent === undefined ? 'dynamic' : 'differencing', size: image.size, id: image.id, createdMs: image.createdMs, headerAt: footerLength })
  const footerAt = locatorsAt + locators.length * sectorSize

  const bytes = new Uint8Array(footerAt + footerLength)
  bytes.set(footer, 0)
  bytes.set(newHeader({ tableAt, entries, locators, ...(parent === undefined ? {} : { parent }) }), footerLength)
  bytes.fill(0xff, tableAt, tableAt + tableLength(entries))
  bytes.set(newBatmap(mapAt, entries), mapAt)
  texts.forEach(({ text }, slot) => bytes.set(text, locatorsAt + slot * sectorSize))
  bytes.set(footer, footerAt)
  return bytes
}
