/** sr_attach and sr_detach of a volume group. */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { listMaps, removeMap } from '../../host/dm/build.ts'
import { parseMaps, type DeviceMap } from '../../host/dm/parse.ts'
import { activateVolumes, deactivateGroup, forbidAutoactivation, growPhysical, growPool, setWhenFull, type VgPlace } from '../../host/lvm/build.ts'
import { mapperPrefix } from '../../host/lvm/names.ts'
import type { PhysicalVolume, VolumeGroup } from '../../host/lvm/parse.ts'
import { makeChange } from './change.ts'
import { sortOut } from './contents.ts'
import { poolName, vgOf, vgPlaceOf, type VolumePlace } from './place.ts'
import { groupTags, readReport, verifyGroup, type Report } from './report.ts'
import { findCopy, groupOn, refuseForeignMaps, survey } from './survey.ts'

/** Space that a physical volume could have on its device, in whole extents. */
const possibleSize = (pv: PhysicalVolume, group: VolumeGroup): number =>
  Math.floor((pv.deviceSize - pv.dataStart) / group.extentSize) * group.extentSize

/** The pool is there in a thin SR and is not in a thick one; the types differ in how VDIs are made. */
const verifyKind = (ctx: Ctx, place: VolumePlace, report: Report): void => {
  const { pool } = sortOut(report)
  if ((pool === undefined) === (place.kind === 'thick')) return
  const [is, use] = place.kind === 'thick' ? ['has a thin pool', 'lvmthin'] : ['has no thin pool', 'lvm']
  throw new StorageError('identityMismatch', `SR ${ctx.sr} ${is}`, { layer: 'store:logical-volumes', field: 'type', remedy: `It is an SR of another type: ${use} (or one made from it)` })
}

/**
 * Makes the group usable from this host: every device is there and belongs to it, none exists twice, udev keeps its hands
 * off, devices that have grown are taken whole, and the pool of a thin SR is active. No volume of a VDI becomes active.
 *
 * Each step is one commit of LVM or none, and each can be repeated: a crash leaves nothing to undo.
 */
export const attachGroup = async (ctx: Ctx, place: VolumePlace): Promise<void> => {
  const at = vgPlaceOf(ctx.sr, place)
  const seen = await survey(ctx, place.devices)
  const copy = findCopy(seen)
  if (copy !== undefined) {
    throw new StorageError('identityMismatch', `${copy.device} and ${copy.copy} carry the same physical volume (${copy.pv}): one is a copy of the other`, {
      layer: 'store:logical-volumes', field: 'device_config.device', details: copy,
      remedy: `Take the copy away, or make it an SR of its own: smctl sr reidentify ${place.kind === 'thin' ? 'lvmthin' : 'lvm'} ${ctx.sr} device=${copy.copy}`,
    })
  }
  // An SR that is being deleted has lost some of its devices on purpose; only sr_delete goes on with it.
  const remains = seen.physical.find((pv) => pv.group?.name === at.vg)?.group
  if (remains !== undefined && groupTags(remains).state === 'removing') return
  const { group, pvs } = await groupOn(ctx, seen, at)
  verifyGroup(ctx.sr, group)
  await refuseForeignMaps(ctx, group)
  const again = async (): Promise<Report> => readReport(ctx, at)
  verifyKind(ctx, place, await again())

  if (group.autoactivation) {
    await makeChange(ctx, { command: forbidAutoactivation(at), what: 'keep udev from activating the group', done: (report) => !report.group.autoactivation }, again)
  }
  for (const pv of pvs) {
    const possible = possibleSize(pv, group)
    if (pv.dataStart + pv.size > pv.deviceSize) {
      throw new StorageError('identityMismatch', `${pv.device} has ${pv.deviceSize} bytes and the physical volume on it needs ${pv.dataStart + pv.size}: the device has shrunk, or is another one`, {
        layer: 'store:logical-volumes', field: 'device_config.device', remedy: 'Give the device its former size back before anything is written to it', details: { device: pv.device },
      })
    }
    if (possible <= pv.size) continue
    ctx.log.info({ device: pv.device, from: pv.size, to: possible }, 'the device has grown: its physical volume takes all of it')
    await makeChange(ctx, { command: growPhysical(at, pv.device), what: `grow the physical volume on ${pv.device}`, done: (report) => report.group.size >= group.size + possible - pv.size }, again)
  }
  if (place.kind === 'thin') await readyPool(ctx, at, place, again)
}

/** Lets a pool that was made to take everything take what is new, sets what happens when it is full, and activates it, so that its use can be told. */
const readyPool = async (ctx: Ctx, at: VgPlace, place: VolumePlace, again: () => Promise<Report>): Promise<void> => {
  let report = await again()
  const pool = sortOut(report).pool
  if (groupTags(report.group).growing && report.group.free > 0 && pool !== undefined) {
    report = await makeChange(ctx, { command: growPool(at, poolName), what: 'grow the thin pool', done: (after) => (sortOut(after).pool?.size ?? 0) > pool.size }, again)
  }
  const whenFull = place.errorWhenFull === undefined ? pool?.whenFull : place.errorWhenFull ? 'error' : 'queue'
  if (pool?.whenFull !== undefined && whenFull !== pool.whenFull) {
    report = await makeChange(ctx, { command: setWhenFull(at, poolName, whenFull === 'error'), what: 'set what happens when the thin pool is full', done: (after) => sortOut(after).pool?.whenFull === whenFull }, again)
  }
  if (isActive(report, poolName)) return
  await makeChange(ctx, { command: activateVolumes(at, [poolName]), what: 'activate the thin pool', done: (after) => isActive(after, poolName) }, again)
}

export const isActive = ({ volumes }: Report, name: string): boolean =>
  volumes.some((volume) => volume.name === name && volume.attributes.state !== 'inactive')

const busyMaps = (maps: readonly DeviceMap[]): StorageError =>
  new StorageError('busy', `Volumes of the SR are in use: ${maps.map((map) => map.name).slice(0, 3).join(', ')}`, {
    layer: 'store:logical-volumes', remedy: 'Close whatever uses them: dmsetup ls --tree and lsof show what does',
  })

/**
 * Without its devices LVM cannot deactivate anything. The kernel still can: maps of the group go by name, upper ones first.
 * Nothing on any storage is touched.
 */
const dropMaps = async (ctx: Ctx, prefix: string): Promise<void> => {
  for (let before = Number.POSITIVE_INFINITY; ;) {
    const maps = parseMaps((await ctx.host.run(listMaps(), ctx.signal)).stdout).filter((map) => map.name.startsWith(prefix) && map.uuid.startsWith('LVM-'))
    if (maps.length === 0) return
    if (maps.length >= before) throw busyMaps(maps)
    before = maps.length
    // Those that others stand on are open; they are free in the next round.
    for (const map of maps.filter(({ open }) => open === 0)) await ctx.host.run(removeMap(map.name), ctx.signal)
  }
}

/** sr_detach when the devices do not answer, or are known to be gone: nothing is asked of them. busy: a volume is still open. */
export const dropGroup = async (ctx: Ctx): Promise<void> => dropMaps(ctx, mapperPrefix(vgOf(ctx.sr)))

/** LVM cannot help: its devices are gone, fail, hang, or carry something else now. */
const isOutOfReach = (error: unknown): error is StorageError =>
  error instanceof StorageError && ['placeMissing', 'notFound', 'identityMismatch', 'ioError', 'outcomeUnknown'].includes(error.kind)

/** Makes everything in the group inactive; what is gone already is done. busy: a volume is still open. */
export const detachGroup = async (ctx: Ctx, place: Pick<VolumePlace, 'devices'>): Promise<void> => {
  const at = vgPlaceOf(ctx.sr, place)
  const again = async (): Promise<Report> => readReport(ctx, at)
  const inactive = ({ volumes }: Report): boolean => volumes.every((volume) => volume.attributes.state === 'inactive')
  try {
    if (inactive(await again())) return
    await makeChange(ctx, { command: deactivateGroup(at), what: 'deactivate the group', done: inactive }, again)
  } catch (error) {
    if (!isOutOfReach(error)) throw error
    await dropGroup(ctx)
  }
}
