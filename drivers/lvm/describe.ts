/** What the descriptors of both types have in common, and how a half-written dconf is probed. */
import type { Ctx, DeviceConfig, ProbeResult, Tool } from '../../core/contract.ts'
import { parseDconf } from '../../core/define-driver.ts'
import { probeDevices } from '../../stores/logical-volumes/probe.ts'
import { devicesOf, type thickKeys, type thinKeys } from './dconf.ts'

export const tools: readonly Tool[] = [
  { name: 'lvm', debianPackage: 'lvm2', neededFor: 'volume groups and volumes; 2.03.12 or newer' },
  { name: 'dmsetup', debianPackage: 'dmsetup', neededFor: 'detaching when the devices are gone' },
  { name: 'lsblk', debianPackage: 'util-linux', neededFor: 'finding devices; 2.37 or newer' },
  { name: 'blkid', debianPackage: 'util-linux', neededFor: 'telling what is on a device' },
  { name: 'wipefs', debianPackage: 'util-linux', neededFor: 'telling what is on a device, and sr_delete' },
  { name: 'blkdiscard', debianPackage: 'util-linux', neededFor: 'writing zeros' },
  { name: 'blockdev', debianPackage: 'util-linux', neededFor: 'read-only attachments' },
  { name: 'udevadm', debianPackage: 'udev', neededFor: 'waiting for device nodes' },
  { name: 'realpath', debianPackage: 'coreutils', neededFor: 'telling which device a name means' },
  { name: 'dd', debianPackage: 'coreutils', neededFor: 'telling whether a device can be read' },
]

/** The keys that are there must be right; `device` may be missing. */
export const probeWith = async (ctx: Ctx, type: string, kind: 'thick' | 'thin', schema: typeof thickKeys | typeof thinKeys, partial: DeviceConfig): Promise<ProbeResult> => {
  const { device, ...rest } = partial
  // Any device will do to have the other keys checked.
  parseDconf(type, schema, { ...rest, device: device ?? '/dev/null' })
  return probeDevices(ctx, kind, device === undefined ? [] : devicesOf(device), rest)
}
