/** sr_attach, sr_detach and the handle on the attached SR. */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { IsolatedPlace } from '../../core/ports.ts'
import { mountedThere } from '../../host/mount/mount.ts'
import { isStale } from '../../host/nfs/explain.ts'
import { explainFailures } from '../../stores/image-files/explain.ts'
import { imageLimits, openImageStore, type ImageSr } from '../../stores/image-files/open.ts'
import { storeDirectory, type ImagePlace } from '../../stores/image-files/place.ts'
import { attachImageStore } from '../../stores/image-files/prepare.ts'
import type { NfsDconf } from './dconf.ts'
import { directoryOf, isolate, isShare, layer, mountShare, proveMount, targetOf, unmountShare } from './reach.ts'

/** The file of the locks between hosts, beside the SR's identity. */
const guardFile = (directory: string): string => `${directory}/${storeDirectory}/guard`

export const placeIn = (isolated: IsolatedPlace, directory: string): ImagePlace => ({
  directory,
  files: isolated.files,
  scanner: isolated.scanner,
  maxChain: imageLimits.maxChain,
  guard: async (ctx, request, waitMs) => isolated.guard(guardFile(directory), request, waitMs, ctx.signal),
})

/** Locks between hosts are what a shared SR stands on: a share without them is not attached. */
const needLocks = async (ctx: Ctx, place: ImagePlace): Promise<void> => {
  try {
    const held = await place.guard?.(ctx, { sr: ctx.sr, srMode: 'shared', vdis: [], purpose: `SR.attach (call ${ctx.callId}) on host ${ctx.host.id}` }, 0)
    held?.release()
  } catch (error) {
    // That another host holds it is the best proof that there are locks.
    if (!(error instanceof StorageError) || error.kind !== 'inProgress') throw error
  }
}

/** Stale handles go with the mount: it is taken away unless somebody uses it, and made anew. */
const remount = async (ctx: Ctx, dconf: NfsDconf): Promise<void> => {
  ctx.log.warn({ mount_point: targetOf(ctx) }, 'the server has replaced what was mounted (stale file handle): mounting it anew')
  await unmountShare(ctx)
  await mountShare(ctx, dconf, targetOf(ctx))
}

/** Runs `work` on the mounted share; once more after a remount when its handles turn out to be stale. */
const onShare = async <T>(ctx: Ctx, dconf: NfsDconf, work: (isolated: IsolatedPlace) => Promise<T>): Promise<T> => {
  for (let attempt = 1; ; attempt += 1) {
    const isolated = isolate(ctx, dconf, targetOf(ctx))
    try {
      return await work(isolated)
    } catch (error) {
      isolated.close()
      if (attempt > 1 || !isStale(error)) throw error
    }
    await remount(ctx, dconf)
  }
}

const notMounted = (ctx: Ctx): StorageError =>
  new StorageError('placeMissing', `The share of SR ${ctx.sr} is not mounted on ${targetOf(ctx)}`, {
    layer, remedy: `smctl sr detach ${ctx.sr} && smctl sr attach ${ctx.sr}`, details: { sr_uuid: ctx.sr },
  })

/**
 * sr_attach. Steps: 1. the share is mounted; 2. its identity file proves the SR; 3. the server gives locks. A failure unmounts what
 * this call has mounted; a crash is finished by a repeat.
 */
export const attach = async (ctx: Ctx, dconf: NfsDconf): Promise<void> => {
  const target = targetOf(ctx)
  const before = await mountedThere(ctx, target, isShare(dconf))
  if (before === undefined) await mountShare(ctx, dconf, target)
  try {
    await onShare(ctx, dconf, async (isolated) => {
      const mount = await mountedThere(ctx, target, isShare(dconf))
      if (mount === undefined) throw notMounted(ctx)
      await proveMount(isolated, mount)
      const place = placeIn(isolated, directoryOf(ctx))
      if ((await isolated.files.stat(place.directory)) === undefined) {
        throw new StorageError('placeMissing', `${dconf.server}:${dconf.serverpath} holds no directory ${ctx.sr}: there is no such SR`, {
          layer, field: 'device_config.serverpath', remedy: `smctl sr probe nfs server=${dconf.server} serverpath=${dconf.serverpath} shows the SRs there`, details: { sr_uuid: ctx.sr },
        })
      }
      await attachImageStore(ctx, place)
      await needLocks(ctx, place)
      ctx.log.info({ mount_point: target, options: mount.superOptions.filter((option) => /^(vers|hard|soft|timeo|retrans|addr|port)/.test(option)).join(',') }, 'mounted the share')
      isolated.close()
    })
  } catch (error) {
    if (before === undefined) await unmountShare(ctx).catch(() => undefined)
    throw error
  }
}

export const open = async (ctx: Ctx, dconf: NfsDconf): Promise<ImageSr> => {
  if ((await mountedThere(ctx, targetOf(ctx), isShare(dconf))) === undefined) throw notMounted(ctx)
  return onShare(ctx, dconf, async (isolated) => {
    const sr = await openImageStore(ctx, placeIn(isolated, directoryOf(ctx)), async () => isolated.close())
    return explainFailures(sr, async (call, error) => {
      if (!isStale(error)) return error
      // For the next call; this one may have been half way.
      const healed = await remount(call, dconf).then(() => true, () => false)
      return healed ? new StorageError('unreachable', `${error.message}; it has been mounted anew`, { ...error.facts, remedy: 'Try again' }) : error
    })
  })
}
