/** An opened SR on array volumes. */
import type { ArrayFeature, Capabilities } from '../../core/array/types.ts'
import type { Ctx, Feature, SrCore, SrWith, VdiRecord } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { attachVdi, detachVdi } from './attach.ts'
import { cloneVdi, createVdi, destroyVdi, putNote, resizeVdi, revertVdi, snapshotVdi } from './change.ts'
import { readLock, releaseLock, takeLock } from './locks.ts'
import { keys } from './names.ts'
import { layer } from './notes.ts'
import { onBoth, readSr } from './place.ts'
import { recoverSr } from './recover.ts'
import { orphansOf, readVdi, scanSr, statSr, verifySr } from './report.ts'
import type { ArrayStore } from './store.ts'

export const arrayFeaturesOf = ['create', 'destroy', 'snapshot', 'clone', 'resize', 'revert', 'names', 'lock', 'verify'] as const satisfies readonly Feature[]
type ArraySr = SrCore & SrWith<(typeof arrayFeaturesOf)[number]> & { readonly features: readonly Feature[] }

/** What an array must be able to do for a feature of the SR. */
const needed: Readonly<Partial<Record<Feature, readonly ArrayFeature[]>>> = {
  snapshot: ['snapshot'], clone: ['clone', 'cloneFromSnapshot'], resize: ['resize'], revert: ['snapshot', 'restore'],
}

/** Going back would need a full copy to the peer: arrays refuse it for replicated volumes. */
const featuresOf = (capabilities: Capabilities, replicated: boolean): readonly Feature[] =>
  arrayFeaturesOf.filter((feature) => !(replicated && feature === 'revert') && (needed[feature] ?? []).every((one) => capabilities[one].level !== 'unsupported'))

export const openArraySr = async (ctx: Ctx, store: ArrayStore): Promise<ArraySr> => {
  const { pair } = store
  const { active } = await pair.sides(ctx)
  await readSr(ctx, pair.pool, active)
  const features = featuresOf(await active.array.capabilities(ctx), pair.pool.group !== undefined)

  const need = async (call: Ctx, vdi: VdiUuid): Promise<VdiRecord> => {
    const row = await readVdi(call, store, vdi)
    if (row !== undefined) return row
    throw new StorageError('notFound', `There is no VDI ${vdi}`, { layer, field: 'vdi_uuid', remedy: `smctl sr scan ${call.sr}` })
  }
  const after = async (call: Ctx, vdi: VdiUuid, change: Promise<void>): Promise<VdiRecord> => {
    await change
    return need(call, vdi)
  }

  return {
    features,
    stat: async (call) => statSr(call, store),
    scan: async (call) => scanSr(call, store),
    vdi: async (call, vdi) => readVdi(call, store, vdi),
    attach: async (call, vdi, mode) => attachVdi(call, store, vdi, mode),
    detach: async (call, vdi) => detachVdi(call, store, vdi),
    recover: async (call, vdi) => recoverSr(call, store, vdi),
    close: async () => pair.close(),

    create: async (call, want) => after(call, want.uuid, createVdi(call, store, want)),
    destroy: async (call, vdi) => destroyVdi(call, store, vdi),
    snapshot: async (call, want) => after(call, want.dest, snapshotVdi(call, store, want)),
    clone: async (call, want) => after(call, want.dest, cloneVdi(call, store, want)),
    resize: async (call, vdi, size) => after(call, vdi, resizeVdi(call, store, vdi, size)),
    revert: async (call, vdi, snapshot) => after(call, vdi, revertVdi(call, store, vdi, snapshot)),

    async setVdiNames(call, vdi, names) {
      const sides = await pair.sides(call)
      const note = (await readSr(call, pair.pool, sides.active)).vdis.get(vdi)
      if (note === undefined) throw new StorageError('notFound', `There is no VDI ${vdi}`, { layer, field: 'vdi_uuid', remedy: `smctl sr scan ${call.sr}` })
      await putNote(call, sides, vdi, { ...note, ...names })
    },
    async setSrNames(call, names) {
      const sides = await pair.sides(call)
      const { sr } = await readSr(call, pair.pool, sides.active)
      await onBoth(call, sides, async (texts) => texts.put(call, keys.sr(call.sr), JSON.stringify({ ...sr, ...names })))
    },

    readLock: async (call, vdi) => readLock(call, await pair.sides(call), vdi),
    lock: async (call, vdi, want) => takeLock(call, await pair.sides(call), vdi, want),
    unlock: async (call, vdi, owner) => releaseLock(call, await pair.sides(call), vdi, owner),

    verify: async (call, vdi) => verifySr(call, store, vdi),
    orphans: async (call) => orphansOf(call, store),
  }
}
