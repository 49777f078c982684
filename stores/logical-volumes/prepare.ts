/** sr_create: the only code here that writes to devices that are not an SR yet, and sr_delete, which makes them blank again. */
import type { Ctx, PrepareRequest } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { formatSize, MiB, roundUp } from '../../core/units.ts'
import { eraseSignatures, settle, zeroRange } from '../../host/blkid/build.ts'
import { inspect, type Holding } from '../../host/blkid/holdings.ts'
import { changeGroupTags, createGroup, createPhysical, createPool, findGroup } from '../../host/lvm/build.ts'
import { explainLvm } from '../../host/lvm/errors.ts'
import { parseGroups, type PhysicalVolume } from '../../host/lvm/parse.ts'
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
const isLeftover = async (ctx: Ctx, pv: PhysicalVolume | undefined, devices: readonly string[], all: readonly PhysicalVolume[]): Promise<boolean> => {
  if (pv === undefined) return false
  if (pv.group === undefined) return pv.uuid?.startsWith(`${ownStart}-`) === true && pv.metadataSize > 0
  const { name, missing } = pv.group
  const { state } = groupTags(pv.group)
  if (state === undefined || srOfGroup(name) === undefined) return false
  // One that is being removed may have lost devices already, in that order; of one in preparation all must be ours to clean.
  if (state === 'preparing' && missing > 0) return false
  if (all.some((other) => other.group?.name === name && other.group.uuid !== pv.group?.uuid)) return false
  const { vdis, toWipe, foreign } = sortOut(await readReport(ctx, { vg: name, devices }))
  return vdis.size === 0 && toWipe.length === 0 && foreign.length === 0
}

const occupied = (device: string, holding: Exclude<Holding, { found: 'blank' }>, pv: PhysicalVolume | undefined): StorageError => {
  if (holding.found === 'unknown') {
    return new StorageError('ioError', `It cannot be told what is on ${device}: ${holding.why}`, {
      layer, field: 'device_config.device', remedy: 'Nothing is made on a device that cannot be read; look at the kernel log', details: { device },
    })
  }
  const sr = pv?.group === undefined ? undefined : srOfGroup(pv.group.name)
  const what = sr !== undefined ? `it belongs to SR ${sr}` : pv?.group !== undefined ? `it belongs to volume group ${pv.group.name}` : holding.what
  return new StorageError('placeNotBlank', `${device} is not blank: ${what}`, {
    layer, field: 'device_config.device', details: { device, found: what },
    remedy: sr !== undefined ? `Attach that SR: smctl sr attach ${sr}` : `Use another device; only if its content is worth nothing: wipefs --all ${device}`,
  })
}

/** Which devices carry a leftover to be cleaned; throws for the first one that is neither blank nor that. */
const proveUsable = async (ctx: Ctx, { own, physical }: Survey, devices: readonly string[]): Promise<readonly string[]> => {
  const leftovers: string[] = []
  for (const { name, device } of own) {
    if (device.readOnly) throw new StorageError('readOnly', `${name} is read-only`, { layer, field: 'device_config.device', remedy: 'Make it writable, or use another device' })
    const holding = await inspect(ctx.host.run, name, device, ctx.signal)
    if (holding.found === 'blank') continue
    const pv = holding.found === 'holds' ? physical.find((row) => row.uuid !== undefined && row.uuid === holding.pv) : undefined
    if (!(await isLeftover(ctx, pv, devices, physical))) throw occupied(name, holding, pv)
    leftovers.push(name)
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
 * 4. thin: the pool.                                                           [left: recognised by the tag]
 * 5. state=preparing is replaced by the uuid of the group: from here on it is an SR.
 */
export const prepareGroup = async (ctx: Ctx, place: VolumePlace, want: PrepareRequest, pool: PoolWish | undefined): Promise<void> => {
  const at = vgPlaceOf(ctx.sr, place)
  const seen = await survey(ctx, place.devices)
  checkSizes(seen, want.size)
  const leftovers = await proveUsable(ctx, seen, place.devices)
  await refuseSecond(ctx, seen)

  for (const device of leftovers) {
    ctx.log.warn({ device }, 'erasing what an interrupted attempt left')
    await ctx.host.run(eraseSignatures(device), ctx.signal)
  }
  if (leftovers.length > 0) await ctx.host.run(settle(), ctx.signal)

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
 * 2. Device by device: the signature, then everything in front of the data, which is all that LVM wrote. The group is not
 *    taken apart with vgremove before: its physical volumes would then no longer tell what they were, and a repeat after
 *    a crash could not know that they may be erased.
 *
 * Repeat: devices that are blank already are done; the others still carry a group that is being removed.
 */
export const removeGroup = async (ctx: Ctx, place: Pick<VolumePlace, 'devices'>): Promise<void> => {
  const at = vgPlaceOf(ctx.sr, place)
  const seen = await survey(ctx, place.devices)
  const mine = seen.physical.filter((pv) => pv.group?.name === at.vg)
  const [first] = mine
  if (first?.group === undefined) {
    await refuseStrangers(ctx, seen)
    return
  }
  const report = await readReport(ctx, at)
  const { vdis, toWipe, foreign } = sortOut(report)
  const left = [...[...vdis.values()].map(({ volume }) => volume), ...toWipe.map(({ volume }) => volume), ...foreign]
  if (left.length > 0) {
    throw new StorageError('notEmpty', `Volume group ${at.vg} still holds ${left.length} volume${left.length === 1 ? '' : 's'}, the first is ${left[0]?.name ?? ''}`, {
      layer, remedy: 'Delete the VDIs; what is none of this SR (smctl sr orphans lists it) is for you to remove with lvremove', details: { vg: at.vg, volumes: left.length },
    })
  }
  if (groupTags(report.group).state !== 'removing') {
    if (mine.some((pv) => pv.missing)) {
      throw new StorageError('placeMissing', `A physical volume of ${at.vg} is missing: it would keep the SR's metadata`, { layer, remedy: 'Bring the device back, then delete the SR', details: { vg: at.vg } })
    }
    const { add, remove } = tagChange(report.group.tags, { state: 'removing' })
    await makeChange(ctx, { command: changeGroupTags(at, add, remove), what: 'mark the group as being removed', done: ({ group }) => groupTags(group).state === 'removing' }, async () => readReport(ctx, at))
  }
  for (const pv of mine.filter(({ missing }) => !missing)) {
    ctx.signal.throwIfAborted()
    await ctx.host.run(eraseSignatures(pv.device), ctx.signal)
    await ctx.host.run(zeroRange(pv.device, 0, pv.dataStart, 'careful'), ctx.signal)
  }
  await ctx.host.run(settle(), ctx.signal)
  for (const { name, device } of seen.own) {
    const holding = await inspect(ctx.host.run, name, { ...device, children: [], mounts: [] }, ctx.signal)
    if (holding.found === 'holds') {
      throw new StorageError('ioError', `${name} was erased and still is not blank: ${holding.what}`, { layer, mayHaveChanged: true, remedy: 'Writes may be getting lost; look at the kernel log', details: { device: name } })
    }
  }
}

/** Nothing of the SR is there: done, unless the devices now carry something else, which is not ours to say anything about. */
const refuseStrangers = async (ctx: Ctx, { physical }: Survey): Promise<void> => {
  const stranger = physical.find((pv) => pv.group !== undefined)
  if (stranger?.group !== undefined) ctx.log.warn({ device: stranger.device, vg: stranger.group.name }, 'the device belongs to another volume group now: nothing to delete')
}
