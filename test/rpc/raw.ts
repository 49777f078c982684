/** A peer that speaks bytes, for what the client would never send; and a server on the memory driver to send it to. */
import { connect, type Socket } from 'node:net'
import type { Engine } from '../../core/caller.ts'
import type { Log } from '../../core/ports.ts'
import { silentLog } from '../../host/log.ts'
import type { RpcLimits } from '../../rpc/limits.ts'
import type { Listener } from '../../rpc/listener.ts'
import { createRpcServer, type RpcServer } from '../../rpc/server.ts'
import { listenUnix } from '../../rpc/unix.ts'
import { attachSr, createMemoryEngine, temporaryDirectory, type Memory } from './memory.ts'

export interface RawPeer {
  readonly socket: Socket
  /** Messages that came and were not taken yet. */
  readonly messages: unknown[]
  send(...lines: readonly (string | object)[]): void
  /** The next message. */
  next(): Promise<unknown>
  readonly closed: Promise<void>
}

export const rawPeer = async (path: string): Promise<RawPeer> => {
  const socket = connect({ path, allowHalfOpen: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  const messages: unknown[] = []
  const waiting: ((message: unknown) => void)[] = []
  let rest = ''
  socket.setEncoding('utf8')
  socket.on('error', () => undefined)
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const message: unknown = JSON.parse(line)
      const taker = waiting.shift()
      if (taker === undefined) messages.push(message)
      else taker(message)
    }
  })
  return {
    socket, messages,
    send: (...lines) => void socket.write(lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('')),
    next: async () => (messages.length > 0 ? messages.shift() : new Promise((resolve) => waiting.push(resolve))),
    closed: new Promise((resolve) => {
      socket.on('close', () => resolve())
      // Half-open on purpose: when the server has closed its side, so do we.
      socket.on('end', () => socket.end())
    }),
  }
}

export const request = (id: number | string | undefined, method: string, params: object = {}, call?: object): object => ({
  jsonrpc: '2.0', ...(id === undefined ? {} : { id }), method, params, ...(call === undefined ? {} : { 'x-call': call }),
})

export interface TestServer {
  readonly path: string
  readonly engine: Engine
  readonly memory: Memory
  readonly server: RpcServer
  readonly listener: Listener
  stop(): Promise<void>
}

/** A server on a unix socket of its own, with the one SR attached. */
export const startServer = async (limits: Partial<RpcLimits> = {}, log: Log = silentLog): Promise<TestServer> => {
  const directory = temporaryDirectory()
  const { engine, memory } = createMemoryEngine(log)
  await attachSr(engine)
  const server = createRpcServer({ engine, log, limits, discover: async () => ({ openrpc: '1.3.2' }) })
  const path = `${directory.path}/smd.sock`
  const listener = await listenUnix(server, { path })
  return {
    path, engine, memory, server, listener,
    async stop() {
      memory.gate?.open()
      listener.stop()
      await server.drain(0)
      await listener.end()
      await engine.close()
      directory.remove()
    },
  }
}
