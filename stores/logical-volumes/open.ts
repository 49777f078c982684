/** An opened SR of logical volumes, as the contract wants it. Which features a driver offers of these is the driver's word. */
import type { Ctx, FeatureOps, SrCore } from '../../core/contract.ts'
import { attachVdi, detachVdi } from './activate.ts'
import { createChanges } from './change.ts'
import { recordOf } from './contents.ts'
import { copyVdi, revertVdi } from './copies.ts'
import { createFilled } from './fill.ts'
import { readLock, releaseLock, takeLock } from './locks.ts'
import { vgPlaceOf, type VolumePlace } from './place.ts'
import { recoverSr } from './recover.ts'
import { createReports } from './report.ts'
import { scanOf, statOf, type Told } from './stat.ts'
import { contentsOf, type Store } from './store.ts'
import { orphansOf, verifySr } from './verify.ts'
import { createVdi, destroyVdi, resizeVdi, setSrNames, setVdiNames } from './volumes.ts'
import { wipeAtOnce, wipeBacklog, wipeSlice } from './wipe.ts'

type Thick = FeatureOps['create'] & FeatureOps['destroy'] & FeatureOps['resize'] & FeatureOps['names'] & FeatureOps['lock'] & FeatureOps['verify']

export type ThickVolumes = SrCore & Thick & FeatureOps['collect']
export type ThinVolumes = SrCore & Thick & FeatureOps['snapshot'] & FeatureOps['clone'] & FeatureOps['revert']

const createStore = (ctx: Ctx, place: VolumePlace): Store => {
  const at = vgPlaceOf(ctx.sr, place)
  const reports = createReports(at)
  return { place, at, reports, change: createChanges(reports) }
}

/** Opening proves the identity of the group, as every report does. */
const open = async (ctx: Ctx, place: VolumePlace): Promise<{ readonly store: Store; readonly core: SrCore & Thick }> => {
  const store = createStore(ctx, place)
  const told: Told = new Set()
  await store.reports.of(ctx)
  const core: SrCore & Thick = {
    stat: async (c) => statOf(store, c, told, await contentsOf(store, c)),
    scan: async (c) => scanOf(store, c, told),
    async vdi(c, vdi) {
      const contents = await contentsOf(store, c)
      const found = contents.vdis.get(vdi)
      return found === undefined ? undefined : recordOf(found, contents.pool)
    },
    attach: async (c, vdi, mode) => attachVdi(store, c, vdi, mode),
    detach: async (c, vdi) => detachVdi(store, c, vdi),
    recover: async (c, vdi) => recoverSr(store, c, vdi),
    close: async () => undefined,
    create: async (c, want) => (place.kind === 'thin' && want.provisioning === 'full' ? createFilled(store, c, want) : createVdi(store, c, want)),
    async destroy(c, vdi) {
      const left = await destroyVdi(store, c, vdi)
      if (left !== undefined) await wipeAtOnce(store, c, left)
    },
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
  return { ...core, backlog: async (c) => wipeBacklog(store, c), collect: async (c, step) => wipeSlice(store, c, step.vdi) }
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
