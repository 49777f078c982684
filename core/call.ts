/** One call on its way through the engine: its identity, its signal with a deadline, and what it may reach. */
import type { ArrayOpener, Arrays, SiteRecovery } from './array/ports.ts'
import type { Ctx, Driver, Sr } from './contract.ts'
import { StorageError, toStorageError } from './errors.ts'
import type { SrUuid, VdiUuid } from './ids.ts'
import { methodShape, type MethodName } from './methods/index.ts'
import type { Clock, Host, HostRecords, Locks, Log, LockRequest, Release, SrRecord } from './ports.ts'
import type { SrHandles } from './sr-handles.ts'
import type { Tasks } from './tasks.ts'

/** The known SR types. Descriptors and code of a driver are loaded when its type is first asked for. */
export interface DriverRegistry {
  readonly types: readonly string[]
  /** Unknown type: invalidArgument that lists the known ones. */
  load(type: string): Promise<Driver>
}

/** What all calls share. */
export interface EngineState {
  readonly drivers: DriverRegistry
  readonly arrays: Arrays
  readonly opener: ArrayOpener
  readonly siteRecovery?: SiteRecovery
  readonly host: Host
  readonly locks: Locks
  readonly records: HostRecords
  readonly clock: Clock
  readonly version: string
  readonly stateDirectory: string
  readonly startedMs: number
  /** How long a call waits for a lock before it answers inProgress. */
  readonly lockWaitMs: number
  readonly handles: SrHandles
  readonly tasks: Tasks
  readonly runningCalls: () => number
}

export interface Place {
  readonly type: string
  readonly deviceConfig: Readonly<Record<string, string>>
}

export interface Call {
  readonly engine: EngineState
  readonly method: MethodName
  readonly callId: string
  readonly signal: AbortSignal
  readonly log: Log
  readonly place: Place | undefined
  readonly progress: (done: number, total: number) => void
  /** Milliseconds spent waiting for locks, for the trace. */
  lockWaitMs: number
}

export const ctxFor = (call: Call, sr: SrUuid): Ctx => ({
  sr,
  callId: call.callId,
  signal: call.signal,
  log: call.log,
  clock: call.engine.clock,
  host: call.engine.host,
  arrays: call.engine.opener,
  progress: call.progress,
})

/** Runs `work` under locks; they are released when it has really ended, also when the caller was answered before. */
export const withLocks = async <T>(
  call: Call,
  request: Omit<LockRequest, 'purpose'>,
  work: () => Promise<T>,
  waitMs = call.engine.lockWaitMs,
): Promise<T> => {
  const asked = performance.now()
  const vdis = [...new Set(request.vdis)].sort()
  const held = await call.engine.locks.acquire({ ...request, vdis, purpose: `${call.method} (call ${call.callId})` }, waitMs, call.signal)
  try {
    const storage = await guardOf(call, { ...request, vdis }, waitMs)
    call.lockWaitMs += performance.now() - asked
    try {
      return await work()
    } finally {
      storage?.release()
    }
  } finally {
    held.release()
  }
}

/** The lock on the storage itself, of an SR that several hosts share; taken after the one of this host. */
const guardOf = async (call: Call, request: Omit<LockRequest, 'purpose'>, waitMs: number): Promise<Release | undefined> => {
  const record = call.engine.records.sr(request.sr)
  if (record?.attachedInBoot !== call.engine.host.bootId || methodShape(call.method).lock.guard === 'by-operation') return undefined
  const { sr } = await openAttached(call, request.sr)
  return guard(call, sr, request, waitMs)
}

const guard = async (call: Call, sr: Sr, request: Omit<LockRequest, 'purpose'>, waitMs: number): Promise<Release | undefined> =>
  sr.guard?.(ctxFor(call, request.sr), { ...request, purpose: `${call.method} (call ${call.callId}) on host ${call.engine.host.id}` }, waitMs)

/** For the calls that connect and disconnect: the storage's lock around the part that changes what is on it. Without `vdis` the whole SR. */
export const withGuard = async <T>(call: Call, uuid: SrUuid, sr: Sr, work: () => Promise<T>, vdis: readonly VdiUuid[] = []): Promise<T> => {
  const held = await guard(call, sr, { sr: uuid, srMode: vdis.length === 0 ? 'exclusive' : 'shared', vdis }, call.engine.lockWaitMs)
  try {
    return await work()
  } finally {
    held?.release()
  }
}

const sameConfig = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean => {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key])
}

/** The place that a caller names must be the one the SR is known by: a host reaches an SR in one way at a time. */
export const agreeOnPlace = (record: SrRecord, place: Place): void => {
  if (record.type === place.type && sameConfig(record.deviceConfig, place.deviceConfig)) return
  const keys = [...new Set([...Object.keys(record.deviceConfig), ...Object.keys(place.deviceConfig)])].filter(
    (key) => record.deviceConfig[key] !== place.deviceConfig[key],
  )
  throw new StorageError(
    'invalidArgument',
    record.type === place.type
      ? `device_config differs from the one SR ${record.uuid} is attached with, in: ${keys.join(', ')}`
      : `SR ${record.uuid} is of type ${record.type}, not ${place.type}`,
    { field: record.type === place.type ? `device_config.${keys[0] ?? ''}` : 'type', layer: 'engine', remedy: 'Use the one it is attached with, or detach the SR first' },
  )
}

/** The handle of an attached SR. The record is read afresh: another process may have detached it. */
export const openAttached = async (call: Call, uuid: SrUuid): Promise<{ readonly sr: Sr; readonly record: SrRecord; readonly driver: Driver }> => {
  const record = call.engine.records.sr(uuid)
  if (record === undefined || record.attachedInBoot !== call.engine.host.bootId) throw notAttached(uuid, record)
  if (call.place !== undefined) agreeOnPlace(record, call.place)
  const driver = await call.engine.drivers.load(record.type)
  try {
    return { sr: await call.engine.handles.open(ctxFor(call, uuid), driver, record), record, driver }
  } catch (error) {
    throw toStorageError(error, `driver:${record.type}`)
  }
}

export const notAttached = (uuid: SrUuid, record: SrRecord | undefined): StorageError =>
  new StorageError(
    'srNotAttached',
    record === undefined ? `SR ${uuid} is not known to this host` : `SR ${uuid} is not attached to this host`,
    {
      field: 'sr_uuid',
      layer: 'engine',
      remedy: record === undefined ? `Attach it with its type and device_config; smctl sr list shows the known ones` : `smctl sr attach ${uuid}`,
      details: { sr_uuid: uuid },
    },
  )
