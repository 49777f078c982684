/**
 * Session keys of one array. The array runs the requests of one key one after another and has few sessions for all of its users, so a
 * client holds a small pool: a key serves one request at a time, another one is asked for only while all are busy. Every key is given back
 * at the end; a key that the array has forgotten is dropped. Keys appear nowhere but in the header.
 */
import * as z from 'zod'
import type { Log } from '../../../../core/ports.ts'
import { StorageError } from '../../../../core/errors.ts'
import { refusalError } from './errors.ts'
import { layer } from './layer.ts'
import type { Answer, Transport } from './transport.ts'

export interface Credentials {
  readonly user: string
  readonly password: string
}

/** One key, held by one user. */
export interface Lease {
  key(): string
  /** The array has ended the session: logs in again. */
  renew(signal: AbortSignal): Promise<void>
}

export interface Sessions {
  /** Runs `work` with a key that nobody else uses meanwhile. */
  use<T>(signal: AbortSignal, work: (lease: Lease) => Promise<T>): Promise<T>
  /** Gives all keys back. Never fails: a session that cannot be closed ends by itself after 15 idle minutes. */
  close(): Promise<void>
}

const Login = z.looseObject({ key: z.string().min(1) })

/** Milliseconds between the tries to log in while the array has no free session (WSAPI clients' own rhythm). */
export const loginPauses: readonly number[] = [1_000, 3_000, 7_000, 15_000]

/** The array drops a key after 15 idle minutes; one that has been idle for nearly as long is not worth the try. */
const idleMs = 14 * 60_000

export const pause = async (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal.addEventListener('abort', onAbort, { once: true })
  })

export interface SessionOptions {
  readonly credentials: Credentials
  readonly root: string
  readonly limit: number
  readonly timeoutMs: number
  readonly pauses: readonly number[]
  readonly now: () => number
  readonly log: Log
}

interface Held {
  readonly key: string
  readonly idleSince: number
}

export const createSessions = (send: Transport, options: SessionOptions): Sessions => {
  const { credentials, root, limit, log } = options
  const idle: Held[] = []
  const waiting: (() => void)[] = []
  let places = limit
  let closed = false

  const ask = async (signal: AbortSignal): Promise<Answer> =>
    send({ method: 'POST', path: `${root}/credentials`, body: { user: credentials.user, password: credentials.password }, what: 'log in', timeoutMs: options.timeoutMs }, signal)

  const login = async (signal: AbortSignal): Promise<string> => {
    let answer = await ask(signal)
    for (const ms of options.pauses) {
      if (answer.status !== 503) break
      log.warn({ pauseMs: ms }, 'the array is overloaded or has no free session')
      await pause(ms, signal)
      answer = await ask(signal)
    }
    const parsed = Login.safeParse(answer.body)
    if (answer.status === 201 && parsed.success) return parsed.data.key
    throw refusalError('log in', { status: answer.status, ...refusalOf(answer.body) })
  }

  const logout = async (key: string): Promise<void> => {
    // Its own deadline: sessions are given back also when the work was cancelled.
    await send({ method: 'DELETE', path: `${root}/credentials/${encodeURIComponent(key)}`, key, what: 'log out', timeoutMs: Math.min(options.timeoutMs, 10_000) }, new AbortController().signal)
      .catch((error: unknown) => log.debug({ kind: error instanceof StorageError ? error.kind : 'unknown' }, 'a session could not be closed; it ends by itself'))
  }

  const place = async (signal: AbortSignal): Promise<void> => {
    if (closed) throw new StorageError('driverBug', 'The connection to the array is closed', { layer })
    if (places > 0) {
      places -= 1
      return
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        const index = waiting.indexOf(go)
        if (index >= 0) waiting.splice(index, 1)
        reject(new StorageError('cancelled', 'Waiting for a session of the array was cancelled', { layer }))
      }
      const go = (): void => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      waiting.push(go)
    })
  }

  const leave = (): void => {
    const next = waiting.shift()
    if (next === undefined) places += 1
    else next()
  }

  const take = async (signal: AbortSignal): Promise<string> => {
    for (let held = idle.pop(); held !== undefined; held = idle.pop()) {
      if (options.now() - held.idleSince < idleMs) return held.key
      log.debug({}, 'a session was idle for too long; another one is opened')
    }
    return login(signal)
  }

  return {
    async use(signal, work) {
      await place(signal)
      let held: string | undefined
      try {
        held = await take(signal)
        return await work({
          key: () => held ?? '',
          async renew(during) {
            held = undefined
            held = await login(during)
          },
        })
      } finally {
        if (held !== undefined) {
          if (closed) await logout(held)
          else idle.push({ key: held, idleSince: options.now() })
        }
        leave()
      }
    },
    async close() {
      closed = true
      const keys = idle.splice(0).map(({ key }) => key)
      await Promise.all(keys.map(logout))
    },
  }
}

const Refused = z.looseObject({ code: z.number(), desc: z.string().optional(), ref: z.string().optional() })

/** What an error body says; empty when it is none in the array's form. */
export const refusalOf = (body: unknown): { code?: number; desc?: string; ref?: string } => {
  const parsed = Refused.safeParse(body)
  if (!parsed.success) return {}
  const { code, desc, ref } = parsed.data
  return { code, ...(desc === undefined ? {} : { desc }), ...(ref === undefined ? {} : { ref }) }
}
