/** From a dconf to a mounted share and back. Nothing here touches the share from this process: a dead server would hold it. */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { IsolatedPlace } from '../../core/ports.ts'
import { deviceOfIdentity } from '../../host/files/device-numbers.ts'
import { ensureMounted, ensureUnmounted, mountPointOf, probeMountPoint, sweepProbes } from '../../host/mount/mount.ts'
import type { Mount } from '../../host/mount/mountinfo.ts'
import { mountSource, socketHost } from '../../host/nfs/address.ts'
import { nfsMountOptions, type NfsVersion } from '../../host/nfs/build.ts'
import { explainFileFailure, explainMountFailure } from '../../host/nfs/explain.ts'
import { defaultPort, pingNfs } from '../../host/nfs/ping.ts'
import type { NfsDconf } from './dconf.ts'

export const layer = 'driver:nfs'

/** Of the first question to a server: longer than any network that disks are kept behind. */
const pingTimeoutMs = 5000
const mountTimeoutMs = 30_000

export const targetOf = (ctx: Ctx): string => mountPointOf(ctx.host, ctx.sr)

/** The SR's own directory below a mounted share (SM API, sr_create, [NFS]). */
export const directoryOf = (ctx: Ctx): string => `${targetOf(ctx)}/${ctx.sr}`

/** Of the same server and path, whatever its options: they may have been others when it was mounted. */
export const isShare = (dconf: NfsDconf) => (mount: Mount): boolean =>
  (mount.fsType === 'nfs' || mount.fsType === 'nfs4') && mount.source === mountSource(dconf.server, dconf.serverpath)

type Address = Pick<NfsDconf, 'server' | 'port' | 'nfsversion'>

/** Which version to mount; fails at once where no server is, or one of other versions. */
export const chooseVersion = async (ctx: Ctx, { server, port, nfsversion }: Address): Promise<NfsVersion> => {
  const address = { host: socketHost(server), port: port ?? defaultPort }
  const wanted = nfsversion === '3' ? 3 : 4
  const answer = await pingNfs(address, wanted, pingTimeoutMs, ctx.signal)
  if (answer.speaks) return nfsversion ?? '4'
  if (nfsversion === undefined && answer.lowest <= 3 && answer.highest >= 3) return '3'
  const offers = answer.lowest === answer.highest ? `version ${answer.lowest}` : `versions ${answer.lowest} to ${answer.highest}`
  throw new StorageError('notSupported', `NFS server ${server} speaks ${offers}, not ${nfsversion ?? '3 or 4'}`, {
    layer, field: nfsversion === undefined ? 'device_config.server' : 'device_config.nfsversion', remedy: nfsversion === undefined ? 'Let the server offer version 4.2' : 'Leave nfsversion out to take what the server offers',
    details: { server, lowest: answer.lowest, highest: answer.highest },
  })
}

/** Mounts the share on `target` (done when it is), and answers how. */
export const mountShare = async (ctx: Ctx, dconf: NfsDconf, target: string, readOnly = false): Promise<Mount> => {
  const version = await chooseVersion(ctx, dconf)
  const { server, serverpath, port } = dconf
  const options = nfsMountOptions({ server, version, policy: dconf.mountpolicy, timeo: dconf.timeo, retrans: dconf.retrans, ...(port === undefined ? {} : { port }), readOnly })
  try {
    return await ensureMounted(ctx, { source: mountSource(server, serverpath), target, fsType: version === '3' ? 'nfs' : 'nfs4', options }, { isIt: isShare(dconf), timeoutMs: mountTimeoutMs })
  } catch (error) {
    ctx.signal.throwIfAborted()
    throw explainMountFailure(error, { server, path: serverpath })
  }
}

const unmountOptions = { timeoutMs: 15_000, network: true } as const

export const unmountShare = async (ctx: Ctx, target = targetOf(ctx)): Promise<void> => ensureUnmounted(ctx, target, unmountOptions)

/** The way to work on a mounted share. */
export const isolate = (ctx: Ctx, dconf: Pick<NfsDconf, 'server' | 'serverpath'>, target: string): IsolatedPlace =>
  ctx.host.isolate({
    name: `${dconf.server}:${dconf.serverpath} on ${target}`,
    layer: 'host:nfs',
    remedy: `See that NFS server ${dconf.server} runs and that this host may reach it; what waits for it goes on when it is back`,
    explain: explainFileFailure({ server: dconf.server, path: dconf.serverpath }),
  })

/** The path must lead onto the mount that the table shows, and not to what lies hidden below it. */
export const proveMount = async (place: IsolatedPlace, mount: Mount): Promise<void> => {
  const facts = await place.files.stat(mount.mountPoint)
  if (facts !== undefined && deviceOfIdentity(facts.identity) === mount.device) return
  throw new StorageError('identityMismatch', `${mount.mountPoint} does not lead to ${mount.source}, though the mount table says so`, {
    layer, remedy: `Look at the mounts of this host: findmnt ${mount.mountPoint}`, details: { mount_point: mount.mountPoint },
  })
}

/**
 * Works on the share for a moment and leaves nothing mounted: on the SR's own mount point, where a repeat after a crash finds it,
 * or for a look, read-only, on one of this process.
 */
export const withShare = async <T>(ctx: Ctx, dconf: NfsDconf, why: 'change' | 'look', work: (place: IsolatedPlace, directory: string) => Promise<T>): Promise<T> => {
  if (why === 'look') await sweepProbes(ctx, unmountOptions)
  const target = why === 'look' ? probeMountPoint(ctx.host) : targetOf(ctx)
  let place: IsolatedPlace | undefined
  try {
    const mount = await mountShare(ctx, dconf, target, why === 'look')
    place = isolate(ctx, dconf, target)
    await proveMount(place, mount)
    return await work(place, target)
  } finally {
    place?.close()
    await unmountShare(ctx, target)
  }
}
