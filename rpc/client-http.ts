/** The client over HTTP: one POST a call on kept connections, events by server-sent events. */
import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage, type RequestOptions, type OutgoingHttpHeaders } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import type { CallOptions, StorageEvent } from '../core/caller.ts'
import { StorageError } from '../core/errors.ts'
import type { MethodName, ParamsIn, Result } from '../core/methods/index.ts'
import { answerLost, cancelledHere, errorOfAnswer, layer, longestAnswer, requestText, unreachable, type Answer, type Client } from './client-wire.ts'
import { createLineReader } from './lines.ts'

export interface HttpClientOptions {
  /** `http://127.0.0.1:9437` or `https://...`; the paths are added. */
  readonly url: string
  readonly token: string
  /** PEM texts: CA of the server's certificate, own certificate and its key. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export const createHttpClient = (options: HttpClientOptions): Client => {
  const base = new URL(options.url)
  const secure = base.protocol === 'https:'
  const { ca, cert, key } = options
  const credentials = { ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) }
  const agent = secure ? new TlsAgent({ keepAlive: true, maxSockets: 32, ...credentials }) : new Agent({ keepAlive: true, maxSockets: 32 })
  const streams = new Set<ClientRequest>()
  let closed = false

  const open = (path: string, headers: OutgoingHttpHeaders, more: RequestOptions): ClientRequest =>
    (secure ? tlsRequest : httpRequest)(new URL(path, base), { agent, ...more, headers: { authorization: `Bearer ${options.token}`, ...headers } })

  const read = async (response: IncomingMessage): Promise<string> => {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > longestAnswer) throw new Error('the answer is too long')
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, size).toString('utf8')
  }

  const parse = (text: string, status: number | undefined): unknown => {
    let answer: Answer
    try {
      answer = JSON.parse(text) as Answer
    } catch {
      throw new StorageError('unreachable', `${options.url} answered HTTP ${status} and no JSON`, { layer, remedy: 'Check that the address is that of the storage manager' })
    }
    if (answer.error !== undefined) throw errorOfAnswer(answer.error)
    return answer.result
  }

  /** One request and its whole answer. Before the connection stands, nothing can have been sent. */
  const exchange = async (method: string, body: string, signal: AbortSignal | undefined): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const request = open('/rpc', { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }, { method: 'POST', ...(signal === undefined ? {} : { signal }) })
      let sent = false
      const failed = (error: NodeJS.ErrnoException): void => {
        if (signal?.aborted === true) reject(cancelledHere(method))
        else reject(sent ? answerLost(method, options.url) : unreachable(options.url, error))
      }
      request.on('socket', (socket) => {
        if (request.reusedSocket) sent = true
        else socket.once(secure ? 'secureConnect' : 'connect', () => (sent = true))
      })
      request.on('error', failed)
      request.on('response', (response) => {
        read(response).then((text) => {
          try {
            resolve(parse(text, response.statusCode))
          } catch (error) {
            reject(error as Error)
          }
        }, failed)
      })
      request.end(body)
    })

  const callByName = async (method: string, params: unknown, call: CallOptions = {}): Promise<unknown> => {
    if (closed) throw new StorageError('unreachable', `The connection to ${options.url} is closed`, { layer, remedy: 'Connect again' })
    if (call.signal?.aborted === true) throw cancelledHere(method)
    // Progress cannot travel here: an answer is all that a request gets.
    const { onProgress: _, ...rest } = call
    return exchange(method, requestText(1, method, params, rest), call.signal)
  }

  return {
    callByName,
    call: async <M extends MethodName>(method: M, params: ParamsIn<M>, call?: CallOptions) => (await callByName(method, params, call)) as Result<M>,
    subscribe: async (listener, filter = {}, onLost, onEnd) =>
      new Promise((resolve, reject) => {
        const query = new URLSearchParams({
          ...(filter.events === undefined ? {} : { events: filter.events.join() }),
          ...(filter.sr_uuid === undefined ? {} : { sr_uuid: filter.sr_uuid }),
        })
        const request = open(`/events?${query}`, {}, { method: 'GET' })
        const onLine = (line: Buffer): void => {
          if (!line.subarray(0, 6).equals(Buffer.from('data: '))) return
          const { method, params } = JSON.parse(line.subarray(6).toString('utf8')) as Answer
          if (method === 'event') listener(params as StorageEvent)
          else if (method === 'events.lost') onLost?.((params as { readonly lost: number }).lost)
        }
        request.on('error', (error) => reject(unreachable(options.url, error)))
        request.on('close', () => {
          // Still among them: nobody here has ended it.
          if (streams.delete(request)) onEnd?.(new StorageError('unreachable', `The connection to ${options.url} is closed`, { layer, remedy: 'Connect again' }))
        })
        request.on('response', (response) => {
          if (response.statusCode !== 200) {
            read(response).then((text) => parse(text, response.statusCode)).then(() => undefined, reject)
            return
          }
          const lines = createLineReader(longestAnswer, onLine, () => request.destroy())
          response.on('data', (chunk: Buffer) => lines.push(chunk))
          response.on('error', () => undefined)
          streams.add(request)
          resolve(async () => {
            streams.delete(request)
            request.destroy()
          })
        })
        request.end()
      }),
    async close() {
      closed = true
      for (const request of streams) {
        streams.delete(request)
        request.destroy()
      }
      agent.destroy()
    },
  }
}
