/** Argument vectors of iscsiadm(8). Secrets are in none of them: they go into the record files (records.ts). */
import type { Command } from '../../core/ports.ts'
import { formatPortal, type Portal, type TargetPortal } from './portal.ts'

/** Answers that the callers know: 6 database, 15 session exists, 21 no such record or session, 22 no such session in sysfs. */
const status = { database: 6, sessionExists: 15, notFound: 21, noSession: 22 } as const

const changeMs = 30_000

/** Discovery that leaves no trace in the database of records. A dead address is tried for minutes: who asks says how long to wait. */
export const discoverCommand = (portal: Portal, timeoutMs: number): Command => ({
  argv: ['iscsiadm', '-m', 'discovery', '-t', 'sendtargets', '-p', formatPortal(portal), '-I', 'default', '-o', 'nonpersistent'], timeoutMs, effect: 'read', accept: [0, status.notFound],
})

/** Discovery with the credentials of a discovery record. */
const discoverydb = (portal: Portal, ...how: readonly string[]): readonly [string, ...string[]] =>
  ['iscsiadm', '-m', 'discoverydb', '-t', 'sendtargets', '-p', formatPortal(portal), ...how]
export const newDiscoveryRecordCommand = (portal: Portal): Command => ({ argv: discoverydb(portal, '-o', 'new'), timeoutMs: changeMs, effect: 'write' })
export const deleteDiscoveryRecordCommand = (portal: Portal): Command => ({ argv: discoverydb(portal, '-o', 'delete'), timeoutMs: changeMs, effect: 'write', accept: [0, status.notFound] })
export const discoverByRecordCommand = (portal: Portal, timeoutMs: number): Command => ({ argv: discoverydb(portal, '--discover', '-I', 'default', '-o', 'nonpersistent'), timeoutMs, effect: 'read' })

const node = ({ iqn, group, ...portal }: TargetPortal, face: string, ...how: readonly string[]): readonly [string, ...string[]] =>
  ['iscsiadm', '-m', 'node', '-T', iqn, '-p', `${formatPortal(portal)},${group}`, '-I', face, ...how]

/** A new record from the defaults of iscsid.conf; replaces one that is there. */
export const newRecordCommand = (portal: TargetPortal, face: string): Command => ({ argv: node(portal, face, '-o', 'new'), timeoutMs: changeMs, effect: 'write' })
export const deleteRecordCommand = (portal: TargetPortal, face: string): Command => ({ argv: node(portal, face, '-o', 'delete'), timeoutMs: changeMs, effect: 'write', accept: [0, status.notFound] })
export const loginCommand = (portal: TargetPortal, face: string, timeoutMs: number): Command => ({
  argv: node(portal, face, '--login'), timeoutMs, effect: 'write', accept: [0, status.sessionExists],
})

const session = (sid: number, ...how: readonly string[]): readonly [string, ...string[]] => ['iscsiadm', '-m', 'session', '-r', String(sid), ...how]

/** Looks for new LUNs, and at size and identity of the known ones. It returns when the kernel has looked. */
export const rescanCommand = (sid: number): Command => ({ argv: session(sid, '--rescan'), timeoutMs: 60_000, effect: 'write' })
/** Needs no record and no living target. */
export const logoutCommand = (sid: number): Command => ({ argv: session(sid, '-u'), timeoutMs: 60_000, effect: 'write', accept: [0, status.notFound, status.noSession] })

const face = (name: string, ...how: readonly string[]): readonly [string, ...string[]] => ['iscsiadm', '-m', 'iface', '-I', name, ...how]
export const newFaceCommand = (name: string): Command => ({ argv: face(name, '-o', 'new'), timeoutMs: changeMs, effect: 'write', accept: [0, status.sessionExists] })
export const nameFaceCommand = (name: string, initiator: string): Command => ({
  argv: face(name, '-o', 'update', '-n', 'iface.initiatorname', '-v', initiator), timeoutMs: changeMs, effect: 'write',
})
export const deleteFaceCommand = (name: string): Command => ({ argv: face(name, '-o', 'delete'), timeoutMs: changeMs, effect: 'write', accept: [0, status.database, status.notFound] })
