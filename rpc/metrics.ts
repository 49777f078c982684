/** Metrics in Prometheus format. Loaded only by a daemon that has a listener to show them on. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { CallTrace } from '../core/caller.ts'

export interface Metrics {
  trace(trace: CallTrace): void
  /** Who tells how many calls run when the metrics are read. */
  watchRunning(count: () => number): void
  backlog(sr: string, backlog: { readonly bytes: number; readonly longest_chain: number }): void
  render(): Promise<{ readonly contentType: string; readonly text: string }>
}

const prefix = 'storage_manager_'

/** Seconds: from a call that only looks at memory to a long copy. */
const buckets = [0.000_1, 0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300]

export const createMetrics = (version: string): Metrics => {
  let runningCalls = (): number => 0
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const calls = new Counter({ name: `${prefix}calls_total`, help: 'Calls that have ended, by method and outcome (ok or the kind of the error)', labelNames: ['method', 'outcome'], registers })
  const durations = new Histogram({ name: `${prefix}call_duration_seconds`, help: 'How long calls took, waiting for locks included', labelNames: ['method'], buckets, registers })
  const lockWaits = new Histogram({ name: `${prefix}lock_wait_seconds`, help: 'How long calls that need a lock waited for it', labelNames: ['method'], buckets, registers })
  const bytes = new Gauge({ name: `${prefix}sr_backlog_bytes`, help: 'Bytes that the collector still has to move, as of its last run', labelNames: ['sr_uuid'], registers })
  const chain = new Gauge({ name: `${prefix}sr_longest_chain`, help: 'Images in the longest chain of the SR, as of the last run of the collector', labelNames: ['sr_uuid'], registers })
  new Gauge({
    name: `${prefix}running_calls`, help: 'Calls that run now', registers,
    collect() {
      this.set(runningCalls())
    },
  })
  new Gauge({ name: `${prefix}info`, help: 'Version of the storage manager', labelNames: ['version'], registers }).set({ version }, 1)

  return {
    trace({ method, outcome, durationMs, lockWaitMs }) {
      calls.inc({ method, outcome })
      durations.observe({ method }, durationMs / 1000)
      if (lockWaitMs > 0) lockWaits.observe({ method }, lockWaitMs / 1000)
    },
    watchRunning(count) {
      runningCalls = count
    },
    backlog(sr, backlog) {
      bytes.set({ sr_uuid: sr }, backlog.bytes)
      chain.set({ sr_uuid: sr }, backlog.longest_chain)
    },
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}
