/** Going back to a snapshot: the VDI keeps its identity and gets a new, empty child of the snapshot as its image. */
import type { Ctx, VdiRecord } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { stageChild } from './copy.ts'
import { endIntent, intentName, sameFile, type RecoveryRule } from './intents.ts'
import { layer, madeRecord, mustExist, refuseLongChain, type Store } from './store.ts'

/**
 * Steps:
 * 1. `intents/revert.<V>`: the new image, a child of the snapshot; synced, then that directory
 * 2. rename over V's image: decided, what V held is gone
 * Recovery: the staged image is removed, whether or not it is V's already.
 */
export const revert = async (store: Store, ctx: Ctx, vdi: VdiUuid, to: VdiUuid): Promise<VdiRecord> => {
  const { files } = store.place
  const target = await mustExist(store, to)
  await refuseLongChain(store, target)
  const children = await store.catalog.children(ctx, vdi)
  if (children.length > 0) {
    throw new StorageError('hasDependents', `VDI ${vdi} holds data that ${children.length} VDIs need`, { layer, remedy: `smctl sr scan ${store.sr} lists it as a base then`, details: { vdi_uuid: vdi } })
  }
  const name = intentName('revert', vdi)
  try {
    await stageChild(store, ctx, store.paths.intent(name), target.summary, to)
    await files.syncDirectory(store.paths.intents)
    await store.catalog.changing(async () => {
      await files.rename(store.paths.intent(name), store.paths.image(vdi))
      await files.syncDirectory(store.paths.images)
    }, new Map([[vdi, to]]))
  } catch (error) {
    await endIntent(store, name).catch(() => undefined)
    throw error
  }
  return madeRecord(store, vdi)
}

export const recoverRevert: RecoveryRule = async (store, { name, vdis: [vdi] }) => {
  if (vdi === undefined) return undefined
  const done = await sameFile(store, store.paths.intent(name), store.paths.image(vdi))
  await endIntent(store, name)
  return done ? undefined : `VDI ${vdi}: an unfinished revert was taken back`
}
