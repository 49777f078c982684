/** Deleting VDIs. What others still read through stays, as a base that the collector can merge. */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { readFacts, removeFacts, writeFacts } from './facts.ts'
import { endIntent, intentName, type RecoveryRule } from './intents.ts'
import { removeLocks } from './locks.ts'
import { kindOf, layer, type Store } from './store.ts'

/**
 * Removes an image that nothing refers to. Steps:
 * 1. rename to `intents/remove.<V>`, both directories synced: from here on V is gone
 * 2. facts and locks of V
 * 3. the image itself
 * Recovery: steps 2 and 3; when a new V has been created since, step 3 alone.
 */
export const removeImage = async (store: Store, vdi: VdiUuid): Promise<void> => {
  const { files } = store.place
  const name = intentName('remove', vdi)
  await store.catalog.changing(async () => {
    await files.rename(store.paths.image(vdi), store.paths.intent(name))
    await Promise.all([files.syncDirectory(store.paths.images), files.syncDirectory(store.paths.intents)])
  }, new Map([[vdi, null]]))
  await recoverRemove(store, { kind: 'remove', name, vdis: [vdi] })
}

export const recoverRemove: RecoveryRule = async (store, { name, vdis: [vdi] }) => {
  if (vdi === undefined) return undefined
  if ((await store.place.files.stat(store.paths.image(vdi))) === undefined) await removeTraces(store, vdi)
  await endIntent(store, name)
  return `VDI ${vdi}: an unfinished deletion was finished`
}

const removeTraces = async (store: Store, vdi: VdiUuid): Promise<void> => {
  await removeFacts(store.place.files, store.paths, vdi)
  await removeLocks(store.place, store.paths, vdi)
}

/** Any VDI; one that is not there is done, and whatever lies beside it is removed. */
export const destroy = async (store: Store, ctx: Ctx, vdi: VdiUuid): Promise<void> => {
  const entry = await store.catalog.one(vdi)
  if (entry === undefined) {
    await removeTraces(store, vdi)
    return
  }
  const children = await store.catalog.children(ctx, vdi)
  if (children.length === 0) {
    await removeImage(store, vdi)
    return
  }
  const facts = await readFacts(store.place.files, store.paths, vdi)
  if (facts.deleted === true) return
  if (kindOf(facts, entry) !== 'snapshot') {
    throw new StorageError('hasDependents', `VDI ${vdi} holds data that ${children.length === 1 ? `VDI ${children[0]} needs` : `${children.length} VDIs need`}`, {
      layer, remedy: `Delete those first, or run smctl sr scan ${store.sr} to have it listed as a base`, details: { vdi_uuid: vdi, children: children.length },
    })
  }
  // One atomic step: the snapshot is gone, its data waits for the collector. The children are not touched: they may be in use.
  await writeFacts(store.place.files, store.paths, vdi, { kind: 'base', deleted: true })
  await removeLocks(store.place, store.paths, vdi)
}
