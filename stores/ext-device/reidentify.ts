/** Turning a block copy of an ext SR into an SR of its own. */
import type { CopiedVdi, Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { SrUuid } from '../../core/ids.ts'
import { devicesWithUuid, identifyDevice, needDevice } from '../../host/blkid/inspect.ts'
import { changeUuid, checkFileSystem } from '../../host/ext/file-system.ts'
import { reidentifyImageStore } from '../image-files/reidentify.ts'
import { layer, mountDevice, needUnused, placeOf, targetOf, unmount, type ExtPlace } from './place.ts'

/**
 * Only the device that the driver names is written to, and it must not be in use: an attached original is. Steps: 1. it carries the
 * original's uuid (or the copy's, from an earlier try); 2. the file system gets the copy's uuid; 3. mounted, the store's files get
 * their new identities, unmounted. Recovery: the same call again.
 */
export const reidentifyExt = async (ctx: Ctx, place: ExtPlace, { original }: { readonly original: SrUuid }): Promise<readonly CopiedVdi[]> => {
  await unmount(ctx)
  const device = await needDevice(ctx, place.device, place.field)
  needUnused(device, place)
  const { type, uuid } = await identifyDevice(ctx, device.node)
  if (type !== 'ext4' || (uuid !== original && uuid !== ctx.sr)) {
    throw new StorageError('identityMismatch', `${device.path} holds ${type ?? 'no file system'}${uuid === undefined ? '' : ` ${uuid}`}, not a copy of SR ${original}`, {
      layer, field: place.field, remedy: 'smctl sr probe shows what is there', details: { sr_uuid: ctx.sr, original_uuid: original },
    })
  }
  const other = (await devicesWithUuid(ctx, ctx.sr)).find((found) => found.device !== device.device)
  if (other !== undefined) throw new StorageError('alreadyExists', `SR ${ctx.sr} exists already, on ${other.path}`, { layer, field: 'sr_uuid', remedy: 'Leave sr_uuid out, or choose another one' })
  if (uuid === original) await changeUuid(ctx, device, ctx.sr)
  else await checkFileSystem(ctx, device)
  try {
    await mountDevice(ctx, device, targetOf(ctx))
    return await reidentifyImageStore(ctx, placeOf(ctx), original)
  } finally {
    await unmount(ctx)
  }
}
