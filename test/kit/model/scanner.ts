/** The Scanner port, file by file over any Files. */
import { StorageError, isSystemError } from '../../../core/errors.ts'
import type { Files, ScannedImage, Scanner } from '../../../core/ports.ts'

/** What a scan asks of an image format (formats/format.ts has these members, too). */
export interface ScannedFormat {
  readonly extension: string
  readonly headLength: number
  readonly tailLength: number
  summarize(head: Uint8Array, tail: Uint8Array, fileLength: number): unknown
}
export type ScannedFormats = Readonly<Record<string, ScannedFormat>>

export const createModelScanner = (files: Files, formats: ScannedFormats): Scanner => {
  const names = async (directory: string, suffix: string): Promise<readonly string[] | undefined> =>
    (await files.list(directory))?.filter((name) => name.endsWith(suffix))

  const scanOne = async (directory: string, fileName: string, format: ScannedFormat): Promise<ScannedImage<unknown> | undefined> => {
    const path = `${directory}/${fileName}`
    const facts = await files.stat(path)
    // Deleted since the directory was listed.
    if (facts === undefined) return undefined
    try {
      const file = await files.open(path, 'read')
      try {
        const length = await file.length()
        const head = await file.read(0, format.headLength)
        const tail = await file.read(Math.max(0, length - format.tailLength), format.tailLength)
        return { fileName, facts, summary: format.summarize(head, tail, length) }
      } finally {
        await file.close()
      }
    } catch (error) {
      if (isSystemError(error) && error.code === 'ENOENT') return undefined
      if (!(error instanceof StorageError)) throw error
      return { fileName, facts, problem: { message: error.message, ...(error.facts.remedy === undefined ? {} : { remedy: error.facts.remedy }) } }
    }
  }

  return {
    async images(directory, name, signal) {
      const format = formats[name]
      if (format === undefined) throw new Error(`the model does not know the image format ${name}`)
      const found = await names(directory, `.${format.extension}`)
      if (found === undefined) throw Object.assign(new Error(`ENOENT: scandir '${directory}'`), { code: 'ENOENT', syscall: 'scandir' })
      const rows: ScannedImage<unknown>[] = []
      for (const fileName of found) {
        signal.throwIfAborted()
        const row = await scanOne(directory, fileName, format)
        if (row !== undefined) rows.push(row)
      }
      return rows
    },
    async texts(directory, suffix, limit, signal) {
      const found = await names(directory, suffix)
      if (found === undefined) return undefined
      const texts = new Map<string, string | undefined>()
      for (const fileName of found) {
        signal.throwIfAborted()
        const facts = await files.stat(`${directory}/${fileName}`)
        if (facts === undefined) continue
        texts.set(fileName, facts.size > limit ? undefined : await files.readText(`${directory}/${fileName}`, limit))
      }
      return texts
    },
  }
}
