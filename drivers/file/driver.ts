/** SRs in a directory of this host: needs no root, no tool, no server. */
import * as z from 'zod'
import { contractVersion, features, type Ctx } from '../../core/contract.ts'
import { defineDriver } from '../../core/define-driver.ts'
import { imageContentType, imageLimits, openImageStore } from '../../stores/image-files/open.ts'
import type { ImagePlace } from '../../stores/image-files/place.ts'
import { adoptImageStore, attachImageStore, prepareImageStore, probeDirectory, removeImageStore } from '../../stores/image-files/prepare.ts'
import { reidentifyImageStore } from '../../stores/image-files/reidentify.ts'

/** An absolute path in its plain spelling: what is shown and compared is what is meant. */
const directoryPath = z
  .string()
  .max(1024, 'must be at most 1024 characters')
  .regex(/^\/[^\u0000-\u001f\u007f]*$/, 'must be an absolute path without control characters')
  .refine((path) => path.length > 1 && !path.slice(1).split('/').some((part) => part === '' || part === '.' || part === '..'), 'must be a plain path: no //, no /./, no /../, no / at the end, not the root')

const placeOf = ({ host }: Ctx, { location }: { readonly location: string }): ImagePlace => ({
  directory: location, files: host.files, scanner: host.scanner, maxChain: imageLimits.maxChain,
})

export default defineDriver({
  type: 'file',
  executable: 'File',
  title: 'VHD files in a directory',
  summary: 'Disks as VHD images in a directory of this host, on whatever file system it has.',
  contract: contractVersion,
  features,
  srOperations: ['create', 'delete', 'introduce', 'reidentify'],
  contentType: imageContentType,
  limits: { shared: false, ...imageLimits },
  defaultVdiVisibility: true,
  tools: [],
  example: { location: '/srv/disks' },
  dconf: z.strictObject({
    location: directoryPath.meta({ description: 'The directory that holds the SR; made when only it is missing', examples: ['/srv/disks'] }),
  }),
  async probe(ctx, partial) {
    const { location } = partial
    if (location === undefined) {
      return { candidates: [{ deviceConfig: {}, complete: false, found: 'unknown', says: 'Give location, the directory to look at' }], tried: [{ step: 'read the device_config', said: 'location is missing' }] }
    }
    return probeDirectory(ctx.host.files, location, { location })
  },
  prepare: async (ctx, dconf, want) => prepareImageStore(ctx, placeOf(ctx, dconf), want),
  adopt: async (ctx, dconf, want) => adoptImageStore(ctx, placeOf(ctx, dconf), want),
  reidentify: async (ctx, dconf, { original }) => reidentifyImageStore(ctx, placeOf(ctx, dconf), original),
  remove: async (ctx, dconf) => removeImageStore(ctx, placeOf(ctx, dconf)),
  attach: async (ctx, dconf) => attachImageStore(ctx, placeOf(ctx, dconf)),
  detach: async () => undefined,
  // An image file needs nothing on this host.
  letGo: async () => undefined,
  open: async (ctx, dconf) => openImageStore(ctx, placeOf(ctx, dconf)),
})
