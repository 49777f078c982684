/**
 * One ext4 on a block device of its own, with the SR's uuid, an image store in it: from a device to a mounted file system and
 * back. Devices are told by the uuid they carry; the name that the driver gives is a hint.
 */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { devicesWithUuid, identifyDevice, lookUpDevice, usersOf } from '../../host/blkid/inspect.ts'
import type { BlockDevice } from '../../host/blkid/parse.ts'
import { ensureMounted, ensureUnmounted, mountPointOf } from '../../host/mount/mount.ts'
import type { Mount } from '../../host/mount/mountinfo.ts'
import { imageLimits } from '../image-files/open.ts'
import type { ImagePlace } from '../image-files/place.ts'

/** Where a driver expects the SR. */
export interface ExtPlace {
  readonly device: string
  /** What the caller named it by, for errors: `device_config.device`. */
  readonly field: string
  /** The device was proven to be the one that is meant, so the SR must be on it; else its name is a hint. */
  readonly exact?: boolean
}

export const layer = 'store:ext-device'

const mountTimeoutMs = 60_000

/** Images are data: no program, device or set-uid file among them is ever to be used. */
const mountOptions = ['nosuid', 'nodev', 'noexec', 'noatime', 'errors=remount-ro'] as const

export const isExt4 = (mount: Mount): boolean => mount.fsType === 'ext4' && mount.root === '/'

export const targetOf = (ctx: Ctx): string => mountPointOf(ctx.host, ctx.sr)

export const placeOf = (ctx: Ctx): ImagePlace =>
  ({ directory: targetOf(ctx), files: ctx.host.files, scanner: ctx.host.scanner, maxChain: imageLimits.maxChain })

/** Mounts a device. `read`: not even its journal is touched. */
export const mountDevice = async (ctx: Ctx, device: BlockDevice, target: string, mode: 'write' | 'read' = 'write'): Promise<Mount> =>
  ensureMounted(
    ctx,
    { source: device.node, target, fsType: 'ext4', options: [...(mode === 'read' ? ['ro', 'noload'] : [device.readOnly ? 'ro' : 'rw']), ...mountOptions] },
    { isIt: (mount) => isExt4(mount) && mount.device === device.device, timeoutMs: mountTimeoutMs },
  )

export const unmountOptions = { timeoutMs: mountTimeoutMs, network: false } as const

export const unmount = async (ctx: Ctx, target = targetOf(ctx)): Promise<void> => ensureUnmounted(ctx, target, unmountOptions)

/** What is at the place that the driver names, when the SR is not on any device. */
const notThere = async (ctx: Ctx, { device: path, field }: ExtPlace): Promise<StorageError> => {
  const named = await lookUpDevice(ctx, path)
  if (named === undefined) {
    return new StorageError('placeMissing', `No device of this host holds SR ${ctx.sr}, and ${path} is not there`, {
      layer, field, remedy: 'Connect the device (lsblk lists the ones that are), then try again', details: { sr_uuid: ctx.sr },
    })
  }
  const { type, uuid } = await identifyDevice(ctx, named.node)
  return new StorageError('placeMissing', `No device of this host holds SR ${ctx.sr}: ${path} ${type === undefined ? 'carries no file system' : `holds ${type}${uuid === undefined ? '' : ` ${uuid}`}`}`, {
    layer, field, remedy: 'smctl sr probe ext shows the SRs on the devices of this host', details: { sr_uuid: ctx.sr },
  })
}

/** The one device that carries the SR. Of several nobody can tell the original from its copies: identityMismatch. */
export const findDevice = async (ctx: Ctx, place: ExtPlace): Promise<BlockDevice> => {
  const devices = await devicesWithUuid(ctx, ctx.sr)
  const [device] = devices
  if (device === undefined) throw await notThere(ctx, place)
  if (devices.length === 1) {
    if (place.exact === true && (await lookUpDevice(ctx, place.device))?.device !== device.device) {
      throw new StorageError('identityMismatch', `SR ${ctx.sr} is on ${device.path}, not on ${place.device}`, {
        layer, field: place.field, remedy: 'Name the one it is on; smctl sr probe shows what is where', details: { sr_uuid: ctx.sr, device: device.path },
      })
    }
    return device
  }
  throw new StorageError('identityMismatch', `${devices.length} devices carry the file system of SR ${ctx.sr}: ${devices.map(({ path }) => path).join(' and ')}; all but one are copies`, {
    layer, field: place.field, details: { sr_uuid: ctx.sr, devices: devices.length },
    remedy: `Give each copy an identity of its own with smctl sr reidentify, or take it away from this host`,
  })
}

/** Refuses a device that somebody uses. */
export const needUnused = (device: BlockDevice, { field }: ExtPlace): void => {
  const users = usersOf(device)
  if (users === undefined) return
  throw new StorageError('busy', users, { layer, field, remedy: `Unmount it, or take down what uses it: lsblk ${device.path}` })
}
