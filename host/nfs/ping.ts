/**
 * Asks a server whether it speaks NFS, by the NULL call of its RPC program (RFC 5531): the cheapest call there is, answered without
 * credentials and without rpcbind, which an NFSv4 server need not have. A bad address would cost the mount helper minutes.
 */
import { connect } from 'node:net'
import { StorageError } from '../../core/errors.ts'

const program = 100003
const rpcVersion = 2

export type NfsMajor = 3 | 4

export type PingAnswer =
  | { readonly speaks: true }
  /** It is an NFS server, of these versions. */
  | { readonly speaks: false; readonly lowest: number; readonly highest: number }

/** One record-marked CALL (RFC 5531, sections 9 and 11) without arguments, credentials or verifier. */
const nullCall = (xid: number, version: number): Buffer => {
  const words = [xid, 0, rpcVersion, program, version, 0, 0, 0, 0, 0]
  const out = Buffer.alloc(4 + words.length * 4)
  out.writeUInt32BE(0x80000000 + words.length * 4, 0)
  for (const [index, word] of words.entries()) out.writeUInt32BE(word, 4 + index * 4)
  return out
}

const accepted = 0
const success = 0
const versionMismatch = 2
/** Record mark, xid, REPLY, MSG_ACCEPTED, verifier (flavor, length 0), accept status. */
const replyLength = 28

/** What a reply says; undefined while it is not all there. Anything but a reply to our call throws. */
export const parseReply = (xid: number, bytes: Buffer): PingAnswer | undefined => {
  if (bytes.length < replyLength) return undefined
  const word = (index: number): number => bytes.readUInt32BE(4 + index * 4)
  if (word(0) !== xid || word(1) !== 1) throw new Error('its answer is no RPC reply')
  if (word(2) !== accepted) throw new Error('it denies RPC calls from here')
  if (word(4) !== 0) throw new Error('its answer carries a verifier that nobody asked for')
  if (word(5) === success) return { speaks: true }
  if (word(5) !== versionMismatch) throw new Error('it has no NFS program')
  if (bytes.length < replyLength + 8) return undefined
  return { speaks: false, lowest: word(6), highest: word(7) }
}

export interface NfsAddress {
  /** For a socket: no brackets. */
  readonly host: string
  readonly port: number
}

export const defaultPort = 2049

const failed = ({ host, port }: NfsAddress, error: Error & { readonly code?: string }): StorageError => {
  const told: Readonly<Record<string, readonly [says: string, remedy: string]>> = {
    ECONNREFUSED: ['refuses connections: no NFS server listens there', `Start the NFS server, or check the port; on the server: ss -ltn sport = :${port}`],
    EHOSTUNREACH: ['cannot be reached from this host', 'Check the address and the route to it'],
    ENETUNREACH: ['cannot be reached from this host', 'Check the address and the route to it'],
    ENOTFOUND: ['is not known to the name service of this host', 'Check the name, or give the address'],
    EAI_AGAIN: ['cannot be looked up: the name service of this host does not answer', 'Check /etc/resolv.conf, or give the address'],
  }
  const [says, remedy] = told[error.code ?? ''] ?? [`cannot be used: ${error.message}`, 'Check server and port, and what lies between']
  return new StorageError('unreachable', `NFS server ${host} port ${port} ${says}`, { layer: 'host:nfs', field: 'device_config.server', cause: error, remedy, details: { server: host, port } })
}

/** Asks for one major version. A server that is not there or does not answer within `timeoutMs` is unreachable. */
export const pingNfs = async (address: NfsAddress, version: NfsMajor, timeoutMs: number, signal: AbortSignal): Promise<PingAnswer> => {
  signal.throwIfAborted()
  const socket = connect({ host: address.host, port: address.port })
  const xid = Math.floor(Math.random() * 0x7fffffff)
  let onAbort = (): void => undefined
  let timer: NodeJS.Timeout | undefined
  try {
    return await new Promise<PingAnswer>((resolve, reject) => {
      onAbort = () => reject(signal.reason as Error)
      signal.addEventListener('abort', onAbort, { once: true })
      timer = setTimeout(() => reject(failed(address, new Error(`it did not answer within ${timeoutMs / 1000} s`))), timeoutMs)
      let received = Buffer.alloc(0)
      socket.on('error', (error) => reject(failed(address, error)))
      socket.on('close', () => reject(failed(address, new Error('it closed the connection without an answer'))))
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk])
        try {
          const answer = parseReply(xid, received)
          if (answer !== undefined) resolve(answer)
        } catch (error) {
          reject(failed(address, error as Error))
        }
      })
      socket.on('connect', () => socket.write(nullCall(xid, version)))
    })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    socket.destroy()
  }
}
