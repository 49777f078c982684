/**
 * Persistent reservations of one LUN (SPC-4, 5.13), over all paths that this host has to it. Type "write exclusive, registrants
 * only": every path of the holder is registered and may write, everybody else may read. What a command answered is not
 * believed; the state is read back.
 */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { RunResult } from '../../core/ports.ts'
import { persistCommand, persistStatus, readFullStatusCommand, readReservationCommand, type Persist } from './build.ts'
import { parseFullStatus, parseReservation, type ReservationState } from './parse.ts'

type Needs = Pick<Ctx, 'host' | 'signal'>

const layer = 'host:scsi'

/** After each change by another host the next command is answered with a unit attention, once a path (SPC-4, 5.14): status 6. */
const attention = 6
const attempts = 4

const withoutAttention = async (run: () => Promise<RunResult>): Promise<RunResult> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run()
    } catch (error) {
      const status = error instanceof StorageError ? error.facts.details?.['exit_code'] : undefined
      if (status !== attention || attempt >= attempts) throw error
    }
  }
}

/** undefined: the LUN knows no persistent reservations, so nobody can hold one. */
export const readReservations = async (ctx: Needs, device: string): Promise<ReservationState | undefined> => {
  const full = await withoutAttention(async () => ctx.host.run(readFullStatusCommand(device), ctx.signal))
  if (full.exitCode === 0) return parseFullStatus(full.stdout)
  const plain = await withoutAttention(async () => ctx.host.run(readReservationCommand(device), ctx.signal))
  return plain.exitCode === 0 ? parseReservation(plain.stdout) : undefined
}

/** True when it was done, false on a reservation conflict: somebody else was faster, or this path is not registered. */
const act = async (ctx: Needs, device: string, want: Persist): Promise<boolean> => {
  const { exitCode } = await withoutAttention(async () => ctx.host.run(persistCommand(device, want), ctx.signal))
  if (exitCode === persistStatus.illegal && want.act === 'register' && want.persist) return act(ctx, device, { ...want, persist: false })
  return exitCode === 0
}

/** Registers `key` on every path; a path that has another key gets this one. */
export const registerAll = async (ctx: Needs, devices: readonly string[], key: bigint): Promise<void> => {
  for (const device of devices) {
    if (!(await act(ctx, device, { act: 'register', key, persist: true }))) {
      throw new StorageError('lockUnavailable', `${device} takes no registration: another kind of reservation holds it`, {
        layer, remedy: `sg_persist --in --read-full-status ${device} shows whose it is`,
      })
    }
  }
}

export const holderOf = (state: ReservationState): bigint | undefined => state.registrations.find((one) => one.holder)?.key

/** Takes a free LUN, or with `victim` the one that this key holds; all paths must be registered with `key`. False: somebody else was faster. */
export const takeReservation = async (ctx: Needs, device: string, key: bigint, victim: bigint | undefined): Promise<boolean> =>
  act(ctx, device, victim === undefined ? { act: 'reserve', key } : { act: 'preempt', key, victim })

/**
 * Gives up what `key` holds or has registered, whichever path or host did it. Steps: 1. register this path; 2. preempt the key by
 * itself: other registrations of it go, and its reservation comes here, also from a session that is no more; 3. release; 4. take
 * this registration away. A crash after any step is finished by a repeat. A key that took over meanwhile is not touched.
 */
export const releaseReservation = async (ctx: Needs, device: string, key: bigint): Promise<void> => {
  await registerAll(ctx, [device], key)
  await act(ctx, device, { act: 'preempt', key, victim: key })
  await act(ctx, device, { act: 'release', key })
  await act(ctx, device, { act: 'register', key: 0n, persist: true })
}
