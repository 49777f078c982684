/** Turning a copy of a store (of the file system below it, or of the directory) into an SR of its own. */
import * as z from 'zod'
import type { CopiedVdi, Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { copiedVdiUuid, SrUuid, VdiUuid } from '../../core/ids.ts'
import { lazily } from '../../core/lazily.ts'
import { replaceText } from './durable.ts'
import { readFacts, writeFacts } from './facts.ts'
import { readIdentity, rewriteIdentity, type SrIdentity } from './identity.ts'
import { listIntents } from './intents.ts'
import { lockedVdis, removeLocks } from './locks.ts'
import { withImage } from './mend.ts'
import { imageFileName, vdiOfFileName, vdiOfParentNames, type ImagePlace } from './place.ts'
import { recover } from './recover.ts'
import { redoLogOf, recoverRedo } from './resize.ts'
import { createStore, layer, type Store } from './store.ts'

const maxLength = 4 * 1024 * 1024

/** Stays for good: it is the plan while the work is under way, and the map between the two SRs afterwards. */
const CopyFile = lazily(() => z.strictObject({ format: z.literal(1), original: SrUuid, vdis: z.array(VdiUuid) }))

const refuse = (directory: string, found: SrIdentity | undefined, original: SrUuid): StorageError =>
  new StorageError('identityMismatch', found === undefined ? `${directory} holds no SR` : `${directory} holds SR ${found.uuid}, not a copy of ${original}`, {
    layer, remedy: 'smctl sr probe shows what is there', details: { directory, original },
  })

/**
 * Steps, each of which may find itself done already:
 * 1. what the original was in the middle of when it was copied is finished or taken back
 * 2. `copy.json` with the original's uuid and all its VDIs, synced
 * 3. the identity becomes the copy's, marked as unfinished: from here on nobody takes it for the original
 * 4. images and facts take their new names
 * 5. children are pointed at their parents' new names; facts name the new VDIs
 * 6. locks, which were taken on the original, are dropped
 * 7. the mark goes: the copy can be attached
 * Recovery: SR.reidentify again; it goes on from `copy.json`.
 */
export const reidentifyImageStore = async (ctx: Ctx, place: ImagePlace, original: SrUuid): Promise<readonly CopiedVdi[]> => {
  const { files, directory } = place
  const store = createStore(ctx.sr, place)
  const { paths } = store
  const identity = await readIdentity(files, paths)
  const begun = identity?.uuid === ctx.sr && identity.copyOf === original
  if (identity === undefined || (identity.uuid !== original && !begun)) throw refuse(directory, identity, original)
  if (!begun) await recover(store, ctx, undefined)
  const vdis = await planOf(store, original)
  const copied = vdis.map((vdi): CopiedVdi => ({ original: vdi, vdi: copiedVdiUuid(ctx.sr, vdi) }))
  if (begun && identity.unfinished !== true) return copied
  const { name, description } = identity
  const own: SrIdentity = { uuid: ctx.sr, name, description, copyOf: original }
  if (!begun) await rewriteIdentity(files, paths, { ...own, unfinished: true })
  await rename(store, ctx, copied)
  await relink(store, ctx, copied)
  for (const vdi of await lockedVdis(place, paths)) await removeLocks(place, paths, vdi)
  await rewriteIdentity(files, paths, own)
  return copied
}

/** The VDIs of the original, written down before any of them loses its name. */
const planOf = async (store: Store, original: SrUuid): Promise<readonly VdiUuid[]> => {
  const { files, directory } = store.place
  const text = await files.readText(store.paths.copy, maxLength)
  if (text !== undefined) {
    const plan = CopyFile().parse(JSON.parse(text))
    if (plan.original === original) return plan.vdis
  }
  const vdis = ((await files.list(directory)) ?? []).flatMap((file) => vdiOfFileName(file) ?? []).sort()
  await replaceText(files, store.paths, store.paths.copy, `${JSON.stringify({ format: 1, original, vdis })}\n`)
  return vdis
}

const rename = async (store: Store, ctx: Ctx, copied: readonly CopiedVdi[]): Promise<void> => {
  const { files } = store.place
  const move = async (from: string, to: string): Promise<void> => {
    if ((await files.stat(from)) !== undefined) await files.rename(from, to)
  }
  for (const { vdi, original } of copied) {
    ctx.signal.throwIfAborted()
    await move(store.paths.image(original), store.paths.image(vdi))
    await move(store.paths.factsOf(original), store.paths.factsOf(vdi))
  }
  await Promise.all([files.syncDirectory(store.paths.images), files.syncDirectory(store.paths.facts)])
}

const relink = async (store: Store, ctx: Ctx, copied: readonly CopiedVdi[]): Promise<void> => {
  const { files } = store.place
  const newName = new Map(copied.map(({ vdi, original }) => [original, vdi]))
  const replay = recoverRedo('reparent', 'an unfinished change of its parent was finished')
  for (const intent of await listIntents(store)) if (intent.kind === 'reparent') await replay(store, intent)
  for (const { vdi } of copied) {
    ctx.signal.throwIfAborted()
    // A damaged image stays what it is: it is listed with its problem, and keeps no other from being used.
    if ((await store.catalog.one(vdi))?.problem === undefined) await withImage(store, vdi, 'write', async (image) => {
      const { parent } = image.summary
      const named = parent === undefined ? undefined : vdiOfParentNames(parent.names)
      const renamed = named === undefined ? undefined : newName.get(named)
      if (parent === undefined || renamed === undefined) return
      await image.reparent({ id: parent.id, fileName: imageFileName(renamed) }, redoLogOf(store, 'reparent', vdi))
      await image.sync()
    })
    const facts = await readFacts(files, store.paths, vdi)
    const snapshotOf = facts.snapshotOf === undefined ? undefined : newName.get(facts.snapshotOf)
    if (snapshotOf !== undefined) await writeFacts(files, store.paths, vdi, { ...facts, snapshotOf })
  }
}
