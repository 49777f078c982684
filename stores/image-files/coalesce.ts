/**
 * Merging a base B into its only child C: B takes over everything that C holds, then B takes C's place - name, identity
 * and children. Nobody has to be pointed at another parent, and what is seen through C is the same at every instant.
 *
 *   A <- B <- C <- (C's children)      becomes      A <- C (B's file) <- (C's children)
 */
import type { CollectorStep, Ctx } from '../../core/contract.ts'
import { planCollection } from '../../core/chain.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { MiB } from '../../core/units.ts'
import { chainProblems } from './catalog.ts'
import { writeNew } from './durable.ts'
import { removeFacts } from './facts.ts'
import { removeImage } from './destroy.ts'
import { intentName, type RecoveryRule } from './intents.ts'
import { removeLocks } from './locks.ts'
import { mendFirst, withFile, withImage } from './mend.ts'
import { imageFormat } from './place.ts'
import { growImage } from './resize.ts'
import { layer, mustExist, type Store } from './store.ts'
import { readAll } from './scan.ts'

/** How much one slice copies: whoever wants the disk waits for no more than this. */
const sliceBytes = 64 * MiB

export const backlog = async (store: Store, ctx: Ctx): Promise<readonly CollectorStep[]> => {
  const { entries, records } = await readAll(store, ctx)
  const problems = chainProblems(entries)
  return planCollection(records.map(({ uuid, kind, parent, utilisation }) => ({
    uuid, kind, bytes: utilisation, sound: !problems.has(uuid), ...(parent === undefined ? {} : { parent }),
  })))
}

/** Everything that reads through `vdi`. */
const descendants = async (store: Store, ctx: Ctx, vdi: VdiUuid): Promise<readonly VdiUuid[]> => {
  const found = new Set<VdiUuid>()
  const queue = [vdi]
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    for (const child of await store.catalog.children(ctx, at)) {
      if (found.has(child)) continue
      found.add(child)
      queue.push(child)
    }
  }
  return [...found]
}

export interface Collector {
  /** One slice of a step; true when the step is complete. */
  collect(ctx: Ctx, step: CollectorStep): Promise<boolean>
}

export const createCollector = (store: Store): Collector => {
  /** How far each pair has come, good as long as the child's file is the same. After a crash one starts over: copying again is harmless. */
  const reached = new Map<string, { readonly version: string; readonly offset: number }>()

  const coalesce = async (ctx: Ctx, base: VdiUuid, child: VdiUuid, needs: readonly VdiUuid[]): Promise<boolean> => {
    for (const vdi of [base, child]) {
      if ((await store.catalog.one(vdi)) !== undefined) continue
      throw new StorageError('staleGeneration', `VDI ${vdi} is gone: another collector was faster`, { layer, remedy: 'Run the collector again', details: { base, child } })
    }
    const from = await mustExist(store, child)
    const into = await mustExist(store, base)
    // The locks held are those of the plan: whoever reads through the pair now must be among them.
    const readers = await descendants(store, ctx, base)
    const siblings = await store.catalog.children(ctx, base)
    if (siblings.length !== 1 || siblings[0] !== child || from.summary.parent?.id !== into.summary.id || readers.some((vdi) => !needs.includes(vdi))) {
      throw new StorageError('staleGeneration', `VDI ${base} is no longer the parent of ${child} and of those known alone`, { layer, remedy: 'Run the collector again', details: { base, child } })
    }
    if (into.summary.needsRepair) await mendFirst(store, ctx, base)
    await growImage(store, ctx, base, from.summary.size)
    const key = `${base} ${child}`
    const before = reached.get(key)
    const offset = before?.version === from.file.version ? before.offset : 0
    const end = await withImage(store, base, 'write', async (target) => withImage(store, child, 'read', async (source) => {
      const at = await imageFormat.absorb(target, source, {
        from: offset, budget: sliceBytes, signal: ctx.signal, onProgress: ({ done, total }) => ctx.progress(done, total),
      })
      await target.sync()
      return at
    }))
    if (end < from.summary.size) {
      reached.set(key, { version: from.file.version, offset: end })
      return false
    }
    reached.delete(key)
    await swap(store, base, child, from.summary.id)
    return true
  }

  return {
    async collect(ctx, step) {
      ctx.signal.throwIfAborted()
      if (step.action === 'coalesce' && step.child !== undefined) return coalesce(ctx, step.vdi, step.child, step.needs)
      const children = await store.catalog.children(ctx, step.vdi)
      if (children.length > 0) {
        throw new StorageError('staleGeneration', `VDI ${step.vdi} has children again`, { layer, remedy: 'Run the collector again', details: { vdi_uuid: step.vdi } })
      }
      if ((await store.catalog.one(step.vdi)) !== undefined) await removeImage(store, step.vdi)
      return true
    },
  }
}

/**
 * B, which holds all of C's data durably, takes C's place. Steps:
 * 1. `intents/swap.<C>.<B>` with C's image id, synced: decided
 * 2. B gets C's image id
 * 3. rename B over C, images synced
 * 4. facts and locks of B
 * 5. the intent's removal, synced
 * Recovery: from step 2, each of which may be done already. Between 2 and 3 C does not recognise its parent: whoever holds
 * a VDI of this chain finishes the swap before anything else.
 */
const swap = async (store: Store, base: VdiUuid, child: VdiUuid, childId: string): Promise<void> => {
  const { files } = store.place
  const name = intentName('swap', child, base)
  await writeNew(files, store.paths.intent(name), new TextEncoder().encode(childId))
  await files.syncDirectory(store.paths.intents)
  await recoverSwap(store, { kind: 'swap', name, vdis: [child, base] })
}

export const recoverSwap: RecoveryRule = async (store, { name, vdis: [child, base] }) => {
  if (child === undefined || base === undefined) return undefined
  const { files } = store.place
  const id = (await files.readText(store.paths.intent(name), 64))?.trim()
  if (id === undefined) return undefined
  const whole = /^[0-9a-f]{32}$/.test(id)
  // A torn intent was never decided: nothing has been done yet.
  if (whole && (await files.stat(store.paths.image(base))) !== undefined) {
    // Until the rename the child is there with the identity that was saved: anything else was not written by step 1.
    const taken = await mustExist(store, child)
    if (taken.summary.id !== id || taken.parent !== base) {
      throw new StorageError('staleGeneration', `${store.paths.intent(name)} is not about these two images: VDI ${child} has id ${taken.summary.id}, not ${id}, or another parent`, { layer, remedy: `smctl sr verify ${store.sr} tells whether both images are sound` })
    }
    const grandparent = (await mustExist(store, base)).parent
    // An earlier run may have died between the two places that hold the identity.
    await withFile(store, base, 'write', async (file) => {
      if ((await imageFormat.repair(file, false)).length > 0) await file.sync()
    })
    await withImage(store, base, 'write', async (image) => {
      await image.setIdentity({ id, hidden: false })
      await image.sync()
    })
    await store.catalog.changing(async () => {
      await files.rename(store.paths.image(base), store.paths.image(child))
      await files.syncDirectory(store.paths.images)
    }, new Map<VdiUuid, VdiUuid | undefined | null>([[base, null], [child, grandparent]]))
  }
  if (whole) {
    await removeFacts(files, store.paths, base)
    await removeLocks(store.place, store.paths, base)
  }
  if (await files.unlink(store.paths.intent(name))) await files.syncDirectory(store.paths.intents)
  return `VDI ${child}: an unfinished coalesce was finished`
}
