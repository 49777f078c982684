/** Argument vectors of the tools that look at block devices; none of them changes anything. */
import type { Command } from '../../core/ports.ts'

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
