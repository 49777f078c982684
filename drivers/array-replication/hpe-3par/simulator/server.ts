/** One array on HTTPS: sessions, faults, and the way of a request to its handler and back. */
import { createServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import type { Certificate } from './certificate.ts'
import { createFaults, type Fault, type Faults } from './faults.ts'
import { members, read } from './members.ts'
import { list, type Answer, type SimArray, type World } from './model.ts'
import { isRefused, refuse, type Refused } from './refusals.ts'
import { findRoute } from './routes.ts'
import { createSessions, type Session, type Sessions } from './sessions.ts'
import { catchUp, commit, discard } from './time.ts'

export interface ArrayServer {
  readonly url: string
  readonly port: number
  readonly faults: Faults
  readonly sessions: Sessions
  /** `METHOD /pattern` -> how many requests; the whole of what clients sent. */
  readonly counts: Map<string, number>
  /** Milliseconds that every answer takes. */
  latencyMs: number
  /** Breaks all connections, as when the array dies. */
  drop(): void
  close(): Promise<void>
}

interface Options {
  readonly world: World
  readonly array: SimArray
  readonly certificate: Certificate
  readonly address: string
  readonly port: number
  readonly keepAlive: boolean
}

const root = '/api/v1'
const longestBody = 1_048_576
/** Answers that such arrays send in chunks. */
const chunked = new Set(['/volumes', '/vluns'])

const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length
    if (size > longestBody) throw refuse('inputTooLong')
    parts.push(part)
  }
  const text = Buffer.concat(parts).toString('utf8')
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw refuse('syntax', error instanceof Error ? error.message : 'body')
  }
}

const send = (response: ServerResponse, path: string, keepAlive: boolean, { status = 200, body, location }: Answer): void => {
  const text = body === undefined ? '' : JSON.stringify(body)
  response.writeHead(status, {
    'Server': 'hp3par-wsapi', 'Cache-Control': 'no-cache', 'Pragma': 'no-cache', ...(keepAlive ? {} : { Connection: 'close' }), ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    ...(location === undefined ? {} : { Location: root + location }), ...(chunked.has(path) ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': String(Buffer.byteLength(text)) }),
  })
  // Header and body in one write: apart, they would cost a keep-alive client a delayed acknowledgement.
  response.end(text)
}

const refusal = ({ wsapi: { status, ...body } }: Refused): Answer => ({ status, body })

export const serveArray = async ({ world, array, certificate, address, port, keepAlive }: Options): Promise<ArrayServer> => {
  const faults = createFaults()
  const sessions = createSessions(world.now, array.maxSessions)
  const counts = new Map<string, number>()
  const sockets = new Set<{ destroy(): void }>()
  const settings = { latencyMs: 0 }

  const login = (body: unknown, from: string): Answer => {
    const { user, password } = read(members({ user: z.string(), password: z.string(), sessionType: z.int().optional() }), body)
    if (user !== array.user || password !== array.password) throw refuse('badLogin')
    const session = sessions.login(from)
    return session === undefined ? { status: 503 } : { status: 201, body: { key: session.key }, location: `/credentials/${session.key}` }
  }

  const configuration = (): Answer => ({ body: {
    httpState: 'Disabled', httpPort: 8008, httpsState: 'Enabled', httpsPort: server.port, version: '1.6.3', sessionsInUse: sessions.count(), systemResourceUsage: array.maxSessions,
  } })

  /** What a request changes it changes in one step, or not at all. */
  const handle = (method: string, path: string, query: URLSearchParams, body: unknown): Answer => {
    if (method === 'GET' && path === '/wsapiconfiguration') return configuration()
    if (method === 'GET' && path.startsWith('/systemreporter/')) return list([])
    const found = findRoute(method, path)
    if (found === undefined) throw refuse('noSuchUri', path)
    try {
      catchUp(world)
      const answer = found.handler({ world, array, tables: array.tables, params: found.params, query, body })
      commit(world)
      return answer
    } catch (error) {
      discard(world)
      throw error
    }
  }

  const answerOf = async (request: IncomingMessage, url: URL): Promise<Answer> => {
    const method = request.method ?? 'GET'
    const from = request.socket.remoteAddress ?? ''
    if (url.pathname === '/api') {
      const { build } = array.profile
      return { body: { major: 1, minor: 6, revision: 3, build } }
    }
    if (!url.pathname.startsWith(root)) throw refuse('noSuchUri', url.pathname)
    const path = url.pathname.slice(root.length)
    if (method === 'POST' && path === '/credentials') return login(await bodyOf(request), from)
    if (method === 'DELETE' && path.startsWith('/credentials/')) {
      sessions.end(decodeURIComponent(path.slice('/credentials/'.length)))
      return {}
    }
    const header = request.headers['x-hp3par-wsapi-sessionkey']
    const session = sessions.use(typeof header === 'string' ? header : undefined, from)
    return inTurn(session, async () => handle(method, path, url.searchParams, await bodyOf(request)))
  }

  const inTurn = (session: Session, work: () => Promise<Answer>): Promise<Answer> => {
    const turn = session.queue.then(work)
    session.queue = turn.then(() => {}, () => {})
    return turn
  }

  const count = (method: string, path: string): void => {
    const name = `${method} ${path.startsWith('/credentials/') ? '/credentials/:key' : findRoute(method, path)?.pattern ?? path}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }

  /** The answer in place of the usual one; nothing when the request is to be handled. */
  const struck = (fault: Fault | undefined, request: IncomingMessage): Answer | 'nothing' | undefined => {
    switch (fault?.effect) {
      case 'error': return { status: fault.status ?? 500, body: { code: fault.code ?? 1, desc: fault.desc ?? 'internal server error' } }
      case 'unavailable': return { status: 503 }
      case 'expire': {
        const key = request.headers['x-hp3par-wsapi-sessionkey']
        if (typeof key === 'string') try { sessions.end(key) } catch { /* It had expired by itself. */ }
        return refusal(refuse('badSession'))
      }
      case 'drop':
        request.socket.destroy()
        return 'nothing'
      case 'hang': return 'nothing'
      case 'lost': case 'hangAfter': case 'slow': case undefined: return undefined
    }
  }

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!array.powered) return void request.socket.destroy()
    const url = new URL(request.url ?? '/', 'https://array')
    const path = url.pathname.startsWith(root) ? url.pathname.slice(root.length) : url.pathname
    count(request.method ?? 'GET', path)
    const fault = faults.next(`${request.method} ${path}`)
    const delay = settings.latencyMs + (fault?.effect === 'slow' ? fault.delayMs ?? 0 : 0)
    if (delay > 0) await sleep(delay)
    const instead = struck(fault, request)
    if (instead === 'nothing') return
    if (instead !== undefined) return send(response, path, keepAlive, instead)
    let answer: Answer
    try {
      answer = await answerOf(request, url)
    } catch (error) {
      answer = refusal(isRefused(error) ? error : refuse('internal', error instanceof Error ? error.message : String(error)))
    }
    if (fault?.effect === 'lost') return void request.socket.destroy()
    if (fault?.effect === 'hangAfter') return
    send(response, answer.status === undefined || answer.status === 200 ? path : '', keepAlive, answer)
  }

  const https = createServer({ key: certificate.key, cert: certificate.cert }, (request, response) => void serve(request, response).catch(() => request.socket.destroy()))
  https.on('connection', (socket) => {
    if (!array.powered) return void socket.destroy()
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => https.once('error', reject).listen(port, address, resolve))
  const bound = https.address()
  const listening = typeof bound === 'object' && bound !== null ? bound.port : port
  const drop = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const server: ArrayServer = {
    url: `https://${address}:${listening}${root}`, port: listening, faults, sessions, counts,
    get latencyMs() { return settings.latencyMs },
    set latencyMs(value) { settings.latencyMs = value },
    drop,
    close: async () => {
      drop()
      await new Promise<void>((resolve) => https.close(() => resolve()))
    },
  }
  return server
}
