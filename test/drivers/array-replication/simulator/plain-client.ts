/** WSAPI by hand: plain HTTPS requests, so that the simulator is held to the facts and to no client of ours. */
import { request as httpsRequest, type Agent } from 'node:https'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startArrays, type RunningArray, type RunningArrays, type StartOptions } from '../../../../drivers/array-replication/hpe-3par/simulator/start.ts'

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The JSON body; an empty object when there is none. */
  readonly body: Readonly<Record<string, unknown>>
}

interface Sent {
  readonly key?: string | undefined
  readonly body?: unknown
  /** Sent as it is, in place of `body`. */
  readonly raw?: string
  readonly timeoutMs?: number
  readonly agent?: Agent
}

type Where = Pick<RunningArray, 'url'> & { readonly certificate: { readonly pem: string } }

/** One request; rejects when the connection breaks or no answer comes in time. */
export const ask = (array: Where, method: string, path: string, { key, body, raw, timeoutMs = 20_000, agent }: Sent = {}): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const text = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const url = path.startsWith('/api') ? new URL(path, array.url) : new URL(`${array.url}${path}`)
    const sent = httpsRequest(url, {
      method, ca: array.certificate.pem, agent: agent ?? false,
      headers: { ...(text === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }), ...(key === undefined ? {} : { 'X-HP3PAR-WSAPI-SessionKey': key }) },
    }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => {
        const answer = Buffer.concat(parts).toString()
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: answer, body: answer === '' ? {} : (JSON.parse(answer) as Record<string, unknown>) })
      })
    })
    sent.on('error', reject)
    sent.setTimeout(timeoutMs, () => sent.destroy(new Error('no answer in time')))
    sent.end(text)
  })

export interface Client {
  readonly key: string
  get(path: string): Promise<Reply>
  post(path: string, body?: unknown): Promise<Reply>
  put(path: string, body?: unknown): Promise<Reply>
  del(path: string): Promise<Reply>
}

export const login = async (array: RunningArray): Promise<Client> => {
  const reply = await ask(array, 'POST', '/credentials', { body: { user: array.user, password: array.password } })
  const key = String(reply.body['key'])
  return {
    key,
    get: (path) => ask(array, 'GET', path, { key }),
    post: (path, body) => ask(array, 'POST', path, { key, body }),
    put: (path, body) => ask(array, 'PUT', path, { key, body }),
    del: (path) => ask(array, 'DELETE', path, { key }),
  }
}

/** `403/5` and the like: what a client decides by. */
export const codeOf = ({ status, body }: Reply): string => `${status}/${String(body['code'])}`

/** A clock that tests move. */
export interface Clock {
  readonly now: () => number
  advance(ms: number): void
}

export const createClock = (): Clock => {
  let time = Date.UTC(2026, 0, 1)
  return {
    now: () => time,
    advance: (ms) => {
      time += ms
    },
  }
}

export interface Stage extends RunningArrays {
  readonly clock: Clock
  readonly directory: string
  readonly a: RunningArray
  readonly b: RunningArray
}

export const scratch = (): string => mkdtempSync(join(tmpdir(), 'arrays-'))

const needed = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error('the simulator has fewer arrays than the test needs')
  return value
}

/** Arrays on a clock of the test's own; `options.arrays` defaults to two. */
export const stage = async (options: Partial<StartOptions> = {}, clock: Clock = createClock()): Promise<Stage> => {
  const directory = options.stateDirectory ?? scratch()
  const started = await startArrays({ arrays: 2, now: clock.now, ...options, stateDirectory: directory })
  return { ...started, clock, directory, a: needed(started.arrays[0]), b: needed(started.arrays[1] ?? started.arrays[0]) }
}

/** For afterEach: closes the arrays and removes their directory. */
export const strike = async (stood: Stage): Promise<void> => {
  await stood.close()
  rmSync(stood.directory, { recursive: true, force: true })
}
