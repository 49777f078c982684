/** sr_attach and the handle on the attached SR. */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { BlockDevice } from '../../host/blkid/parse.ts'
import { lookUpDevice } from '../../host/blkid/inspect.ts'
import { checkFileSystem, growIfLarger, readSuperblock } from '../../host/ext/file-system.ts'
import { errorsMet } from '../../host/ext/health.ts'
import { clearIntent, readIntent } from '../../host/ext/intent.ts'
import { mountedThere } from '../../host/mount/mount.ts'
import type { Mount } from '../../host/mount/mountinfo.ts'
import { openImageStore, type ImageSr } from '../image-files/open.ts'
import { attachImageStore } from '../image-files/prepare.ts'
import { explainFailures } from '../image-files/explain.ts'
import { finishRemoval } from './prepare.ts'
import { findDevice, isExt4, layer, mountDevice, needUnused, placeOf, targetOf, unmount, type ExtPlace } from './place.ts'

/** After an error the file system refuses every write until it has been checked: attaching it anew does that. */
const unwell = (ctx: Ctx, errors: number, cause?: unknown): StorageError =>
  new StorageError('ioError', `The file system of SR ${ctx.sr} met ${errors} error${errors === 1 ? '' : 's'} and takes no more writes`, {
    layer, cause, remedy: `See the kernel log for the cause, then have it checked: smctl sr detach ${ctx.sr} && smctl sr attach ${ctx.sr}`, details: { sr_uuid: ctx.sr, errors },
  })

const needWell = async (ctx: Ctx, mount: Mount): Promise<void> => {
  const errors = await errorsMet(ctx.host.files, mount)
  if (errors !== undefined && errors > 0) throw unwell(ctx, errors)
}

/** An sr_create that died after its last write to the file system has left its record; once the SR is used it must not stay. */
const dropRecord = async (ctx: Ctx, device: BlockDevice): Promise<void> => {
  if (device.readOnly || (await readIntent(ctx, device)) === undefined) return
  await clearIntent(ctx, device)
}

const sameAsNamed = async (ctx: Ctx, device: BlockDevice, { device: path }: ExtPlace): Promise<void> => {
  const named = await lookUpDevice(ctx, path)
  if (named?.device !== device.device) ctx.log.warn({ named: path, found: device.path }, 'the SR is on another device than the one that was named; it is told by its uuid')
}

/**
 * sr_attach. Steps: 1. the one device with the SR's uuid; 2. its journal replayed; 3. mounted, by the numbers of that device;
 * 4. enlarged if the device was; 5. the identity file proves the SR. A failure after 3 unmounts; a crash is finished by a repeat.
 */
export const attachExt = async (ctx: Ctx, place: ExtPlace): Promise<void> => {
  const mounted = await mountedThere(ctx, targetOf(ctx), isExt4)
  if (mounted !== undefined) {
    await needWell(ctx, mounted)
    return attachImageStore(ctx, placeOf(ctx))
  }
  await finishRemoval(ctx, place)
  const device = await findDevice(ctx, place)
  await sameAsNamed(ctx, device, place)
  needUnused(device, place)
  if (!device.readOnly) await checkFileSystem(ctx, device)
  const superblock = await readSuperblock(ctx, device)
  await mountDevice(ctx, device, targetOf(ctx))
  try {
    if (!device.readOnly) await growIfLarger(ctx, device, superblock)
    await attachImageStore(ctx, placeOf(ctx))
    await dropRecord(ctx, device)
  } catch (error) {
    await unmount(ctx).catch(() => undefined)
    throw error
  }
}

export const openExt = async (ctx: Ctx): Promise<ImageSr> => {
  const target = targetOf(ctx)
  const mount = await mountedThere(ctx, target, isExt4)
  if (mount === undefined) {
    throw new StorageError('placeMissing', `The file system of SR ${ctx.sr} is not mounted on ${target}`, {
      layer, remedy: `smctl sr detach ${ctx.sr} && smctl sr attach ${ctx.sr}`, details: { sr_uuid: ctx.sr },
    })
  }
  const errors = await errorsMet(ctx.host.files, mount)
  // What is there can still be read; changes fail, and say why.
  if (errors !== undefined && errors > 0) ctx.log.warn({ mount_point: target, errors }, 'the file system has met errors and takes no more writes')
  const sr = await openImageStore(ctx, placeOf(ctx))
  return explainFailures(sr, async (call, error) => {
    if (error.kind !== 'readOnly' && error.kind !== 'ioError') return error
    const met = await errorsMet(call.host.files, mount).catch(() => undefined)
    return met === undefined || met === 0 ? error : unwell(call, met, error)
  })
}
