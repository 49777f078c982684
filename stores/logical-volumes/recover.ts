/** What an opened SR finds wrong with itself after a crash, and mends without doubt. */
import type { Ctx, Recovery } from '../../core/contract.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { resumeMap } from '../../host/dm/build.ts'
import { mapperName } from '../../host/lvm/names.ts'
import { activateVolumes } from '../../host/lvm/build.ts'
import { deactivate } from './activate.ts'
import { isActive } from './attach.ts'
import { volumeName } from './contents.ts'
import { recoverReverts } from './copies.ts'
import { poolName } from './place.ts'
import { groupTags } from './report.ts'
import { contentsOf, volumeIn, type Store } from './store.ts'
import { dropVolume } from './volumes.ts'

/** LVM that was killed between suspend and resume leaves a map that lets every reader hang. */
const resumeVolumes = async (store: Store, ctx: Ctx, only: VdiUuid | undefined): Promise<readonly string[]> => {
  const { report } = await contentsOf(store, ctx)
  const suspended = report.volumes.filter((volume) => volume.attributes.state === 'suspended' && (only === undefined || volume.name === volumeName('vdi', only)))
  for (const { name } of suspended) await ctx.host.run(resumeMap(mapperName(store.at.vg, name)), ctx.signal)
  if (suspended.length > 0) store.reports.forget(ctx)
  return suspended.map(({ name }) => `Resumed volume ${name}`)
}

/** A creation that did not get to its end had not been answered yet: it is undone. */
const dropHalfMade = async (store: Store, ctx: Ctx): Promise<readonly string[]> => {
  const { halfMade } = await contentsOf(store, ctx)
  for (const { name } of halfMade) {
    await deactivate(store, ctx, name)
    await dropVolume(store, ctx, name)
  }
  return halfMade.map(({ name }) => `Undid the unfinished creation of volume ${name}`)
}

/** After a boot, or when somebody deactivated it by hand: without its pool a thin SR cannot tell how full it is. */
export const activatePool = async (store: Store, ctx: Ctx): Promise<void> => {
  const { report } = await contentsOf(store, ctx)
  if (store.place.kind !== 'thin' || groupTags(report.group).state === 'removing' || isActive(report, poolName) || volumeIn(report, poolName) === undefined) return
  await store.change(ctx, { command: activateVolumes(store.at, [poolName]), what: 'activate the thin pool', done: (after) => isActive(after, poolName) })
}

export const recoverSr = async (store: Store, ctx: Ctx, vdi: VdiUuid | undefined): Promise<Recovery> => {
  const resumed = await resumeVolumes(store, ctx, vdi)
  if (vdi === undefined) await activatePool(store, ctx)
  const undone = vdi === undefined ? await dropHalfMade(store, ctx) : []
  return { replayed: [...resumed, ...undone, ...(await recoverReverts(store, ctx, vdi))] }
}
