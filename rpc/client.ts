/**
 * The typed client. It imports types of the table of calls but no code of it: a command that makes one call through the
 * daemon must not load what only the daemon needs.
 */
import { connect } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import type { Caller, CallOptions, StorageEvent } from '../core/caller.ts'
import { errorFromReport, StorageError, type ErrorReport } from '../core/errors.ts'
import type { MethodName, ParamsIn, Result } from '../core/methods/index.ts'
import { createLineReader } from './lines.ts'
import { readMethods } from './read-methods.ts'

export interface Client extends Caller {
  /** For callers that have the name from outside. */
  callByName(method: string, params: unknown, options?: CallOptions): Promise<unknown>
  /** Tells events until the answered function is called; `onLost` how many were dropped because we read too slowly. */
  subscribe(listener: (event: StorageEvent) => void, filter?: EventFilterIn, onLost?: (lost: number) => void): Promise<() => Promise<void>>
  /** Calls that still run fail as if the connection were lost. */
  close(): Promise<void>
}

export interface EventFilterIn {
  readonly events?: readonly StorageEvent['event'][]
  readonly sr_uuid?: string
}

/** An answer as it comes from the wire. */
interface Answer {
  readonly id?: number | null
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data?: ErrorReport }
  readonly method?: string
  readonly params?: unknown
}

interface Pending {
  readonly method: string
  readonly options: CallOptions
  readonly settle: (act: () => void) => void
  readonly resolve: (result: unknown) => void
  readonly reject: (error: StorageError) => void
}

const layer = 'rpc:client'

/** Longest answer that is taken. Ten thousand VDIs need 4 MiB. */
const longestAnswer = 256 * 1024 * 1024

/** After a cancel the daemon has so long to answer before we go without it. Milliseconds. */
const cancelMs = 5000

export const requestText = (id: number | undefined, method: string, params: unknown, options: CallOptions = {}): string => {
  const { callId, place, onProgress } = options
  const extras = callId === undefined && place === undefined && onProgress === undefined
    ? undefined
    : { id: callId, place: place === undefined ? undefined : { type: place.type, device_config: place.deviceConfig }, progress: onProgress === undefined ? undefined : true }
  return JSON.stringify({ jsonrpc: '2.0', id, method, params, 'x-call': extras })
}

export const errorOfAnswer = (error: NonNullable<Answer['error']>): StorageError =>
  error.data?.kind === undefined
    ? new StorageError('driverBug', `The daemon answered an error without its report: ${error.message}`, { layer, details: { code: error.code } })
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

/** A client on two ends of a byte stream, newline-delimited: a socket, or the standard input and output of a child. */
export const connectStreams = (input: Readable, output: Writable, where: string): Client => {
  const pending = new Map<number, Pending>()
  let nextId = 1
  let lost: StorageError | undefined
  let listener: ((event: StorageEvent) => void) | undefined
  let onLost: ((lost: number) => void) | undefined

  const breakOff = (): void => {
    if (lost !== undefined) return
    lost = new StorageError('unreachable', `The connection to ${where} is closed`, { layer, remedy: 'Connect again' })
    for (const [, call] of pending) call.settle(() => call.reject(answerLost(call.method, where)))
    pending.clear()
    input.destroy()
    output.destroy()
  }

  const onNotification = ({ method, params }: Answer): void => {
    if (method === 'event') {
      listener?.(params as StorageEvent)
    } else if (method === 'events.lost') {
      onLost?.((params as { readonly lost: number }).lost)
    } else if (method === 'call.progress') {
      const { id, done, total } = params as { readonly id: number; readonly done: number; readonly total: number }
      pending.get(id)?.options.onProgress?.(done, total)
    }
  }

  /** An error without an id: the daemon could not even read the request. Only with one call under way it is clear whose it is. */
  const onUnreadable = (error: NonNullable<Answer['error']>): void => {
    const calls = [...pending]
    if (calls.length === 1) {
      for (const [id, call] of calls) {
        pending.delete(id)
        call.settle(() => call.reject(errorOfAnswer(error)))
      }
    } else {
      breakOff()
    }
  }

  const onLine = (line: Buffer): void => {
    let answer: Answer
    try {
      answer = JSON.parse(line.toString('utf8')) as Answer
    } catch {
      breakOff()
      return
    }
    if (answer.method !== undefined) {
      onNotification(answer)
    } else if (typeof answer.id === 'number') {
      const call = pending.get(answer.id)
      if (call === undefined) return
      pending.delete(answer.id)
      const { error, result } = answer
      call.settle(() => (error === undefined ? call.resolve(result) : call.reject(errorOfAnswer(error))))
    } else if (answer.error !== undefined) {
      onUnreadable(answer.error)
    }
  }

  const lines = createLineReader(longestAnswer, (line) => {
    if (line.length > 1) onLine(line)
  }, breakOff)
  input.on('data', (chunk: Buffer) => lines.push(chunk))
  for (const stream of [input, output]) {
    stream.on('error', breakOff)
    stream.on('close', breakOff)
  }
  input.on('end', breakOff)

  const callByName = async (method: string, params: unknown, options: CallOptions = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const { signal } = options
      const refusal = lost ?? (signal?.aborted === true ? cancelledHere(method) : undefined)
      if (refusal !== undefined) {
        reject(refusal)
        return
      }
      const id = nextId
      nextId += 1
      let giveUp: NodeJS.Timeout | undefined
      const onAbort = (): void => {
        output.write(`${requestText(undefined, 'rpc.cancel', { id })}\n`)
        giveUp = setTimeout(() => {
          pending.delete(id)
          reject(cancelledHere(method))
        }, cancelMs)
      }
      const settle = (act: () => void): void => {
        clearTimeout(giveUp)
        signal?.removeEventListener('abort', onAbort)
        act()
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      pending.set(id, { method, options, settle, resolve, reject })
      output.write(`${requestText(id, method, params, options)}\n`)
    })

  return {
    callByName,
    call: async <M extends MethodName>(method: M, params: ParamsIn<M>, options?: CallOptions) => (await callByName(method, params, options)) as Result<M>,
    async subscribe(onEvent, filter = {}, lostEvents) {
      listener = onEvent
      onLost = lostEvents
      await callByName('events.subscribe', filter)
      return async () => {
        listener = undefined
        if (lost === undefined) await callByName('events.unsubscribe', {})
      }
    },
    async close() {
      breakOff()
    },
  }
}

/** Connects to the daemon on its unix socket. Nobody there, or not for us: unreachable or permissionDenied. */
export const connectUnix = async (path: string): Promise<Client> =>
  new Promise((resolve, reject) => {
    const socket = connect(path)
    const refused = (error: NodeJS.ErrnoException): void => reject(unreachable(path, error))
    socket.once('error', refused)
    socket.once('connect', () => {
      socket.off('error', refused)
      resolve(connectStreams(socket, socket, path))
    })
  })
