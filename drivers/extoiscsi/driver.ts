/** ext4 on a LUN of an iSCSI target (SM API, "Extoiscsi – the EXToISCSISR.py driver"). The LUN is held for this host while the SR is attached. */
import * as z from 'zod'
import { contractVersion, features } from '../../core/contract.ts'
import { defineDriver, parseDconf } from '../../core/define-driver.ts'
import { attachExt, openExt } from '../../stores/ext-device/attach.ts'
import { unmount, type ExtPlace } from '../../stores/ext-device/place.ts'
import { adoptExt, prepareExt, removeExt } from '../../stores/ext-device/prepare.ts'
import { probeExt } from '../../stores/ext-device/probe.ts'
import { reidentifyExt } from '../../stores/ext-device/reidentify.ts'
import { extTools } from '../../stores/ext-device/tools.ts'
import { imageContentType, imageLimits } from '../../stores/image-files/open.ts'
import { lunExample, lunShape } from '../../stores/iscsi-targets/chosen-luns.ts'
import { targetShape, toolsOnLuns } from '../../stores/iscsi-targets/dconf.ts'
import { lookAtLuns } from '../../stores/iscsi-targets/look-at-luns.ts'
import { probeTarget } from '../../stores/iscsi-targets/probe.ts'
import { srOnLuns } from '../../stores/iscsi-targets/sr-on-luns.ts'

const type = 'extoiscsi'
const dconf = z.strictObject({ ...targetShape, ...lunShape(false) })

/** The LUN was proven to be the one that is meant: an SR of that uuid elsewhere is not its. */
const placeOn = ([device = '']: readonly string[]): ExtPlace => ({ device, field: 'device_config.device', exact: true })

const luns = srOnLuns(type, {
  attach: async (ctx, devices, _keys: z.output<typeof dconf>) => attachExt(ctx, placeOn(devices)),
  detach: async (ctx) => unmount(ctx),
  open: async (ctx) => openExt(ctx),
})

export default defineDriver({
  type,
  executable: 'EXToISCSI',
  title: 'VHD files on an iSCSI LUN',
  summary: 'A LUN of a target, formatted with ext4; disks as VHD images in it.',
  contract: contractVersion,
  features,
  srOperations: ['create', 'delete', 'introduce', 'reidentify'],
  contentType: imageContentType,
  limits: { shared: false, ...imageLimits },
  defaultVdiVisibility: true,
  tools: toolsOnLuns(extTools),
  example: lunExample,
  dconf,
  probe: async (ctx, partial) => probeTarget(ctx, type, partial, (raw) => parseDconf(type, dconf, raw), lookAtLuns(type, ctx, partial, async (c, devices) => probeExt(c, placeOn(devices), {}))),
  prepare: async (ctx, keys, want) => luns.on(ctx, keys, async (devices) => prepareExt(ctx, placeOn(devices), want), true),
  adopt: async (ctx, keys, want) => luns.on(ctx, keys, async (devices) => adoptExt(ctx, placeOn(devices), want)),
  reidentify: async (ctx, keys, want) => luns.on(ctx, keys, async (devices) => reidentifyExt(ctx, placeOn(devices), want)),
  remove: async (ctx, keys) => luns.on(ctx, keys, async (devices) => removeExt(ctx, placeOn(devices))),
  ...luns.calls,
  // An image file needs nothing on this host.
  letGo: async () => undefined,
})
