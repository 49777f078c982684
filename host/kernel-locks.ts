/**
 * Locks between processes: byte ranges of one file per SR, held as open-file-description locks. The kernel releases them
 * when the process dies, however it dies; there is nothing to clean up and no owner to guess.
 *
 * Byte map of `<directory>/<sr uuid>`: notes about holders (for people) in the first 512 KiB, lock bytes far behind.
 */
import { closeSync, constants, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLockTable, lockRefused } from '../core/lock-table.ts'
import type { LockRequest, Locks, Release } from '../core/ports.ts'

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
    throw error
  }
}

const writeNote = (fd: number, slot: number, text: string): void => {
  writeSync(fd, Buffer.from(text.slice(0, noteLength - 1).padEnd(noteLength)), 0, noteLength, slot * noteLength)
}

const readNote = (fd: number, slot: number): string | undefined => {
  const buffer = Buffer.alloc(noteLength)
  readSync(fd, buffer, 0, noteLength, slot * noteLength)
  const text = buffer.toString('utf8').replaceAll('\0', '').trim()
  return text === '' ? undefined : text
}

/** `directory` must be private to the user: whoever can open the files can hold up every SR. */
export const createKernelLocks = (directory: string): Locks => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const table = createLockTable()

  const acquireKernel = async (request: LockRequest, deadline: number, waitMs: number, signal: AbortSignal): Promise<number> => {
    // One open file description per request: the kernel then arbitrates between the requests of this process, too.
    const fd = openSync(join(directory, request.sr), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
    const note = `${request.purpose}, process ${process.pid}, since ${new Date().toISOString()}`
    const take = async (offset: number, exclusive: boolean, slot: number): Promise<void> => {
      for (let pause = 1; !tryLock(fd, offset, exclusive); pause = Math.min(pause * 2, 20)) {
        if (performance.now() >= deadline) throw lockRefused(request, readNote(fd, slot), waitMs)
        await sleep(pause, undefined, { signal }).catch(() => signal.throwIfAborted())
      }
    }
    try {
      await take(turnstileByte, true, 0)
      await take(srByte, request.srMode === 'exclusive', 0)
      binding().unlock(fd, turnstileByte, 1)
      if (request.srMode === 'exclusive' || request.vdis.length === 0) writeNote(fd, 0, note)
      // An exclusive SR lock covers its VDIs: nobody can hold one without a shared SR lock.
      if (request.srMode === 'shared') {
        for (const vdi of request.vdis) {
          await take(vdiByte(vdi), true, noteSlot(vdi))
          writeNote(fd, noteSlot(vdi), note)
        }
      }
      return fd
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  return {
    async acquire(request, waitMs, signal) {
      const deadline = performance.now() + waitMs
      const queued = await table.acquire(request, waitMs, signal)
      try {
        const fd = await acquireKernel(request, deadline, waitMs, signal)
        let held = true
        const release: Release = {
          release() {
            if (!held) return
            held = false
            closeSync(fd)
            queued.release()
          },
        }
        return release
      } catch (error) {
        queued.release()
        throw error
      }
    },
    forget: () => undefined,
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
