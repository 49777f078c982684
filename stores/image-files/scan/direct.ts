/** The scanner of a short process: reads directly, looking up between batches. */
import { setImmediate as lookUp } from 'node:timers/promises'
import { StorageError } from '../../../core/errors.ts'
import type { Scanner } from '../../../core/ports.ts'
import type { ImageFormat } from '../../../formats/format.ts'
import { imageFormatNamed } from '../../../formats/registry.ts'
import { createDirectoryReader, type ImageRow } from './read-directory.ts'

export const batchSize = 250

export const knownFormat = (name: string): ImageFormat => {
  const format = imageFormatNamed(name)
  if (format === undefined) throw new StorageError('notSupported', `There is no image format ${name}`, { layer: 'store:image-files' })
  return format
}

export const createDirectScanner = (): Scanner => {
  const reader = createDirectoryReader()
  return {
    async images(directory, format, signal) {
      const rows: ImageRow[] = []
      for await (const batch of reader.images(directory, knownFormat(format), batchSize)) {
        rows.push(...batch)
        await lookUp()
        signal.throwIfAborted()
      }
      return rows
    },
    texts: async (directory, suffix, limit) => reader.texts(directory, suffix, limit),
  }
}
