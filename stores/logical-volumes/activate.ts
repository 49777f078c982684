/** vdi_attach and vdi_detach: a volume's node exists while it is active. */
import type { Attachment, Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { MiB } from '../../core/units.ts'
import { readOnlyCommand, settleCommand, zeroCommand } from '../../host/blkid/build.ts'
import { listMaps, removeMap, resumeMap } from '../../host/dm/build.ts'
import { parseMaps } from '../../host/dm/parse.ts'
import { activateVolumes, deactivateVolumes } from '../../host/lvm/build.ts'
import { devicePath, mapperName, mapperUuid } from '../../host/lvm/names.ts'
import { isActive } from './attach.ts'
import { usedBytes, type VdiVolume } from './contents.ts'
import type { Report } from './report.ts'
import { contentsOf, findVdi, volumeIn, type Store } from './store.ts'
import { refuseOpen, setVdiTags } from './volumes.ts'

const layer = 'store:logical-volumes'
const headBytes = MiB

/** Makes a volume active and answers its node, which is there then. */
export const activate = async (store: Store, ctx: Ctx, name: string): Promise<string> => {
  const { at } = store
  const path = devicePath(at.vg, name)
  if (!isActive(await store.reports.of(ctx), name)) {
    await store.change(ctx, { command: activateVolumes(at, [name]), together: { kind: 'activate', volume: name, command: (names) => activateVolumes(at, names) }, what: `activate volume ${name}`, done: (after) => volumeIn(after, name)?.attributes.state === 'active' })
  }
  if ((await ctx.host.files.stat(path)) === undefined) await ctx.host.run(settleCommand(path), ctx.signal)
  if ((await ctx.host.files.stat(path)) !== undefined) return path
  throw new StorageError('ioError', `Volume ${name} is active, but udev made no ${path}`, { layer, mayHaveChanged: true, remedy: 'Check that udevd runs: udevadm control --ping; then attach it again', details: { path } })
}

export const deactivate = async (store: Store, ctx: Ctx, name: string): Promise<void> => {
  const report = await store.reports.of(ctx)
  if (!isActive(report, name)) return
  refuseOpen(report, name)
  const inactive = (after: Report): boolean => !isActive(after, name)
  const command = deactivateVolumes(store.at, [name])
  const together = { kind: 'deactivate', volume: name, command: (names: readonly string[]) => deactivateVolumes(store.at, names) }
  try {
    await store.change(ctx, { command, together, what: `deactivate volume ${name}`, done: inactive })
  } catch (error) {
    if (!(error instanceof StorageError) || error.kind !== 'busy') throw error
    // udev looks into a node for a moment after its last writer has closed it.
    await ctx.host.run(settleCommand(), ctx.signal)
    await store.change(ctx, { command, together, what: `deactivate volume ${name}`, done: inactive })
  }
}

/**
 * Attaching a VDI. Steps:
 * 1. A map that a killed LVM left suspended is resumed.
 * 2. The volume becomes active.                                [left active: a repeat goes on; sr_detach takes it back]
 * 3. thick, never attached before: its head is zeroed.         [repeated while the tag `fresh` is there]
 * 4. Then the tag goes, in one commit: from here on the content is the consumer's.
 * 5. Read-only attachments are made so in the kernel, which forgets it at deactivation.
 */
export const attachVdi = async (store: Store, ctx: Ctx, vdi: VdiUuid, mode: 'ro' | 'rw'): Promise<Attachment> => {
  const { at } = store
  const contents = await contentsOf(store, ctx)
  const { volume, tags } = findVdi(contents, ctx, vdi)
  const { name } = volume
  if (volume.attributes.state === 'suspended') {
    await ctx.host.run(resumeMap(mapperName(at.vg, name)), ctx.signal)
    store.reports.forget(ctx)
  }
  const wasActive = volume.attributes.state !== 'inactive'
  const path = await activate(store, ctx, name)
  if (tags['fresh'] !== undefined) {
    await ctx.host.run(zeroCommand(path, 0, Math.min(headBytes, volume.size)), ctx.signal)
    await setVdiTags(store, ctx, name, { fresh: undefined }, `note that volume ${name} is zeroed`)
  }
  if (mode === 'ro') await ctx.host.run(readOnlyCommand(path, true), ctx.signal)
  else if (wasActive) await ctx.host.run(readOnlyCommand(path, false), ctx.signal)
  return {
    path,
    contentType: 'aio',
    driverData: { map: mapperName(at.vg, name), uuid: mapperUuid(contents.report.group.uuid, volume.uuid) },
  }
}

/** The figure is bookkeeping: a detach never fails for it. */
const noteUse = async (store: Store, ctx: Ctx, found: VdiVolume): Promise<void> => {
  const used = String(usedBytes(found))
  if (found.volume.attributes.kind !== 'thin' || found.volume.dataUsed === undefined || found.tags['used'] === used) return
  try {
    await setVdiTags(store, ctx, found.volume.name, { used }, `note the use of volume ${found.volume.name}`)
  } catch (error) {
    if (!(error instanceof StorageError) || error.kind === 'cancelled') throw error
    ctx.log.warn({ volume: found.volume.name, said: error.message }, 'the use of the volume could not be noted; its utilisation will be an old one until it is attached again')
  }
}

/** busy: it is open. A volume that is not there, or not active, is done. */
export const detachVdi = async (store: Store, ctx: Ctx, vdi: VdiUuid): Promise<void> => {
  const { vdis, report } = await contentsOf(store, ctx).catch((error: unknown) => {
    throw isHanging(error) ? new StorageError('unreachable', `The devices of SR ${ctx.sr} do not answer`, { layer, cause: error, remedy: 'Look at the kernel log and at the storage' }) : error
  })
  const found = vdis.get(vdi)
  if (found === undefined || !isActive(report, found.volume.name)) return
  refuseOpen(report, found.volume.name)
  await noteUse(store, ctx, found)
  await deactivate(store, ctx, found.volume.name)
}

const isHanging = (error: unknown): boolean => error instanceof StorageError && error.kind === 'outcomeUnknown'

/** When LVM cannot see the group any more: the kernel's map is removed, when it is the very one that was attached. */
export const letGoOfVdi = async (ctx: Ctx, attachment: Attachment): Promise<void> => {
  const { map: name, uuid } = attachment.driverData ?? {}
  if (name === undefined || uuid === undefined) return
  const map = parseMaps((await ctx.host.run(listMaps(), ctx.signal)).stdout).find((one) => one.name === name && one.uuid === uuid)
  if (map === undefined) return
  if (map.open > 0) throw new StorageError('busy', `${name} is open, and the devices below it are gone`, { layer, remedy: 'Close whatever uses it: lsof and dmsetup ls --tree show what does', details: { map: name } })
  await ctx.host.run(removeMap(name), ctx.signal)
}
