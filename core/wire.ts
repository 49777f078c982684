/** From what drivers answer to what travels (methods/wire.ts). */
import type { VdiLock, VdiRecord } from './contract.ts'
import type { Result } from './methods/index.ts'
import type { VdiInfo } from './methods/wire.ts'

const time = (ms: number): string => new Date(ms).toISOString()

export const lockToWire = (lock: VdiLock): Result<'VDI.lock'> => ({
  owner: lock.owner,
  host: lock.host,
  epoch: lock.epoch,
  ...(lock.sinceMs === undefined ? {} : { since: time(lock.sinceMs) }),
  ...(lock.expiresMs === undefined ? {} : { expires: time(lock.expiresMs) }),
})

export const vdiToWire = (vdi: VdiRecord, nowMs: number, attached: 'ro' | 'rw' | undefined): VdiInfo => ({
  uuid: vdi.uuid,
  kind: vdi.kind,
  size: vdi.size,
  utilisation: vdi.utilisation,
  read_only: vdi.readOnly,
  shareable: vdi.shareable,
  name: vdi.name,
  description: vdi.description,
  ...(vdi.parent === undefined ? {} : { parent: vdi.parent }),
  ...(vdi.snapshotOf === undefined ? {} : { snapshot_of: vdi.snapshotOf }),
  ...(vdi.snapshotMs === undefined ? {} : { snapshot_time: time(vdi.snapshotMs) }),
  locked: isLocked(vdi.lock, nowMs),
  ...(vdi.lock === undefined ? {} : { lock: lockToWire(vdi.lock) }),
  ...(attached === undefined ? {} : { attached }),
  format: vdi.format,
  ...(vdi.problem === undefined ? {} : { problem: vdi.problem }),
  ...(vdi.warnings === undefined ? {} : { warnings: [...vdi.warnings] }),
})

/** A lock that has expired locks nobody out; it is still shown, so that one sees whose it was. */
export const isLocked = (lock: VdiLock | undefined, nowMs: number): boolean =>
  lock !== undefined && (lock.expiresMs === undefined || lock.expiresMs > nowMs)
