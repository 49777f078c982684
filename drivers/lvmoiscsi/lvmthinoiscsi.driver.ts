/** LVM with a thin pool on LUNs of an iSCSI target: what lvmthin is to lvm. */
import * as z from 'zod'
import { contractVersion } from '../../core/contract.ts'
import { defineDriver, parseDconf } from '../../core/define-driver.ts'
import { lunExample, lunShape } from '../../stores/iscsi-targets/chosen-luns.ts'
import { targetShape, toolsOnLuns } from '../../stores/iscsi-targets/dconf.ts'
import { lookAtLuns } from '../../stores/iscsi-targets/look-at-luns.ts'
import { probeTarget } from '../../stores/iscsi-targets/probe.ts'
import { srOnLuns } from '../../stores/iscsi-targets/sr-on-luns.ts'
import { letGoOfVdi } from '../../stores/logical-volumes/activate.ts'
import { attachGroup, detachGroup, dropGroup } from '../../stores/logical-volumes/attach.ts'
import { openThin } from '../../stores/logical-volumes/open.ts'
import { poolWish, thinFeatures, thinLimits, thinOptions, thinPlace } from '../../stores/logical-volumes/options.ts'
import { prepareGroup, removeGroup } from '../../stores/logical-volumes/prepare.ts'
import { probeDevices } from '../../stores/logical-volumes/probe.ts'
import { reidentifyGroup } from '../../stores/logical-volumes/reidentify.ts'
import { thinTools } from '../../stores/logical-volumes/tools.ts'

const type = 'lvmthinoiscsi'
const dconf = z.strictObject({ ...targetShape, ...lunShape(true), ...thinOptions })
type Dconf = z.output<typeof dconf>

const luns = srOnLuns(type, {
  attach: async (ctx, devices, keys: Dconf) => attachGroup(ctx, thinPlace(devices, keys)),
  detach: async (ctx, devices) => (devices.length === 0 ? dropGroup(ctx) : detachGroup(ctx, { devices })),
  open: async (ctx, devices, keys: Dconf) => ({ ...(await openThin(ctx, thinPlace(devices, keys))), features: thinFeatures }),
})

export default defineDriver({
  type,
  executable: 'LVMThinoISCSI',
  title: 'LVM thin volumes on iSCSI LUNs',
  summary: 'A thin pool in a volume group over one or several LUNs of a target, a thin volume for each VDI, with instant snapshots and clones.',
  contract: contractVersion,
  features: thinFeatures,
  srOperations: ['create', 'delete', 'reidentify'],
  contentType: 'aio',
  limits: { shared: false, ...thinLimits },
  defaultVdiVisibility: true,
  tools: toolsOnLuns(thinTools),
  example: lunExample,
  dconf,
  probe: async (ctx, partial) => probeTarget(ctx, type, partial, (raw) => parseDconf(type, dconf, raw), lookAtLuns(type, ctx, partial, async (c, devices) => probeDevices(c, 'thin', devices, {}))),
  prepare: async (ctx, keys, want) => luns.on(ctx, keys, async (devices) => prepareGroup(ctx, thinPlace(devices, keys), want, poolWish(keys)), true),
  reidentify: async (ctx, keys, { original }) => luns.on(ctx, keys, async (devices) => reidentifyGroup(ctx, thinPlace(devices, keys), original)),
  remove: async (ctx, keys) => luns.on(ctx, keys, async (devices) => removeGroup(ctx, thinPlace(devices, keys))),
  ...luns.calls,
  letGo: async (ctx, _keys, _vdi, attachment) => letGoOfVdi(ctx, attachment),
})
