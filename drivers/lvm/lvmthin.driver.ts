/** LVM with a thin pool: space with use, snapshots and clones at once. */
import type * as z from 'zod'
import { defineDriver } from '../../core/define-driver.ts'
import { MiB, parseSize, TiB } from '../../core/units.ts'
import { letGoOfVdi } from '../../stores/logical-volumes/activate.ts'
import { attachGroup, detachGroup } from '../../stores/logical-volumes/attach.ts'
import { openThin } from '../../stores/logical-volumes/open.ts'
import type { VolumePlace } from '../../stores/logical-volumes/place.ts'
import { prepareGroup, removeGroup } from '../../stores/logical-volumes/prepare.ts'
import { reidentifyGroup } from '../../stores/logical-volumes/reidentify.ts'
import { devicesOf, thinKeys } from './dconf.ts'
import { probeWith, tools } from './describe.ts'

type Dconf = z.output<typeof thinKeys>

const placeOf = (dconf: Dconf): VolumePlace => ({ devices: devicesOf(dconf.device), kind: 'thin', discard: dconf.discard === 'yes', wipe: 'head', errorWhenFull: dconf.errorwhenfull === 'yes' })

const poolOf = ({ errorwhenfull, metadatasize }: Dconf) => {
  const bytes = metadatasize === undefined ? undefined : parseSize(metadatasize)
  return { errorWhenFull: errorwhenfull === 'yes', ...(bytes === undefined ? {} : { metadataBytes: bytes }) }
}

const features = ['create', 'destroy', 'snapshot', 'clone', 'resize', 'revert', 'names', 'lock', 'verify'] as const

export default defineDriver({
  type: 'lvmthin',
  executable: 'LVMThin',
  title: 'LVM thin volumes',
  summary: 'A thin pool in a volume group over local disks or LUNs, a thin volume for each VDI, with instant snapshots and clones.',
  contract: 1,
  features,
  srOperations: ['create', 'delete', 'reidentify'],
  contentType: 'aio',
  limits: { shared: false, minVdiSize: 4 * MiB, maxVdiSize: 256 * TiB, sizeStep: 4 * MiB },
  defaultVdiVisibility: true,
  tools: [...tools, { name: 'thin_check', debianPackage: 'thin-provisioning-tools', neededFor: 'checking the pool when LVM activates it' }],
  example: { device: '/dev/disk/by-id/wwn-0x5000c500a1b2c3d4', errorwhenfull: 'yes' },
  dconf: thinKeys,
  probe: async (ctx, partial) => probeWith(ctx, 'thin', partial),
  prepare: async (ctx, dconf, want) => prepareGroup(ctx, placeOf(dconf), want, poolOf(dconf)),
  reidentify: async (ctx, dconf, { original }) => reidentifyGroup(ctx, placeOf(dconf), original),
  remove: async (ctx, dconf) => removeGroup(ctx, placeOf(dconf)),
  attach: async (ctx, dconf) => attachGroup(ctx, placeOf(dconf)),
  detach: async (ctx, dconf) => detachGroup(ctx, placeOf(dconf)),
  letGo: async (ctx, _dconf, _vdi, attachment) => letGoOfVdi(ctx, attachment),
  open: async (ctx, dconf) => ({ ...(await openThin(ctx, placeOf(dconf))), features }),
})
