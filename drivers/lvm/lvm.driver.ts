/** LVM: a volume group over one or several devices, one logical volume a VDI (SM API, "Lvm – the LVMSR.py driver"). */
import type * as z from 'zod'
import { defineDriver } from '../../core/define-driver.ts'
import { letGoOfVdi } from '../../stores/logical-volumes/activate.ts'
import { attachGroup, detachGroup } from '../../stores/logical-volumes/attach.ts'
import { openThick } from '../../stores/logical-volumes/open.ts'
import { thickFeatures, thickLimits, thickPlace } from '../../stores/logical-volumes/options.ts'
import type { VolumePlace } from '../../stores/logical-volumes/place.ts'
import { prepareGroup, removeGroup } from '../../stores/logical-volumes/prepare.ts'
import { reidentifyGroup } from '../../stores/logical-volumes/reidentify.ts'
import { lvmTools } from '../../stores/logical-volumes/tools.ts'
import { devicesOf, thickKeys } from './dconf.ts'
import { probeWith } from './describe.ts'

const placeOf = (dconf: z.output<typeof thickKeys>): VolumePlace => thickPlace(devicesOf(dconf.device), dconf)

export default defineDriver({
  type: 'lvm',
  executable: 'LVM',
  title: 'LVM volumes',
  summary: 'A volume group over local disks or LUNs, a logical volume for each VDI; all space is taken at once.',
  contract: 1,
  features: thickFeatures,
  srOperations: ['create', 'delete', 'reidentify'],
  contentType: 'aio',
  limits: { shared: false, ...thickLimits },
  defaultVdiVisibility: true,
  tools: lvmTools,
  example: { device: '/dev/disk/by-id/wwn-0x5000c500a1b2c3d4' },
  dconf: thickKeys,
  probe: async (ctx, partial) => probeWith(ctx, 'thick', partial),
  prepare: async (ctx, dconf, want) => prepareGroup(ctx, placeOf(dconf), want, undefined),
  reidentify: async (ctx, dconf, { original }) => reidentifyGroup(ctx, placeOf(dconf), original),
  remove: async (ctx, dconf) => removeGroup(ctx, placeOf(dconf)),
  attach: async (ctx, dconf) => attachGroup(ctx, placeOf(dconf)),
  detach: async (ctx, dconf) => detachGroup(ctx, placeOf(dconf)),
  letGo: async (ctx, _dconf, _vdi, attachment) => letGoOfVdi(ctx, attachment),
  open: async (ctx, dconf) => ({ ...(await openThick(ctx, placeOf(dconf))), features: thickFeatures }),
})
