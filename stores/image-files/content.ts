/** The content of a VDI as its user sees it, through the whole chain; what a data path does, for tools, copies and tests. */
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import type { Files, OpenFile } from '../../core/ports.ts'
import type { Image } from '../../formats/format.ts'
import { imageFormat, pathsOf, vdiOfParentNames } from './place.ts'

export interface DiskContent {
  /** Bytes of the virtual disk. */
  readonly size: number
  /** Zeros beyond what any image of the chain holds; `length` may not reach beyond the size. */
  read(offset: number, length: number): Promise<Uint8Array>
  /** Whole sectors, into the leaf. */
  write(offset: number, bytes: Uint8Array): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

interface Layer {
  readonly file: OpenFile
  readonly image: Image
}

const openLayers = async (files: Files, directory: string, leaf: VdiUuid, mode: 'read' | 'write'): Promise<readonly Layer[]> => {
  const paths = pathsOf(directory)
  const layers: Layer[] = []
  const seen = new Set<VdiUuid>()
  try {
    for (let at: VdiUuid | undefined = leaf, expected: string | undefined; at !== undefined;) {
      if (seen.has(at)) throw new StorageError('imageCorrupt', `The chain of VDI ${leaf} leads back to ${at}`, { layer: 'store:image-files' })
      seen.add(at)
      const file: OpenFile = await files.open(paths.image(at), layers.length === 0 ? mode : 'read')
      const image: Image = await imageFormat.open(file).catch(async (error: unknown) => {
        await file.close()
        throw error
      })
      layers.push({ file, image })
      if (expected !== undefined && image.summary.id !== expected) {
        throw new StorageError('imageCorrupt', `VDI ${at} is not the parent that its child was made on`, { layer: 'store:image-files', remedy: 'Restore the right one from a backup' })
      }
      expected = image.summary.parent?.id
      at = image.summary.parent === undefined ? undefined : vdiOfParentNames(image.summary.parent.names)
      if (expected !== undefined && at === undefined) throw new StorageError('imageCorrupt', `The parent of VDI ${leaf} is not named after a VDI`, { layer: 'store:image-files' })
    }
    return layers
  } catch (error) {
    await Promise.all(layers.map(async ({ file }) => file.close()))
    throw error
  }
}

export const openDisk = async (files: Files, directory: string, vdi: VdiUuid, mode: 'read' | 'write'): Promise<DiskContent> => {
  const layers = await openLayers(files, directory, vdi, mode)
  const [leaf] = layers
  if (leaf === undefined) throw new StorageError('notFound', `There is no VDI ${vdi}`, { layer: 'store:image-files' })

  const fill = async (into: Uint8Array, start: number, offset: number, length: number, depth: number): Promise<void> => {
    const layer = layers[depth]
    if (layer === undefined || length <= 0) return
    // A child may be larger than its parent: beyond the parent's end there are zeros.
    const end = Math.min(offset + length, layer.image.summary.size)
    let at = offset
    for (const part of end > offset ? await layer.image.present(offset, end - offset) : []) {
      await fill(into, start, at, part.offset - at, depth + 1)
      into.set(await layer.image.read(part.offset, part.length), part.offset - start)
      at = part.offset + part.length
    }
    await fill(into, start, at, end - at, depth + 1)
  }

  return {
    size: leaf.image.summary.size,
    async read(offset, length) {
      const bytes = new Uint8Array(length)
      await fill(bytes, offset, offset, length, 0)
      return bytes
    },
    write: async (offset, bytes) => leaf.image.write(offset, bytes),
    sync: async () => leaf.image.sync(),
    close: async () => {
      await Promise.all(layers.map(async ({ file }) => file.close()))
    },
  }
}
