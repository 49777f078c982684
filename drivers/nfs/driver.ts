/** SRs on an NFS server, shared between hosts: a directory named by the SR's uuid, VHD files in it. */
import { contractVersion, features, type Ctx, type PrepareRequest } from '../../core/contract.ts'
import { defineDriver } from '../../core/define-driver.ts'
import { imageContentType, imageLimits } from '../../stores/image-files/open.ts'
import { adoptImageStore, prepareImageStore } from '../../stores/image-files/prepare.ts'
import { attach, open, placeIn } from './attach.ts'
import { checkExport } from './checks.ts'
import { NfsDconf } from './dconf.ts'
import { probe } from './probe.ts'
import { directoryOf, unmountShare, withShare } from './reach.ts'

/**
 * sr_create. Steps: 1. the share is mounted; 2. everything an SR relies on is tried out on it; 3. the SR's directory and the image
 * store in it; 4. unmounted. Recovery: the same call again. Until the identity file of 3 is there, there is no SR, and a
 * directory of that name that holds nothing else is taken for an earlier try.
 */
const prepare = async (ctx: Ctx, dconf: NfsDconf, want: PrepareRequest): Promise<void> =>
  withShare(ctx, dconf, 'change', async (isolated, share) => {
    await checkExport(ctx, dconf, isolated, share)
    await prepareImageStore(ctx, placeIn(isolated, directoryOf(ctx)), want)
  })

const adopt = async (ctx: Ctx, dconf: NfsDconf, want: PrepareRequest): Promise<void> =>
  withShare(ctx, dconf, 'change', async (isolated, share) => {
    await checkExport(ctx, dconf, isolated, share)
    await adoptImageStore(ctx, placeIn(isolated, directoryOf(ctx)), want)
  })

export default defineDriver({
  type: 'nfs',
  executable: 'NFS',
  title: 'VHD files on an NFS server',
  summary: 'A directory on an NFS server that several hosts share; disks as VHD images in it.',
  contract: contractVersion,
  features,
  // SM API, sr_delete, [NFS]: not offered, as this is a shared substrate: whether another host still uses it nobody here can know.
  srOperations: ['create', 'introduce'],
  contentType: imageContentType,
  limits: { shared: true, ...imageLimits },
  defaultVdiVisibility: true,
  tools: [
    { name: 'mount', debianPackage: 'mount', neededFor: 'mounting the share' },
    { name: 'umount', debianPackage: 'mount', neededFor: 'unmounting it' },
    { name: 'mount.nfs', debianPackage: 'nfs-common', neededFor: 'mounting the share' },
    { name: 'showmount', debianPackage: 'nfs-common', neededFor: 'listing the exports of a server of NFSv3' },
  ],
  example: { server: 'filer.example.com', serverpath: '/srv/sr' },
  dconf: NfsDconf,
  probe,
  prepare,
  adopt,
  attach,
  detach: async (ctx) => unmountShare(ctx),
  // An image file needs nothing on this host.
  letGo: async () => undefined,
  open,
})
