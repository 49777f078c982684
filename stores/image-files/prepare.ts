/** Making, adopting, finding and removing image stores. Nothing here deletes what it does not know. */
import type { Candidate, Ctx, DeviceConfig, PrepareRequest, ProbeResult } from '../../core/contract.ts'
import { StorageError, toStorageError } from '../../core/errors.ts'
import type { Files } from '../../core/ports.ts'
import { proveIdentity, readIdentity, writeIdentity } from './identity.ts'
import { pathsOf, storeDirectory, vdiOfFileName, type ImagePlace, type Paths } from './place.ts'
import { markParents, readAll } from './scan.ts'
import { createStore, layer } from './store.ts'

/** What mkfs leaves in an empty file system. */
const harmless = new Set(['lost+found'])

const subdirectories = (paths: Paths): readonly string[] => [paths.facts, paths.locks, paths.intents]

/** What a directory holds, in the words of a probe. */
export interface PlaceContents {
  readonly found: Candidate['found']
  readonly says: string
  readonly sr?: NonNullable<Candidate['sr']>
}

/** An earlier `prepare` that died: our directory, in it nothing but empty directories and temporary files. */
const isHalfMade = async (files: Files, paths: Paths): Promise<boolean> => {
  for (const name of (await files.list(paths.own)) ?? []) {
    if (!subdirectories(paths).includes(`${paths.own}/${name}`)) return false
    const inside = (await files.list(`${paths.own}/${name}`)) ?? []
    if (inside.some((entry) => !entry.startsWith('tmp.'))) return false
  }
  return true
}

export const lookAt = async (files: Files, directory: string): Promise<PlaceContents> => {
  const paths = pathsOf(directory)
  const place = await files.stat(directory)
  if (place === undefined) return { found: 'blank', says: `${directory} does not exist; it can be made` }
  if (place.kind !== 'directory') {
    return { found: 'occupied', says: place.kind === 'symlink' ? `${directory} is a symbolic link, which could lead anywhere; give the directory itself` : `${directory} is not a directory` }
  }
  const names = (await files.list(directory)) ?? []
  const images = names.filter((name) => vdiOfFileName(name) !== undefined).length
  const identity = await readIdentity(files, paths)
  if (identity !== undefined) {
    const { uuid, name, description } = identity
    return { found: 'sr', says: `SR ${uuid}${name === '' ? '' : ` "${name}"`} with ${images} image${images === 1 ? '' : 's'}`, sr: { uuid, name, description, vdis: images } }
  }
  const others = names.filter((name) => !harmless.has(name) && name !== storeDirectory)
  if (images > 0) return { found: 'adoptable', says: `${images} image${images === 1 ? '' : 's'} without an SR identity`, sr: { vdis: images } }
  if (others.length > 0) return { found: 'occupied', says: `${directory} holds ${others.length} other thing${others.length === 1 ? '' : 's'}, such as ${others[0]}` }
  if (names.includes(storeDirectory) && !(await isHalfMade(files, paths))) return { found: 'unknown', says: `${paths.own} is there but its sr.json is missing` }
  return { found: 'blank', says: `${directory} is empty` }
}

/** Like `lookAt`, for a probe: what cannot be read is unknown, and said. */
export const probeDirectory = async (files: Files, directory: string, deviceConfig: DeviceConfig): Promise<ProbeResult> => {
  try {
    const { found, says, sr } = await lookAt(files, directory)
    return {
      candidates: [{ deviceConfig, complete: true, found, says, ...(sr === undefined ? {} : { sr }) }],
      tried: [{ step: `look at ${directory}`, said: says }],
    }
  } catch (error) {
    const { message } = toStorageError(error, layer)
    return {
      candidates: [{ deviceConfig, complete: true, found: 'unknown', says: `${directory} cannot be read: ${message}` }],
      tried: [{ step: `look at ${directory}`, said: message }],
    }
  }
}

const refuse = (directory: string, contents: PlaceContents): StorageError =>
  new StorageError(contents.found === 'unknown' ? 'identityMismatch' : 'placeNotBlank', contents.says, {
    layer,
    remedy: contents.found === 'sr' ? 'Attach or introduce it, or choose another place' : contents.found === 'adoptable' ? 'Introduce it as an SR, or choose another place' : 'Choose an empty directory',
    details: { directory, found: contents.found },
  })

/** Our own directories; a repeat after a crash finds some of them there. */
const makeDirectories = async (files: Files, directory: string, paths: Paths): Promise<void> => {
  const parent = directory.slice(0, directory.lastIndexOf('/')) || '/'
  if ((await files.stat(directory)) === undefined) {
    if ((await files.stat(parent)) === undefined) {
      throw new StorageError('placeMissing', `Neither ${directory} nor ${parent} is there`, { layer, remedy: `mkdir -p ${parent}, or mount what should be there`, details: { directory } })
    }
    await files.mkdir(directory)
    await files.syncDirectory(parent)
  }
  await files.mkdir(paths.own)
  for (const path of subdirectories(paths)) await files.mkdir(path)
  await Promise.all([files.syncDirectory(paths.own), files.syncDirectory(directory)])
}

/**
 * sr_create. Steps: 1. the place is seen to be blank; 2. our directories, synced; 3. the identity file takes its name:
 * from here on there is an SR. A repeat after a crash before 3 finds nothing but our empty directories, which count as blank.
 */
export const prepareImageStore = async (ctx: Ctx, place: ImagePlace, want: PrepareRequest): Promise<void> => {
  const { files, directory } = place
  const paths = pathsOf(directory)
  const contents = await lookAt(files, directory)
  if (contents.found !== 'blank') throw refuse(directory, contents)
  if (want.size > 0) {
    // The nearest thing that exists tells the size of the file system.
    const at = (await files.stat(directory)) === undefined ? directory.slice(0, directory.lastIndexOf('/')) || '/' : directory
    if ((await files.stat(at)) !== undefined) {
      const { total } = await files.space(at)
      if (want.size > total) throw new StorageError('noSpace', `An SR of ${want.size} bytes does not fit: the place has ${total}`, { field: 'size', layer, remedy: 'Give 0 to take the place as it is', details: { size: want.size, total } })
    }
  }
  await makeDirectories(files, directory, paths)
  await writeIdentity(files, paths, { uuid: ctx.sr, name: want.name, description: want.description })
}

/** Gives an SR identity to a directory of images. Steps as in `prepareImageStore`; the images are not touched. */
export const adoptImageStore = async (ctx: Ctx, place: ImagePlace, want: PrepareRequest): Promise<void> => {
  const paths = pathsOf(place.directory)
  const contents = await lookAt(place.files, place.directory)
  if (contents.found !== 'adoptable') throw refuse(place.directory, contents)
  await makeDirectories(place.files, place.directory, paths)
  await writeIdentity(place.files, paths, { uuid: ctx.sr, name: want.name, description: want.description })
}

/** sr_attach, once the directory can be reached: is it this SR, and which images came with children of their own? */
export const attachImageStore = async (ctx: Ctx, place: ImagePlace): Promise<void> => {
  const paths = pathsOf(place.directory)
  await proveIdentity(place, paths, ctx.sr)
  const store = createStore(ctx.sr, place)
  try {
    for (const path of subdirectories(paths)) await place.files.mkdir(path)
    // A creation that was killed may have left an identity that a power cut still takes away: what is believed here must stay.
    await Promise.all([place.files.syncDirectory(paths.own), place.files.syncDirectory(paths.images)])
    await markParents(store, await readAll(store, ctx))
  } catch (error) {
    const failure = toStorageError(error, layer)
    if (failure.kind !== 'readOnly') throw failure
    ctx.log.warn({ directory: place.directory }, 'the place is read-only: VDIs can be read, nothing can be changed')
  }
}

/**
 * sr_delete. Steps: 1. proven to be this SR and without images; 2. everything of ours but the identity; 3. the identity;
 * 4. our directory. A repeat after a crash goes on; after 3 the place counts as blank.
 */
export const removeImageStore = async (ctx: Ctx, place: ImagePlace): Promise<void> => {
  const { files, directory } = place
  const paths = pathsOf(directory)
  await proveIdentity(place, paths, ctx.sr)
  const images = ((await files.list(directory)) ?? []).filter((name) => vdiOfFileName(name) !== undefined)
  if (images.length > 0) throw new StorageError('notEmpty', `${directory} still holds ${images.length} images, such as ${images[0]}`, { layer, remedy: 'Delete the VDIs first', details: { directory } })
  for (const path of subdirectories(paths)) await emptyDirectory(files, path, 2)
  await files.syncDirectory(paths.own)
  await files.unlink(paths.identity)
  await files.syncDirectory(paths.own)
  await files.rmdir(paths.own)
  await files.syncDirectory(directory)
}

/** Removes a directory of ours; `depth` says how far down ours go. */
const emptyDirectory = async (files: Files, path: string, depth: number): Promise<void> => {
  for (const name of (await files.list(path)) ?? []) {
    const inside = `${path}/${name}`
    const facts = await files.stat(inside)
    if (facts?.kind === 'directory' && depth > 1) await emptyDirectory(files, inside, depth - 1)
    else await files.unlink(inside)
  }
  await files.rmdir(path)
}
