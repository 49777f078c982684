/**
 * Persistent VDI locks as SCSI-3 persistent reservations. The array itself refuses writes of hosts that do not hold the lock, and
 * keeps it through the death of its holder. It keeps a key (lock-key.ts) and no more: what this host knows beside it (owner's
 * text, since when) is noted in the run directory, for reading only; who holds the lock is always asked of the LUN.
 */
import * as z from 'zod'
import type { Ctx, VdiLock } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { createMarks } from '../../host/marks.ts'
import type { ReservationState } from '../../host/scsi/parse.ts'
import { holderOf, readReservations, registerAll, releaseReservation, takeReservation } from '../../host/scsi/reservations.ts'
import { epochOfKey, isOwner, lockKey, maxEpoch, nameOfKey } from './lock-key.ts'
import { describeLun, works, type Lun } from './lun.ts'

const layer = 'store:raw-luns'
const attempts = 5

const LockNote = z.strictObject({ key: z.string(), owner: z.string(), sinceMs: z.number() })
type LockNote = z.infer<typeof LockNote>

const notesOf = (ctx: Ctx) => createMarks(ctx.host, 'lock', LockNote, true)

/** What this host noted when it took exactly this lock; also in an earlier boot. */
const noteOf = async (ctx: Ctx, vdi: VdiUuid, key: bigint): Promise<LockNote | undefined> => {
  const note = (await notesOf(ctx).read(vdi))?.value
  return note?.key === nameOfKey(key) ? note : undefined
}

/** Paths that can be asked; a LUN without any is unreachable. */
const devicesOf = (lun: Lun): readonly [string, ...string[]] => {
  const [first, ...rest] = lun.paths.filter(works).map(({ disk }) => disk.node)
  if (first !== undefined) return [first, ...rest]
  throw new StorageError('unreachable', `No path to ${describeLun(lun)} works`, { layer, remedy: 'See to the sessions: iscsiadm -m session -P 1' })
}

const hostOf = (state: ReservationState): string => state.registrations.find((one) => one.holder)?.initiator?.split(',')[0] ?? 'unknown'

const lockOf = async (ctx: Ctx, lun: Lun, state: ReservationState): Promise<VdiLock | undefined> => {
  const key = holderOf(state)
  if (key === undefined) return undefined
  const note = await noteOf(ctx, lun.vdi, key)
  const epoch = epochOfKey(key)
  return note === undefined
    ? { owner: nameOfKey(key), host: hostOf(state), epoch }
    : { owner: note.owner, host: ctx.host.id, epoch, sinceMs: note.sinceMs }
}

const needState = async (ctx: Ctx, lun: Lun, device: string): Promise<ReservationState> => {
  const state = await readReservations(ctx, device)
  if (state !== undefined) return state
  throw new StorageError('notSupported', `The array offers no persistent reservations on ${describeLun(lun)}`, { layer, remedy: 'Use this VDI without locking' })
}

/** undefined: free, or a LUN that knows no reservations. */
export const readLunLock = async (ctx: Ctx, lun: Lun): Promise<VdiLock | undefined> => {
  const state = await readReservations(ctx, devicesOf(lun)[0])
  return state === undefined ? undefined : lockOf(ctx, lun, state)
}

const refused = (lun: Lun, lock: VdiLock | undefined): StorageError =>
  new StorageError('lockUnavailable', `VDI ${lun.vdi} is locked by ${lock?.owner ?? 'somebody'} on host ${lock?.host ?? 'unknown'}`, {
    layer, remedy: 'Let the owner unlock it; when it is known to be dead, lock it with force', details: { owner: lock?.owner ?? '', host: lock?.host ?? '' },
  })

/**
 * Steps: 1. read who holds it; 2. register our new key on every path; 3. reserve a free LUN, or preempt the key we have seen;
 * 4. read back; 5. note what the array cannot keep. The array does step 3 for one host only, however many try. Recovery: a key
 * registered by a dead process is replaced by the next one of this host, and gives no more than the right to write until then.
 */
export const lockLun = async (ctx: Ctx, lun: Lun, want: { readonly owner: string; readonly force: boolean; readonly ttlMs?: number }): Promise<VdiLock> => {
  if (want.ttlMs !== undefined) {
    throw new StorageError('notSupported', 'A lock on a LUN does not end by itself: the array keeps no time with it', {
      layer, field: 'ttl_seconds', remedy: 'Leave ttl_seconds out; a lock whose owner is dead is taken with force',
    })
  }
  const devices = devicesOf(lun)
  const [device] = devices
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const before = await needState(ctx, lun, device)
    const held = holderOf(before)
    const own = held !== undefined && isOwner(held, want.owner)
    if (held !== undefined && !own && !want.force) throw refused(lun, await lockOf(ctx, lun, before))
    // The generation grows with every change of hands: no epoch is ever given twice.
    const key = own ? held : lockKey(want.owner, Math.min(maxEpoch, Math.max(held === undefined ? 0 : epochOfKey(held) + 1, before.generation + 1)))
    await registerAll(ctx, devices, key)
    // On the holder's own paths the reservation has gone over to the new key with that already.
    const registered = own ? before : await needState(ctx, lun, device)
    // Whoever came between the two readings has it by right: only the holder that was seen first is preempted.
    if (!own && holderOf(registered) === held) await takeReservation(ctx, device, key, held)
    const after = await needState(ctx, lun, device)
    if (holderOf(after) === key) {
      const known = await noteOf(ctx, lun.vdi, key)
      if (known?.owner !== want.owner) await notesOf(ctx).put(lun.vdi, { key: nameOfKey(key), owner: want.owner, sinceMs: ctx.clock.now() })
      const lock = await lockOf(ctx, lun, after)
      if (lock !== undefined) return lock
    }
    if (!own) await registerAll(ctx, devices, 0n)
    if (!want.force && holderOf(after) !== undefined) throw refused(lun, await lockOf(ctx, lun, after))
  }
  throw new StorageError('lockUnavailable', `The lock of VDI ${lun.vdi} changes hands faster than it can be taken`, { layer, remedy: 'Try again' })
}

/** True when a lock was released. */
export const unlockLun = async (ctx: Ctx, lun: Lun, owner: string): Promise<boolean> => {
  const [device] = devicesOf(lun)
  const before = await readReservations(ctx, device)
  const key = before === undefined ? undefined : holderOf(before)
  if (before === undefined || key === undefined) {
    await notesOf(ctx).remove(lun.vdi)
    return false
  }
  if (!isOwner(key, owner)) throw refused(lun, await lockOf(ctx, lun, before))
  await releaseReservation(ctx, device, key)
  const after = holderOf(await needState(ctx, lun, device))
  if (after === key) {
    throw new StorageError('arrayFault', `The array says it released the lock of ${describeLun(lun)}, but still shows it`, {
      layer, mayHaveChanged: true, remedy: `sg_persist --in --read-full-status ${device}`,
    })
  }
  await notesOf(ctx).remove(lun.vdi)
  return true
}

/**
 * A session that was lost and made anew is another one to the array: its path is not registered any more, although this host
 * holds the lock. Registers all paths again; nothing to do when this host does not hold it.
 */
export const renewLunLock = async (ctx: Ctx, lun: Lun): Promise<void> => {
  const note = (await notesOf(ctx).read(lun.vdi))?.value
  if (note === undefined) return
  const devices = devicesOf(lun)
  const state = await readReservations(ctx, devices[0])
  const key = state === undefined ? undefined : holderOf(state)
  if (key !== undefined && nameOfKey(key) === note.key) await registerAll(ctx, devices, key)
  else await notesOf(ctx).remove(lun.vdi)
}

/** Notes that a dead process left half made. */
export const sweepLockNotes = async (ctx: Ctx): Promise<void> => notesOf(ctx).sweep(ctx.clock.now() - 60 * 60_000)
