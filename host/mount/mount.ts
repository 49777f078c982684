/**
 * Mounting and unmounting by what the kernel's table says before and after, never by what a tool claimed. The engine holds the
 * SR's lock of this host around every call.
 */
import { StorageError } from '../../core/errors.ts'
import type { Ctx } from '../../core/contract.ts'
import { isUuid } from '../../core/ids.ts'
import { mountCommand, unmountCommand, type MountWant, type UnmountHow } from './build.ts'
import { holdersOf, type Holder } from './holders.ts'
import { mountsOn, readMounts, visibleMount, type Mount } from './mountinfo.ts'

type Needs = Pick<Ctx, 'host' | 'signal' | 'log'>

const layer = 'host:mount'

export interface MountCheck {
  /** Whether a mount on the target is the one that is wanted, by identity. */
  readonly isIt: (mount: Mount) => boolean
  readonly timeoutMs: number
}

const describe = (mount: Mount): string => `${mount.source} (${mount.fsType}, device ${mount.device})`

const foreign = (target: string, found: readonly Mount[]): StorageError =>
  new StorageError('identityMismatch', `${target} is the mount point of something else: ${found.map(describe).join(', under it ').slice(0, 500)}`, {
    layer, remedy: `See who mounted it, then unmount it: umount ${target}`, details: { mount_point: target, mounts: found.length },
  })

/**
 * The one mount on `target`, seen by whoever walks there; undefined when nothing is mounted on it. Anything else there, a stale
 * mount under a new one, or a mount that hides it, is an identityMismatch.
 */
export const mountedThere = async (ctx: Needs, target: string, isIt: MountCheck['isIt']): Promise<Mount | undefined> => {
  const mounts = await readMounts(ctx.host.files)
  const on = mountsOn(mounts, target)
  const [only] = on
  if (only === undefined) return undefined
  if (on.length > 1 || !isIt(only)) throw foreign(target, on.toReversed())
  const seen = visibleMount(mounts, target)
  if (seen?.id !== only.id) {
    throw new StorageError('identityMismatch', `${target} is mounted, but hidden by a mount on ${seen?.mountPoint ?? '/'}`, {
      layer, remedy: `Unmount what hides it: umount ${seen?.mountPoint ?? '/'}`, details: { mount_point: target },
    })
  }
  return only
}

const mountsDirectory = (host: Ctx['host']): string => `${host.runDirectory}/sr-mount`

/** Where an SR is mounted on this host. */
export const mountPointOf = (host: Ctx['host'], sr: string): string => `${mountsDirectory(host)}/${sr}`

let probes = 0

/** A mount point for a look, of this process alone. */
export const probeMountPoint = (host: Ctx['host']): string => {
  probes += 1
  return `${mountsDirectory(host)}/probe-${process.pid}-${probes}`
}

/** The SR that is mounted on this path by the storage manager of this host, if any. */
export const srMountedOn = (host: Ctx['host'], path: string): string | undefined => {
  const name = path.startsWith(`${mountsDirectory(host)}/`) ? path.slice(mountsDirectory(host).length + 1) : ''
  return isUuid(name) ? name : undefined
}

/** The directory of a mount point, private to the user, with the one above it. */
const makeMountPoint = async (ctx: Needs, target: string): Promise<void> => {
  const { files } = ctx.host
  await files.mkdir(target.slice(0, target.lastIndexOf('/')))
  await files.mkdir(target)
  const left = (await files.list(target)) ?? []
  if (left.length > 0) ctx.log.warn({ mount_point: target, entries: left.slice(0, 5) }, 'the directory of a mount point is not empty: what lies there is hidden while it is mounted')
}

/**
 * Steps: 1. done when it is mounted already; 2. make the mount point; 3. mount; 4. see that the table agrees, else unmount. A
 * crash after any step is finished by a repeat.
 */
export const ensureMounted = async (ctx: Needs, want: MountWant, check: MountCheck): Promise<Mount> => {
  const already = await mountedThere(ctx, want.target, check.isIt)
  if (already !== undefined) return already
  await makeMountPoint(ctx, want.target)
  await ctx.host.run(mountCommand(want, check.timeoutMs), ctx.signal)
  try {
    const mounted = await mountedThere(ctx, want.target, check.isIt)
    if (mounted !== undefined) return mounted
    throw new StorageError('toolFailed', `mount said it mounted ${want.source} on ${want.target}, but it is not there`, {
      layer, mayHaveChanged: true, remedy: 'Look at the kernel log; a service manager or another mount namespace may interfere',
    })
  } catch (error) {
    await ctx.host.run(unmountCommand(want.target, 'plain', check.timeoutMs), ctx.signal).catch(() => undefined)
    throw error
  }
}

export interface UnmountOptions {
  readonly timeoutMs: number
  /** Of a server that may be dead: nothing but our own abandoned file workers may be left, then the mount is taken away by force. */
  readonly network: boolean
}

const inUse = (target: string, holders: readonly Holder[], said: string): StorageError =>
  new StorageError('busy', holders.length === 0 ? `${target} is in use by the kernel itself (a loop device, swap or an export): ${said}` : `${target} is in use by ${holders.slice(0, 3).map((h) => `process ${h.pid} (${h.command})`).join(', ')}${holders.length > 3 ? ` and ${holders.length - 3} more` : ''}`, {
    layer, remedy: 'End what uses it, then try again', details: { mount_point: target, holders: holders.length },
  })

const isFileWorker = (holder: Holder): boolean => holder.command.includes('storage-manager-files')

/** What is not mounted is done; stacked mounts all go. The mount point's directory is removed when it is empty. */
export const ensureUnmounted = async (ctx: Needs, target: string, options: UnmountOptions): Promise<void> => {
  const left = async (): Promise<number> => mountsOn(await readMounts(ctx.host.files), target).length
  let saying = ''
  const attempt = async (how: UnmountHow): Promise<void> => {
    try {
      saying = (await ctx.host.run(unmountCommand(target, how, options.timeoutMs), ctx.signal)).stderr.trim()
    } catch (error) {
      // A tool that hung and was killed may have unmounted all the same: the table tells.
      if (!(error instanceof StorageError) || error.kind !== 'outcomeUnknown') throw error
      saying = error.message
    }
  }
  for (let before = await left(); before > 0;) {
    await attempt('plain')
    let after = await left()
    if (after >= before) {
      const holders = holdersOf(target).filter((holder) => !isFileWorker(holder))
      if (!options.network || holders.length > 0) throw inUse(target, holders, saying)
      ctx.log.warn({ mount_point: target, said: saying }, 'unmounting by force: the server does not answer')
      await attempt('force')
      after = await left()
      if (after >= before) {
        await attempt('lazy')
        after = await left()
      }
      if (after >= before) throw inUse(target, [], saying)
    }
    before = after
  }
  await ctx.host.files.rmdir(target).catch((error: unknown) => {
    ctx.log.warn({ mount_point: target, err: error }, 'the directory of a mount point could not be removed')
  })
}

/** Unmounts what probes of dead processes left mounted. What cannot be unmounted is left for the next time. */
export const sweepProbes = async (ctx: Needs, options: UnmountOptions): Promise<void> => {
  const { files } = ctx.host
  const prefix = `${mountsDirectory(ctx.host)}/probe-`
  for (const { mountPoint } of (await readMounts(files)).filter((mount) => mount.mountPoint.startsWith(prefix))) {
    const [pid = ''] = mountPoint.slice(prefix.length).split('-')
    if (/^\d+$/.test(pid) && (await files.stat(`/proc/${pid}`)) === undefined) await ensureUnmounted(ctx, mountPoint, options).catch(() => undefined)
  }
}
