/** What a driver that puts its SRs on ext4 starts. */
import type { Tool } from '../../core/contract.ts'

export const extTools: readonly Tool[] = [
  { name: 'mkfs.ext4', debianPackage: 'e2fsprogs', neededFor: 'making the file system' },
  { name: 'e2fsck', debianPackage: 'e2fsprogs', neededFor: 'replaying its journal before it is mounted' },
  { name: 'dumpe2fs', debianPackage: 'e2fsprogs', neededFor: 'reading its size' },
  { name: 'tune2fs', debianPackage: 'e2fsprogs', neededFor: 'giving a copy a uuid of its own' },
  { name: 'resize2fs', debianPackage: 'e2fsprogs', neededFor: 'using what a device has gained' },
  { name: 'mount', debianPackage: 'mount', neededFor: 'mounting it' },
  { name: 'umount', debianPackage: 'mount', neededFor: 'unmounting it' },
  { name: 'lsblk', debianPackage: 'util-linux', neededFor: 'seeing what uses a device' },
  { name: 'blkid', debianPackage: 'util-linux', neededFor: 'seeing what is on a device' },
  { name: 'wipefs', debianPackage: 'util-linux', neededFor: 'proving that a device is blank' },
  { name: 'blockdev', debianPackage: 'util-linux', neededFor: 'reading back what was written' },
  { name: 'blkdiscard', debianPackage: 'util-linux', neededFor: 'giving space back to thin storage' },
]
