/** Argument vectors of the tools that look at block devices, and of the few that change one. */
import type { Command } from '../../core/ports.ts'
import { MiB } from '../../core/units.ts'

/** A device that does not answer holds a tool up; this is how long one is waited for. */
const timeoutMs = 20_000

/**
 * Facts of one device, or of all, and of what is built on them, from the kernel; only with NAME does the answer nest. Status 32:
 * it is no block device.
 */
export const lsblkCommand = (device?: string): Command => ({
  argv: ['lsblk', '--json', '--bytes', '--paths', '--output', 'NAME,KNAME,PATH,MAJ:MIN,TYPE,SIZE,RO,MOUNTPOINTS', ...(device === undefined ? [] : ['--', device])],
  timeoutMs, effect: 'read', accept: [0, 32],
})

/** The same for all block devices of this host, with what udev believes to be on them. No device is read for it. */
export const lsblkTreeCommand = (): Command => ({
  argv: ['lsblk', '--json', '--bytes', '--paths', '--output', 'NAME,KNAME,PATH,MAJ:MIN,TYPE,SIZE,RO,MOUNTPOINTS,FSTYPE,UUID,MODEL,SERIAL'],
  timeoutMs, effect: 'read',
})

/**
 * Reads the device itself, no cache. Status 2: no signature, or the device could not be read (that is told apart by reading);
 * 8: more than one.
 */
export const blkidCommand = (device: string): Command => ({
  argv: ['blkid', '--probe', '--output', 'export', '--', device],
  timeoutMs, effect: 'read', accept: [0, 2, 8],
})

/** Every device that carries this file system uuid, read afresh. Status 2: none. */
export const findByUuidCommand = (uuid: string): Command => ({
  argv: ['blkid', '--cache-file', '/dev/null', '--output', 'device', '--match-token', `UUID=${uuid}`],
  timeoutMs, effect: 'read', accept: [0, 2],
})

/** All signatures on a device, also the ones that hide behind another. */
export const signaturesCommand = (device: string): Command => ({
  argv: ['wipefs', '--no-act', '--json', '--', device],
  timeoutMs, effect: 'read',
})

/** Reads one MiB past the page cache, in a process that can be left behind when the device hangs. */
export const readCommand = (device: string): Command => ({
  argv: ['dd', `if=${device}`, 'of=/dev/null', `bs=${MiB}`, 'count=1', 'iflag=direct', 'status=none'],
  timeoutMs, effect: 'read',
})

/** Where names lead, one a line, in their order; also of those that lead nowhere. */
export const realpathCommand = (paths: readonly string[]): Command => ({ argv: ['realpath', '--canonicalize-missing', '--', ...paths], timeoutMs, effect: 'read' })

/**
 * Zeros instead of content, by the kernel's own means where the device has them. Whatever signature is there goes as well:
 * only for a device or volume whose content is known to be nobody's. Without --force it opens the device exclusively: the
 * kernel refuses one that is mounted or that anything is built on, however late that came about (blkdiscard(8)); signatures
 * make it ask at a terminal only.
 */
export const zeroCommand = (device: string, offset: number, length: number, limitMs = 60_000): Command => ({
  argv: ['blkdiscard', '--zeroout', '--offset', String(offset), '--length', String(length), device],
  timeoutMs: limitMs, effect: 'write',
})

/** Waits until udev has handled what has happened so far, or until the name is there. */
export const settleCommand = (path?: string): Command => ({
  argv: ['udevadm', 'settle', '--timeout=30', ...(path === undefined ? [] : [`--exit-if-exists=${path}`])],
  timeoutMs: 40_000, effect: 'read', accept: [0, 1],
})

/** Makes the kernel refuse writes to a device, or take them again. */
export const readOnlyCommand = (device: string, readOnly: boolean): Command => ({
  argv: ['blockdev', readOnly ? '--setro' : '--setrw', device],
  timeoutMs, effect: 'write',
})
