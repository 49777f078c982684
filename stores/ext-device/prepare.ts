/** sr_create and sr_delete: the two calls that write to a device itself. */
import type { Ctx, PrepareRequest } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { formatSize } from '../../core/units.ts'
import { devicesWithUuid, identifyDevice, inspectDevice, lookUpDevice, usersOf, type Inspection } from '../../host/blkid/inspect.ts'
import type { BlockDevice } from '../../host/blkid/parse.ts'
import { discardRest, makeFileSystem, smallestDevice, wipeHead } from '../../host/ext/file-system.ts'
import { clearIntent, fileSystemSize, readIntent, writeIntent } from '../../host/ext/intent.ts'
import { mountedThere, probeMountPoint, sweepProbes } from '../../host/mount/mount.ts'
import { adoptImageStore, lookAt, prepareImageStore, type PlaceContents } from '../image-files/prepare.ts'
import { findDevice, isExt4, layer, mountDevice, needUnused, placeOf, targetOf, unmount, unmountOptions, type ExtPlace } from './place.ts'

const exists = (ctx: Ctx, where: string): StorageError =>
  new StorageError('alreadyExists', `SR ${ctx.sr} exists already, on ${where}`, { layer, field: 'sr_uuid', remedy: 'Attach or introduce it, or choose another uuid' })

/** Looks into a file system without writing a byte of it: not even its journal is replayed. */
export const lookInside = async (ctx: Ctx, device: BlockDevice): Promise<PlaceContents> => {
  await sweepProbes(ctx, unmountOptions)
  const target = probeMountPoint(ctx.host)
  try {
    await mountDevice(ctx, device, target, 'read')
    return await lookAt(ctx.host.files, target)
  } finally {
    await unmount(ctx, target)
  }
}

/** A process that died in `prepare` may have left the SR's mount. */
const clearMount = async (ctx: Ctx): Promise<void> => {
  const target = targetOf(ctx)
  if ((await mountedThere(ctx, target, isExt4)) === undefined) return
  if ((await lookAt(ctx.host.files, target)).found === 'sr') throw exists(ctx, target)
  await unmount(ctx)
}

const refuse = ({ device, contents, tried }: Inspection, { field }: ExtPlace): StorageError => {
  const details = Object.fromEntries(tried.map(({ step, said }, index) => [`tried_${index + 1}`, `${step}: ${said}`]))
  if (contents.found === 'unknown') {
    return new StorageError('ioError', `It cannot be proven that ${device.path} is blank: ${contents.says}`, { layer, field, details, remedy: 'Look at the kernel log and at the health of the device; nothing was written to it' })
  }
  const remedy = contents.found === 'occupied' && contents.by === 'bytes'
    ? `Choose another device; if nothing on it is needed, zero its first and its last MiB: blkdiscard --zeroout --length 1M ${device.path}`
    : `Choose another device; if nothing on it is needed: wipefs --all ${device.path}`
  return new StorageError('placeNotBlank', contents.says, { layer, field, remedy, details })
}

/**
 * Whether the device may be formatted: blank, or left half made (or half wiped) by ourselves, which the record at its end says.
 * One that has got as far as its identity file is an SR.
 */
const judge = async (ctx: Ctx, place: ExtPlace, inspection: Inspection): Promise<'blank' | 'half-made'> => {
  const { device, contents } = inspection
  if (contents.found === 'blank') return 'blank'
  if (contents.found !== 'occupied' || contents.by === 'use') throw refuse(inspection, place)
  const intent = await readIntent(ctx, device)
  const making = intent?.doing === 'making' && intent.sr === ctx.sr
  if (contents.by === 'bytes' && (making || intent?.doing === 'removing')) return 'half-made'
  if (contents.facts.type !== 'ext4' || contents.facts.uuid !== ctx.sr) throw refuse(inspection, place)
  const inside = await lookInside(ctx, device).catch((error: unknown) => {
    // mkfs that was cut off may leave what cannot be mounted.
    if (making && !ctx.signal.aborted) return undefined
    throw error
  })
  if (inside?.found === 'sr') throw exists(ctx, device.path)
  if (making) return 'half-made'
  throw refuse(inspection, place)
}

const needRoom = (device: BlockDevice, { field }: ExtPlace, size: number): void => {
  const room = fileSystemSize(device)
  if (device.size >= smallestDevice && size <= room) return
  const tooSmall = device.size < smallestDevice
  throw new StorageError('noSpace', tooSmall ? `${device.path} has ${formatSize(device.size)}, an ext SR needs ${formatSize(smallestDevice)}` : `An SR of ${formatSize(size)} does not fit on ${device.path}: there is room for ${formatSize(room)}`, {
    layer, field: tooSmall ? field : 'size', remedy: tooSmall ? 'Choose a larger device' : 'Choose a larger device, or give size 0 to take this one as it is', details: { device_size: device.size, size },
  })
}

/**
 * sr_create. Steps:
 * 1. the device is proven blank, or to be our own unfinished work
 * 2. the record at its end says that SR `ctx.sr` is being made
 * 3. leftovers of an earlier try are wiped
 * 4. mkfs, with the SR's uuid as the file system's; read back
 * 5. mounted, the image store made in it, unmounted
 * 6. the record goes
 * Recovery: the same call again. Until 5 has ended there is no SR; the record lets the repeat format what is no longer blank.
 */
export const prepareExt = async (ctx: Ctx, place: ExtPlace, want: PrepareRequest): Promise<void> => {
  await clearMount(ctx)
  const inspection = await inspectDevice(ctx, place.device, place.field)
  const { device } = inspection
  needRoom(device, place, want.size)
  if (device.readOnly) throw new StorageError('readOnly', `${device.path} cannot be written to`, { layer, field: place.field, remedy: `Choose another device, or: blockdev --setrw ${device.path}` })
  const elsewhere = (await devicesWithUuid(ctx, ctx.sr)).find((other) => other.device !== device.device)
  if (elsewhere !== undefined) throw exists(ctx, elsewhere.path)
  const state = await judge(ctx, place, inspection)

  await writeIntent(ctx, device, { doing: 'making', sr: ctx.sr })
  if (state === 'half-made') await wipeHead(ctx, device)
  await makeFileSystem(ctx, device, ctx.sr)
  try {
    await mountDevice(ctx, device, targetOf(ctx))
    await prepareImageStore(ctx, placeOf(ctx), { ...want, size: 0 })
  } finally {
    await unmount(ctx)
  }
  await clearIntent(ctx, device)
}

/** Gives an SR identity to a file system that holds images. It keeps its uuid, so that is the only one the SR can have. */
export const adoptExt = async (ctx: Ctx, place: ExtPlace, want: PrepareRequest): Promise<void> => {
  const device = await findDevice(ctx, place)
  const { type } = await identifyDevice(ctx, device.node)
  if (type !== 'ext4') throw new StorageError('identityMismatch', `${device.path} holds ${type ?? 'no file system'}, not ext4`, { layer, field: place.field, remedy: 'smctl sr probe shows what is there' })
  needUnused(device, place)
  try {
    await mountDevice(ctx, device, targetOf(ctx))
    await adoptImageStore(ctx, placeOf(ctx), want)
  } finally {
    await unmount(ctx)
  }
}

/**
 * Wipes the device that carried the SR. Steps: 1. the record at its end says so; 2. the head goes, first the part that tells the
 * file system; 3. the rest is given back to thin storage; 4. the record goes. Recovery: sr_delete or sr_attach of that SR goes on
 * from the record, and sr_create of any SR may use the device.
 */
const wipe = async (ctx: Ctx, device: BlockDevice): Promise<void> => {
  await writeIntent(ctx, device, { doing: 'removing', sr: ctx.sr })
  await wipeHead(ctx, device)
  await discardRest(ctx, device)
  await clearIntent(ctx, device)
}

/** Finishes an sr_delete that was cut off, when the device that the driver names says that there was one. */
export const finishRemoval = async (ctx: Ctx, place: ExtPlace): Promise<void> => {
  const device = await lookUpDevice(ctx, place.device)
  if (device === undefined || usersOf(device) !== undefined) return
  const intent = await readIntent(ctx, device)
  if (intent?.doing !== 'removing' || intent.sr !== ctx.sr) return
  const { type, uuid } = await identifyDevice(ctx, device.node)
  // Somebody has put something else on it since.
  if (type !== undefined && uuid !== ctx.sr) return
  await wipe(ctx, device)
  ctx.log.warn({ device: device.path }, 'finished an sr_delete that had been cut off')
}

/** sr_delete; the engine has seen that the SR holds no VDI, and has detached it. A device that is gone is done. */
export const removeExt = async (ctx: Ctx, place: ExtPlace): Promise<void> => {
  await unmount(ctx)
  await finishRemoval(ctx, place)
  if ((await devicesWithUuid(ctx, ctx.sr)).length === 0) return
  const device = await findDevice(ctx, place)
  needUnused(device, place)
  await wipe(ctx, device)
}
