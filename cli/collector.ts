/**
 * The collector of the daemon: some idle time after disks of an SR were deleted, snapshot or reverted, and after the start,
 * it runs SR.collect there. One SR at a time, and later and later where it fails; nothing of it is remembered, the storage
 * itself tells what is owed.
 */
import type { Engine } from '../core/caller.ts'
import { toStorageError } from '../core/errors.ts'
import type { MethodName, Result } from '../core/methods/index.ts'
import type { Log } from '../core/ports.ts'

export interface CollectorOptions {
  readonly engine: Engine
  readonly log: Log
  readonly idleMs: number
  /** What an SR still owes after a run, for metrics. */
  readonly onBacklog?: (sr: string, backlog: Pick<Result<'SR.backlog'>, 'bytes' | 'longest_chain'>) => void
}

export interface Collector {
  close(): Promise<void>
}

/** Calls that leave something to collect, or make an SR reachable that may owe something from before. */
const leavesWork: ReadonlySet<MethodName> = new Set(['VDI.delete', 'VDI.snapshot', 'VDI.clone', 'VDI.revert', 'VDI.detach', 'VDI.unlock', 'SR.attach'])

const longestPauseMs = 6 * 3600 * 1000

interface Due {
  timer: NodeJS.Timeout | undefined
  failures: number
}

export const startCollector = (options: CollectorOptions): Collector => {
  const { engine, log, idleMs } = options
  const due = new Map<string, Due>()
  const controller = new AbortController()
  const { signal } = controller
  /** Runs one after the other: the tail of this chain is the last one. */
  let queue: Promise<void> = Promise.resolve()

  const collect = async (uuid: string): Promise<void> => {
    const { srs } = await engine.call('SR.list', {}, { signal })
    if (!srs.some((sr) => sr.uuid === uuid && sr.attached)) return
    const { features } = await engine.call('SR.stat', { sr_uuid: uuid }, { signal })
    if (!features.includes('collect')) return
    const done = await engine.call('SR.collect', { sr_uuid: uuid }, { signal })
    const backlog = await engine.call('SR.backlog', { sr_uuid: uuid }, { signal })
    options.onBacklog?.(uuid, backlog)
    log.info({ sr_uuid: uuid, ...done, backlog_bytes: backlog.bytes, longest_chain: backlog.longest_chain }, 'collector run ended')
  }

  const plan = (uuid: string, delayMs: number): void => {
    if (signal.aborted) return
    const entry = due.get(uuid) ?? { timer: undefined, failures: 0 }
    due.set(uuid, entry)
    clearTimeout(entry.timer)
    entry.timer = setTimeout(() => {
      entry.timer = undefined
      queue = queue.then(async () => run(uuid, entry))
    }, delayMs)
    entry.timer.unref()
  }

  const run = async (uuid: string, entry: Due): Promise<void> => {
    if (signal.aborted) return
    try {
      await collect(uuid)
      entry.failures = 0
      if (entry.timer === undefined) due.delete(uuid)
    } catch (thrown) {
      if (signal.aborted) return
      const error = toStorageError(thrown, 'cli:collector')
      entry.failures += 1
      const pauseMs = Math.min(Math.max(idleMs, 1000) * 2 ** entry.failures, longestPauseMs)
      log.warn({ sr_uuid: uuid, kind: error.kind, failures: entry.failures, next_try_ms: pauseMs }, `collector failed: ${error.message}`)
      if (entry.timer === undefined) plan(uuid, pauseMs)
    }
  }

  const stopListening = engine.subscribe((event) => {
    if (event.event !== 'changed' || event.sr_uuid === undefined || !leavesWork.has(event.method)) return
    const entry = due.get(event.sr_uuid)
    // A failing SR keeps its longer pause: new work there does not make it healthier.
    if (entry !== undefined && entry.failures > 0 && entry.timer !== undefined) return
    plan(event.sr_uuid, idleMs)
  })
  engine.call('SR.list', {}, { signal }).then(
    ({ srs }) => {
      for (const sr of srs) if (sr.attached) plan(sr.uuid, idleMs)
    },
    (error: unknown) => log.warn({ err: error }, 'collector could not list the SRs'),
  )

  return {
    async close() {
      stopListening()
      controller.abort()
      for (const { timer } of due.values()) clearTimeout(timer)
      await queue
    },
  }
}
