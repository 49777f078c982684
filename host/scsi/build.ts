/** Argument vectors of the tools that speak to SCSI disks. Each may hang as long as the disk does: their time is short. */
import type { Command } from '../../core/ports.ts'

const askMs = 20_000
/** What is queued has to reach the disk. */
const flushMs = 60_000

/** Asks the disk itself; the kernel's copy in sysfs stays what it was when the number is given to another LUN. Status 5: it has no such page, or is gone. */
export const identityCommand = (device: string): Command => ({ argv: ['sg_vpd', '--page=0x83', '-HHH', device], timeoutMs: askMs, effect: 'read' })

/** Statuses of sg_persist (sg3_utils(8)): 5 illegal request, 9 unsupported opcode, 24 reservation conflict. */
export const persistStatus = { illegal: 5, unsupported: 9, conflict: 24 } as const

const hex = (key: bigint): string => `0x${key.toString(16)}`

export const readFullStatusCommand = (device: string): Command => ({
  argv: ['sg_persist', '--in', '--read-full-status', device], timeoutMs: askMs, effect: 'read', accept: [0, persistStatus.illegal, persistStatus.unsupported],
})

export const readReservationCommand = (device: string): Command => ({
  argv: ['sg_persist', '--in', '--read-reservation', device], timeoutMs: askMs, effect: 'read', accept: [0, persistStatus.illegal, persistStatus.unsupported],
})

/** `Write Exclusive, registrants only` (SPC-4, table 63): whoever is not registered reads, but does not write. */
const type = '--prout-type=5'

/** What a registered host may ask for (SPC-4, 5.13); keys are known to every host that reads the LUN, they are no secrets. */
export type Persist =
  /** Gives this path a key, whatever it had; 0 takes it away, and the reservation with it if this path holds it. `persist`: through a power loss of the array. */
  | { readonly act: 'register'; readonly key: bigint; readonly persist: boolean }
  | { readonly act: 'reserve'; readonly key: bigint }
  /** Removes all registrations of `victim` and, when one of them held the reservation, takes it. */
  | { readonly act: 'preempt'; readonly key: bigint; readonly victim: bigint }
  | { readonly act: 'release'; readonly key: bigint }

const persistArgs = (want: Persist): readonly string[] => {
  if (want.act === 'register') return ['--register-ignore', `--param-sark=${hex(want.key)}`, ...(want.persist ? ['--param-aptpl'] : [])]
  if (want.act === 'preempt') return ['--preempt', `--param-rk=${hex(want.key)}`, `--param-sark=${hex(want.victim)}`, type]
  return [`--${want.act}`, `--param-rk=${hex(want.key)}`, type]
}

export const persistCommand = (device: string, want: Persist): Command => ({
  argv: ['sg_persist', '--out', ...persistArgs(want), device], timeoutMs: askMs, effect: 'write',
  accept: [0, persistStatus.conflict, ...(want.act === 'register' ? [persistStatus.illegal] : [])],
})

/** Writes back what is queued and forgets what was read: another host may write next. */
export const flushCommand = (device: string): Command => ({ argv: ['blockdev', '--flushbufs', device], timeoutMs: flushMs, effect: 'write' })

export const setReadOnlyCommand = (device: string, readOnly: boolean): Command => ({
  argv: ['blockdev', readOnly ? '--setro' : '--setrw', device], timeoutMs: askMs, effect: 'write',
})

/** A process of its own writes the attribute: the kernel may flush a disk that does not answer before it lets go of it. */
export const deleteDiskCommand = (scsiDirectory: string): Command => ({
  argv: ['tee', `${scsiDirectory}/delete`], stdin: '1', timeoutMs: askMs, effect: 'write',
})

/** Open descriptors of all processes that lead to one of these nodes, as `/proc/1234/fd/7`. Status 1: a process ended meanwhile. */
export const openersCommand = (nodes: readonly string[]): Command => ({
  argv: ['find', '/proc', '-maxdepth', '3', '-path', '/proc/[0-9]*/fd/*', '(', ...nodes.flatMap((node, index) => [...(index === 0 ? [] : ['-o']), '-lname', node]), ')'],
  timeoutMs: askMs, effect: 'read', accept: [0, 1],
})

/** Returns when udev has worked through all events it knew of. */
export const settleCommand: Command = { argv: ['udevadm', 'settle', '--timeout=30'], timeoutMs: 40_000, effect: 'read', accept: [0, 1] }
