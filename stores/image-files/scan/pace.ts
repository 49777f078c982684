/**
 * Reading many files at the pace of the storage. What comes from memory is read one after another, by calls that this thread
 * makes itself: nothing is faster. Where each is waited for (cold caches, a server far away) sixteen are under way at once.
 */
import { readFileSync } from 'node:fs'
import { directCalls, queuedCalls, type SystemCalls } from '../../../host/files/system-calls.ts'

/** Files until the first look at how it goes; as long as it goes well, twice as many until the next one. */
const firstChunk = 32

/** As many as the thread pools of processes that scan have threads (UV_THREADPOOL_SIZE). */
const inFlight = 16

/**
 * How often this thread has waited for something so far (`voluntary_ctxt_switches` of proc(5)), which in a scan is the storage.
 * Time would not tell: on a busy machine all takes long.
 */
const waits = (): number => {
  try {
    return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync('/proc/thread-self/status', 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

export interface Pace {
  readonly direct: SystemCalls
  readonly queued: SystemCalls
}

export const systemPace: Pace = { direct: directCalls, queued: queuedCalls }

/**
 * What `read` answers of each name (undefined: nothing to tell), in no order, in batches of about `batch`. `read` makes its
 * system calls through `calls`, and answers a promise only when it has to wait. What has been slow once is taken to stay so.
 */
export async function* readMany<T>(names: readonly string[], batch: number, read: (name: string, calls: SystemCalls) => T | undefined | Promise<T | undefined>, { direct, queued }: Pace = systemPace): AsyncGenerator<readonly T[]> {
  let found: T[] = []
  const keep = (one: T | undefined): void => {
    if (one !== undefined) found.push(one)
  }
  const oneByOne = async (some: readonly string[]): Promise<void> => {
    for (const name of some) {
      const one = read(name, direct)
      keep(one instanceof Promise ? await one : one)
    }
  }
  const manyAtOnce = async (some: readonly string[]): Promise<void> => {
    const next = some.values()
    await Promise.all(Array.from({ length: inFlight }, async () => {
      for (const name of next) keep(await read(name, queued))
    }))
  }
  let slow: boolean = false
  let chunk = firstChunk
  for (let at = 0; at < names.length; at += chunk, chunk = Math.min(chunk * 2, batch)) {
    const some = names.slice(at, at + chunk)
    const before: number = slow ? 0 : waits()
    await (slow ? manyAtOnce(some) : oneByOne(some))
    if (!slow) slow = waits() - before > some.length / 2
    if (found.length >= batch || at + chunk >= names.length) {
      yield found
      found = []
    }
  }
}
