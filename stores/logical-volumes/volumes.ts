/** Making, deleting, growing and naming the volumes of VDIs. Each is one commit of LVM; a crash leaves it done or not done. */
import type { CreateRequest, Ctx, VdiRecord } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { asVdiUuid, type VdiUuid } from '../../core/ids.ts'
import { formatSize, roundUp } from '../../core/units.ts'
import { changeGroupTags, changeVolumeTags, createThin, createVolume, growVolume, removeVolume, renameVolume } from '../../host/lvm/build.ts'
import { tagChange } from '../../host/lvm/tags.ts'
import { recordOf, sortOut, vdiTags, volumeName, type VdiTags } from './contents.ts'
import { poolName } from './place.ts'
import { groupTags, type Report } from './report.ts'
import { contentsOf, findVdi, hasTags, volumeIn, type Store } from './store.ts'

const layer = 'store:logical-volumes'

export const noSpace = (needed: number, free: number, what: string): StorageError =>
  new StorageError('noSpace', `${formatSize(needed)} are needed and ${what} has ${formatSize(free)} free`, { layer, remedy: 'Delete VDIs, or add a device', details: { needed, free } })

/** The kernel stops before its metadata is full: it keeps a tenth for itself (drivers/md/dm-thin-metadata.c, __set_metadata_reserve). */
const metadataStop = 0.85

/** A full pool takes no new volume; said before LVM says it, with figures. Neither does one that is out of order: LVM calls that full, too. */
export const refuseFullPool = (report: Report): void => {
  const { pool } = sortOut(report)
  const state = pool?.attributes.pool
  const metadataUsed = pool?.metadataUsed ?? 0
  if (metadataUsed >= 1 || (state === 'metadata is read-only' && metadataUsed >= metadataStop)) {
    const { name } = report.group
    throw new StorageError('noSpace', `The metadata of the thin pool is full (${Math.floor(metadataUsed * 100)} %)`, {
      layer, remedy: `Detach the SR, enlarge it with lvextend --poolmetadatasize +16m ${name}/${poolName}, and attach the SR again; ${name} needs room for it: vgextend, or a larger device and pvresize`,
    })
  }
  const full = state === 'out of data space' || (pool?.dataUsed ?? 0) >= 1
  if (state !== undefined && !full) {
    throw new StorageError('ioError', `The thin pool takes no changes: ${state}`, {
      layer, remedy: 'Look at the kernel log and the health of the devices; then detach the SR and attach it again, which checks the pool',
    })
  }
  if (!full) return
  throw new StorageError('noSpace', `The thin pool is full (${state ?? 'all of its space is in use'})`, {
    layer, remedy: 'Delete VDIs or snapshots, or add a device', details: { needed: report.group.extentSize, free: 0 },
  })
}

export const recordIn = (report: Report, ctx: Ctx, vdi: VdiUuid): VdiRecord => {
  const contents = sortOut(report)
  return recordOf(findVdi(contents, ctx, vdi), contents.pool)
}

/**
 * One command makes the volume, inactive, with all its tags. The content of a thick one is zeroed at its first attach, in
 * the place where it has to be activated anyway (activate.ts); until then the tag `fresh` keeps it from being shown.
 */
export const createVdi = async (store: Store, ctx: Ctx, want: CreateRequest): Promise<VdiRecord> => recordIn(await createVolumeFor(store, ctx, want), ctx, want.uuid)

/** `more`: further tags of a thin volume. Answers the report after it. */
export const createVolumeFor = async (store: Store, ctx: Ctx, want: CreateRequest, more: VdiTags = {}): Promise<Report> => {
  const { at, place } = store
  const report = await store.reports.of(ctx)
  const { group } = report
  if (groupTags(group).state === 'removing') {
    throw new StorageError('placeMissing', `SR ${ctx.sr} is being deleted`, { layer, remedy: `Finish it: smctl sr delete ${ctx.sr}` })
  }
  const size = roundUp(want.size, group.extentSize)
  const name = volumeName('vdi', want.uuid)
  const about = { name: want.name, description: want.description, ...(want.shareable ? { shareable: 'yes' as const } : {}) }
  if (place.kind === 'thin') {
    refuseFullPool(report)
    const tags = vdiTags({ ...about, ...more })
    return store.change(ctx, { command: createThin(at, poolName, name, size, tags), what: `make volume ${name}`, done: (after) => hasTags(after, name, tags) })
  }
  if (size > group.free) throw noSpace(size, group.free, `volume group ${group.name}`)
  const tags = vdiTags({ ...about, fresh: 'yes' })
  return store.change(ctx, { command: createVolume(at, name, size, tags), what: `make volume ${name}`, done: (after) => hasTags(after, name, tags) })
}

/** An open volume is never removed: LVM refuses it by itself, and we say who it is. */
export const refuseOpen = (report: Report, name: string): void => {
  if (volumeIn(report, name)?.attributes.open !== true) return
  throw new StorageError('busy', `Volume ${name} is open`, { layer, remedy: 'Close whatever uses it: lsof and dmsetup ls --tree show what does', details: { volume: name } })
}

export const dropVolume = async (store: Store, ctx: Ctx, name: string): Promise<Report> => {
  const report = await store.reports.of(ctx)
  if (volumeIn(report, name) === undefined) return report
  refuseOpen(report, name)
  return store.change(ctx, { command: removeVolume(store.at, name, store.place.discard), what: `remove volume ${name}`, done: (after) => volumeIn(after, name) === undefined })
}

/** One command. With wipe=full it takes the volume out of the SR's sight; answered is under which id it waits to be overwritten. */
export const destroyVdi = async (store: Store, ctx: Ctx, vdi: VdiUuid): Promise<VdiUuid | undefined> => {
  const { vdis, report } = await contentsOf(store, ctx)
  const found = vdis.get(vdi)
  if (found === undefined) return undefined
  const { name } = found.volume
  if (store.place.kind === 'thin' || store.place.wipe === 'head') {
    await dropVolume(store, ctx, name)
    return undefined
  }
  refuseOpen(report, name)
  const id = asVdiUuid(crypto.randomUUID())
  const doomed = volumeName('wipe', id)
  await store.change(ctx, { command: renameVolume(store.at, name, doomed), what: `take volume ${name} out of use`, done: (after) => volumeIn(after, name) === undefined && volumeIn(after, doomed) !== undefined })
  return id
}

export const resizeVdi = async (store: Store, ctx: Ctx, vdi: VdiUuid, wanted: number): Promise<VdiRecord> => {
  const contents = await contentsOf(store, ctx)
  const { volume } = findVdi(contents, ctx, vdi)
  const { group } = contents.report
  const size = roundUp(wanted, group.extentSize)
  if (size <= volume.size) return recordIn(contents.report, ctx, vdi)
  if (store.place.kind === 'thick' && size - volume.size > group.free) throw noSpace(size - volume.size, group.free, `volume group ${group.name}`)
  return recordIn(await store.change(ctx, { command: growVolume(store.at, volume.name, size), what: `grow volume ${volume.name}`, done: (after) => volumeIn(after, volume.name)?.size === size }), ctx, vdi)
}

/** Replaces the values of some keys in the tags of a volume; one commit, none when nothing differs. */
export const setVdiTags = async (store: Store, ctx: Ctx, name: string, values: Readonly<Record<string, string | undefined>>, what: string): Promise<Report> => {
  const report = await store.reports.of(ctx)
  const { add, remove } = tagChange(volumeIn(report, name)?.tags ?? [], values)
  if (add.length === 0 && remove.length === 0) return report
  return store.change(ctx, {
    command: changeVolumeTags(store.at, [name], add, remove),
    together: { kind: JSON.stringify([add, remove]), volume: name, command: (names) => changeVolumeTags(store.at, names, add, remove) },
    what, done: (after) => hasTags(after, name, add, remove),
  })
}

export interface Names {
  readonly name?: string
  readonly description?: string
}

export const setVdiNames = async (store: Store, ctx: Ctx, vdi: VdiUuid, names: Names): Promise<void> => {
  const { volume } = findVdi(await contentsOf(store, ctx), ctx, vdi)
  await setVdiTags(store, ctx, volume.name, { ...names }, `name volume ${volume.name}`)
}

export const setSrNames = async (store: Store, ctx: Ctx, names: Names): Promise<void> => {
  const { group } = await store.reports.of(ctx)
  const { add, remove } = tagChange(group.tags, { ...names })
  if (add.length === 0 && remove.length === 0) return
  await store.change(ctx, {
    command: changeGroupTags(store.at, add, remove), what: 'name the volume group',
    done: (after) => add.every((tag) => after.group.tags.includes(tag)) && !remove.some((tag) => after.group.tags.includes(tag)),
  })
}
