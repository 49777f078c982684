/** How the client knows that it talks to the array: a CA, one pinned certificate, or the trust store. There is no way to skip the check. */
import { createHash } from 'node:crypto'
import { Agent } from 'node:https'
import { connect as tlsConnect, type PeerCertificate, type TLSSocket } from 'node:tls'
import { StorageError } from '../../../../core/errors.ts'
import { layer } from './layer.ts'

/** `ca`: PEM text; `fingerprint`: SHA-256 of the certificate in hex, colons allowed; `system`: what Node trusts. */
export type TlsTrust = { readonly ca: string } | { readonly fingerprint: string } | 'system'

const bareHex = (fingerprint: string): string => fingerprint.replace(/^sha256[:=]/i, '').replaceAll(/[:\s]/g, '').toLowerCase()

export const isFingerprint = (text: string): boolean => /^[0-9a-f]{64}$/.test(bareHex(text))

const colons = (hex: string): string => (hex.match(/../g) ?? []).join(':').toUpperCase()

const fingerprintOf = ({ raw }: PeerCertificate): string => createHash('sha256').update(raw).digest('hex')

/** Verified before the socket is handed over: nothing of a request, so no password either, reaches an array that is not the pinned one. */
const pinnedAgent = (fingerprint: string, options: { readonly maxSockets: number }): Agent => {
  const agent = new Agent({ keepAlive: true, ...options })
  const wanted = bareHex(fingerprint)
  agent.createConnection = (connection, done) => {
    const { host, port } = connection
    const settle = (error: Error | null, socket: TLSSocket): void => done?.(error, socket)
    const socket = tlsConnect({ host: host ?? '', port: Number(port), rejectUnauthorized: false, minVersion: 'TLSv1.2', ...(isName(host ?? '') ? { servername: host ?? '' } : {}) }, () => {
      socket.removeListener('error', failed)
      const found = fingerprintOf(socket.getPeerCertificate())
      if (found === wanted) return settle(null, socket)
      socket.destroy()
      settle(wrongCertificate(`its certificate has the SHA-256 fingerprint ${colons(found)}, not the pinned ${colons(wanted)}`), socket)
    })
    const failed = (error: Error): void => settle(error, socket)
    socket.once('error', failed)
    return undefined
  }
  return agent
}

/** Server name indication takes names only (RFC 6066, 3). */
const isName = (host: string): boolean => !/^[\d.]+$|:/.test(host)

export const wrongCertificate = (what: string, cause?: unknown): StorageError =>
  new StorageError('unauthenticated', `The array did not prove who it is: ${what}`, {
    layer, field: 'tls', ...(cause === undefined ? {} : { cause }),
    remedy: 'Give the CA that signed its certificate, or pin the certificate by its fingerprint after comparing it on the array: openssl s_client -connect HOST:8080 </dev/null | openssl x509 -noout -fingerprint -sha256',
  })

/** Node's codes of certificates that were not accepted. */
export const certificateCodes: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'CERT_REVOKED', 'CERT_UNTRUSTED', 'CERT_SIGNATURE_FAILURE', 'INVALID_CA', 'ERR_TLS_CERT_ALTNAME_INVALID',
])

export const agentFor = (trust: TlsTrust, maxSockets: number): Agent => {
  if (trust === 'system') return new Agent({ keepAlive: true, maxSockets, minVersion: 'TLSv1.2' })
  if ('ca' in trust) return new Agent({ keepAlive: true, maxSockets, minVersion: 'TLSv1.2', ca: trust.ca })
  if (!isFingerprint(trust.fingerprint)) {
    throw new StorageError('invalidArgument', 'tls.fingerprint: must be the SHA-256 fingerprint of a certificate, 64 hex digits', { layer, field: 'tls.fingerprint', remedy: 'openssl x509 -noout -fingerprint -sha256 -in array.crt prints it' })
  }
  return pinnedAgent(trust.fingerprint, { maxSockets })
}
