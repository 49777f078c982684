/**
 * The JSON-RPC front of the engine, without any transport: bytes of one message in, text of its answer out. A transport
 * opens one `Connection` a peer and closes it when the peer is gone.
 */
import {
  createJSONRPCErrorResponse, createJSONRPCSuccessResponse, JSONRPCServer,
  type JSONRPCID, type JSONRPCRequest, type JSONRPCResponse,
} from 'json-rpc-2.0'
import type { CallOptions, Engine } from '../core/caller.ts'
import { StorageError, toStorageError } from '../core/errors.ts'
import { invalidFromZod } from '../core/invalid.ts'
import { methodNames, methodShape } from '../core/methods/index.ts'
import type { Log } from '../core/ports.ts'
import { checkRequest, idOf, type RpcRequest } from './envelope.ts'
import { createEventHub, notification, type EventHub, type Subscriber } from './events.ts'
import { FaultError, faultOf, methodFault, requestFault, type Fault } from './faults.ts'
import { frontMethodNames, frontMethods, type FrontMethodName, type FrontParams, type FrontResult } from './front-methods.ts'
import { defaultLimits, type RpcLimits } from './limits.ts'
import { parseMessage } from './message.ts'
import { writeDown } from './write-down.ts'

export interface RpcServerOptions {
  readonly engine: Engine
  readonly log: Log
  readonly limits?: Partial<RpcLimits>
  /** The OpenRPC document, made when it is first asked for. */
  readonly discover: () => Promise<Readonly<Record<string, unknown>>>
}

/** The way back to a peer, on transports that have one besides the answer. */
interface Back {
  readonly send: (text: string) => void
  readonly congested: () => boolean
}

export interface Connection {
  /** One message; undefined when it needs no answer. Never rejects. */
  receive(message: Buffer): Promise<string | undefined>
  readonly running: () => number
  /** The peer reads again after it was congested. */
  caughtUp(): void
  /** The peer is gone: calls of it that only read are cancelled, others end by themselves. */
  close(): void
}

export interface RpcServer {
  readonly limits: RpcLimits
  readonly log: Log
  open(back?: Back): Connection
  runningCalls(): number
  /** Refuses new calls, waits for running ones, after `graceMs` cancels them and waits until they are answered. */
  drain(graceMs: number): Promise<void>
}

interface RunningCall {
  readonly id: JSONRPCID | undefined
  readonly reads: boolean
  readonly controller: AbortController
}

/** What a handler gets besides the request. */
interface Peer {
  readonly calls: Set<RunningCall>
  readonly back: Back | undefined
  readonly subscriber: Subscriber | undefined
}

type CheckedRequest = JSONRPCRequest & Pick<RpcRequest, 'call'>

type FrontHandlers = { readonly [M in FrontMethodName]: (params: FrontParams<M>, peer: Peer) => Promise<FrontResult<M>> | FrontResult<M> }

/** Progress is told at most so often. Milliseconds. */
const progressEveryMs = 100

const noStream = (method: string): StorageError =>
  new StorageError('notSupported', `${method} needs a connection that can carry notifications`, {
    field: 'method', layer: 'rpc', remedy: 'Call it over the unix socket or standard input; over HTTP read GET /events, and drop the connection to cancel',
  })

const faultResponse = (id: JSONRPCID, fault: Fault): JSONRPCResponse => createJSONRPCErrorResponse(id, fault.code, fault.message, fault.data)

const faultFor = (error: unknown): Fault => (error instanceof FaultError ? error.fault : faultOf(toStorageError(error, 'rpc')))

export const createRpcServer = (options: RpcServerOptions): RpcServer => {
  const { engine, log } = options
  const limits: RpcLimits = { ...defaultLimits, ...options.limits }
  const hub: EventHub = createEventHub(engine)
  const allCalls = new Set<RunningCall>()
  const idle = new Set<() => void>()
  /** Controllers that were not needed after all, for calls to come: making one costs as much as all the rest here. */
  const unused: AbortController[] = []
  let draining = false

  const frontHandlers: FrontHandlers = {
    'rpc.discover': options.discover,
    'rpc.cancel': ({ id }, peer) => {
      const found = [...peer.calls].filter((call) => call.id === id)
      for (const call of found) call.controller.abort()
      return { changed: found.length > 0 }
    },
    'events.subscribe': (filter, { subscriber }) => {
      if (subscriber === undefined) throw noStream('events.subscribe')
      subscriber.filter = filter
      return { changed: hub.add(subscriber) }
    },
    'events.unsubscribe': (_, { subscriber }) => ({ changed: subscriber !== undefined && hub.remove(subscriber) }),
  }

  const callOptions = (request: CheckedRequest, peer: Peer, signal: AbortSignal): CallOptions => {
    const { id: callId, place, progress } = request.call
    let told = 0
    const onProgress = (done: number, total: number): void => {
      const now = performance.now()
      if (now - told < progressEveryMs || peer.back?.congested() !== false) return
      told = now
      peer.back.send(notification('call.progress', { id: request.id, done, total }))
    }
    return {
      signal,
      ...(callId === undefined ? {} : { callId }),
      ...(place === undefined ? {} : { place: { type: place.type, deviceConfig: place.device_config } }),
      ...(progress === true && request.id !== undefined ? { onProgress } : {}),
    }
  }

  const table = new JSONRPCServer<Peer>({ errorListener: () => undefined })
  table.mapErrorToJSONRPCErrorResponse = (id, error) => {
    const { code, message, data } = faultFor(error)
    return createJSONRPCErrorResponse(id, code, message, data)
  }

  for (const name of methodNames) {
    const reads = methodShape(name).effect === 'read'
    table.addMethodAdvanced(name, async (request, peer) => {
      if (draining) throw new StorageError('unreachable', 'The storage manager is stopping', { layer: 'rpc', remedy: 'Try again when it runs again' })
      if (peer.calls.size >= limits.callsPerConnection) {
        throw new StorageError('busy', `${limits.callsPerConnection} calls run on this connection already`, { layer: 'rpc', remedy: 'Wait for some answers, or open another connection' })
      }
      const call: RunningCall = { id: request.id, reads, controller: unused.pop() ?? new AbortController() }
      peer.calls.add(call)
      allCalls.add(call)
      try {
        const result = await engine.callByName(name, request.params, callOptions(request as CheckedRequest, peer, call.controller.signal))
        return createJSONRPCSuccessResponse(request.id ?? null, result)
      } finally {
        peer.calls.delete(call)
        allCalls.delete(call)
        if (!call.controller.signal.aborted) unused.push(call.controller)
        if (allCalls.size === 0) for (const wake of idle) wake()
      }
    })
  }
  for (const name of frontMethodNames) {
    const { params: schema, needsStream } = frontMethods[name]
    const handler = frontHandlers[name] as (params: unknown, peer: Peer) => unknown
    table.addMethodAdvanced(name, async (request, peer) => {
      if (needsStream && peer.back === undefined) throw noStream(name)
      const parsed = schema.safeParse(request.params ?? {})
      if (!parsed.success) throw invalidFromZod(parsed.error, { layer: 'rpc', known: Object.keys(schema.shape), remedy: `${name} takes: ${Object.keys(schema.shape).join(', ') || 'no parameters'}` })
      return createJSONRPCSuccessResponse(request.id ?? null, await handler(parsed.data, peer))
    })
  }
  const unknownMethod = (method: string): Fault =>
    methodFault(`There is no call ${JSON.stringify(method.slice(0, 64))}`, `The calls are: ${[...methodNames, ...frontMethodNames].join(', ')}`, { field: 'method' })

  /** One request. A notification is answered by nothing, not even when it fails (JSON-RPC 2.0, 4.1). */
  const answerOne = async (raw: unknown, peer: Peer): Promise<JSONRPCResponse | null> => {
    let request: RpcRequest
    try {
      request = checkRequest(raw)
    } catch (error) {
      return faultResponse(idOf(raw), faultFor(error))
    }
    if (!table.hasMethod(request.method)) return request.id === undefined ? null : faultResponse(request.id, unknownMethod(request.method))
    const response = await table.receive(request as JSONRPCRequest, peer)
    return request.id === undefined ? null : response
  }

  const answer = async (value: unknown, peer: Peer): Promise<JSONRPCResponse | readonly JSONRPCResponse[] | null> => {
    if (!Array.isArray(value)) return answerOne(value, peer)
    if (value.length === 0) return faultResponse(null, requestFault('A batch must hold at least one request', 'See https://www.jsonrpc.org/specification, section 6'))
    if (value.length > limits.batch) {
      return faultResponse(null, requestFault(`The batch holds ${value.length} requests, ${limits.batch} are allowed`, 'Send smaller batches, or raise limits.batch in the configuration of the daemon'))
    }
    const answers = (await Promise.all(value.map(async (raw) => answerOne(raw, peer)))).filter((response) => response !== null)
    return answers.length === 0 ? null : answers
  }

  const receive = async (message: Buffer, peer: Peer): Promise<string | undefined> => {
    try {
      const parsed = parseMessage(message, limits)
      const response = parsed.ok ? await answer(parsed.value, peer) : faultResponse(null, parsed.fault)
      return response === null ? undefined : await writeDown(response)
    } catch (error) {
      log.error({ err: error }, 'an answer could not be written down')
      return JSON.stringify(faultResponse(null, faultFor(error)))
    }
  }

  return {
    limits,
    log,
    open(back) {
      const subscriber: Subscriber | undefined = back === undefined ? undefined : { filter: {}, lost: 0, ...back }
      const peer: Peer = { calls: new Set(), back, subscriber }
      return {
        receive: async (message) => receive(message, peer),
        running: () => peer.calls.size,
        caughtUp() {
          if (subscriber !== undefined) hub.caughtUp(subscriber)
        },
        close() {
          if (subscriber !== undefined) hub.remove(subscriber)
          for (const call of peer.calls) if (call.reads) call.controller.abort()
        },
      }
    },
    runningCalls: () => allCalls.size,
    async drain(graceMs) {
      draining = true
      const ended = new Promise<void>((resolve) => {
        if (allCalls.size === 0) resolve()
        else idle.add(resolve)
      })
      const timer = setTimeout(() => {
        log.warn({ calls: allCalls.size }, 'calls did not end in time and are cancelled')
        for (const call of allCalls) call.controller.abort()
      }, graceMs)
      await ended
      clearTimeout(timer)
      hub.close()
    },
  }
}
