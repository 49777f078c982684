/** SRs on a block device of their own: ext4 with the SR's uuid, VHD files in it. */
import * as z from 'zod'
import { contractVersion, features } from '../../core/contract.ts'
import { defineDriver } from '../../core/define-driver.ts'
import { attachExt, openExt } from '../../stores/ext-device/attach.ts'
import { unmount, type ExtPlace } from '../../stores/ext-device/place.ts'
import { adoptExt, prepareExt, removeExt } from '../../stores/ext-device/prepare.ts'
import { probeAllExt, probeExt } from '../../stores/ext-device/probe.ts'
import { reidentifyExt } from '../../stores/ext-device/reidentify.ts'
import { extTools } from '../../stores/ext-device/tools.ts'
import { imageContentType, imageLimits } from '../../stores/image-files/open.ts'

const devicePath = z
  .string()
  .max(255, 'must be at most 255 characters')
  .refine((path) => !path.includes(','), 'must be one device; several make an SR of type lvm')
  .refine((path) => /^\/dev\/[^\s\p{Cc}]+$/u.test(path) && !path.split('/').includes('..'), 'must be the path of a block device below /dev, like /dev/disk/by-id/wwn-0x5000c500a1b2c3d4')

const placeOf = ({ device }: { readonly device: string }): ExtPlace => ({ device, field: 'device_config.device' })

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
  tools: extTools,
  example: { device: '/dev/disk/by-id/wwn-0x5000c500a1b2c3d4' },
  dconf: z.strictObject({
    device: devicePath.meta({ description: 'The block device that holds the SR: a whole disk, a partition or a LUN', examples: ['/dev/disk/by-id/wwn-0x5000c500a1b2c3d4', '/dev/sdb1'] }),
  }),
  async probe(ctx, partial) {
    const { device } = partial
    return device === undefined ? probeAllExt(ctx, (path) => ({ ...partial, device: path })) : probeExt(ctx, placeOf({ device }), partial)
  },
  prepare: async (ctx, dconf, want) => prepareExt(ctx, placeOf(dconf), want),
  adopt: async (ctx, dconf, want) => adoptExt(ctx, placeOf(dconf), want),
  reidentify: async (ctx, dconf, want) => reidentifyExt(ctx, placeOf(dconf), want),
  remove: async (ctx, dconf) => removeExt(ctx, placeOf(dconf)),
  attach: async (ctx, dconf) => attachExt(ctx, placeOf(dconf)),
  detach: async (ctx) => unmount(ctx),
  // An image file needs nothing on this host.
  letGo: async () => undefined,
  open: async (ctx) => openExt(ctx),
})
