/** Argument vectors of mount(8) and umount(8). */
import type { Command } from '../../core/ports.ts'

export interface MountWant {
  readonly source: string
  readonly target: string
  readonly fsType: string
  /** One option each. */
  readonly options: readonly string[]
}

/** Whoever builds options has checked what they are made of; nothing may turn one into two all the same. */
const single = (option: string): string => {
  if (option === '' || /[,\s\p{Cc}]/u.test(option)) throw new Error(`not one mount option: ${JSON.stringify(option)}`)
  return option
}

export const mountCommand = ({ source, target, fsType, options }: MountWant, timeoutMs: number): Command => ({
  argv: ['mount', '-t', fsType, ...(options.length === 0 ? [] : ['-o', options.map(single).join(',')]), '--', source, target],
  timeoutMs,
  effect: 'write',
})

/**
 * How hard to try. `force` ends requests that wait for a dead server with an error; `lazy` takes the mount out of the tree at
 * once, and the kernel cleans up when the last user lets go.
 */
export type UnmountHow = 'plain' | 'force' | 'lazy'

const flags: Readonly<Record<UnmountHow, readonly string[]>> = { plain: [], force: ['-f'], lazy: ['-l'] }

/**
 * Without the file system's helper (`-i`) and without looking at the path (`-c`): both would ask a server that may be dead.
 * A failure is no reason to throw: the mount table tells what came of it.
 */
export const unmountCommand = (target: string, how: UnmountHow, timeoutMs: number): Command => ({
  argv: ['umount', '-i', '-c', ...flags[how], '--', target],
  timeoutMs,
  effect: 'write',
  accept: [0, 1, 32],
})
