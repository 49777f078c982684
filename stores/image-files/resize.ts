/** Enlarging images in place. The format says what it overwrites beforehand; that record is the intent. */
import type { Ctx, VdiRecord } from '../../core/contract.ts'
import type { VdiUuid } from '../../core/ids.ts'
import type { RedoLog } from '../../formats/format.ts'
import { temporaryPrefix, writeNew } from './durable.ts'
import { intentName, type RecoveryRule } from './intents.ts'
import { mendFirst, withFile, withImage } from './mend.ts'
import { imageFormat } from './place.ts'
import { madeRecord, mustExist, type Store } from './store.ts'

/**
 * `intents/<kind>.<V>` holds the record. Its removal is synced: replaying it once more after the VDI was written to would
 * bring old tables back.
 */
export const redoLogOf = (store: Store, kind: 'grow' | 'reparent', vdi: VdiUuid): RedoLog => {
  const { files } = store.place
  const path = store.paths.intent(intentName(kind, vdi))
  return {
    async save(record) {
      const temporary = store.paths.intent(`${temporaryPrefix}.${crypto.randomUUID()}`)
      await writeNew(files, temporary, record)
      await files.rename(temporary, path)
      await files.syncDirectory(store.paths.intents)
    },
    async clear() {
      if (await files.unlink(path)) await files.syncDirectory(store.paths.intents)
    },
  }
}

/** Makes the virtual disk at least `size` bytes; the VDI must be out of use. */
export const growImage = async (store: Store, ctx: Ctx, vdi: VdiUuid, size: number): Promise<void> => {
  const { summary } = await mustExist(store, vdi)
  if (summary.size >= size) return
  if (summary.needsRepair) await mendFirst(store, ctx, vdi)
  await withImage(store, vdi, 'write', async (image) => image.grow(size, redoLogOf(store, 'grow', vdi)))
}

/** Recovery of `grow.<V>` and `reparent.<V>`: what the record says is written again; may be done by whoever holds V alone. */
export const recoverRedo = (kind: 'grow' | 'reparent', says: string): RecoveryRule => async (store, { name, vdis: [vdi] }) => {
  if (vdi === undefined) return undefined
  const { files } = store.place
  const log = redoLogOf(store, kind, vdi)
  if ((await files.stat(store.paths.image(vdi))) === undefined) {
    await log.clear()
    return undefined
  }
  const saved = await files.open(store.paths.intent(name), 'read')
  let record: Uint8Array
  try {
    record = await saved.read(0, await saved.length())
  } finally {
    await saved.close()
  }
  await withFile(store, vdi, 'write', async (file) => {
    await imageFormat.replay(file, record)
    await file.sync()
  })
  await log.clear()
  return `VDI ${vdi}: ${says}`
}

export const recoverGrow = recoverRedo('grow', 'an unfinished enlargement was finished')

export const resize = async (store: Store, ctx: Ctx, vdi: VdiUuid, size: number): Promise<VdiRecord> => {
  await growImage(store, ctx, vdi, size)
  return madeRecord(store, vdi)
}
