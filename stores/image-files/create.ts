/** New images. */
import type { RandomAccess } from '../../core/bytes.ts'
import type { CreateRequest, Ctx, VdiRecord } from '../../core/contract.ts'
import { StorageError, isSystemError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import type { Files } from '../../core/ports.ts'
import type { ImageSummary, NewImage } from '../../formats/format.ts'
import { summaryOf } from './catalog.ts'
import { writeNew } from './durable.ts'
import { hasFacts, removeFacts, writeFacts, type VdiFacts } from './facts.ts'
import { endIntent, intentName, sameFile, type RecoveryRule } from './intents.ts'
import { imageFileName, imageFormat } from './place.ts'
import { layer, writtenRecord, type Store } from './store.ts'

/** A new identity for an image, as formats write it. */
export const newImageId = (): string => crypto.randomUUID().replaceAll('-', '')

const taken = (vdi: VdiUuid, cause?: unknown): StorageError =>
  new StorageError('alreadyExists', `There is a file ${imageFileName(vdi)} already`, { layer, cause, remedy: 'Choose another uuid; if a deleted VDI had this one, smctl sr collect frees it', details: { vdi_uuid: vdi } })

/** An image without data under a name that is no VDI's, durable once its directory is synced. */
export const stageImage = async (files: Files, path: string, image: NewImage): Promise<ImageSummary> => {
  const bytes = imageFormat.create(image)
  await writeNew(files, path, bytes)
  return imageFormat.summarize(bytes.subarray(0, imageFormat.headLength), bytes.subarray(Math.max(0, bytes.length - imageFormat.tailLength)), bytes.length)
}

/** Before anything is written that bears the name of the new VDI. */
export const refuseTaken = async (store: Store, vdi: VdiUuid): Promise<void> => {
  if ((await store.place.files.stat(store.paths.image(vdi))) !== undefined) throw taken(vdi)
}

/** Gives `path` the name of an image if no image has it. */
export const takeName = async (store: Store, path: string, vdi: VdiUuid): Promise<void> => {
  try {
    await store.place.files.link(path, store.paths.image(vdi))
  } catch (error) {
    // NFS may tell that the name is taken when the first answer was lost: ours then.
    if (await sameFile(store, path, store.paths.image(vdi))) return
    throw isSystemError(error) && error.code === 'EEXIST' ? taken(vdi, error) : error
  }
}

/**
 * A new VDI from a staged image. Steps:
 * 1. the image is written under `intents/create.<V>` and synced, then that directory
 * 2. facts of V, if it has any
 * 3. link to V's name: from here on V exists
 * 4. the intent's name is removed
 * Recovery: V is the staged file: finished. No V: facts and staged file are removed. Another V: only the staged file is.
 */
export const createFromStage = async (
  store: Store,
  vdi: VdiUuid,
  facts: VdiFacts,
  parent: VdiUuid | undefined,
  stage: (path: string) => Promise<ImageSummary>,
): Promise<VdiRecord> => {
  const { files } = store.place
  const name = intentName('create', vdi)
  const path = store.paths.intent(name)
  await refuseTaken(store, vdi)
  const summary = await stage(path)
  try {
    if (hasFacts(facts)) {
      await files.syncDirectory(store.paths.intents)
      await writeFacts(files, store.paths, vdi, facts)
    }
    await store.catalog.changing(async () => {
      await takeName(store, path, vdi)
      await files.syncDirectory(store.paths.images)
    }, new Map([[vdi, parent]]))
  } catch (error) {
    await recoverCreate(store, { kind: 'create', name, vdis: [vdi] }).catch(() => undefined)
    throw error
  }
  const [record] = await Promise.all([writtenRecord(store, vdi, summary, facts), endIntent(store, name)])
  return record
}

export const recoverCreate: RecoveryRule = async (store, { name, vdis: [vdi] }) => {
  if (vdi === undefined) return undefined
  const { files } = store.place
  const path = store.paths.intent(name)
  if ((await files.stat(path)) === undefined) return undefined
  const image = await files.stat(store.paths.image(vdi))
  const finished = image !== undefined && (await sameFile(store, path, store.paths.image(vdi)))
  if (image === undefined) await removeFacts(files, store.paths, vdi)
  await endIntent(store, name)
  return finished ? `VDI ${vdi}: its creation was complete` : `VDI ${vdi}: an unfinished creation was taken back`
}

/** Writing a full disk takes long: it tells how far it is, and can be called off between two writes. */
const watched = (ctx: Ctx, file: RandomAccess, size: number): RandomAccess => ({
  ...file,
  async write(position, bytes) {
    ctx.signal.throwIfAborted()
    await file.write(position, bytes)
    ctx.progress(Math.min(position + bytes.length, size), size)
  },
})

export const create = async (store: Store, ctx: Ctx, want: CreateRequest): Promise<VdiRecord> => {
  const { files } = store.place
  const image = { size: want.size, id: newImageId(), createdMs: ctx.clock.now() }
  const facts: VdiFacts = { name: want.name, description: want.description, shareable: want.shareable }
  return createFromStage(store, want.uuid, facts, undefined, async (path) => {
    if (want.provisioning === 'sparse') return stageImage(files, path, image)
    const { free } = await files.space(store.place.directory)
    if (want.size > free) {
      throw new StorageError('noSpace', `A full VDI of ${want.size} bytes does not fit: ${free} bytes are free`, { field: 'size', layer, remedy: 'Free some space, or create it sparse', details: { needed: want.size, free } })
    }
    const file = await files.create(path)
    try {
      await imageFormat.createFixed(watched(ctx, file, want.size), image)
      await file.sync()
      return await summaryOf(file)
    } catch (error) {
      await files.unlink(path).catch(() => false)
      throw error
    } finally {
      await file.close()
    }
  })
}
