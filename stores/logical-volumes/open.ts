/** An opened SR of logical volumes, as the contract wants it. Which features a driver offers of these is the driver's word. */
import type { Ctx, FeatureOps, SrCore } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { attachVdi, detachVdi } from './activate.ts'
import { createChanges } from './change.ts'
import { recordOf } from './contents.ts'
import { copyVdi, revertVdi } from './copies.ts'
import { readLock, releaseLock, takeLock } from './locks.ts'
import { vgPlaceOf, type VolumePlace } from './place.ts'
import { recoverSr } from './recover.ts'
import { createReports } from './report.ts'
import { scanOf, statOf, type Told } from './stat.ts'
import { contentsOf, type Store } from './store.ts'
import { orphansOf, verifySr } from './verify.ts'
import { createVdi, destroyVdi, resizeVdi, setSrNames, setVdiNames } from './volumes.ts'
import { wipeBacklog, wipeSlice } from './wipe.ts'

type Thick = FeatureOps['create'] & FeatureOps['destroy'] & FeatureOps['resize'] & FeatureOps['names'] & FeatureOps['lock'] & FeatureOps['verify']

export type ThickVolumes = SrCore & Thick & FeatureOps['collect']
export type ThinVolumes = SrCore & Thick & FeatureOps['snapshot'] & FeatureOps['clone'] & FeatureOps['revert']

const createStore = (ctx: Ctx, place: VolumePlace): Store => {
  const at = vgPlaceOf(ctx.sr, place)
  const reports = createReports(at)
  return { place, at, reports, change: createChanges(reports) }
}

/**
 * Opening proves the identity of the group when it can be read. When it cannot, the handle is given out all the same: a
 * detach must be possible without the devices, and every other operation reads and proves again, and then fails.
 */
const open = async (ctx: Ctx, place: VolumePlace): Promise<{ readonly store: Store; readonly core: SrCore & Thick }> => {
  const store = createStore(ctx, place)
  const told: Told = new Set()
  await store.reports.of(ctx).catch((error: unknown) => {
    if (!(error instanceof StorageError) || error.kind !== 'placeMissing') throw error
    ctx.log.warn({ said: error.message }, 'the volume group cannot be read')
  })
  const core: SrCore & Thick = {
    stat: async (c) => statOf(store, c, told, await contentsOf(store, c)),
    scan: async (c) => scanOf(store, c, told),
    async vdi(c, vdi) {
      const contents = await contentsOf(store, c)
      const found = contents.vdis.get(vdi)
      return found === undefined ? undefined : recordOf(found, contents.pool)
    },
    attach: async (c, vdi, mode) => attachVdi(store, c, vdi, mode),
    detach: async (c, vdi, attachment) => detachVdi(store, c, vdi, attachment),
    recover: async (c, vdi) => recoverSr(store, c, vdi),
    close: async () => undefined,
    create: async (c, want) => createVdi(store, c, want),
    destroy: async (c, vdi) => destroyVdi(store, c, vdi),
    resize: async (c, vdi, size) => resizeVdi(store, c, vdi, size),
    setVdiNames: async (c, vdi, names) => setVdiNames(store, c, vdi, names),
    setSrNames: async (c, names) => setSrNames(store, c, names),
    readLock: async (c, vdi) => readLock(store, c, vdi),
    lock: async (c, vdi, want) => takeLock(store, c, vdi, want),
    unlock: async (c, vdi, owner) => releaseLock(store, c, vdi, owner),
    verify: async (c, vdi) => verifySr(store, c, vdi),
    orphans: async (c) => orphansOf(store, c),
  }
  return { store, core }
}

export const openThick = async (ctx: Ctx, place: VolumePlace): Promise<ThickVolumes> => {
  const { store, core } = await open(ctx, place)
  return { ...core, backlog: async (c) => wipeBacklog(store, c), collect: async (c, step) => wipeSlice(store, c, step) }
}

export const openThin = async (ctx: Ctx, place: VolumePlace): Promise<ThinVolumes> => {
  const { store, core } = await open(ctx, place)
  return {
    ...core,
    snapshot: async (c, want) => copyVdi(store, c, want, 'snapshot'),
    clone: async (c, want) => copyVdi(store, c, want, 'clone'),
    revert: async (c, vdi, snapshot) => revertVdi(store, c, vdi, snapshot),
  }
}
