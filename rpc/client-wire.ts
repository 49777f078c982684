/** What every client has in common, whatever carries its messages. Imports no code of the table of calls, on purpose. */
import type { Caller, CallOptions, StorageEvent } from '../core/caller.ts'
import { errorFromReport, errorTable, StorageError, type ErrorReport } from '../core/errors.ts'
import { readMethods } from './read-methods.ts'

export interface Client extends Caller {
  /** For callers that have the name from outside. */
  callByName(method: string, params: unknown, options?: CallOptions): Promise<unknown>
  /**
   * Tells events until the answered function is called; `onLost` how many were dropped because we read too slowly, `onEnd` that
   * the connection is gone and no more will come.
   */
  subscribe(listener: (event: StorageEvent) => void, filter?: EventFilterIn, onLost?: (lost: number) => void, onEnd?: (error: StorageError) => void): Promise<() => Promise<void>>
  /** Calls that still run fail as if the connection were lost. */
  close(): Promise<void>
}

interface EventFilterIn {
  readonly events?: readonly StorageEvent['event'][]
  readonly sr_uuid?: string
}

/** An answer or a notification as it comes from the wire. */
export interface Answer {
  readonly id?: number | null
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data?: ErrorReport }
  readonly method?: string
  readonly params?: unknown
}

export const layer = 'rpc:client'

/** Longest answer that is taken. Ten thousand VDIs need 4 MiB. */
export const longestAnswer = 256 * 1024 * 1024

export const requestText = (id: number | undefined, method: string, params: unknown, options: CallOptions = {}): string => {
  const { callId, place, onProgress } = options
  const extras = callId === undefined && place === undefined && onProgress === undefined
    ? undefined
    : { id: callId, place: place === undefined ? undefined : { type: place.type, device_config: place.deviceConfig }, progress: onProgress === undefined ? undefined : true }
  return JSON.stringify({ jsonrpc: '2.0', id, method, params, 'x-call': extras })
}

export const errorOfAnswer = (error: NonNullable<Answer['error']>): StorageError =>
  error.data === undefined || !Object.hasOwn(errorTable, error.data.kind)
    ? new StorageError('driverBug', `The daemon answered an error that this client does not know: ${error.message}`, { layer, details: { code: error.code } })
    : errorFromReport(error.data)

export const unreachable = (where: string, cause: NodeJS.ErrnoException): StorageError => {
  const nobody = cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED'
  return new StorageError(
    cause.code === 'EACCES' ? 'permissionDenied' : 'unreachable',
    nobody ? `No storage manager listens on ${where}` : `The storage manager on ${where} cannot be reached: ${cause.message}`,
    { layer, cause, remedy: nobody ? 'Start it: systemctl start smd' : 'Check the address and who may use it', ...(cause.code === undefined ? {} : { details: { code: cause.code } }) },
  )
}

/** The call was sent and no answer came. What it has done, if it can do anything, only the storage knows. */
export const answerLost = (method: string, where: string): StorageError =>
  readMethods.has(method)
    ? new StorageError('unreachable', `The connection to ${where} was lost before ${method} was answered`, { layer, remedy: 'Try again' })
    : new StorageError('outcomeUnknown', `The connection to ${where} was lost before ${method} was answered`, {
        layer, mayHaveChanged: true, remedy: 'Look at the state again before repeating it',
      })

export const cancelledHere = (method: string): StorageError =>
  new StorageError('cancelled', `${method} was cancelled by its caller`, { layer, ...(readMethods.has(method) ? {} : { mayHaveChanged: true }) })
