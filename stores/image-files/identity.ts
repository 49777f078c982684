/** The SR's identity file: who this place is. Nothing else proves that an empty directory is an empty SR. */
import * as z from 'zod'
import { StorageError } from '../../core/errors.ts'
import { SrUuid } from '../../core/ids.ts'
import { lazily } from '../../core/lazily.ts'
import type { FileFacts, Files } from '../../core/ports.ts'
import { replaceText, writeOnce } from './durable.ts'
import type { ImagePlace, Paths } from './place.ts'

const layer = 'store:image-files'
const maxLength = 64 * 1024

const IdentityFile = lazily(() => z.strictObject({
  format: z.literal(1),
  uuid: SrUuid,
  name: z.string(),
  description: z.string(),
  /** Of an SR that was turned from a block copy into one of its own. */
  copyOf: SrUuid.optional(),
  /** The turn into an SR of its own was begun and not finished: nothing else may be done with it. */
  unfinished: z.literal(true).optional(),
}))
export type SrIdentity = Omit<z.infer<ReturnType<typeof IdentityFile>>, 'format'>

const parse = (path: string, text: string): SrIdentity => {
  try {
    const { format: _, ...identity } = IdentityFile().parse(JSON.parse(text))
    return identity
  } catch (error) {
    throw new StorageError('identityMismatch', `${path} is not an identity file this version can read: ${(error as Error).message.slice(0, 200)}`, {
      layer, cause: error, remedy: 'If a newer version of the storage manager made this SR, use that one; otherwise restore the file from a backup',
    })
  }
}

/** undefined when the place holds no SR; that the place itself is there must have been seen before. */
export const readIdentity = async (files: Files, paths: Paths): Promise<SrIdentity | undefined> => {
  const text = await files.readText(paths.identity, maxLength)
  return text === undefined ? undefined : parse(paths.identity, text)
}

/**
 * Answers the identity of the SR that is meant; placeMissing or identityMismatch otherwise. A vanished mount ends here. The place
 * is looked at each time; the identity file is read again only when it is another one, or has changed.
 */
export const createProof = (place: ImagePlace, paths: Paths, uuid: SrUuid): (() => Promise<SrIdentity>) => {
  let proven: { readonly version: string; readonly identity: SrIdentity } | undefined
  return async () => {
    const [directory, file] = await Promise.all([place.files.stat(place.directory), place.files.stat(paths.identity)])
    if (proven !== undefined && directory?.kind === 'directory' && file?.version === proven.version) return proven.identity
    proven = undefined
    const identity = await checkIdentity(place, paths, uuid, directory)
    // Only what was read while nothing changed is remembered.
    if (file !== undefined && (await place.files.stat(paths.identity))?.version === file.version) proven = { version: file.version, identity }
    return identity
  }
}

export const proveIdentity = async (place: ImagePlace, paths: Paths, uuid: SrUuid): Promise<SrIdentity> =>
  checkIdentity(place, paths, uuid, await place.files.stat(place.directory))

const checkIdentity = async (place: ImagePlace, paths: Paths, uuid: SrUuid, directory: FileFacts | undefined): Promise<SrIdentity> => {
  if (directory !== undefined && directory.kind !== 'directory') {
    throw new StorageError('identityMismatch', `${place.directory} is a ${directory.kind === 'symlink' ? 'symbolic link, which could lead anywhere' : directory.kind}, not a directory`, {
      layer, remedy: 'Give the directory itself', details: { sr_uuid: uuid, directory: place.directory },
    })
  }
  const found = await readIdentity(place.files, paths)
  if (found === undefined) {
    throw new StorageError('placeMissing', directory === undefined ? `The directory ${place.directory} is not there` : `${place.directory} holds no SR: there is no ${paths.identity}`, {
      layer, remedy: 'See that the place is mounted; smctl sr probe shows what is there', details: { sr_uuid: uuid, directory: place.directory },
    })
  }
  if (found.uuid !== uuid) {
    throw new StorageError('identityMismatch', `${place.directory} holds SR ${found.uuid}, not ${uuid}`, {
      layer, remedy: `Use its own uuid, or another location`, details: { sr_uuid: uuid, found: found.uuid, directory: place.directory },
    })
  }
  if (found.unfinished === true) {
    throw new StorageError('identityMismatch', `SR ${uuid} is a copy whose re-identification was not finished`, {
      layer, remedy: `Repeat smctl sr reidentify with the original uuid ${found.copyOf ?? ''}`, details: { sr_uuid: uuid, directory: place.directory },
    })
  }
  return found
}

const textOf = (identity: SrIdentity): string => `${JSON.stringify({ format: 1, ...identity }, undefined, 2)}\n`

/** Takes the place: of two that try at once, one gets alreadyExists. */
export const writeIdentity = async (files: Files, paths: Paths, identity: SrIdentity): Promise<void> =>
  writeOnce(files, paths, paths.identity, textOf(identity))

export const rewriteIdentity = async (files: Files, paths: Paths, identity: SrIdentity): Promise<void> =>
  replaceText(files, paths, paths.identity, textOf(identity))
