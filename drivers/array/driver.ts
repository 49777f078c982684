/** SRs on the volumes of an array: a pool of it (and, to be replicated, a group) is the SR, a volume a VDI. Any array that this host knows by name. */
import * as z from 'zod'
import { contractVersion, type Ctx } from '../../core/contract.ts'
import { defineDriver } from '../../core/define-driver.ts'
import { MiB, TiB } from '../../core/units.ts'
import { iscsiTools } from '../../stores/iscsi-targets/dconf.ts'
import { dropGroup } from '../../stores/array-volumes/host-group.ts'
import { driverType, letGoAll, letGoVdi } from '../../stores/array-volumes/attach.ts'
import { arrayFeaturesOf, openArraySr } from '../../stores/array-volumes/open.ts'
import { prepareSr, probeArray, readSr, removeSr } from '../../stores/array-volumes/place.ts'
import { levelTexts } from '../../stores/array-volumes/recover.ts'
import type { ArrayStore } from '../../stores/array-volumes/store.ts'
import { rawContentType } from '../../stores/raw-luns/attach.ts'
import { dropClaimsOf } from '../../stores/raw-luns/claims.ts'
import { arrayDconf, storeOf, type ArrayDconf } from './dconf.ts'

/** For one call; what it opened is closed at its end. */
const withStore = async <T>(raw: ArrayDconf, work: (store: ArrayStore) => Promise<T>): Promise<T> => {
  const store = storeOf(raw)
  try {
    return await work(store)
  } finally {
    await store.pair.close()
  }
}

/** Every array of it that answers: the text of a side that is away goes when it is attached again. */
const remove = async (ctx: Ctx, raw: ArrayDconf): Promise<void> => withStore(raw, async (store) => {
  const { active, other } = await store.pair.sides(ctx)
  // The side that decides goes last.
  await removeSr(ctx, [...(other === undefined ? [] : [other]), active])
  for (const side of [other, active]) if (side !== undefined) await dropGroup(ctx, side, store.connection)
})

export default defineDriver({
  type: driverType,
  executable: 'Array',
  title: 'Volumes of an array',
  summary: 'Each VDI is a volume in a pool of an array, presented to this host over iSCSI when it is attached; replicated when a group is named.',
  contract: contractVersion,
  features: arrayFeaturesOf,
  srOperations: ['create', 'delete'],
  contentType: rawContentType,
  limits: { shared: true, minVdiSize: MiB, maxVdiSize: 1024 * TiB, sizeStep: 512 },
  defaultVdiVisibility: true,
  tools: iscsiTools,
  example: { backend: 'left', cpg: 'SSD_r6' },
  dconf: z.strictObject(arrayDconf),

  probe: async (ctx, partial) => probeArray(ctx, partial),
  prepare: async (ctx, raw, want) => withStore(raw, async (store) => prepareSr(ctx, store.pair.pool, await store.pair.sides(ctx), want)),
  remove,
  attach: async (ctx, raw) => withStore(raw, async (store) => {
    const sides = await store.pair.sides(ctx)
    await readSr(ctx, store.pair.pool, sides.active)
    await levelTexts(ctx, sides)
  }),
  async detach(ctx, raw) {
    await withStore(raw, async (store) => {
      await letGoAll(ctx, store)
      for (const side of await store.pair.reachable(ctx).catch(() => [])) await dropGroup(ctx, side, store.connection).catch((error: unknown) => ctx.log.warn({ array: side.name, left: (error as Error).message }, 'the access group of this host was not looked after'))
    })
    await dropClaimsOf(ctx, ctx.sr)
  },
  open: async (ctx, raw) => {
    const store = storeOf(raw)
    try {
      return await openArraySr(ctx, store)
    } catch (error) {
      await store.pair.close()
      throw error
    }
  },
  letGo: async (ctx, raw, vdi) => withStore(raw, async (store) => letGoVdi(ctx, store, vdi)),
})
