/** What the descriptors of both types have in common, and how a half-written dconf is probed. */
import type { Ctx, DeviceConfig, ProbeResult, Tool } from '../../core/contract.ts'
import { probeDevices } from '../../stores/logical-volumes/probe.ts'
import { devicesOf } from './dconf.ts'

export const tools: readonly Tool[] = [
  { name: 'lvm', debianPackage: 'lvm2', neededFor: 'volume groups and volumes; 2.03.12 or newer' },
  { name: 'dmsetup', debianPackage: 'dmsetup', neededFor: 'detaching when the devices are gone' },
  { name: 'lsblk', debianPackage: 'util-linux', neededFor: 'finding devices; 2.37 or newer' },
  { name: 'blkid', debianPackage: 'util-linux', neededFor: 'telling what is on a device' },
  { name: 'wipefs', debianPackage: 'util-linux', neededFor: 'telling what is on a device, and sr_delete' },
  { name: 'blkdiscard', debianPackage: 'util-linux', neededFor: 'writing zeros' },
  { name: 'blockdev', debianPackage: 'util-linux', neededFor: 'read-only attachments' },
  { name: 'udevadm', debianPackage: 'udev', neededFor: 'waiting for device nodes' },
  { name: 'realpath', debianPackage: 'coreutils', neededFor: 'finding names of devices that last' },
  { name: 'dd', debianPackage: 'coreutils', neededFor: 'telling whether a device can be read' },
]

export const probeWith = async (ctx: Ctx, kind: 'thick' | 'thin', partial: DeviceConfig): Promise<ProbeResult> => {
  const { device, ...rest } = partial
  return probeDevices(ctx, kind, device === undefined ? [] : devicesOf(device), rest)
}
