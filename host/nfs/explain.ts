/** What failures of NFS mean and what to do about them, on this host or on the server. */
import { isSystemError, StorageError, systemCode, systemMessage, type ErrorKind } from '../../core/errors.ts'

const layer = 'host:nfs'

export interface NfsPlace {
  readonly server: string
  readonly path: string
}

interface Meaning {
  readonly kind: ErrorKind
  readonly says: string
  readonly remedy: string
}

/** What mount.nfs prints (nfs-utils 2.6), first match wins. */
const mountFailures: readonly (readonly [pattern: RegExp, meaning: (place: NfsPlace) => Meaning])[] = [
  [/you might need a \/sbin\/mount|unknown filesystem type/, () => ({ kind: 'toolMissing', says: 'This host cannot mount NFS', remedy: 'Install it: apt-get install nfs-common' })],
  [/rpc\.statd is not running|statd/, () => ({ kind: 'toolFailed', says: 'NFSv3 needs rpc.statd on this host, for locks', remedy: 'systemctl start rpc-statd; or set nfsversion to 4.2 in the device_config' })],
  [/access denied by server|Operation not permitted/, ({ server, path }) => ({ kind: 'permissionDenied', says: `${server} does not export ${path} to this host`, remedy: `On the server, add this host to the export of ${path} in /etc/exports, then: exportfs -ra; exportfs -v shows what holds` })],
  [/No such file or directory/, ({ server, path }) => ({ kind: 'placeMissing', says: `${server} has no export ${path}`, remedy: 'smctl sr probe nfs server=<server> lists its exports; with NFSv4 a path starts at the export with fsid=0' })],
  [/requested NFS version|Protocol not supported|incorrect mount option/, () => ({ kind: 'notSupported', says: 'The server does not speak that version of NFS', remedy: 'Leave nfsversion out to take what the server offers' })],
  [/Stale file handle/, ({ path }) => ({ kind: 'unreachable', says: `The server has replaced the directory ${path}`, remedy: 'On the server: exportfs -ra; then try again' })],
  [/Connection refused/, ({ server }) => ({ kind: 'unreachable', says: `${server} refuses the connection`, remedy: 'Start the NFS server; NFSv3 needs its rpcbind and rpc.mountd, too' })],
  [/timed out|system call failed|Network is unreachable|No route to host|Failed to resolve/, ({ server }) => ({ kind: 'unreachable', says: `${server} does not answer`, remedy: 'See that the server runs and that this host may reach it (ports 2049, and for NFSv3 111 and the mount daemon)' })],
]

/** A failed run of mount(8), in words. */
export const explainMountFailure = (error: unknown, place: NfsPlace): unknown => {
  if (!(error instanceof StorageError)) return error
  const facts = { layer, cause: error, field: 'device_config.server', details: { server: place.server, path: place.path, ...error.facts.details } }
  if (error.kind === 'outcomeUnknown') {
    return new StorageError('unreachable', `${place.server} does not answer: ${error.message}`, { ...facts, remedy: 'See that the server runs and that this host may reach it' })
  }
  if (error.kind !== 'toolFailed') return error
  const said = String(error.facts.details?.['stderr'] ?? error.message)
  for (const [pattern, meaning] of mountFailures) {
    if (!pattern.test(said)) continue
    const { kind, says, remedy } = meaning(place)
    return new StorageError(kind, `${says} (mount: ${said.trim().slice(0, 300)})`, { ...facts, remedy, ...(kind === 'placeMissing' || kind === 'permissionDenied' ? { field: 'device_config.serverpath' } : {}) })
  }
  return error
}

export const isStale = (error: unknown): boolean => isSystemError(error) ? systemCode(error) === 'ESTALE' : error instanceof StorageError && isStale(error.facts.cause)

/** What errno means when it comes from files on NFS, where it often means something else than on a disk. */
const fileFailures: Readonly<Record<string, (place: NfsPlace) => Meaning>> = {
  ESTALE: ({ path }) => ({ kind: 'unreachable', says: `The server has replaced what was mounted from ${path} (stale file handle)`, remedy: 'Detach the SR and attach it again' }),
  EACCES: ({ path }) => ({ kind: 'permissionDenied', says: `The export ${path} refuses this to root of this host`, remedy: `On the server, export ${path} with no_root_squash, or give the directory to the user that root is squashed to (anonuid)` }),
  EPERM: ({ path }) => ({ kind: 'permissionDenied', says: `The export ${path} refuses this to root of this host`, remedy: `On the server, export ${path} with no_root_squash, or give the directory to the user that root is squashed to (anonuid)` }),
  EROFS: ({ path }) => ({ kind: 'readOnly', says: `${path} is exported read-only`, remedy: `On the server, export ${path} with rw, then: exportfs -ra` }),
  EIO: ({ server }) => ({ kind: 'unreachable', says: `${server} did not answer in time, or its disk failed`, remedy: 'See that the server runs, and look at the kernel logs of both sides' }),
  ETIMEDOUT: ({ server }) => ({ kind: 'unreachable', says: `${server} did not answer in time`, remedy: 'See that the server runs and that this host may reach it' }),
  EREMOTEIO: ({ server }) => ({ kind: 'ioError', says: `${server} failed to do it`, remedy: 'Look at the kernel log of the server' }),
  EDQUOT: ({ path }) => ({ kind: 'noSpace', says: `The quota of ${path} on the server is used up`, remedy: 'Raise the quota on the server, or delete something' }),
  ENOLCK: ({ server }) => ({ kind: 'lockUnavailable', says: `${server} gives no byte-range locks`, remedy: 'Run rpc.statd on this host and the lock service on the server; or set nfsversion to 4.2, which brings its own locks' }),
}

/** For the file port: a system error in the words of NFS, anything else as it is. */
export const explainFileFailure = (place: NfsPlace) => (error: unknown): unknown => {
  if (!isSystemError(error)) return error
  const meaning = fileFailures[systemCode(error)]?.(place)
  return meaning === undefined ? error : new StorageError(meaning.kind, `${meaning.says}: ${systemMessage(error)}`, { layer, cause: error, remedy: meaning.remedy, details: { server: place.server, path: place.path, code: systemCode(error) } })
}
