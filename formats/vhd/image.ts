/** An open image: the functions of the seam over the state of a sparse or a fixed one. */
import type { RandomAccess } from '../../core/bytes.ts'
import { StorageError } from '../../core/errors.ts'
import { sectorSize } from '../../core/units.ts'
import type { Image } from '../format.ts'
import { check } from './check.ts'
import type { Fixed } from './fixed.ts'
import { growFixed } from './grow-fixed.ts'
import { growSparse } from './grow-sparse.ts'
import { notDifferencing, reparent, setFixedIdentity, setSparseIdentity } from './identity.ts'
import { fixedOf, probe, sparseOf } from './probe.ts'
import { presentRanges, readSparse } from './sparse-read.ts'
import { commit, writeSparse } from './sparse-write.ts'
import { readExactly, refuseUnwritable, syncFile, type Sparse } from './sparse.ts'
import { layer } from './wire.ts'

/** Runs one after the other, whatever became of those before: everything that changes an image. */
const createQueue = () => {
  let last: Promise<unknown> = Promise.resolve()
  return async <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work, work)
    last = turn.catch(() => undefined)
    return turn
  }
}

const checkRange = (size: number, offset: number, length: number, unit: number): void => {
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0 && offset + length <= size && offset % unit === 0 && length % unit === 0) return
  throw new StorageError('invalidArgument', `${length} bytes at ${offset} are no ${unit === 1 ? 'part' : `whole sectors`} of a disk of ${size} bytes`, { field: 'offset', layer, remedy: 'Stay within the size of the disk' })
}

const sparseImage = (image: Sparse): Image => {
  const inTurn = createQueue()
  return {
    get summary() {
      return image.summary
    },
    async present(offset, length) {
      checkRange(image.footer.size, offset, length, 1)
      return presentRanges(image, offset, offset + length)
    },
    async read(offset, length) {
      checkRange(image.footer.size, offset, length, 1)
      return readSparse(image, offset, offset + length)
    },
    write: async (offset, bytes) => inTurn(async () => {
      checkRange(image.footer.size, offset, bytes.length, sectorSize)
      await writeSparse(image, offset, bytes)
    }),
    sync: async () => inTurn(async () => commit(image)),
    grow: async (size, redo) => inTurn(async () => growSparse(image, size, redo)),
    setIdentity: async (change) => inTurn(async () => setSparseIdentity(image, change)),
    reparent: async (parent, redo) => inTurn(async () => reparent(image, parent, redo)),
    check: async () => inTurn(async () => check(image.file)),
  }
}

const fixedImage = (image: Fixed): Image => {
  const inTurn = createQueue()
  return {
    get summary() {
      return image.summary
    },
    async present(offset, length) {
      checkRange(image.footer.size, offset, length, 1)
      return length === 0 ? [] : [{ offset, length }]
    },
    async read(offset, length) {
      checkRange(image.footer.size, offset, length, 1)
      return readExactly(image.file, offset, length)
    },
    write: async (offset, bytes) => inTurn(async () => {
      checkRange(image.footer.size, offset, bytes.length, sectorSize)
      refuseUnwritable(image)
      await image.file.write(offset, bytes)
    }),
    sync: async () => inTurn(async () => syncFile(image)),
    grow: async (size, redo) => inTurn(async () => growFixed(image, size, redo)),
    setIdentity: async (change) => inTurn(async () => setFixedIdentity(image, change)),
    reparent: async () => {
      throw notDifferencing('fixed')
    },
    check: async () => inTurn(async () => check(image.file)),
  }
}

/** Reads one page at the start and one sector at the end. */
export const openImage = async (file: RandomAccess): Promise<Image> => {
  const found = await probe(file)
  const { sparse } = found.verdict
  return sparse === undefined ? fixedImage(fixedOf(file, found)) : sparseImage(sparseOf(file, found, sparse))
}
