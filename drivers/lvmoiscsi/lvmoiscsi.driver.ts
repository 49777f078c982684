/** LVM on LUNs of an iSCSI target (SM API, "Lvmoiscsi – the LVMoISCSISR.py driver"). The LUNs are held for this host while the SR is attached. */
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
import { openThick } from '../../stores/logical-volumes/open.ts'
import { thickFeatures, thickLimits, thickOptions, thickPlace } from '../../stores/logical-volumes/options.ts'
import { prepareGroup, removeGroup } from '../../stores/logical-volumes/prepare.ts'
import { probeDevices } from '../../stores/logical-volumes/probe.ts'
import { reidentifyGroup } from '../../stores/logical-volumes/reidentify.ts'
import { lvmTools } from '../../stores/logical-volumes/tools.ts'

const type = 'lvmoiscsi'
const dconf = z.strictObject({ ...targetShape, ...lunShape(true), ...thickOptions })
type Dconf = z.output<typeof dconf>

const luns = srOnLuns(type, {
  attach: async (ctx, devices, keys: Dconf) => attachGroup(ctx, thickPlace(devices, keys)),
  detach: async (ctx, devices) => (devices.length === 0 ? dropGroup(ctx) : detachGroup(ctx, { devices })),
  open: async (ctx, devices, keys: Dconf) => ({ ...(await openThick(ctx, thickPlace(devices, keys))), features: thickFeatures }),
})

export default defineDriver({
  type,
  executable: 'LVMoISCSI',
  title: 'LVM volumes on iSCSI LUNs',
  summary: 'A volume group over one or several LUNs of a target, a logical volume for each VDI; all space is taken at once.',
  contract: contractVersion,
  features: thickFeatures,
  srOperations: ['create', 'delete', 'reidentify'],
  contentType: 'aio',
  limits: { shared: false, ...thickLimits },
  defaultVdiVisibility: true,
  tools: toolsOnLuns(lvmTools),
  example: lunExample,
  dconf,
  probe: async (ctx, partial) => probeTarget(ctx, type, partial, (raw) => parseDconf(type, dconf, raw), lookAtLuns(type, ctx, partial, async (c, devices) => probeDevices(c, 'thick', devices, {}))),
  prepare: async (ctx, keys, want) => luns.on(ctx, keys, async (devices) => prepareGroup(ctx, thickPlace(devices, keys), want, undefined), true),
  reidentify: async (ctx, keys, { original }) => luns.on(ctx, keys, async (devices) => reidentifyGroup(ctx, thickPlace(devices, keys), original)),
  remove: async (ctx, keys) => luns.on(ctx, keys, async (devices) => removeGroup(ctx, thickPlace(devices, keys))),
  ...luns.calls,
  letGo: async (ctx, _keys, _vdi, attachment) => letGoOfVdi(ctx, attachment),
})
