/** LVM with a thin pool: space with use, snapshots and clones at once. */
import type * as z from 'zod'
import { defineDriver } from '../../core/define-driver.ts'
import { letGoOfVdi } from '../../stores/logical-volumes/activate.ts'
import { attachGroup, detachGroup } from '../../stores/logical-volumes/attach.ts'
import { openThin } from '../../stores/logical-volumes/open.ts'
import { poolWish, thinFeatures, thinLimits, thinPlace } from '../../stores/logical-volumes/options.ts'
import type { VolumePlace } from '../../stores/logical-volumes/place.ts'
import { prepareGroup, removeGroup } from '../../stores/logical-volumes/prepare.ts'
import { reidentifyGroup } from '../../stores/logical-volumes/reidentify.ts'
import { thinTools } from '../../stores/logical-volumes/tools.ts'
import { devicesOf, thinKeys } from './dconf.ts'
import { probeWith } from './describe.ts'

type Dconf = z.output<typeof thinKeys>

const placeOf = (dconf: Dconf): VolumePlace => thinPlace(devicesOf(dconf.device), dconf)

export default defineDriver({
  type: 'lvmthin',
  executable: 'LVMThin',
  title: 'LVM thin volumes',
  summary: 'A thin pool in a volume group over local disks or LUNs, a thin volume for each VDI, with instant snapshots and clones.',
  contract: 1,
  features: thinFeatures,
  srOperations: ['create', 'delete', 'reidentify'],
  contentType: 'aio',
  limits: { shared: false, ...thinLimits },
  defaultVdiVisibility: true,
  tools: thinTools,
  example: { device: '/dev/disk/by-id/wwn-0x5000c500a1b2c3d4', errorwhenfull: 'yes' },
  dconf: thinKeys,
  probe: async (ctx, partial) => probeWith(ctx, 'thin', partial),
  prepare: async (ctx, dconf, want) => prepareGroup(ctx, placeOf(dconf), want, poolWish(dconf)),
  reidentify: async (ctx, dconf, { original }) => reidentifyGroup(ctx, placeOf(dconf), original),
  remove: async (ctx, dconf) => removeGroup(ctx, placeOf(dconf)),
  attach: async (ctx, dconf) => attachGroup(ctx, placeOf(dconf)),
  detach: async (ctx, dconf) => detachGroup(ctx, placeOf(dconf)),
  letGo: async (ctx, _dconf, _vdi, attachment) => letGoOfVdi(ctx, attachment),
  open: async (ctx, dconf) => ({ ...(await openThin(ctx, placeOf(dconf))), features: thinFeatures }),
})
