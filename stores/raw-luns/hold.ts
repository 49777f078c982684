/**
 * Holding a LUN for one SR of one host, as long as that SR is attached: a SCSI-3 persistent reservation, so that the array itself
 * refuses the writes of every other host, also of one that believes it still holds the LUN. It outlives the host that took it;
 * nothing but the word of an operator gives it to another one.
 */
import { createHash } from 'node:crypto'
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { SrUuid } from '../../core/ids.ts'
import type { ReservationState } from '../../host/scsi/parse.ts'
import { holderOf, readReservations, registerAll, releaseReservation, takeReservation } from '../../host/scsi/reservations.ts'
import { isLockKey, nameOfKey } from './lock-key.ts'
import { describeLun, works, type Lun } from './lun.ts'

const layer = 'store:raw-luns'

/** bits 63-56: 0x48, a hold (a VDI lock has 0x53, lock-key.ts); the rest a digest of who holds. Never change it: a hold may be years old. */
const mark = 0x48n

/** The key of an SR on this host under that initiator name: the same after a reboot, another one on every other host. */
export const holdKey = (host: string, initiator: string, sr: SrUuid): bigint =>
  (mark << 56n) | BigInt(`0x${createHash('sha256').update([host, initiator, sr].join('\n')).digest('hex').slice(0, 14)}`)

/** Who holds a LUN. */
export interface Holder {
  readonly key: bigint
  /** Name of its initiator; undefined when the array does not tell. */
  readonly initiator: string | undefined
}

const holderIn = (state: ReservationState): Holder | undefined => {
  const key = holderOf(state)
  const initiator = state.registrations.find((one) => one.holder)?.initiator?.split(',')[0]
  return key === undefined ? undefined : { key, initiator }
}

/** What an operator calls the holder: by the name of its initiator, else by its key. */
const nameOf = ({ key, initiator }: Holder): string => initiator ?? nameOfKey(key)

const pathsOf = (lun: Lun): readonly [string, ...string[]] => {
  const [first, ...rest] = lun.paths.filter(works).map(({ disk }) => disk.node)
  if (first !== undefined) return [first, ...rest]
  throw new StorageError('unreachable', `No path to ${describeLun(lun)} works`, { layer, remedy: 'See to the sessions: iscsiadm -m session -P 1' })
}

/** How the holder of a LUN is called; undefined: nobody holds it, or the array knows no reservations. Reads only. */
export const nameOfHolder = async (ctx: Ctx, lun: Lun): Promise<string | undefined> => {
  const state = await readReservations(ctx, pathsOf(lun)[0])
  const holder = state === undefined ? undefined : holderIn(state)
  return holder === undefined ? undefined : nameOf(holder)
}

const isCalled = (holder: Holder, name: string): boolean => holder.initiator === name || nameOfKey(holder.key) === name

const needState = async (ctx: Ctx, lun: Lun, device: string): Promise<ReservationState> => {
  const state = await readReservations(ctx, device)
  if (state !== undefined) return state
  throw new StorageError('notSupported', `The array offers no persistent reservations on ${describeLun(lun)}: nothing would keep another host from writing to it while this one does`, {
    layer, field: 'device_config.reservation', remedy: 'Turn them on on the array (SCSI-3 persistent reservations, sometimes called cluster support); or, only when no other host is ever given this LUN, set reservation=no',
  })
}

const refused = (ctx: Ctx, lun: Lun, holder: Holder): StorageError => {
  const facts = { layer, details: { scsi_id: lun.identity.scsiId, held_by: nameOf(holder) } }
  if (isLockKey(holder.key)) {
    return new StorageError('busy', `${describeLun(lun)} is locked as a raw VDI, by ${nameOf(holder)}`, { ...facts, remedy: 'Unlock it there: smctl vdi unlock; a LUN is a VDI of an iscsi SR or holds an SR, not both' })
  }
  return new StorageError('busy', `${describeLun(lun)} is held by another host, ${nameOf(holder)}: one host at a time may write to it`, {
    ...facts, remedy: `Detach the SR there. Only when that host is known to be dead or cut off for good: smctl sr attach ${ctx.sr} --take-over-from ${JSON.stringify(nameOf(holder))}`,
  })
}

/** Whoever is registered may write (SPC-4, table 63: write exclusive, registrants only): what others left registered goes. */
const removeOthers = async (ctx: Ctx, device: string, key: bigint, state: ReservationState): Promise<void> => {
  for (const other of new Set(state.registrations.map((one) => one.key))) if (other !== key) await takeReservation(ctx, device, key, other)
}

/**
 * Takes a free LUN, or one that is ours already, on every path that works. Steps: 1. read who holds it; 2. register our key; 3.
 * reserve, or preempt; 4. read back; 5. registrations of others go. Nothing is registered while another host holds it: that would
 * give us the right to write. Recovery: the key is the same in every process and every boot of this host, so a repeat goes on, and
 * `releaseHold` takes back whatever was done. `victim`: the holder whose LUN is taken with an operator's word.
 */
const take = async (ctx: Ctx, lun: Lun, key: bigint, victim: bigint | undefined): Promise<void> => {
  const devices = pathsOf(lun)
  const [device] = devices
  const before = holderIn(await needState(ctx, lun, device))
  if (before !== undefined && before.key !== key && before.key !== victim) throw refused(ctx, lun, before)
  await registerAll(ctx, before?.key === key ? [device] : devices, key)
  // Of our own hold, sessions of an earlier boot drop out that way; the paths of now come in again.
  await takeReservation(ctx, device, key, before?.key)
  if (before?.key === key) await registerAll(ctx, devices, key)
  const state = await needState(ctx, lun, device)
  const after = holderIn(state)
  if (after?.key === key) return removeOthers(ctx, device, key, state)
  await registerAll(ctx, devices, 0n)
  if (after !== undefined) throw refused(ctx, lun, after)
  throw new StorageError('arrayFault', `The array took the reservation of ${describeLun(lun)}, but does not show it`, {
    layer, mayHaveChanged: true, remedy: `See what it says: sg_persist --in --read-full-status ${device}`,
  })
}

export const takeHold = async (ctx: Ctx, lun: Lun, key: bigint): Promise<void> => take(ctx, lun, key, undefined)

/** Proves that the holder of the LUN is called `from`, or that there is none to be taken over: else busy, and nothing was changed. Answers its key. */
export const victimOf = async (ctx: Ctx, lun: Lun, key: bigint, from: string): Promise<bigint | undefined> => {
  const holder = holderIn(await needState(ctx, lun, pathsOf(lun)[0]))
  if (holder === undefined || holder.key === key) return undefined
  if (isCalled(holder, from)) return holder.key
  throw refused(ctx, lun, holder)
}

/** Takes the LUN from exactly that holder: the array refuses its writes from here on. */
export const takeOverHold = async (ctx: Ctx, lun: Lun, key: bigint, victim: bigint | undefined): Promise<void> => take(ctx, lun, key, victim)

/**
 * Of a LUN that we should hold, while it is in use: paths that came since are registered, and a hold that the array forgot is
 * taken again. True when something had to be done; busy when another host has it now: then ours must not touch it any more.
 */
export const keepHold = async (ctx: Ctx, lun: Lun, key: bigint): Promise<boolean> => {
  const devices = pathsOf(lun)
  const state = await needState(ctx, lun, devices[0])
  const holder = holderIn(state)
  if (holder?.key === key && state.registrations.filter((one) => one.key === key).length >= devices.length) return false
  if (holder?.key === key) await registerAll(ctx, devices, key)
  else await takeHold(ctx, lun, key)
  return true
}

/** As `keepHold` for paths that came since, of a LUN that may be held or not. */
export const registerNewPaths = async (ctx: Ctx, lun: Lun, key: bigint): Promise<void> => {
  const devices = pathsOf(lun)
  const state = await readReservations(ctx, devices[0])
  if (state !== undefined && holderOf(state) === key) await registerAll(ctx, devices, key)
}

/** Gives up what is ours; what another host holds by now is left alone. True when something was given up. */
export const releaseHold = async (ctx: Ctx, lun: Lun, key: bigint): Promise<boolean> => {
  const [device] = pathsOf(lun)
  const state = await readReservations(ctx, device)
  if (state === undefined || !state.registrations.some((one) => one.key === key)) return false
  if (holderOf(state) === key) await releaseReservation(ctx, device, key)
  else await registerAll(ctx, pathsOf(lun), 0n)
  return true
}
