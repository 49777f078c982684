/**
 * The typed client. It imports types of the table of calls but no code of it: a command that makes one call through the
 * daemon must not load what only the daemon needs.
 */
import { connect } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import type { CallOptions, StorageEvent } from '../core/caller.ts'
import { StorageError } from '../core/errors.ts'
import type { MethodName, ParamsIn, Result } from '../core/methods/index.ts'
import { answerLost, cancelledHere, errorOfAnswer, layer, longestAnswer, requestText, unreachable, type Answer, type Client } from './client-wire.ts'
import { createLineReader } from './lines.ts'

export type { Client } from './client-wire.ts'

interface Pending {
  readonly method: string
  readonly options: CallOptions
  readonly settle: (act: () => void) => void
  readonly resolve: (result: unknown) => void
  readonly reject: (error: StorageError) => void
}

/** After a cancel the daemon has so long to answer before we go without it. Milliseconds. */
const cancelMs = 5000

/** A client on two ends of a byte stream, newline-delimited: a socket, or the standard input and output of a child. */
export const connectStreams = (input: Readable, output: Writable, where: string): Client => {
  const pending = new Map<number, Pending>()
  let nextId = 1
  let lost: StorageError | undefined
  let listener: ((event: StorageEvent) => void) | undefined
  let onLost: ((lost: number) => void) | undefined
  let onEnd: ((error: StorageError) => void) | undefined

  const breakOff = (): void => {
    if (lost !== undefined) return
    lost = new StorageError('unreachable', `The connection to ${where} is closed`, { layer, remedy: 'Connect again' })
    for (const [, call] of pending) call.settle(() => call.reject(answerLost(call.method, where)))
    pending.clear()
    input.destroy()
    output.destroy()
    if (listener !== undefined) onEnd?.(lost)
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
  // That our own end is closed loses nothing: answers may still come.
  output.on('error', breakOff)
  for (const event of ['error', 'end', 'close']) input.on(event, breakOff)

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
    async subscribe(onEvent, filter = {}, lostEvents, ended) {
      listener = onEvent
      onLost = lostEvents
      onEnd = ended
      await callByName('events.subscribe', filter)
      return async () => {
        listener = undefined
        if (lost === undefined) await callByName('events.unsubscribe', {})
      }
    },
    async close() {
      onEnd = undefined
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
