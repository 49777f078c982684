/** The HTTP listeners of the daemon: token, certificates and metrics around rpc/http.ts. Loaded only when there are any. */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { isSystemError, StorageError } from '../core/errors.ts'
import { isLoopback, listenHttp } from '../rpc/http.ts'
import type { Listener } from '../rpc/listener.ts'
import type { Metrics } from '../rpc/metrics.ts'
import type { RpcServer } from '../rpc/server.ts'
import type { Settings } from './config.ts'

const shortestToken = 16

const readPem = (file: string, field: string): string => {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new StorageError('invalidArgument', `${file} cannot be read: ${(error as Error).message}`, { field, layer: 'cli', cause: error, remedy: 'Name a readable PEM file' })
  }
}

/** Whoever can read a secret file is whom it is meant for: `others` are the permission bits that nobody may have. */
const refuseOpen = (file: string, field: string, others: number): void => {
  if ((statSync(file).mode & others) === 0) return
  throw new StorageError('permissionDenied', `Other users can read ${file}: it is no secret any more`, { field, layer: 'cli', remedy: `Make a new one and keep it to yourself: chmod 600 ${file}` })
}

/** Makes the token file when it is not there; exactly one process makes it. */
const makeToken = (file: string): void => {
  try {
    const fd = openSync(file, 'wx', 0o600)
    writeSync(fd, `${randomBytes(32).toString('base64url')}\n`)
    closeSync(fd)
  } catch (error) {
    if (!isSystemError(error) || error.code !== 'EEXIST') throw error
  }
}

export const readToken = (file: string): string => {
  makeToken(file)
  refuseOpen(file, 'config.token_file', 0o077)
  const token = readFileSync(file, 'utf8').trim()
  if (token.length < shortestToken || !/^[\x21-\x7e]+$/.test(token)) {
    throw new StorageError('invalidArgument', `${file} holds no token of at least ${shortestToken} printable characters`, { field: 'config.token_file', layer: 'cli', remedy: `Remove ${file}: the daemon makes a good one when it starts` })
  }
  return token
}

const readTls = (tls: NonNullable<Settings['http'][number]['tls']>) => {
  const pem = { cert: readPem(tls.cert, 'config.http.tls.cert'), key: readPem(tls.key, 'config.http.tls.key') }
  refuseOpen(tls.key, 'config.http.tls.key', 0o007)
  return tls.client_ca === undefined ? pem : { ...pem, clientCa: readPem(tls.client_ca, 'config.http.tls.client_ca') }
}

/** Adds each listener to `listeners` as soon as it stands, so that a failure of a later one can close it. */
export const openHttpListeners = async (server: RpcServer, settings: Settings, metrics: Metrics, openrpc: () => Promise<object>, listeners: Listener[]): Promise<void> => {
  const token = readToken(settings.tokenFile)
  let document: string | undefined
  for (const { host, port, tls } of settings.http) {
    listeners.push(await listenHttp(server, {
      host, port, token,
      ...(tls === undefined ? {} : { tls: readTls(tls) }),
      metrics: async () => metrics.render(),
      openrpc: async () => (document ??= JSON.stringify(await openrpc())),
    }))
    if (tls?.client_ca === undefined && !isLoopback(host)) server.log.warn({ host }, 'reachable from other hosts for anybody who has the token; tls.client_ca would ask for a certificate, too')
  }
}
