/**
 * The one door for every call: validate, lock, run the operation, trace. Front ends call it with names and plain data;
 * nothing reaches a driver in any other way.
 */
import type * as z from 'zod'
import { createArrayOpener } from './array/open.ts'
import { noArrays, type Arrays, type SiteRecovery } from './array/ports.ts'
import { withLocks, type Call, type DriverRegistry, type EngineState } from './call.ts'
import type { CallOptions, CallTrace, Engine, StorageEvent } from './caller.ts'
import { arrayKeys, secretKeys } from './define-driver.ts'
import { StorageError, toStorageError } from './errors.ts'
import type { SrUuid, VdiUuid } from './ids.ts'
import { invalidFromZod } from './invalid.ts'
import { isMethod, methodNames, methods, methodShape, type MethodName, type Params, type Result } from './methods/index.ts'
import { arrayOperations } from './operations/array.ts'
import { collectOperations } from './operations/collect.ts'
import { replicationOperations } from './operations/replication.ts'
import { serviceOperations } from './operations/service.ts'
import { siteRecoveryOperations } from './operations/site-recovery.ts'
import { srOperations } from './operations/sr.ts'
import { vdiOperations } from './operations/vdi.ts'
import type { Clock, Host, HostRecords, Locks, Log } from './ports.ts'
import { hideInError } from './secrets.ts'
import { createSrHandles } from './sr-handles.ts'
import { createTasks } from './tasks.ts'

export interface EngineOptions {
  readonly drivers: DriverRegistry
  /** Absent: no array types. */
  readonly arrays?: Arrays
  readonly siteRecovery?: SiteRecovery
  readonly host: Host
  readonly locks: Locks
  readonly records: HostRecords
  readonly clock: Clock
  readonly log: Log
  readonly version: string
  readonly stateDirectory: string
  readonly lockWaitMs?: number
  /** Replaces every deadline of the table; for tests of deadlines. */
  readonly deadlineMs?: number
  readonly onTrace?: (trace: CallTrace) => void
}

type Operations = { readonly [M in MethodName]: (call: Call, params: Params<M>) => Promise<Result<M>> }

/** After its deadline or a cancel a driver has so long to stop by itself before the caller is answered without it. */
const graceMs = 2000

/** New objects may leave their uuid to us: it is made up before locks are taken, which are named by it. */
const madeUp: Readonly<Partial<Record<MethodName, readonly string[]>>> = {
  'SR.create': ['sr_uuid'],
  'SR.reidentify': ['sr_uuid'],
  'VDI.create': ['vdi_uuid'],
  'VDI.snapshot': ['dest_uuid'],
  'VDI.clone': ['dest_uuid'],
}

const completed = (method: MethodName, params: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => {
  const missing = (madeUp[method] ?? []).filter((key) => params[key] === undefined)
  return missing.length === 0 ? params : { ...params, ...Object.fromEntries(missing.map((key) => [key, crypto.randomUUID()])) }
}

const parseParams = (method: MethodName, raw: unknown): Readonly<Record<string, unknown>> => {
  const schema: z.ZodObject = methods[method].params
  const parsed = schema.safeParse(raw ?? {})
  if (parsed.success) return parsed.data
  const known = Object.keys(schema.shape)
  throw invalidFromZod(parsed.error, { layer: 'engine', known, remedy: `${method} takes: ${known.join(', ') || 'no parameters'}` })
}

const textOf = (params: Readonly<Record<string, unknown>>, key: string): string | undefined => {
  const value = params[key]
  return typeof value === 'string' ? value : undefined
}

export const createEngine = (options: EngineOptions): Engine => {
  const { clock, records, locks, log } = options
  const listeners = new Set<(event: StorageEvent) => void>()
  const emit = (event: StorageEvent): void => {
    for (const listener of listeners) listener(event)
  }
  const now = (): string => new Date(clock.now()).toISOString()
  const running = new Map<Promise<unknown>, AbortController>()
  let closing = false

  const engine: EngineState = {
    drivers: options.drivers,
    arrays: options.arrays ?? noArrays,
    opener: createArrayOpener(options.arrays ?? noArrays),
    ...(options.siteRecovery === undefined ? {} : { siteRecovery: options.siteRecovery }),
    host: options.host,
    locks,
    records,
    clock,
    version: options.version,
    stateDirectory: options.stateDirectory,
    startedMs: clock.now(),
    lockWaitMs: options.lockWaitMs ?? 10_000,
    handles: createSrHandles(),
    tasks: createTasks(clock, (task) => emit({ event: 'task', task, at: now() })),
    runningCalls: () => running.size,
  }

  const operations: Operations = {
    ...srOperations,
    ...vdiOperations,
    ...collectOperations,
    ...arrayOperations,
    ...replicationOperations,
    ...siteRecoveryOperations,
    ...serviceOperations(async (method, params, signal, onProgress) => callByName(method, params, { signal, onProgress })),
  }

  /** The connections of the arrays a call is about, named or described. */
  const arraysIn = (params: Readonly<Record<string, unknown>>): readonly (readonly [type: string, config: Readonly<Record<string, string>>])[] =>
    [params, params['array'], params['peer']].flatMap((ref) => {
      if (typeof ref === 'string') {
        const record = engine.arrays.records.get(ref)
        return record === undefined ? [] : [[record.type, record.connection] as const]
      }
      const given = ref as { readonly type?: unknown; readonly device_config?: unknown } | undefined
      return typeof given?.type === 'string' && typeof given.device_config === 'object' ? [[given.type, given.device_config as Readonly<Record<string, string>>] as const] : []
    })

  /** Values that must not appear in any log line or error of this call: whatever the dconf schema marks as secret, wherever the dconf comes from. */
  const secretsOf = async (params: Readonly<Record<string, unknown>>, place: CallOptions['place']): Promise<readonly string[]> => {
    const sr = textOf(params, 'sr_uuid') as SrUuid | undefined
    const record = sr === undefined ? undefined : records.sr(sr)
    const told = params['device_config'] as Readonly<Record<string, string>> | undefined
    const secrets = new Set<string>()
    const arrays = [...arraysIn(params)]
    for (const [type, config] of [[textOf(params, 'type'), told], [place?.type, place?.deviceConfig], [record?.type, record?.deviceConfig]] as const) {
      if (config === undefined || type === undefined || !options.drivers.types.includes(type)) continue
      const { dconf } = await options.drivers.load(type)
      for (const key of secretKeys(dconf)) if (config[key] !== undefined && config[key] !== '') secrets.add(config[key])
      for (const key of arrayKeys(dconf)) {
        const array = engine.arrays.records.get(config[key] ?? '')
        if (array !== undefined) arrays.push([array.type, array.connection])
      }
    }
    for (const [type, config] of arrays) {
      if (!engine.arrays.registry.types.includes(type)) continue
      for (const key of secretKeys((await engine.arrays.registry.load(type)).connection)) if (config[key] !== undefined && config[key] !== '') secrets.add(config[key])
    }
    return [...secrets]
  }

  const run = async (call: Call, method: MethodName, params: Readonly<Record<string, unknown>>): Promise<unknown> => {
    const scope = methodShape(method).lock
    const operation = operations[method] as (call: Call, params: unknown) => Promise<unknown>
    const sr = textOf(params, 'sr_uuid')
    if (scope.sr === 'none' || sr === undefined) return operation(call, params)
    const vdis = (scope.vdis ?? []).flatMap((key) => textOf(params, key) ?? []) as VdiUuid[]
    return withLocks(call, { sr: sr as SrUuid, srMode: scope.sr, vdis }, async () => operation(call, params))
  }

  /**
   * The caller is answered at the deadline even if the driver hangs (a dead NFS server lets nobody go). The operation
   * keeps its locks until it has really ended: nobody else may touch what it may still be changing.
   */
  const bounded = async (work: Promise<unknown>, signal: AbortSignal): Promise<unknown> =>
    new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined
      const onAbort = (): void => {
        timer = setTimeout(() => reject(signal.reason as Error), graceMs)
      }
      const settled = (act: () => void): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
        act()
      }
      work.then(
        (value) => settled(() => resolve(value)),
        (error: unknown) => settled(() => reject(error as Error)),
      )
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
    })

  const callByName = async (name: string, raw: unknown, given: CallOptions = {}): Promise<unknown> => {
    if (!isMethod(name)) {
      throw new StorageError('notSupported', `There is no call ${JSON.stringify(name.slice(0, 64))}`, { field: 'method', layer: 'engine', remedy: `The calls are: ${methodNames.join(', ')}` })
    }
    if (closing) throw new StorageError('cancelled', 'The storage manager is stopping', { layer: 'engine', remedy: 'Try again when it runs' })
    const shape = methodShape(name)
    const callId = given.callId ?? crypto.randomUUID()
    const started = performance.now()
    const controller = new AbortController()
    const onCallerAbort = (): void => controller.abort(new StorageError('cancelled', `${name} was cancelled`, { layer: 'engine', mayHaveChanged: shape.effect === 'write' }))
    if (given.signal?.aborted === true) onCallerAbort()
    given.signal?.addEventListener('abort', onCallerAbort, { once: true })
    const deadlineMs = options.deadlineMs ?? shape.deadlineMs
    const deadline = setTimeout(() => controller.abort(new StorageError('outcomeUnknown', `${name} did not end within ${deadlineMs / 1000} s`, {
      layer: 'engine', mayHaveChanged: shape.effect === 'write',
      remedy: shape.effect === 'write' ? 'Look at the state again before repeating it; the log shows where it waited' : 'Try again; the log shows where it waited',
      details: { deadline_ms: deadlineMs, call_id: callId },
    })), deadlineMs)
    deadline.unref()

    const state = { lockWaitMs: 0 }
    let outcome = 'ok'
    let sr: string | undefined
    let callLog = log
    let secrets: readonly string[] = []
    let work: Promise<unknown> | undefined
    try {
      const params = completed(name, parseParams(name, raw))
      sr = textOf(params, 'sr_uuid')
      secrets = await secretsOf(params, given.place)
      callLog = log.child({ call_id: callId, method: name, ...(sr === undefined ? {} : { sr_uuid: sr }) }, secrets)
      const call: Call = Object.assign(state, {
        engine, method: name, callId, signal: controller.signal, log: callLog, place: given.place,
        progress: given.onProgress ?? (() => undefined),
      })
      work = run(call, name, params)
      const tracked = work
      running.set(tracked, controller)
      const forgetIt = (): void => void running.delete(tracked)
      tracked.then(forgetIt, forgetIt)
      const result = await bounded(work, controller.signal)
      if (shape.effect === 'write' && (result as { readonly changed?: boolean } | undefined)?.changed !== false && !name.startsWith('Task.')) {
        const vdi = textOf(params, 'dest_uuid') ?? textOf(params, 'vdi_uuid')
        emit({ event: 'changed', method: name, ...(sr === undefined ? {} : { sr_uuid: sr }), ...(vdi === undefined ? {} : { vdi_uuid: vdi }), call_id: callId, at: now() })
      }
      return result
    } catch (thrown) {
      const error = hideInError(toStorageError(thrown, 'engine'), secrets)
      outcome = error.kind
      // Refused before it was worth a log of its own: its lines still say which call they are about.
      if (callLog === log) callLog = log.child({ call_id: callId, method: name })
      const facts = { kind: error.kind, ...error.facts.details, ...(error.facts.layer === undefined ? {} : { layer: error.facts.layer }), ...(error.kind === 'driverBug' ? { err: error } : {}) }
      if (error.kind === 'driverBug') callLog.error(facts, error.message)
      else callLog.info(facts, error.message)
      throw error
    } finally {
      clearTimeout(deadline)
      given.signal?.removeEventListener('abort', onCallerAbort)
      const durationMs = performance.now() - started
      callLog.debug({ outcome, duration_ms: Math.round(durationMs * 1000) / 1000, lock_wait_ms: Math.round(state.lockWaitMs * 1000) / 1000 }, 'call ended')
      options.onTrace?.({ method: name, callId, ...(sr === undefined ? {} : { sr }), outcome, durationMs, lockWaitMs: state.lockWaitMs })
    }
  }

  return {
    call: async (method, params, callOptions) => (await callByName(method, params, callOptions)) as Result<typeof method>,
    callByName,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      closing = true
      await engine.tasks.cancelAll()
      const stopping = new StorageError('cancelled', 'The storage manager is stopping', { layer: 'engine' })
      const work = [...running]
      for (const [, controller] of work) controller.abort(stopping)
      await Promise.race([Promise.allSettled(work.map(([promise]) => promise)), new Promise((resolve) => setTimeout(resolve, graceMs).unref())])
      await engine.handles.closeAll()
    },
  }
}
