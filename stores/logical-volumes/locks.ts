/**
 * Persistent VDI locks in the tags of the volume. Taking, refreshing and releasing are one commit of LVM each. Safe between
 * the processes of one host, whose calls hold the VDI's kernel lock; a group that several hosts change needs a lock of its
 * own around them (`guard` of the contract).
 */
import type { Ctx, VdiLock } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { isLocked } from '../../core/wire.ts'
import { isUnder } from '../../host/lvm/tags.ts'
import { formatLock, parseLock, type VdiVolume } from './contents.ts'
import { contentsOf, findVdi, type Store } from './store.ts'
import { setVdiTags } from './volumes.ts'

const refused = (vdi: VdiUuid, lock: VdiLock): StorageError =>
  new StorageError('lockUnavailable', `VDI ${vdi} is locked by ${lock.owner} on host ${lock.host}, epoch ${lock.epoch}`, {
    layer: 'store:logical-volumes', field: 'owner', remedy: 'Let that owner unlock it; only if it is known to be dead, take the lock with force', details: { owner: lock.owner, host: lock.host, epoch: lock.epoch },
  })

/** The lock as it is; one that cannot be read may be anybody's. */
const presentLock = ({ vdi, tags, unreadable }: VdiVolume, force: boolean): VdiLock | undefined => {
  const lock = parseLock(tags['lock'])
  const garbled = (tags['lock'] !== undefined && lock === undefined) || unreadable.some((tag) => isUnder(tag, 'lock'))
  if (!garbled || force) return lock
  throw new StorageError('lockUnavailable', `The lock of VDI ${vdi} is not readable: it may be held by somebody`, { layer: 'store:logical-volumes', remedy: 'Find out who holds it (lvs -o +lv_tags), then take it with force' })
}

export const readLock = async (store: Store, ctx: Ctx, vdi: VdiUuid): Promise<VdiLock | undefined> =>
  presentLock(findVdi(await contentsOf(store, ctx), ctx, vdi), false)

export const takeLock = async (store: Store, ctx: Ctx, vdi: VdiUuid, want: { readonly owner: string; readonly force: boolean; readonly ttlMs?: number }): Promise<VdiLock> => {
  const found = findVdi(await contentsOf(store, ctx), ctx, vdi)
  const now = ctx.clock.now()
  const present = presentLock(found, want.force)
  const own = present !== undefined && present.owner === want.owner && isLocked(present, now)
  if (present !== undefined && !own && isLocked(present, now) && !want.force) throw refused(vdi, present)
  const lock: VdiLock = {
    owner: want.owner,
    host: ctx.host.id,
    epoch: own ? present.epoch : Math.max(present?.epoch ?? 0, Number(found.tags['epoch'] ?? 0) || 0) + 1,
    sinceMs: own ? present.sinceMs ?? now : now,
    ...(want.ttlMs === undefined ? {} : { expiresMs: now + want.ttlMs }),
  }
  await setVdiTags(store, ctx, found.volume.name, { lock: formatLock(lock), epoch: undefined }, `lock volume ${found.volume.name}`)
  return lock
}

/** True when it was the owner's. The epoch is kept, so that the next owner gets a higher one. */
export const releaseLock = async (store: Store, ctx: Ctx, vdi: VdiUuid, owner: string): Promise<boolean> => {
  const found = findVdi(await contentsOf(store, ctx), ctx, vdi)
  const present = presentLock(found, false)
  if (present === undefined) return false
  if (present.owner !== owner) {
    if (isLocked(present, ctx.clock.now())) throw refused(vdi, present)
    return false
  }
  await setVdiTags(store, ctx, found.volume.name, { lock: undefined, epoch: String(present.epoch) }, `unlock volume ${found.volume.name}`)
  return true
}
