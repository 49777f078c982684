/** The first transport: a unix socket that only its owner can open, newline-delimited JSON. */
import { lstatSync, renameSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { createJSONRPCErrorResponse } from 'json-rpc-2.0'
import { StorageError, toStorageError } from '../core/errors.ts'
import { faultOf } from './faults.ts'
import type { Listener } from './listener.ts'
import type { RpcServer } from './server.ts'
import { serveStream, type StreamPeer } from './stream.ts'

/** Bytes of a socket's path: sun_path of unix(7) holds 108 with the terminating zero. */
const longestPath = 107

const layer = 'rpc:unix'

/** Peers that have been told to end and do not read get so long before they are cut off. Milliseconds. */
const lingerMs = 2000

const checkSocketPath = (path: string): void => {
  const length = Buffer.byteLength(path)
  if (length <= longestPath) return
  throw new StorageError('invalidArgument', `The path of the socket has ${length} bytes, ${longestPath} are possible: ${path}`, {
    field: 'socket', layer, remedy: 'Set a shorter one in the configuration of the daemon (socket), or a shorter state directory',
  })
}

/** Whether somebody listens there. Whatever is not a clear no counts as yes. */
const isLive = async (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect(path)
    const answer = (live: boolean): void => {
      probe.destroy()
      resolve(live)
    }
    probe.once('connect', () => answer(true))
    probe.once('error', (error: NodeJS.ErrnoException) => answer(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'))
  })

/** Makes the way free: nothing is there, or a socket that nobody listens on any more (its daemon was killed). */
const checkFree = async (path: string): Promise<void> => {
  const facts = lstatSync(path, { throwIfNoEntry: false })
  if (facts === undefined) return
  if (!facts.isSocket()) {
    throw new StorageError('alreadyExists', `${path} is there and is no socket`, { field: 'socket', layer, remedy: 'Move it away, or set another path in the configuration of the daemon (socket)' })
  }
  if (await isLive(path)) {
    throw new StorageError('busy', `Another process listens on ${path}`, { field: 'socket', layer, remedy: 'Stop it first; smctl host status tells which one it is' })
  }
}

const listening = async (server: Server, where: { readonly path: string } | { readonly fd: number }): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', (error) => reject(toStorageError(error, layer)))
    server.listen(where, resolve)
  })

const inodeOf = (path: string): number | undefined => lstatSync(path, { throwIfNoEntry: false })?.ino

/**
 * Listens on a path of its own making, or on the socket `fd` that a service manager has opened. The socket is bound
 * under another name and then moved, so a stale one is replaced in one step and nobody finds the way closed in between.
 * Two daemons that start at once are kept apart by the caller (cli/smd.ts holds a lock of the state directory).
 */
export const listenUnix = async (rpc: RpcServer, where: { readonly path: string } | { readonly fd: number }): Promise<Listener> => {
  const peers = new Set<StreamPeer>()
  const closed = new Set<() => void>()
  const accept = (socket: Socket): void => {
    if (peers.size >= rpc.limits.connections) {
      const { code, message, data } = faultOf(new StorageError('busy', `${rpc.limits.connections} connections are open already`, { layer, remedy: 'Close some, or raise limits.connections in the configuration of the daemon' }))
      socket.on('error', () => undefined)
      socket.end(`${JSON.stringify(createJSONRPCErrorResponse(null, code, message, data))}\n`)
      socket.destroySoon()
      return
    }
    const peer = serveStream(rpc, socket, socket, {
      onClosed() {
        peers.delete(peer)
        if (peers.size === 0) for (const wake of closed) wake()
      },
    })
    peers.add(peer)
  }
  const server = createServer({ allowHalfOpen: true }, accept)
  let own: { readonly path: string; readonly inode: number | undefined } | undefined
  if ('path' in where) {
    checkSocketPath(where.path)
    await checkFree(where.path)
    // Short, so that it fits wherever the real name fits.
    const bound = join(dirname(where.path), `.${process.pid.toString(36)}`)
    rmSync(bound, { force: true })
    // The socket file is made before listen() returns: only it comes into being under this mask.
    const before = process.umask(0o177)
    const bind = listening(server, { path: bound })
    process.umask(before)
    await bind
    try {
      renameSync(bound, where.path)
    } catch (error) {
      server.close()
      throw toStorageError(error, layer)
    }
    own = { path: where.path, inode: inodeOf(where.path) }
  } else {
    await listening(server, where)
  }
  server.on('error', (error) => rpc.log.error({ err: error }, 'the unix socket failed'))

  return {
    address: 'path' in where ? `unix:${where.path}` : `unix:fd ${where.fd}`,
    stop() {
      server.close()
      // Only our own: somebody may have put another one in its place.
      if (own !== undefined && inodeOf(own.path) === own.inode) rmSync(own.path, { force: true })
      own = undefined
    },
    async end() {
      if (peers.size === 0) return
      const gone = new Promise<void>((resolve) => closed.add(resolve))
      for (const peer of peers) peer.end()
      const timer = setTimeout(() => {
        for (const peer of peers) peer.destroy()
      }, lingerMs)
      await gone
      clearTimeout(timer)
    },
  }
}
