/** The driver on simulated arrays: two of them, that know each other, and a context of calls. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OpenArray } from '../../../../core/array/contract.ts'
import type { ArrayCtx } from '../../../../core/array/types.ts'
import { StorageError } from '../../../../core/errors.ts'
import type { Host } from '../../../../core/ports.ts'
import { settingsOf, type Connection } from '../../../../drivers/array-replication/hpe-3par/connection.ts'
import { openArray } from '../../../../drivers/array-replication/hpe-3par/open.ts'
import { startArrays, type ArrayWishes, type RunningArray, type RunningArrays } from '../../../../drivers/array-replication/hpe-3par/simulator/start.ts'
import { createFiles } from '../../../../host/files/files.ts'
import { keptLog } from './wsapi/scripted-array.ts'

export const contextOf = (signal = new AbortController().signal): ArrayCtx & { readonly log: ReturnType<typeof keptLog> } => ({
  callId: 'test', signal, log: keptLog(), clock: { now: Date.now }, host: { files: createFiles() } as Host, progress: () => undefined,
})

export interface Pair {
  readonly running: RunningArrays
  readonly sims: readonly [RunningArray, RunningArray]
  readonly near: OpenArray
  readonly far: OpenArray
  readonly ctx: ReturnType<typeof contextOf>
  /** Requests of the near driver since the last call of this: method and path. */
  requests(): readonly string[]
  reopen(): Promise<OpenArray>
  close(): Promise<void>
}

export interface PairOptions {
  readonly mode?: 'synchronous' | 'asynchronous' | 'streaming'
  readonly wishes?: readonly [ArrayWishes, ArrayWishes]
  /** Milliseconds of a copy, a promotion and a first sync. */
  readonly durations?: { readonly copyMs?: number; readonly promoteMs?: number; readonly syncMs?: number }
  /** Without the access to the other array. */
  readonly blind?: true
}

const connectionOf = (own: RunningArray, peer: RunningArray, options: PairOptions): Connection => ({
  hpe3par_api_url: own.url, hpe3par_username: own.user, hpe3par_password: own.password, hpe3par_cpg: 'SSD_r6', hpe3par_snapcpg: 'FC_r5', hpe3par_fingerprint: own.certificate.fingerprint,
  ...(options.blind === true ? {} : {
    replication_device: [
      `backend_id:${peer.name}`, `replication_mode:${options.mode ?? 'asynchronous'}`, 'cpg_map:SSD_r6:SSD_r6', 'snap_cpg_map:FC_r5:FC_r5', `hpe3par_api_url:${peer.url}`, `hpe3par_username:${peer.user}`,
      `hpe3par_password:${peer.password}`, `hpe3par_fingerprint:${peer.certificate.fingerprint.replaceAll(':', '').replace(/^sha256/i, '')}`,
    ].join(', '),
  }),
})

/** The arrays' clocks run so many times faster than ours: their times have whole seconds, and waiting for the next one is most of a test. */
const haste = 20
const hastyClock = (): (() => number) => {
  const begun = Date.now()
  return () => begun + (Date.now() - begun) * haste
}

export const startPair = async (options: PairOptions = {}): Promise<Pair> => {
  const directory = mkdtempSync(join(tmpdir(), 'arrays-'))
  const running = await startArrays({ arrays: options.wishes ?? 2, stateDirectory: directory, keepAlive: true, now: hastyClock(), durations: { copyMs: 1_000, promoteMs: 1_000, syncMs: 1_000, ...options.durations } })
  const [a, b] = running.arrays
  if (a === undefined || b === undefined) throw new Error('two arrays are needed')
  const ctx = contextOf()
  let seen: string[] = []
  const open = async (own: RunningArray, peer: RunningArray, onRequest?: (method: string, path: string) => void): Promise<OpenArray> =>
    openArray(ctx, await settingsOf(ctx, connectionOf(own, peer, options)), { pauses: [20, 20], secondMs: 60, ...(onRequest === undefined ? {} : { onRequest }) })
  const near = await open(a, b, (method, path) => seen.push(`${method} ${path}`))
  const far = await open(b, a)
  const opened: OpenArray[] = [near, far]
  return {
    running, sims: [a, b], near, far, ctx,
    requests() {
      const all = seen
      seen = []
      return all
    },
    async reopen() {
      const again = await open(a, b)
      opened.push(again)
      return again
    },
    async close() {
      for (const array of opened) await array.close()
      await running.close()
      rmSync(directory, { recursive: true })
    },
  }
}

export const caught = async (work: Promise<unknown>): Promise<StorageError> => {
  try {
    await work
  } catch (error) {
    if (error instanceof StorageError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** The value of an outcome that is done, or of the job that it became. */
export const settle = async <T>(pair: Pair, outcome: { readonly kind: 'done'; readonly value: T } | { readonly kind: 'started'; readonly job: string }): Promise<T> => {
  if (outcome.kind === 'done') return outcome.value
  for (;;) {
    const job = await pair.near.job(pair.ctx, outcome.job)
    if (job.state === 'succeeded') return job.value as T
    if (job.state !== 'running') throw new Error(`job ${outcome.job} is ${job.state}: ${job.error?.message ?? ''}`)
    await new Promise((resolve) => { setTimeout(resolve, 20) })
  }
}
