/** sr_create: the only code here that writes to devices that are not an SR yet, and sr_delete, which makes them blank again. */
import type { Ctx, PrepareRequest } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { formatSize, MiB, roundUp } from '../../core/units.ts'
import { settleCommand, zeroCommand } from '../../host/blkid/build.ts'
import { inspectDevice, type DeviceContents } from '../../host/blkid/inspect.ts'
import { changeGroupTags, createGroup, createPhysical, createPool, findGroup, listPhysical } from '../../host/lvm/build.ts'
import { explainLvm } from '../../host/lvm/errors.ts'
import { parseGroups, parsePhysical, type LogicalVolume, type PhysicalVolume } from '../../host/lvm/parse.ts'
import { encodeTags, tagChange } from '../../host/lvm/tags.ts'
import { makeChange } from './change.ts'
import { sortOut } from './contents.ts'
import { poolName, vgOf, vgPlaceOf, type VolumePlace } from './place.ts'
import { groupTags, readReport, srOfGroup, type Report } from './report.ts'
import { survey, type Survey } from './survey.ts'

export interface PoolWish {
  readonly metadataBytes?: number
  readonly errorWhenFull: boolean
}

const layer = 'store:logical-volumes'
const smallestDevice = 32 * MiB

/**
 * Bytes for LVM's metadata on a device. LVM keeps two texts in it and a volume needs 400 bytes to 1 KiB, more with long
 * descriptions: 1/256 of the device, at most 64 MiB, is room for about 30,000 VDIs; LVM's own default of 1 MiB for about 500.
 */
const metadataBytes = (deviceSize: number): number => Math.min(64 * MiB, Math.max(MiB, roundUp(Math.floor(deviceSize / 256), MiB)))

/** Physical volumes that an interrupted creation left are known by this start of their uuid; LVM's own never have it by chance. */
const ownStart = 'SMnew0'

const freshPvUuid = (): string => {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
  const random = [...crypto.getRandomValues(new Uint8Array(26))].map((byte) => letters[byte % letters.length] ?? 'a').join('')
  return [ownStart, ...(random.match(/.{4}/g) ?? []).slice(0, 5), random.slice(-6)].join('-')
}

/**
 * What an interrupted sr_create or sr_delete left, and nothing else can be: a group that says so of itself and has no VDI,
 * or one of our fresh physical volumes that never came into a group.
 */
const isLeftover = async (ctx: Ctx, pv: PhysicalVolume | undefined, devices: readonly string[]): Promise<boolean> => {
  if (pv === undefined) return false
  if (pv.group === undefined) return pv.uuid?.startsWith(`${ownStart}-`) === true
  const { name, missing } = pv.group
  const { state } = groupTags(pv.group)
  if (state === undefined || srOfGroup(name) === undefined) return false
  // One that is being removed has lost devices in that order; of one in preparation all must be here to be cleaned.
  if (state === 'preparing' && missing > 0) return false
  const { vdis, toWipe, foreign } = sortOut(await readReport(ctx, { vg: name, devices }))
  return vdis.size === 0 && toWipe.length === 0 && foreign.every((volume) => state === 'preparing' && isPoolInMaking(volume))
}

/**
 * What lvcreate commits on its way to a thin pool, seen on lvm2 2.03.16: a plain `lvol0`, which becomes the metadata, then a plain volume
 * of the pool's name. One that dies in between leaves it.
 */
const isPoolInMaking = ({ name, attributes, tags }: LogicalVolume): boolean =>
  attributes.kind === 'plain' && tags.length === 0 && (name === 'lvol0' || name === poolName)

const occupied = (device: string, contents: Exclude<DeviceContents, { found: 'blank' }>, pv: PhysicalVolume | undefined): StorageError => {
  if (contents.found === 'unknown') {
    return new StorageError('ioError', `It cannot be told what is on ${device}: ${contents.says}`, {
      layer, field: 'device_config.device', remedy: 'Nothing is made on a device that cannot be read; look at the kernel log', details: { device },
    })
  }
  const sr = pv?.group === undefined ? undefined : srOfGroup(pv.group.name)
  const what = sr !== undefined ? `it belongs to SR ${sr}` : pv?.group !== undefined ? `it belongs to volume group ${pv.group.name}` : contents.says
  return new StorageError('placeNotBlank', `${device} is not blank: ${what}`, {
    layer, field: 'device_config.device', details: { device, found: what },
    remedy: sr !== undefined ? `Attach that SR: smctl sr attach ${sr}` : `Use another device; only if its content is worth nothing, erase it: blkdiscard --zeroout ${device}`,
  })
}

/** The kernel refuses to zero what is in use: somebody began to use it after it was looked at. */
const zero = async (ctx: Ctx, device: string, offset: number, length: number): Promise<void> => {
  try {
    await ctx.host.run(zeroCommand(device, offset, length), ctx.signal)
  } catch (error) {
    if (!(error instanceof StorageError) || error.kind !== 'toolFailed' || !error.message.includes('Device or resource busy')) throw error
    throw new StorageError('busy', `${device} is in use, so it is not erased`, {
      layer, field: 'device_config.device', cause: error, remedy: 'Close whatever uses it (lsblk and dmsetup ls --tree show what does), then repeat the call', details: { device },
    })
  }
}

/** Everything in front of the data, and the end, where other formats look for their signatures: the device is blank then. */
const eraseDevice = async (ctx: Ctx, device: string, size: number, dataStart: number): Promise<void> => {
  await zero(ctx, device, size - MiB, MiB)
  // Label and metadata go in one step: a label alone, or metadata alone, would no longer tell what they were.
  await zero(ctx, device, 0, dataStart)
}

/** Devices whose leftovers are to be erased, with where their data begins; throws for the first that is neither blank nor that. */
const proveUsable = async (ctx: Ctx, { own, physical }: Survey, devices: readonly string[]): Promise<readonly { readonly name: string; readonly size: number; readonly dataStart: number }[]> => {
  const leftovers: { name: string; size: number; dataStart: number }[] = []
  for (const { name, device } of own) {
    if (device.readOnly) throw new StorageError('readOnly', `${name} is read-only`, { layer, field: 'device_config.device', remedy: 'Make it writable, or use another device' })
    const { contents } = await inspectDevice(ctx, name, 'device_config.device')
    if (contents.found === 'blank') continue
    const uuid = contents.found === 'occupied' && contents.facts.type === 'LVM2_member' ? contents.facts.uuid : undefined
    const pv = physical.find((row) => row.uuid !== undefined && row.uuid === uuid)
    if (device.children.length > 0 || device.mountPoints.length > 0 || !(await isLeftover(ctx, pv, devices))) throw occupied(name, contents, pv)
    // LVM tells where the data of a physical volume begins only when it is in a group; ours begins within this.
    leftovers.push({ name, size: device.size, dataStart: Math.max(pv?.dataStart ?? 0, metadataBytes(device.size) + 2 * MiB) })
  }
  return leftovers
}

const checkSizes = ({ own }: Survey, want: number): void => {
  const small = own.find(({ device }) => device.size < smallestDevice)
  if (small !== undefined) {
    throw new StorageError('sizeOutOfRange', `${small.name} has ${formatSize(small.device.size)}; ${formatSize(smallestDevice)} are needed`, { layer, field: 'device_config.device', remedy: 'Use a larger device' })
  }
  const room = own.reduce((sum, { device }) => sum + device.size, 0)
  if (want > room) {
    throw new StorageError('noSpace', `${want} bytes (${formatSize(want)}) were asked for, the devices have ${room} (${formatSize(room)})`, { layer, field: 'size', remedy: 'Leave size out to take the devices whole, or add devices', details: { size: want, room } })
  }
}

/**
 * Makes the SR. Until step 5 the group says of itself that it is in preparation, so that an attempt which stops anywhere is
 * recognised and cleaned by the next one (step 1).
 *
 * 1. Every device is proven blank, or to hold nothing but an interrupted attempt, which is erased.
 * 2. Physical volumes, each with a uuid that says whose it is.                 [left: recognised by that uuid]
 * 3. The group with the tag state=preparing; udev never activates it.          [left: recognised by the tag]
 * 4. thin: the pool, or a part of it (isPoolInMaking).                          [left: recognised by the tag]
 * 5. state=preparing is replaced by the uuid of the group: from here on it is an SR.
 */
export const prepareGroup = async (ctx: Ctx, place: VolumePlace, want: PrepareRequest, pool: PoolWish | undefined): Promise<void> => {
  const at = vgPlaceOf(ctx.sr, place)
  const seen = await survey(ctx, place.devices)
  checkSizes(seen, want.size)
  const leftovers = await proveUsable(ctx, seen, place.devices)
  await refuseSecond(ctx, seen)

  for (const { name, size, dataStart } of leftovers) {
    ctx.log.warn({ device: name }, 'erasing what an interrupted attempt left')
    await eraseDevice(ctx, name, size, dataStart)
  }
  if (leftovers.length > 0) await ctx.host.run(settleCommand(), ctx.signal)

  for (const { name, device } of seen.own) {
    ctx.signal.throwIfAborted()
    await ctx.host.run(createPhysical(name, freshPvUuid(), metadataBytes(device.size)), ctx.signal).catch((error: unknown) => {
      throw explainLvm(error)
    })
  }

  const again = async (): Promise<Report> => readReport(ctx, at)
  const first = encodeTags({ state: 'preparing', name: want.name, description: want.description, pool: pool !== undefined && want.size === 0 ? 'whole' : undefined })
  let report = await makeChange(ctx, { command: createGroup(at, first), what: `make the volume group ${at.vg}`, done: ({ group }) => groupTags(group).state === 'preparing' }, again)
  if (report.group.autoactivation) throw new StorageError('toolFailed', `The volume group ${at.vg} would be activated by udev`, { layer, remedy: 'lvm2 2.03.12 or newer is needed' })
  if (pool !== undefined) {
    const bytes = want.size === 0 ? undefined : roundUp(want.size, report.group.extentSize)
    report = await makeChange(ctx, {
      command: createPool(at, {
        name: poolName, errorWhenFull: pool.errorWhenFull, passDiscards: place.discard,
        ...(bytes === undefined ? {} : { bytes }), ...(pool.metadataBytes === undefined ? {} : { metadataBytes: pool.metadataBytes }),
      }),
      what: 'make the thin pool', done: (after) => sortOut(after).pool !== undefined,
    }, again)
  }
  const { add, remove } = tagChange(report.group.tags, { state: undefined, vg: report.group.uuid })
  await makeChange(ctx, { command: changeGroupTags(at, add, remove), what: 'finish the volume group', done: ({ group }) => groupTags(group).vg === group.uuid }, again)
}

/** The same SR must not be made twice on one host, on other devices: its nodes would bear the same names. */
const refuseSecond = async (ctx: Ctx, { physical }: Survey): Promise<void> => {
  const { exitCode, stdout } = await ctx.host.run(findGroup(vgOf(ctx.sr)), ctx.signal)
  const found = exitCode === 0 ? parseGroups(stdout)[0] : undefined
  if (found === undefined || physical.some((pv) => pv.group?.uuid === found.uuid)) return
  throw new StorageError('alreadyExists', `SR ${ctx.sr} exists already on other devices of this host`, { layer, field: 'sr_uuid', remedy: 'Use another uuid, or attach the one that is there', details: { vg: found.name } })
}

/**
 * sr_delete of an SR without VDIs: the devices are blank again afterwards.
 *
 * 1. The group says of itself that it is being removed.
 * 2. Device by device: the end, then label and metadata in one write. The group is not taken apart with vgremove before: its
 *    physical volumes would then no longer tell what they were, and a repeat after a crash could not know that they may
 *    be erased.
 *
 * Repeat: devices that are blank already are done; the others still carry a group that is being removed.
 */
export const removeGroup = async (ctx: Ctx, place: Pick<VolumePlace, 'devices'>): Promise<void> => {
  const at = vgPlaceOf(ctx.sr, place)
  const seen = await survey(ctx, place.devices)
  const mine = seen.physical.filter((pv) => pv.group?.name === at.vg)
  // Nothing of the SR is there: done. What the devices may carry instead is not ours.
  if (mine.length === 0) return
  const report = await readReport(ctx, at)
  const { vdis, toWipe, foreign } = sortOut(report)
  const left = [...[...vdis.values()].map(({ volume }) => volume), ...toWipe.map(({ volume }) => volume), ...foreign]
  if (left.length > 0) {
    throw new StorageError('notEmpty', `Volume group ${at.vg} still holds ${left.length} volume${left.length === 1 ? '' : 's'}, the first is ${left[0]?.name ?? ''}`, {
      layer, remedy: 'Delete the VDIs; what is none of this SR (smctl sr orphans lists it) is for you to remove with lvremove', details: { vg: at.vg, volumes: left.length },
    })
  }
  const used = report.volumes.find((volume) => volume.attributes.state !== 'inactive')
  if (used !== undefined) throw new StorageError('busy', `Volume ${used.name} of ${at.vg} is active`, { layer, remedy: `Deactivate it: vgchange -an ${at.vg}`, details: { volume: used.name } })
  if (groupTags(report.group).state !== 'removing') {
    if (mine.some((pv) => pv.missing)) {
      throw new StorageError('placeMissing', `A physical volume of ${at.vg} is missing: it would keep the SR's metadata`, { layer, remedy: 'Bring the device back, then delete the SR', details: { vg: at.vg } })
    }
    const { add, remove } = tagChange(report.group.tags, { state: 'removing' })
    await makeChange(ctx, { command: changeGroupTags(at, add, remove), what: 'mark the group as being removed', done: ({ group }) => groupTags(group).state === 'removing' }, async () => readReport(ctx, at))
  }
  for (const pv of mine.filter(({ missing }) => !missing)) {
    ctx.signal.throwIfAborted()
    await eraseDevice(ctx, pv.device, pv.deviceSize, pv.dataStart)
  }
  await ctx.host.run(settleCommand(), ctx.signal)
  // A disk that loses writes would bring the SR back.
  const after = parsePhysical((await ctx.host.run(listPhysical(place.devices), ctx.signal)).stdout).find((pv) => pv.group?.name === at.vg)
  if (after !== undefined) {
    throw new StorageError('ioError', `${after.device} was erased and still carries ${at.vg}: writes may be getting lost`, { layer, mayHaveChanged: true, remedy: 'Look at the kernel log and at the health of the device', details: { device: after.device } })
  }
}
