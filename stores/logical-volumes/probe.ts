/** Looks for SRs of logical volumes, and for devices that could become one. Reads only. */
import type { Candidate, Ctx, DeviceConfig, ProbeResult } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { formatSize, MiB } from '../../core/units.ts'
import { inspectDevice, surveyDevices, type DeviceContents } from '../../host/blkid/inspect.ts'
import type { BlockDevice } from '../../host/blkid/parse.ts'
import { stableNames } from '../../host/blkid/stable-names.ts'
import { listPhysical } from '../../host/lvm/build.ts'
import { explainLvm } from '../../host/lvm/errors.ts'
import { parsePhysical, type PhysicalVolume, type VolumeGroup } from '../../host/lvm/parse.ts'
import { sortOut } from './contents.ts'
import type { VolumePlace } from './place.ts'
import { groupTags, readReport, srOfGroup } from './report.ts'
import { findDevices } from './survey.ts'

type Tried = { step: string; said: string }[]

const smallest = 32 * MiB
/** More are named and not looked at: each costs four reads. */
const deepLooks = 64

const noted = async <T>(tried: Tried, step: string, work: Promise<T>, says: (value: T) => string): Promise<T | undefined> => {
  try {
    const value = await work
    tried.push({ step, said: says(value) })
    return value
  } catch (error) {
    const known = explainLvm(error)
    if (!(known instanceof StorageError) || known.kind === 'cancelled' || known.kind === 'toolMissing') throw known
    tried.push({ step, said: known.message })
    return undefined
  }
}

const about = (device: BlockDevice): string => [formatSize(device.size), ...(device.label === undefined ? [] : [device.label])].join(', ')

/** What the group is: an SR of this kind, of the other kind, or none of ours. */
const groupCandidate = async (ctx: Ctx, kind: VolumePlace['kind'], group: VolumeGroup, devices: readonly string[], rest: DeviceConfig, missing: number): Promise<Candidate> => {
  const deviceConfig = { ...rest, device: devices.join(',') }
  const sr = srOfGroup(group.name)
  if (sr === undefined) return { deviceConfig, complete: false, found: 'occupied', says: `${devices.join(', ')}: volume group ${group.name}, which is no SR` }
  const { name, description, state, vg, copyOf } = groupTags(group)
  if (state === 'preparing') return { deviceConfig, complete: true, found: 'blank', says: `${devices.join(', ')}: what an interrupted sr_create of SR ${sr} left; it can be created again` }
  const contents = sortOut(await readReport(ctx, { vg: group.name, devices }))
  const other = contents.pool === undefined ? 'lvm' : 'lvmthin'
  if ((contents.pool === undefined) !== (kind === 'thick')) return { deviceConfig, complete: false, found: 'occupied', says: `${devices.join(', ')}: SR ${sr} of type ${other}` }
  const copied = vg !== undefined && vg !== group.uuid ? ', a copy that was renamed by hand' : vg === undefined && copyOf !== undefined ? `, a copy of SR ${copyOf} whose re-identification was interrupted` : ''
  return {
    deviceConfig,
    complete: missing === 0,
    found: 'sr',
    sr: { uuid: sr, name, description, vdis: contents.vdis.size },
    says: `${devices.join(', ')}: SR ${sr}${name === '' ? '' : ` "${name}"`} with ${contents.vdis.size} VDIs${copied}${missing > 0 ? `; ${missing} of its devices are missing` : ''}${state === 'removing' ? '; it is being deleted' : ''}`,
  }
}

const deviceCandidate = (name: string, device: BlockDevice, contents: DeviceContents, rest: DeviceConfig): Candidate => {
  const deviceConfig = { ...rest, device: name }
  const says = `${name} (${about(device)}): ${contents.says}`
  if (contents.found !== 'blank') return { deviceConfig, complete: false, found: contents.found, says }
  if (device.size < smallest) return { deviceConfig, complete: false, found: 'occupied', says: `${says}, but too small: ${formatSize(smallest)} are needed` }
  return { deviceConfig, complete: !device.readOnly, found: 'blank', says: device.readOnly ? `${says}, but read-only` : says }
}

const groupsIn = (physical: readonly PhysicalVolume[]): ReadonlyMap<string, { readonly group: VolumeGroup; readonly pvs: readonly PhysicalVolume[] }> => {
  const groups = new Map<string, { group: VolumeGroup; pvs: PhysicalVolume[] }>()
  for (const pv of physical) {
    if (pv.group === undefined) continue
    const entry = groups.get(pv.group.uuid) ?? { group: pv.group, pvs: [] }
    entry.pvs.push(pv)
    groups.set(pv.group.uuid, entry)
  }
  return groups
}

const lookAt = async (ctx: Ctx, tried: Tried, name: string): Promise<DeviceContents> => {
  const found = await noted(tried, `look at ${name}`, inspectDevice(ctx, name, 'device_config.device'), ({ contents }) => contents.says)
  tried.push(...(found?.tried ?? []))
  return found?.contents ?? { found: 'unknown', says: 'it cannot be looked at' }
}

/** Half a dconf: `devices` empty. Everything on this host is looked at, and named by a name that lasts. */
export const probeDevices = async (ctx: Ctx, kind: VolumePlace['kind'], devices: readonly string[], rest: DeviceConfig): Promise<ProbeResult> => {
  const tried: Tried = []
  const { run } = ctx.host
  const all = await noted(tried, 'lsblk', surveyDevices(ctx), (list) => `${list.length} block devices`)
  if (all === undefined) return { candidates: [], tried }
  const own = devices.length === 0 ? undefined : await noted(tried, `find ${devices.join(', ')}`, findDevices(ctx, devices), (list) => list.map(({ name, device }) => `${name} is ${device.path}, ${about(device)}`).join('; '))
  if (devices.length > 0 && own === undefined) return { candidates: [], tried }

  const lasting = await stableNames(ctx.host, all, ctx.signal)
  // What stands on nothing else and can carry something: disks, partitions, multipath maps and the like, but no volumes of LVM.
  const looked = own ?? all
    .filter((device) => !['rom', 'lvm'].includes(device.type) && device.size > 0 && !/^\/dev\/(zram|ram|fd)\d/.test(device.path))
    .map((device) => ({ name: lasting.get(device.device) ?? device.path, device }))

  const physical = looked.length === 0 ? [] : await noted(
    tried, 'pvs',
    run(own === undefined ? listPhysical() : listPhysical(devices), ctx.signal).then(({ stdout }) => parsePhysical(stdout)),
    (list) => `${list.filter((pv) => pv.uuid !== undefined).length} physical volumes in ${groupsIn(list).size} volume groups`,
  ) ?? []

  const nameOf = (pv: PhysicalVolume): string => {
    const entry = looked.find(({ name, device }) => [name, device.path, device.node].includes(pv.device) || (pv.uuid !== undefined && device.believed?.uuid === pv.uuid))
    return entry?.name ?? pv.device
  }
  const candidates: Candidate[] = []
  const covered = new Set<string>()
  for (const { group, pvs } of groupsIn(physical).values()) {
    const names = pvs.filter((pv) => !pv.missing).map(nameOf)
    for (const name of names) covered.add(name)
    const missing = pvs.filter((pv) => pv.missing).length
    const candidate = await noted(tried, `lvs ${group.name}`, groupCandidate(ctx, kind, group, names, rest, missing), ({ says }) => says)
    candidates.push(candidate ?? { deviceConfig: { ...rest, device: names.join(',') }, complete: false, found: 'unknown', says: `${names.join(', ')}: volume group ${group.name} cannot be read` })
  }
  for (const [index, { name, device }] of looked.filter((entry) => !covered.has(entry.name)).entries()) {
    ctx.signal.throwIfAborted()
    const contents: DeviceContents = index < deepLooks ? await lookAt(ctx, tried, name) : { found: 'unknown', says: 'not looked at, because there are too many devices: name it' }
    candidates.push(deviceCandidate(name, device, contents, rest))
  }
  return { candidates: own === undefined ? candidates : joined(candidates, devices, rest), tried }
}

/** Devices that were named together are one place: blank when all of them are, and else none of them is offered. */
const joined = (candidates: readonly Candidate[], devices: readonly string[], rest: DeviceConfig): readonly Candidate[] => {
  if (devices.length < 2) return candidates
  const blank = candidates.filter(({ found }) => found === 'blank')
  if (blank.length < candidates.length) return candidates.filter(({ found }) => found !== 'blank')
  return [{ deviceConfig: { ...rest, device: devices.join(',') }, complete: blank.every(({ complete }) => complete), found: 'blank', says: blank.map(({ says }) => says).join('; ') }]
}
