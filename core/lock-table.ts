/**
 * Locks inside one process: who may run now, in the order of asking. Serves by itself where there is one process (tests),
 * and as the queue in front of the kernel's locks elsewhere.
 *
 * Rules (SM API, "Ordering, Concurrency, and Locking"): an exclusive SR request excludes all others of that SR; shared
 * ones exclude each other only where they name the same VDI. Nobody overtakes: a request waits for every earlier one that
 * it conflicts with, also those that still wait, so no stream of small calls can starve a scan.
 */
import { StorageError } from './errors.ts'
import type { LockRequest, Locks, Release } from './ports.ts'

interface Entry {
  readonly request: LockRequest
  granted: boolean
  start: () => void
}

const conflicts = (a: LockRequest, b: LockRequest): boolean =>
  a.srMode === 'exclusive' || b.srMode === 'exclusive' || a.vdis.some((vdi) => b.vdis.includes(vdi))

export const lockRefused = (request: LockRequest, holder: string | undefined, waitedMs: number): StorageError =>
  new StorageError(
    'inProgress',
    `SR ${request.sr}${request.vdis.length === 0 ? '' : `, VDI ${request.vdis.join(' and ')}`} is in use by ${holder ?? 'another call'}; gave up after ${Math.round(waitedMs / 100) / 10} s`,
    { layer: 'engine', remedy: 'Try again when that call has ended; smctl task list shows long ones', details: { sr_uuid: request.sr, ...(holder === undefined ? {} : { holder }) } },
  )

export const createLockTable = (): Locks => {
  const queues = new Map<string, Entry[]>()

  const blocker = (queue: readonly Entry[], entry: Entry): Entry | undefined => {
    for (const earlier of queue) {
      if (earlier === entry) return undefined
      if (conflicts(earlier.request, entry.request)) return earlier
    }
    return undefined
  }

  const leave = (sr: string, entry: Entry): void => {
    const queue = queues.get(sr)
    if (queue === undefined) return
    const index = queue.indexOf(entry)
    if (index < 0) return
    queue.splice(index, 1)
    if (queue.length === 0) queues.delete(sr)
    for (const waiting of queue) {
      if (!waiting.granted && blocker(queue, waiting) === undefined) {
        waiting.granted = true
        waiting.start()
      }
    }
  }

  return {
    async acquire(request, waitMs, signal) {
      signal.throwIfAborted()
      const queue = queues.get(request.sr) ?? []
      queues.set(request.sr, queue)
      const entry: Entry = { request, granted: false, start: () => undefined }
      queue.push(entry)
      const release: Release = { release: () => leave(request.sr, entry) }
      const before = blocker(queue, entry)
      if (before === undefined) {
        entry.granted = true
        return release
      }
      await new Promise<void>((resolve, reject) => {
        const settle = (act: () => void): void => {
          clearTimeout(timer)
          signal.removeEventListener('abort', onAbort)
          act()
        }
        const giveUp = (error: unknown): void => {
          leave(request.sr, entry)
          reject(error)
        }
        const onAbort = (): void => settle(() => giveUp(signal.reason))
        const timer = setTimeout(
          () => settle(() => giveUp(lockRefused(request, blocker(queue, entry)?.request.purpose, waitMs))),
          waitMs,
        )
        signal.addEventListener('abort', onAbort, { once: true })
        entry.start = () => settle(resolve)
      })
      return release
    },
    forget: () => undefined,
  }
}
