/** The devices of an SR as this host sees them: the device tree, and the physical volumes on them. */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { surveyDevices, needDevice } from '../../host/blkid/inspect.ts'
import type { BlockDevice } from '../../host/blkid/parse.ts'
import { listMaps } from '../../host/dm/build.ts'
import { parseMaps } from '../../host/dm/parse.ts'
import { listPhysical, type VgPlace } from '../../host/lvm/build.ts'
import { explainLvm } from '../../host/lvm/errors.ts'
import { mapperPrefix } from '../../host/lvm/names.ts'
import { lastSeen, parsePhysical, type PhysicalVolume, type VolumeGroup } from '../../host/lvm/parse.ts'
import { explainAbsence, srOfGroup, whatIsOn } from './report.ts'

export interface Survey {
  readonly own: readonly { readonly name: string; readonly device: BlockDevice }[]
  /** Every block device of this host. */
  readonly all: readonly BlockDevice[]
  /** One row a device of ours, also for one without a physical volume, and one for each that is missing from its group. */
  readonly physical: readonly PhysicalVolume[]
  /** Where a missing physical volume was last seen. */
  readonly lastSeen: (pvUuid: string) => string | undefined
}

/**
 * The devices behind names that somebody wrote, in their order. placeMissing names the first one that leads nowhere;
 * invalidArgument: two names for one device.
 */
export const findDevices = async (ctx: Ctx, names: readonly string[]): Promise<Survey['own']> => {
  const own: { readonly name: string; readonly device: BlockDevice }[] = []
  for (const name of names) {
    const device = await needDevice(ctx, name, 'device_config.device')
    const twin = own.find((other) => other.device.device === device.device)
    if (twin !== undefined) {
      throw new StorageError('invalidArgument', `${name} and ${twin.name} are the same device (${device.path})`, { layer: 'store:logical-volumes', field: 'device_config.device', remedy: 'Name each device once' })
    }
    own.push({ name, device })
  }
  return own
}

/** Reads only. placeMissing names a device that is not there. */
export const survey = async (ctx: Ctx, devices: readonly string[]): Promise<Survey> => {
  const own = await findDevices(ctx, devices)
  const all = await surveyDevices(ctx)
  const { stdout, stderr } = await ctx.host.run(listPhysical(devices), ctx.signal).catch((error: unknown) => {
    throw explainLvm(error)
  })
  return { own, all, physical: parsePhysical(stdout), lastSeen: (pvUuid) => lastSeen(stderr, pvUuid) }
}

/** Above and below: both show the same content, which makes no copy of it. */
const related = (one: BlockDevice, other: BlockDevice): boolean => {
  const holds = (top: BlockDevice, wanted: BlockDevice): boolean => top.device === wanted.device || top.children.some((child) => holds(child, wanted))
  return holds(one, other) || holds(other, one)
}

/** A device that carries the same physical volume as one of ours: a copy made by an array, a clone, a forgotten snapshot. */
export const findCopy = ({ own, all, physical }: Survey): { readonly device: string; readonly copy: string; readonly pv: string } | undefined => {
  const uuids = new Set(physical.filter((pv) => !pv.missing).map((pv) => pv.uuid))
  const copy = all.find((other) => other.believed?.type === 'LVM2_member' && uuids.has(other.believed.uuid) && !own.some((mine) => related(mine.device, other)))
  const pv = copy?.believed?.uuid
  if (copy === undefined || pv === undefined) return undefined
  const original = own.find(({ device }) => all.some((known) => known.device === device.device && known.believed?.uuid === pv)) ?? own[0]
  return { device: original?.name ?? '', copy: copy.path, pv }
}

/** Maps of a group of the same name and another uuid are active: their nodes would be taken for ours. */
export const refuseForeignMaps = async (ctx: Ctx, group: VolumeGroup): Promise<void> => {
  const maps = parseMaps((await ctx.host.run(listMaps(), ctx.signal)).stdout)
  const foreign = maps.find((map) => map.name.startsWith(mapperPrefix(group.name)) && map.uuid.startsWith('LVM-') && !map.uuid.startsWith(`LVM-${group.uuid.replaceAll('-', '')}`))
  if (foreign === undefined) return
  throw new StorageError('identityMismatch', `Volumes of another volume group that is also called ${group.name} are active on this host (${foreign.name})`, {
    layer: 'store:logical-volumes', remedy: `Deactivate them, then give the copy an identity of its own: smctl sr reidentify <type> ${srOfGroup(group.name) ?? ''} device=...`,
  })
}

/** What the group stands on, complete and on these devices alone; else an error that names the device at fault. */
export const groupOn = async (ctx: Ctx, { physical, lastSeen: seen }: Survey, at: VgPlace): Promise<{ readonly group: VolumeGroup; readonly pvs: readonly PhysicalVolume[] }> => {
  const { vg } = at
  const pvs = physical.filter((pv) => pv.group?.name === vg)
  const [first] = pvs
  const stranger = physical.find((pv) => pv.group?.name !== vg)
  const layer = 'store:logical-volumes'
  if (first?.group === undefined) throw await explainAbsence(ctx, at)
  const missing = pvs.find((pv) => pv.missing)
  if (missing !== undefined) {
    const where = missing.uuid === undefined ? undefined : seen(missing.uuid)
    throw new StorageError('placeMissing', `Volume group ${vg} misses the physical volume ${missing.uuid ?? ''}${where === undefined ? '' : `, last seen on ${where}`}`, {
      layer, field: 'device_config.device', remedy: 'Bring the device back, and name it in device', details: { vg, pv_uuid: missing.uuid ?? '', ...(where === undefined ? {} : { last_seen: where }) },
    })
  }
  if (stranger !== undefined) {
    throw new StorageError('identityMismatch', `One of the devices does not belong to volume group ${vg}: ${whatIsOn([stranger])}`, {
      layer, field: 'device_config.device', remedy: 'Name exactly the devices of this SR; smctl sr probe shows them', details: { vg, device: stranger.device },
    })
  }
  return { group: first.group, pvs }
}
