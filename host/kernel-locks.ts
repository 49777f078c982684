/** Locks between the processes of this host: one lock file per SR, with the queue of this process in front of it. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createLockTable } from '../core/lock-table.ts'
import type { Locks, Release } from '../core/ports.ts'
import { lockBytes } from './lock-file.ts'

/** `directory` must be private to the user: whoever can open the files can hold up every SR. */
export const createKernelLocks = (directory: string): Locks => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const table = createLockTable()

  return {
    async acquire(request, waitMs, signal) {
      const deadline = performance.now() + waitMs
      const queued = await table.acquire(request, waitMs, signal)
      try {
        const locks = await lockBytes(join(directory, request.sr), request, { waitMs, deadline, pauseMs: 20, holder: `process ${process.pid}` }, signal)
        let held = true
        const release: Release = {
          release() {
            if (!held) return
            held = false
            locks.close()
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
