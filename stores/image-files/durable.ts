/** Files that are either there whole or not at all, also after a power cut. */
import type { Files } from '../../core/ports.ts'
import type { Paths } from './place.ts'

const encoder = new TextEncoder()

/** A new file with this content, durable; its name is durable once its directory is synced. Gone again when it fails. */
export const writeNew = async (files: Files, path: string, bytes: Uint8Array): Promise<void> => {
  const file = await files.create(path)
  try {
    await file.write(0, bytes)
    await file.sync()
  } catch (error) {
    // Out of space, most likely: what was written of it must not stay.
    await files.unlink(path).catch(() => false)
    throw error
  } finally {
    await file.close()
  }
}

/** The prefix of files that nobody refers to before they are renamed. */
export const temporaryPrefix = 'tmp'

/** The first half of `replaceText`: answers where the text lies. */
export const stageText = async (files: Files, paths: Paths, text: string): Promise<string> => {
  const temporary = paths.intent(`${temporaryPrefix}.${crypto.randomUUID()}`)
  await writeNew(files, temporary, encoder.encode(text))
  return temporary
}

/** The second half. */
export const placeText = async (files: Files, staged: string, path: string): Promise<void> => {
  await files.rename(staged, path)
  await files.syncDirectory(path.slice(0, path.lastIndexOf('/')))
}

/** Readers see the old content or the new one. `path` must be below the store's own directory. */
export const replaceText = async (files: Files, paths: Paths, path: string, text: string): Promise<void> =>
  placeText(files, await stageText(files, paths, text), path)

/** Gives a file its name if the name is free; alreadyExists otherwise. */
export const writeOnce = async (files: Files, paths: Paths, path: string, text: string): Promise<void> => {
  const temporary = paths.intent(`${temporaryPrefix}.${crypto.randomUUID()}`)
  await writeNew(files, temporary, encoder.encode(text))
  try {
    await files.link(temporary, path)
  } finally {
    await files.unlink(temporary)
  }
  await files.syncDirectory(path.slice(0, path.lastIndexOf('/')))
}
