/** SRs on a block device of their own: ext4 with the SR's uuid, VHD files in it. */
import * as z from 'zod'
import { contractVersion, features, type Ctx, type PrepareRequest } from '../../core/contract.ts'
import { defineDriver } from '../../core/define-driver.ts'
import { StorageError } from '../../core/errors.ts'
import { identifyDevice } from '../../host/blkid/inspect.ts'
import { imageContentType, imageLimits } from '../../stores/image-files/open.ts'
import { adoptImageStore } from '../../stores/image-files/prepare.ts'
import { attach, open } from './attach.ts'
import { prepare, remove } from './prepare.ts'
import { probe } from './probe.ts'
import { field, findDevice, layer, mountDevice, needUnused, placeOf, unmount, type ExtDconf } from './reach.ts'
import { reidentify } from './reidentify.ts'

const devicePath = z
  .string()
  .max(255, 'must be at most 255 characters')
  .refine((path) => !path.includes(','), 'must be one device; several make an SR of type lvm')
  .refine((path) => /^\/dev\/[^\s\p{Cc}]+$/u.test(path) && !path.split('/').includes('..'), 'must be the path of a block device below /dev, like /dev/disk/by-id/wwn-0x5000c500a1b2c3d4')

/** The file system keeps its uuid, so that is the only one the SR can have. */
const adopt = async (ctx: Ctx, dconf: ExtDconf, want: PrepareRequest): Promise<void> => {
  const device = await findDevice(ctx, dconf)
  const { type } = await identifyDevice(ctx, device.node)
  if (type !== 'ext4') throw new StorageError('identityMismatch', `${device.path} holds ${type ?? 'no file system'}, not ext4`, { layer, field, remedy: 'smctl sr probe ext shows what is there' })
  needUnused(device)
  try {
    await mountDevice(ctx, device, placeOf(ctx).directory)
    await adoptImageStore(ctx, placeOf(ctx), want)
  } finally {
    await unmount(ctx)
  }
}

export default defineDriver({
  type: 'ext',
  executable: 'Ext',
  title: 'VHD files on a disk of their own',
  summary: 'A whole disk, partition or LUN, formatted with ext4; disks as VHD images in it.',
  contract: contractVersion,
  features,
  srOperations: ['create', 'delete', 'introduce', 'reidentify'],
  contentType: imageContentType,
  limits: { shared: false, ...imageLimits },
  defaultVdiVisibility: true,
  tools: [
    { name: 'mkfs.ext4', debianPackage: 'e2fsprogs', neededFor: 'making the file system' },
    { name: 'e2fsck', debianPackage: 'e2fsprogs', neededFor: 'replaying its journal before it is mounted' },
    { name: 'dumpe2fs', debianPackage: 'e2fsprogs', neededFor: 'reading its size' },
    { name: 'tune2fs', debianPackage: 'e2fsprogs', neededFor: 'giving a copy a uuid of its own' },
    { name: 'resize2fs', debianPackage: 'e2fsprogs', neededFor: 'using what a device has gained' },
    { name: 'mount', debianPackage: 'mount', neededFor: 'mounting it' },
    { name: 'umount', debianPackage: 'mount', neededFor: 'unmounting it' },
    { name: 'lsblk', debianPackage: 'util-linux', neededFor: 'seeing what uses a device' },
    { name: 'blkid', debianPackage: 'util-linux', neededFor: 'seeing what is on a device' },
    { name: 'wipefs', debianPackage: 'util-linux', neededFor: 'proving that a device is blank' },
    { name: 'blockdev', debianPackage: 'util-linux', neededFor: 'reading back what was written' },
    { name: 'blkdiscard', debianPackage: 'util-linux', neededFor: 'giving space back to thin storage' },
  ],
  example: { device: '/dev/disk/by-id/wwn-0x5000c500a1b2c3d4' },
  dconf: z.strictObject({
    device: devicePath.meta({ description: 'The block device that holds the SR: a whole disk, a partition or a LUN', examples: ['/dev/disk/by-id/wwn-0x5000c500a1b2c3d4', '/dev/sdb1'] }),
  }),
  probe,
  prepare,
  adopt,
  reidentify,
  remove,
  attach,
  detach: async (ctx) => unmount(ctx),
  // An image file needs nothing on this host.
  letGo: async () => undefined,
  open: async (ctx) => open(ctx),
})
