/** An HTTPS server that expects written-down requests in their order and gives the written-down answers: exchanges as the facts of the protocol state them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHash, X509Certificate } from 'node:crypto'
import type { Log } from '../../../../../core/ports.ts'
import { connectWsapi, type ConnectOptions, type Wsapi } from '../../../../../drivers/array-replication/hpe-3par/wsapi/client.ts'
import { makeCertificate, type Pem } from '../../../../rpc/certificates.ts'

export interface Line {
  /** `GET /api/v1/volumes`. */
  readonly ask: string
  readonly body?: unknown
  readonly status?: number
  readonly answer?: unknown
  readonly location?: string
  /** The connection breaks instead of an answer; `before`: nothing was done. */
  readonly lost?: true
  /** Holds the answer back for so long. */
  readonly delayMs?: number
}

export interface Seen {
  readonly ask: string
  readonly key: string | undefined
  readonly body: unknown
}

export interface ScriptedArray {
  readonly url: string
  readonly ca: string
  readonly fingerprint: string
  readonly seen: readonly Seen[]
  /** Requests that were not the next of the script. */
  readonly unexpected: readonly string[]
  /** Most requests that were under way at once. */
  readonly peak: () => number
  /** Lines that were not asked for yet. */
  readonly left: () => readonly Line[]
  close(): Promise<void>
}

let pem: Pem | undefined
const certificate = (): Pem => {
  if (pem !== undefined) return pem
  const directory = mkdtempSync(join(tmpdir(), 'wsapi-tls-'))
  pem = makeCertificate(directory, 'array')
  rmSync(directory, { recursive: true })
  return pem
}

export const version: Line = { ask: 'GET /api', answer: { major: 1, minor: 6, revision: 0, build: 30301215 } }
export const login = (key: string): Line => ({ ask: 'POST /api/v1/credentials', body: { user: 'edit', password: 'pass-word-1' }, status: 201, answer: { key }, location: `/api/v1/credentials/${key}` })
export const logout = (key: string): Line => ({ ask: `DELETE /api/v1/credentials/${key}` })

/** `anyOrder`: a line answers whichever request it fits, as often as it is asked. */
export const scriptedArray = async (script: readonly Line[], options: { readonly anyOrder?: true } = {}): Promise<ScriptedArray> => {
  const tls = certificate()
  const left = [...script]
  const seen: Seen[] = []
  const unexpected: string[] = []
  let [now, peak] = [0, 0]
  const server = createServer({ cert: tls.cert, key: tls.key }, (request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const ask = `${request.method} ${request.url}`
      const text = Buffer.concat(parts).toString('utf8')
      const body: unknown = text === '' ? undefined : JSON.parse(text)
      const key = request.headers['x-hp3par-wsapi-sessionkey']
      seen.push({ ask, key: typeof key === 'string' ? key : undefined, body })
      now += 1
      peak = Math.max(peak, now)
      const line = options.anyOrder === true ? script.find((one) => one.ask === ask) : left.shift()
      if (line === undefined || line.ask !== ask || (line.body !== undefined && JSON.stringify(line.body) !== JSON.stringify(body))) {
        unexpected.push(`${ask} ${text} (expected ${line === undefined ? 'nothing' : `${line.ask} ${JSON.stringify(line.body)}`})`)
        response.writeHead(500).end(JSON.stringify({ code: 1, desc: 'not in the script' }))
        now -= 1
        return
      }
      setTimeout(() => {
        now -= 1
        if (line.lost === true) return request.socket.destroy()
        response.writeHead(line.status ?? 200, { server: 'hp3par-wsapi', 'content-type': 'application/json', ...(line.location === undefined ? {} : { location: line.location }) })
        response.end(line.answer === undefined ? '' : JSON.stringify(line.answer))
      }, line.delayMs ?? 0)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1`,
    ca: tls.cert, fingerprint: createHash('sha256').update(new X509Certificate(tls.cert).raw).digest('hex'),
    seen, unexpected, left: () => left, peak: () => peak,
    close: async () => new Promise((resolve) => {
      server.closeAllConnections()
      server.close(() => resolve())
    }),
  }
}

/** A log that keeps its lines. */
export const keptLog = (): Log & { readonly lines: string[] } => {
  const lines: string[] = []
  const keep = (level: string) => (facts: unknown, message: string): void => { lines.push(`${level} ${JSON.stringify(facts)} ${message}`) }
  const log = { lines, debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error'), child: () => log }
  return log
}

export const signal = (): AbortSignal => new AbortController().signal

/** Runs `work` against a script, closes the connection, and answers what the array saw. */
export const onScript = async <T>(script: readonly Line[], work: (api: Wsapi) => Promise<T>, options: Partial<ConnectOptions> = {}): Promise<{ readonly result: T; readonly array: ScriptedArray }> => {
  const array = await scriptedArray([version, login('key-1'), ...script, logout('key-1')])
  try {
    const api = await connectWsapi({ url: array.url, user: 'edit', password: 'pass-word-1', tls: { ca: array.ca }, log: keptLog(), pauses: [1, 1], ...options }, signal())
    let result: T
    try {
      result = await work(api)
    } finally {
      await api.close()
    }
    if (array.unexpected.length > 0) throw new Error(`not in the script: ${array.unexpected.join('; ')}`)
    if (array.left().length > 0) throw new Error(`never asked for: ${array.left().map(({ ask }) => ask).join('; ')}`)
    return { result, array }
  } finally {
    await array.close()
  }
}
