/**
 * One lock file of an SR: byte ranges held as open-file-description locks. The kernel releases them when the process dies,
 * however it dies; on a file of an NFS share the client hands them on to the server, which releases them when the host dies.
 * There is nothing to clean up and no owner to guess.
 *
 * Byte map: notes about holders (for people) in the first 512 KiB, lock bytes far behind. Never change it: an older version on
 * another host may hold the same file.
 */
import { closeSync, constants, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { lockRefused } from '../core/lock-table.ts'
import type { LockRequest, Release } from '../core/ports.ts'

/** The native half of the fs-native-extensions package; its JavaScript half costs 10 ms of start-up. */
interface Binding {
  /** Throws EAGAIN when another open file description holds a conflicting lock. */
  tryLock(fd: number, offset: number, length: number, exclusive: boolean): void
  unlock(fd: number, offset: number, length: number): void
}

let loaded: Binding | undefined
const binding = (): Binding =>
  (loaded ??= createRequire(import.meta.url)(`fs-native-extensions/prebuilds/${process.platform}-${process.arch}/fs-native-extensions.node`) as Binding)

const noteLength = 512
const noteSlots = 1024
const lockArea = 2 ** 40
/** Taken for a moment on the way in, so that a waiting exclusive request is not overtaken for ever by shared ones. */
const turnstileByte = lockArea
const srByte = lockArea + 1
const vdiArea = lockArea + 2

const vdiByte = (vdi: string): number => vdiArea + Number.parseInt(vdi.replaceAll('-', '').slice(20), 16) % 2 ** 48
/** Slot 0 is the SR's; VDIs share the others by their last digits. */
const noteSlot = (vdi: string): number => 1 + (Number.parseInt(vdi.slice(-6), 16) % (noteSlots - 1))

const tryLock = (fd: number, offset: number, exclusive: boolean): boolean => {
  try {
    binding().tryLock(fd, offset, 1, exclusive)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false
    // A system error as Node's own calls throw it, so that others know it for one.
    throw Object.assign(error as Error, { syscall: 'fcntl' })
  }
}

const writeNote = (fd: number, slot: number, text: string): void => {
  writeSync(fd, Buffer.from(text.slice(0, noteLength - 1).padEnd(noteLength)), 0, noteLength, slot * noteLength)
}

/** Through a descriptor of its own: on NFS, only a fresh open sees what another host has written. */
const readNote = (path: string, slot: number): string | undefined => {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const buffer = Buffer.alloc(noteLength)
    readSync(fd, buffer, 0, noteLength, slot * noteLength)
    const text = buffer.toString('utf8').replaceAll('\0', '').trim()
    return text === '' ? undefined : text
  } finally {
    closeSync(fd)
  }
}

/** What a request holds; everything is let go by `close`. */
export interface HeldLocks {
  /** Writes the notes again, durably. On NFS this fails when the server has taken the locks away meanwhile (EIO). */
  renew(): void
  close(): void
}

export interface LockWait {
  /** How long to wait, in milliseconds, and the `performance.now()` at which that ends. */
  readonly waitMs: number
  readonly deadline: number
  /** Longest pause between two tries, in milliseconds: each of them is a round trip where the file is on a server. */
  readonly pauseMs: number
  /** Who asks, beside the purpose of the request: for the next one in the queue. */
  readonly holder: string
}

/** Takes the locks of a request. Fails with inProgress at the deadline; whatever it had taken is let go then. */
export const lockBytes = async (path: string, request: LockRequest, wait: LockWait, signal: AbortSignal): Promise<HeldLocks> => {
  // One open file description per request: the kernel then arbitrates between the requests of this process, too.
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
  const note = `${request.purpose}, ${wait.holder}, since ${new Date().toISOString()}`
  const slots: number[] = []
  const take = async (offset: number, exclusive: boolean, slot: number): Promise<void> => {
    for (let pause = 1; !tryLock(fd, offset, exclusive); pause = Math.min(pause * 2, wait.pauseMs)) {
      if (performance.now() >= wait.deadline) throw lockRefused(request, readNote(path, slot), wait.waitMs)
      await sleep(pause, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  }
  const tell = (slot: number): void => {
    writeNote(fd, slot, note)
    slots.push(slot)
  }
  try {
    await take(turnstileByte, true, 0)
    await take(srByte, request.srMode === 'exclusive', 0)
    binding().unlock(fd, turnstileByte, 1)
    if (request.srMode === 'exclusive' || request.vdis.length === 0) tell(0)
    // An exclusive SR lock covers its VDIs: nobody can hold one without a shared SR lock.
    if (request.srMode === 'shared') {
      for (const vdi of request.vdis) {
        await take(vdiByte(vdi), true, noteSlot(vdi))
        tell(noteSlot(vdi))
      }
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return {
    renew: () => {
      for (const slot of slots) writeNote(fd, slot, note)
      fdatasyncSync(fd)
    },
    close: () => closeSync(fd),
  }
}

/**
 * Holds a file for itself as long as this process lives, or until released; undefined when another process holds it. The
 * file stays: removing it would let two processes hold two files of one name.
 */
export const holdFile = (path: string): Release | undefined => {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
  if (tryLock(fd, 0, true)) return { release: () => closeSync(fd) }
  closeSync(fd)
  return undefined
}
