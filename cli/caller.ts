/**
 * The way from a short executable to the engine: through the daemon when its socket answers, else in this process. Both give
 * the same answers; through the daemon neither engine nor zod is loaded.
 */
import { statSync } from 'node:fs'
import type { CallOptions } from '../core/caller.ts'
import { StorageError } from '../core/errors.ts'
import type { Client } from '../rpc/client.ts'
import { socketPath, stateDirectory } from './state-directory.ts'

export interface Caller {
  /** Where calls are answered: `daemon on <socket>`, or `in this process`. */
  readonly via: string
  readonly daemon: Client | undefined
  callByName(method: string, params: unknown, options?: CallOptions): Promise<unknown>
  close(): Promise<void>
}

export interface CallerOptions {
  readonly socket?: string
  readonly stateDirectory?: string
  /** `never`: in this process although a daemon may be there; `always`: an error when there is none. */
  readonly daemon?: 'never' | 'always'
  /** Of calls in this process: log lines of this level on standard error; none when absent. */
  readonly logLevel?: string
}

/** What calls in this process need to know. */
export interface InProcessOptions {
  readonly stateDirectory: string
  readonly logLevel: string | undefined
  /** The daemon's configuration may name another socket than the one that was tried: there it is looked for once more. */
  readonly elsewhere: ((socket: string, otherwise: () => Promise<Caller>) => Promise<Caller>) | undefined
}

const throughDaemon = (client: Client, socket: string): Caller => ({
  via: `daemon on ${socket}`,
  daemon: client,
  callByName: async (method, params, options) => client.callByName(method, params, options),
  close: async () => client.close(),
})

const connect = async (socket: string): Promise<Caller> => {
  const { connectUnix } = await import('../rpc/client.ts')
  return throughDaemon(await connectUnix(socket), socket)
}

/**
 * Nobody listens: the only failure after which a call may be made in this process. Any other one is told. Without a socket
 * the client is not even loaded.
 */
const connectOr = async <T>(socket: string, otherwise: () => Promise<T>): Promise<Caller | T> => {
  if (statSync(socket, { throwIfNoEntry: false }) === undefined) return otherwise()
  try {
    return await connect(socket)
  } catch (error) {
    const code = error instanceof StorageError ? error.facts.details?.['code'] : undefined
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return otherwise()
    throw error
  }
}

/** The daemon where one listens; undefined: there is none, and none was named. */
export const openDaemon = async (options: Pick<CallerOptions, 'socket' | 'stateDirectory'> = {}): Promise<Caller | undefined> => {
  const socket = socketPath(options.socket, stateDirectory(options.stateDirectory))
  const { STORAGE_MANAGER_SOCKET: named } = process.env
  return options.socket !== undefined || named !== undefined ? connect(socket) : connectOr(socket, async () => undefined)
}

/**
 * A socket that was named, by flag or by STORAGE_MANAGER_SOCKET, is meant: then nobody there is an error. STORAGE_MANAGER_LOG
 * is the log level of calls in this process.
 */
export const openCaller = async (options: CallerOptions = {}): Promise<Caller> => {
  const directory = stateDirectory(options.stateDirectory)
  const socket = socketPath(options.socket, directory)
  const { STORAGE_MANAGER_SOCKET: named, STORAGE_MANAGER_LOG: logLevel } = process.env
  const inProcess = async (): Promise<Caller> => {
    const { openInProcess } = await import('./in-process.ts')
    return openInProcess({
      stateDirectory: directory,
      logLevel: options.logLevel ?? logLevel,
      elsewhere: options.daemon === 'never' ? undefined : async (path, otherwise) => (path === socket ? otherwise() : connectOr(path, otherwise)),
    })
  }
  if (options.daemon === 'never') return inProcess()
  if (options.daemon === 'always' || options.socket !== undefined || named !== undefined) return connect(socket)
  return connectOr(socket, inProcess)
}
