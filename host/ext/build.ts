/** Argument vectors of the ext4 tools (e2fsprogs 1.47). Devices are nodes, `/dev/...`: none can be taken for an option. */
import type { Command } from '../../core/ports.ts'
import { KiB } from '../../core/units.ts'

const seconds = 1000
const minutes = 60 * seconds

/** Marks file systems of ours for people; what proves one is its uuid and the SR's identity file in it. At most 16 bytes. */
export const volumeLabel = 'storage-manager'

/**
 * A file system of `size` bytes (a multiple of 1 KiB) whose uuid is the SR's. metadata_csum_seed lets a copy change its uuid by
 * writing superblocks only; one inode for 64 KiB is plenty for disks; nothing is reserved for root, whom everything here belongs to.
 */
export const mkfsCommand = (device: string, uuid: string, size: number): Command => ({
  argv: [
    'mkfs.ext4', '-q', '-U', uuid, '-L', volumeLabel, '-O', 'metadata_csum,metadata_csum_seed,64bit', '-m', '0', '-i', '65536',
    '-e', 'remount-ro', '-E', 'lazy_itable_init=1,lazy_journal_init=1', device, `${size / KiB}k`,
  ],
  timeoutMs: 4 * minutes,
  effect: 'write',
})

/** What each bit of e2fsck's exit status says (e2fsck(8), EXIT CODE). */
export const fsckBits = { corrected: 1, rebootNeeded: 2, uncorrected: 4, operationalError: 8, usage: 16, cancelled: 32, libraryError: 128 } as const

const anyStatus = Array.from({ length: 256 }, (_, status) => status)

/** Replays the journal and mends what can be mended without asking. Of a clean file system it reads the superblock only. */
export const fsckCommand = (device: string, how: { readonly force: boolean } = { force: false }): Command => ({
  argv: ['e2fsck', '-p', ...(how.force ? ['-f'] : []), device],
  timeoutMs: 150 * seconds,
  effect: 'write',
  accept: anyStatus,
})

export const superblockCommand = (device: string): Command => ({ argv: ['dumpe2fs', '-h', device], timeoutMs: 20 * seconds, effect: 'read' })

/** Enlarges to `size` bytes, also while it is mounted. */
export const growCommand = (device: string, size: number): Command => ({
  argv: ['resize2fs', device, `${Math.floor(size / KiB)}K`],
  timeoutMs: 100 * seconds,
  effect: 'write',
})

/** Frees the checksums of all metadata from the uuid; writes the superblock only. */
export const seedCommand = (device: string): Command => ({ argv: ['tune2fs', '-O', 'metadata_csum_seed', device], timeoutMs: 60 * seconds, effect: 'write' })

export const setUuidCommand = (device: string, uuid: string): Command => ({ argv: ['tune2fs', '-U', uuid, device], timeoutMs: 60 * seconds, effect: 'write' })

/** Tells thin storage that a range is not needed any more; not every device can. */
export const discardCommand = (device: string, offset: number, length: number): Command => ({
  argv: ['blkdiscard', '--offset', String(offset), '--length', String(length), device],
  timeoutMs: 2 * minutes,
  effect: 'write',
})

/** Writes what the kernel holds of a device and forgets it: what is read next comes from the device. */
export const flushCommand = (device: string): Command => ({ argv: ['blockdev', '--flushbufs', device], timeoutMs: 60 * seconds, effect: 'read' })
