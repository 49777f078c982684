/** One HTTPS request and its answer. Knows nothing of sessions, and nothing of what the bodies mean. */
import type { Agent } from 'node:https'
import { request as httpsRequest } from 'node:https'
import { StorageError } from '../../../../core/errors.ts'
import { layer } from './layer.ts'
import { certificateCodes, wrongCertificate } from './tls.ts'

export interface Exchange {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** From the root of the host: `/api/v1/volumes`. */
  readonly path: string
  readonly body?: unknown
  readonly key?: string
  /** What is wanted, for errors: "create volume x". */
  readonly what: string
  readonly timeoutMs: number
}

export interface Answer {
  readonly status: number
  /** A path on the array: of what was created or changed. */
  readonly location: string | undefined
  /** undefined: no body, or none that is JSON. */
  readonly body: unknown
}

/** Lists of the largest arrays stay far below it. */
const answerLimit = 256 * 1024 * 1024

const parseBody = (text: string): unknown => {
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Codes of failures to connect: the array has seen nothing of the request. */
const notSent: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN'])

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '')

/** A write whose answer was lost may have been done: whoever asked must look before asking again. */
const lost = (exchange: Exchange, host: string, how: string, cause: unknown): StorageError => {
  const read = exchange.method === 'GET'
  return new StorageError(read ? 'unreachable' : 'outcomeUnknown', `${exchange.what}: ${read ? `the array at ${host} does not answer` : `the array at ${host} did not tell the outcome`} (${how})`, {
    layer, cause, ...(read ? {} : { mayHaveChanged: true }),
    remedy: read ? 'Check that the array is up and can be reached from here, then try again' : 'Look at the state of the object before trying again',
  })
}

const failure = (exchange: Exchange, host: string, error: unknown, sent: boolean): StorageError => {
  if (error instanceof StorageError) return error
  const code = codeOf(error)
  if (certificateCodes.has(code)) return wrongCertificate((error as Error).message, error)
  if (!sent || notSent.has(code)) {
    return new StorageError('unreachable', `${exchange.what}: the array at ${host} cannot be reached (${code === '' ? (error as Error).message : code})`, {
      layer, cause: error, remedy: `Check its address, and that it is up: curl -v https://${host}/api`,
    })
  }
  return lost(exchange, host, code === '' ? (error as Error).message : code, error)
}

export type Transport = (exchange: Exchange, signal: AbortSignal) => Promise<Answer>

/**
 * Makes the function that sends requests to one array. Errors: `unreachable` when the array saw nothing of it or it only read,
 * `outcomeUnknown` when a write went out and no answer came, `cancelled`, `unauthenticated` for a certificate that is not trusted.
 */
export const createTransport = (base: URL, agent: Agent): Transport => async (exchange, signal) =>
  new Promise<Answer>((resolve, reject) => {
    const deadline = AbortSignal.timeout(exchange.timeoutMs)
    const text = exchange.body === undefined ? undefined : JSON.stringify(exchange.body)
    let sent = false
    const fail = (error: unknown): void => {
      if (signal.aborted) {
        return reject(new StorageError('cancelled', `${exchange.what} was cancelled`, { layer, ...(sent && exchange.method !== 'GET' ? { mayHaveChanged: true } : {}) }))
      }
      const late = `nothing came within ${exchange.timeoutMs / 1000} s`
      reject(failure(exchange, base.host, deadline.aborted ? new Error(late) : error, sent))
    }
    const request = httpsRequest({
      agent, host: base.hostname.replace(/^\[|\]$/g, ''), port: base.port === '' ? 443 : Number(base.port), path: exchange.path, method: exchange.method,
      signal: AbortSignal.any([signal, deadline]),
      headers: {
        accept: 'application/json',
        ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        ...(exchange.key === undefined ? {} : { 'x-hp3par-wsapi-sessionkey': exchange.key }),
      },
    }, (response) => {
      const parts: Buffer[] = []
      let size = 0
      response.on('data', (part: Buffer) => {
        size += part.length
        if (size > answerLimit) response.destroy(new Error('the answer is too long'))
        else parts.push(part)
      })
      response.on('error', fail)
      response.on('close', () => (response.complete ? undefined : fail(new Error('the connection broke in the middle of the answer'))))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, location: response.headers.location, body: parseBody(Buffer.concat(parts).toString('utf8')) }))
    })
    // Handed to a connected socket: from here on the array may act on it.
    request.on('socket', (socket) => {
      const onConnected = (): void => { sent = true }
      if (socket.connecting) socket.once('secureConnect', onConnected)
      else onConnected()
    })
    request.on('error', fail)
    request.end(text)
  })
