/** What a driver that puts its SRs into volume groups starts. */
import type { Tool } from '../../core/contract.ts'

export const lvmTools: readonly Tool[] = [
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

export const thinTools: readonly Tool[] = [...lvmTools, { name: 'thin_check', debianPackage: 'thin-provisioning-tools', neededFor: 'checking the pool when LVM activates it' }]
