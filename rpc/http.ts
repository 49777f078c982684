/**
 * The second transport: HTTP/1.1 for callers that are not on this host or speak nothing else. Every request proves itself with
 * the bearer token, also on loopback: there, any local user could connect.
 *
 *   POST /rpc           one JSON-RPC message in, its answer out (204 when there is none)
 *   GET  /events        storage events as server-sent events; ?events=changed,task&sr_uuid=... as in events.subscribe
 *   GET  /metrics       Prometheus text format
 *   GET  /openrpc.json  what can be called
 *
 * A request that is dropped cancels its calls that only read. A call that takes long is better started with Task.start.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createJSONRPCErrorResponse } from 'json-rpc-2.0'
import { StorageError, toStorageError } from '../core/errors.ts'
import { faultOf, type Fault } from './faults.ts'
import type { Listener } from './listener.ts'
import { tooLong } from './message.ts'
import type { RpcServer } from './server.ts'

export interface HttpOptions {
  readonly host: string
  readonly port: number
  readonly token: string
  /** PEM texts. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string }
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>
  readonly openrpc: () => Promise<string>
}

const layer = 'rpc:http'

/** As on the unix socket: so long for a peer that does not read, then it is cut off. */
const lingerMs = 2000

export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Compares digests, so neither length nor content of the token can be told from the time it takes. */
const tokenCheck = (token: string): ((header: string | undefined) => boolean) => {
  const wanted = digest(token)
  return (header) => {
    const given = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1]
    return timingSafeEqual(digest(given ?? ''), wanted) && given !== undefined
  }
}

/** Headers and body in one write: two would wait for each other's acknowledgement, 40 ms on a kept connection. */
const reply = (response: ServerResponse, status: number, contentType: string, body: string, headers: Readonly<Record<string, string>> = {}): void => {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store', ...headers })
  response.end(body)
}

const json = 'application/json'

const replyFault = (response: ServerResponse, status: number, { code, message, data }: Fault, headers: Readonly<Record<string, string>> = {}): void =>
  reply(response, status, json, JSON.stringify(createJSONRPCErrorResponse(null, code, message, data)), headers)

const closing = { connection: 'close' }

/** The whole body; undefined when it is longer than `limit`, of which no more is then kept. */
const readBody = async (request: IncomingMessage, limit: number): Promise<Buffer | undefined> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    if (Number(request.headers['content-length']) > limit) {
      resolve(undefined)
      return
    }
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > limit) {
        request.pause()
        resolve(undefined)
      } else {
        chunks.push(chunk)
      }
    })
    request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks, size)))
    request.on('error', reject)
    request.on('close', () => reject(new Error('the request was broken off')))
  })

const makeServer = async (options: HttpOptions): Promise<Server> => {
  const { tls } = options
  if (tls === undefined) return createServer()
  const { createServer: createTlsServer } = await import('node:https')
  try {
    return createTlsServer({
      cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2',
      ...(tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }),
    })
  } catch (error) {
    throw new StorageError('invalidArgument', `Certificate and key cannot be used: ${(error as Error).message}`, { field: 'config.http.tls', layer, cause: error, remedy: 'Give PEM files that belong together' })
  }
}

export const listenHttp = async (rpc: RpcServer, options: HttpOptions): Promise<Listener> => {
  if (!isLoopback(options.host) && options.tls === undefined) {
    throw new StorageError('invalidArgument', `Listening on ${options.host} without TLS would show token and secrets to the network`, {
      field: 'config.http', layer, remedy: 'Give tls with cert and key, or listen on 127.0.0.1',
    })
  }
  const { limits, log } = rpc
  const isAuthorized = tokenCheck(options.token)
  const streams = new Set<ServerResponse>()
  let connections = 0
  let stopping = false

  const call = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!/^application\/json *(;|$)/i.test(request.headers['content-type'] ?? '')) {
      replyFault(response, 415, faultOf(new StorageError('invalidArgument', 'The content type must be application/json', { field: 'content-type', layer, remedy: 'Send the header content-type: application/json' })), closing)
      return
    }
    const body = await readBody(request, limits.messageBytes)
    if (body === undefined) {
      replyFault(response, 413, tooLong(limits), closing)
      return
    }
    const connection = rpc.open()
    response.on('close', () => connection.close())
    const answer = await connection.receive(body)
    const headers = stopping ? closing : {}
    if (answer !== undefined) reply(response, 200, json, answer, headers)
    else response.writeHead(204, headers).end()
  }

  const events = async (response: ServerResponse, query: URLSearchParams): Promise<void> => {
    const send = (text: string): void => void response.write(`data: ${text}\n\n`)
    const connection = rpc.open({ send, congested: () => response.writableLength > limits.outputBytes })
    const params = { ...Object.fromEntries(query), ...(query.has('events') ? { events: query.get('events')?.split(',') } : {}) }
    const answer = await connection.receive(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: null, method: 'events.subscribe', params })))
    if (answer?.includes('"error"') !== false) {
      reply(response, 400, json, answer ?? '', closing)
      return
    }
    streams.add(response)
    response.on('drain', () => connection.caughtUp())
    response.on('close', () => {
      streams.delete(response)
      connection.close()
    })
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', ...closing })
    response.write(': events follow\n\n')
  }

  const route = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    if (!isAuthorized(request.headers.authorization)) {
      log.info({ remote: request.socket.remoteAddress, path: url.pathname.slice(0, 100) }, 'an HTTP request without the right token was refused')
      replyFault(response, 401, faultOf(new StorageError('unauthenticated', 'The bearer token is missing or not the right one', { field: 'authorization', layer, remedy: 'Send the header authorization: Bearer <token>, from the token file of the daemon' })), { 'www-authenticate': 'Bearer', ...closing })
      return
    }
    const routes: Readonly<Record<string, () => Promise<void>>> = {
      'POST /rpc': async () => call(request, response),
      'GET /events': async () => events(response, url.searchParams),
      'GET /metrics': async () => {
        const { contentType, text } = await options.metrics()
        reply(response, 200, contentType, text)
      },
      'GET /openrpc.json': async () => reply(response, 200, json, await options.openrpc()),
    }
    const wanted = `${request.method} ${url.pathname}`
    const handler = Object.hasOwn(routes, wanted) ? routes[wanted] : undefined
    if (handler !== undefined) {
      await handler()
      return
    }
    const allowed = Object.keys(routes).filter((name) => name.endsWith(` ${url.pathname}`)).map((name) => name.split(' ')[0])
    const fault = faultOf(new StorageError('notFound', allowed.length === 0 ? 'There is nothing at this path' : `This path takes ${allowed.join()} only`, { layer, remedy: `There are: ${Object.keys(routes).join(', ')}` }))
    replyFault(response, allowed.length === 0 ? 404 : 405, fault, { ...(allowed.length === 0 ? {} : { allow: allowed.join() }), ...closing })
  }

  const server = await makeServer(options)
  server.headersTimeout = 10_000
  server.requestTimeout = 30_000
  server.keepAliveTimeout = 65_000
  server.on('connection', (socket) => {
    connections += 1
    socket.on('close', () => (connections -= 1))
  })
  server.on('request', (request, response) => {
    response.on('error', () => undefined)
    if (connections > limits.connections) {
      replyFault(response, 503, faultOf(new StorageError('busy', `${limits.connections} connections are open already`, { layer, remedy: 'Close some, or raise limits.connections in the configuration of the daemon' })), closing)
      return
    }
    route(request, response).catch((error: unknown) => {
      if (response.headersSent || request.destroyed) {
        response.destroy()
        return
      }
      log.error({ err: error }, 'an HTTP request failed')
      replyFault(response, 500, faultOf(toStorageError(error, layer)), closing)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(toStorageError(error, layer)))
    server.listen(options.port, options.host, resolve)
  })
  server.on('error', (error) => log.error({ err: error }, 'the HTTP listener failed'))
  const { port } = server.address() as AddressInfo
  let closed: Promise<void> = Promise.resolve()

  return {
    address: `${options.tls === undefined ? 'http' : 'https'}://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`,
    stop() {
      stopping = true
      closed = new Promise((resolve) => server.close(() => resolve()))
    },
    async end() {
      for (const response of streams) response.end()
      server.closeIdleConnections()
      const timer = setTimeout(() => server.closeAllConnections(), lingerMs)
      await closed
      clearTimeout(timer)
    },
  }
}
