/**
 * What a replicating array promises. A unit is a consistency group or a single replicated volume. Every function acts on THIS
 * array; what the peer does is seen through the peer's own connection or through what this array tells of it (`peerView`).
 * The engine (core/replication) decides what may be done when; a driver only ever does the one primitive step it is asked for.
 *
 * Law: facts of replicating arrays (state machine, safety rules) and the Storage Replication Adapter interface 2.0, chapters
 * on discovery and on the recovery workflows, which is a front end on this.
 */
import type { ArrayCtx, Initiator, Presentation } from './types.ts'
import type { Wwid } from './wwid.ts'

export const replicationModes = ['synchronous', 'periodic', 'asynchronous'] as const
export type ReplicationMode = (typeof replicationModes)[number]

export const unitRoles = ['source', 'demoted', 'target', 'promoted', 'unknown'] as const
/**
 * What this array is for the unit. source: writable, replicates to the peer. demoted: still the replicating side, but no host
 * can write. target: receives, not writable. promoted: was the target, is writable now, replication is stopped.
 */
export type UnitRole = (typeof unitRoles)[number]

export const transfers = ['initial', 'running', 'paused', 'interrupted', 'stopped', 'unknown'] as const
/** initial: first full copy. running: replicates. paused: asked for. interrupted: the link is lost. stopped: by a role change. */
export type Transfer = (typeof transfers)[number]

/** A point up to which the target holds a complete copy. Only times of the same array's clock may be compared. */
export type LastConsistent = { readonly kind: 'time'; readonly ms: number } | { readonly kind: 'never' } | { readonly kind: 'unknown' }

/** How a host finds a presented volume; which one an array has is in `ReplicationTraits.identification`. */
export type DeviceIdentity =
  | { readonly kind: 'wwn'; readonly wwid: Wwid }
  | { readonly kind: 'lun'; readonly luns: readonly { readonly lun: number; readonly target?: string; readonly initiatorGroup?: string }[] }
  | { readonly kind: 'nfs'; readonly path: string }

export interface UnitMember {
  /** Volume id at this array; stable through promotion and reversal. */
  readonly volume: string
  /** Same at both arrays: pairs the member with its counterpart. */
  readonly key: string
  readonly name: string
  readonly size: number
  readonly identity?: DeviceIdentity
  readonly sync: 'synced' | 'syncing' | 'stale' | 'unknown'
  readonly lagBytes?: number
  readonly lastConsistent: LastConsistent
}

export const copyPurposes = ['before-demotion', 'before-promotion', 'before-overwrite', 'user', 'replication'] as const

/** A point in time of the whole unit that this array still holds. */
export interface RecoveryPoint {
  readonly id: string
  readonly name: string
  /** Of the data, by this array's clock. */
  readonly timeMs: number
  readonly consistency: 'crash' | 'quiesced' | 'unknown'
  /** Why it is kept. `replication`: made by the array's own cycle. */
  readonly purpose: (typeof copyPurposes)[number]
}

export interface TestCopy {
  readonly id: string
  readonly recoveryPoint: { readonly id: string; readonly timeMs: number }
  /** False: its start was interrupted; stopTest takes it away, startTest may replace it. */
  readonly complete: boolean
  readonly members: readonly { readonly key: string; readonly copy: string; readonly identity?: DeviceIdentity }[]
}

/** What this array tells of its peer. A peer that does not answer is `reachable: false` and nothing else is known. */
export interface PeerView {
  readonly reachable: boolean
  readonly role?: UnitRole
  readonly marks?: Readonly<Record<string, string>>
}

export interface ReplicationUnit {
  /** At this array: stable through every role change. */
  readonly id: string
  /** Same at both arrays. */
  readonly key: string
  readonly kind: 'group' | 'device'
  readonly name: string
  /** Array id of the peer. */
  readonly peer: string
  readonly mode: ReplicationMode
  readonly periodSeconds?: number
  readonly settings: Readonly<Record<string, string>>
  /** What this array is when nothing was ever failed over. */
  readonly naturalRole: 'source' | 'target'
  readonly role: UnitRole
  readonly transfer: Transfer
  readonly link: 'up' | 'down' | 'unknown'
  readonly members: readonly UnitMember[]
  /** The oldest of its members. */
  readonly lastConsistent: LastConsistent
  /** By this array's clock, when it was demoted; compared with `lastConsistent` of this same array only. */
  readonly demotedMs?: number
  /** The array itself says that both sides have taken writes. */
  readonly splitBrain: boolean
  readonly testCopies: readonly TestCopy[]
  readonly peerView: PeerView
  /** Durable strings of the engine on this array's side of the unit (`setMark`). */
  readonly marks: Readonly<Record<string, string>>
}

export interface PeerArray {
  readonly id: string
  readonly name: string
  readonly link: 'up' | 'down' | 'unknown'
}

export interface SyncSession {
  /** Names one session for ever; `syncStatus` must still know it after it has ended. */
  readonly id: string
  readonly state: 'running' | 'complete' | 'failed'
  readonly percent?: number
  readonly remainingSeconds?: number
  /** An earlier session was still under way and is answered: it promises nothing of writes after its start. */
  readonly joined: boolean
}

/** Where a step runs: at the array that is the replicating side before it, or at the other one. */
export type Side = 'source' | 'target'

/** What differs between replicating arrays, as data; a front end can publish it as capabilities. */
export interface ReplicationTraits {
  readonly modes: readonly ReplicationMode[]
  readonly units: readonly ('group' | 'device')[]
  readonly identification: 'wwn' | 'number' | 'initiator+number' | 'number+target' | 'initiator+number+target' | 'nfs'
  /**
   * Where each primitive is called. reverse: `target` = the promoted array (the new source), `source` = the demoted one.
   * restore: `source` = the array that gets its role back, `target` = the promoted one, whose writes are discarded.
   */
  readonly sites: { readonly sync: Side; readonly reverse: Side; readonly restore: Side }
  /** The other site's part comes first (`prepareReverse`, `prepareRestore`). */
  readonly prepares: { readonly reverse: boolean; readonly restore: boolean }
  readonly recoveryPoints: boolean
  /** Presents to initiators given per request; else by the array's configuration. */
  readonly dynamicAccess: boolean
}

export interface StartTest {
  /** Chosen by the engine before the first call, so that a retry finds its own copy. */
  readonly id: string
  /** Absent: the latest complete point. Unknown: notFound, never another one. */
  readonly recoveryPoint?: string
  /** By member key; a member that has no entry gets the one of `''`. Initiators of kinds the array does not speak are ignored. */
  readonly initiators: Readonly<Record<string, readonly Initiator[]>>
}

/** Every changing function is idempotent: asked again in the state it leads to, it does nothing and succeeds. */
export interface ArrayReplication {
  peers(ctx: ArrayCtx): Promise<readonly PeerArray[]>
  /** All units, as one consistent snapshot of state; never waits for a running operation. */
  units(ctx: ArrayCtx): Promise<readonly ReplicationUnit[]>
  /** By id. undefined only when proven absent. Fresh, never cached. */
  unit(ctx: ArrayCtx, id: string): Promise<ReplicationUnit | undefined>
  /** Durable when it returns; `undefined` removes it. At most 240 bytes. Must work while the peer is dead. */
  setMark(ctx: ArrayCtx, unit: string, key: string, value: string | undefined): Promise<void>

  /** One cycle up to now, from this array (`sites.sync`). Answers at once. Synchronous mode: checks health, answers a complete session. */
  startSync(ctx: ArrayCtx, unit: string): Promise<SyncSession>
  /** notFound for a session that never was. */
  syncStatus(ctx: ArrayCtx, unit: string, session: string): Promise<SyncSession>
  pause(ctx: ArrayCtx, unit: string): Promise<void>
  resume(ctx: ArrayCtx, unit: string): Promise<void>

  /** A point in time of the whole unit at this array, that only `removePoint` takes away. Same name: the one that is there. */
  keepPoint(ctx: ArrayCtx, unit: string, name: string, purpose: RecoveryPoint['purpose']): Promise<RecoveryPoint>
  points(ctx: ArrayCtx, unit: string): Promise<readonly RecoveryPoint[]>
  removePoint(ctx: ArrayCtx, unit: string, point: string): Promise<void>

  /** source -> demoted: after it no host can write here; replication goes on. Presentations are taken away first, then read back. */
  demote(ctx: ArrayCtx, unit: string): Promise<void>
  /** demoted -> source: undoes `demote`. wrongRole when the peer is promoted as far as this array knows. */
  undemote(ctx: ArrayCtx, unit: string): Promise<void>
  /**
   * target -> promoted, all members or none: stops replication of the unit and makes this side writable, with the content of the
   * latest complete point or of `recoveryPoint`. Must work while the peer is dead. Never presents. `force` only where the operator said so.
   */
  promote(ctx: ArrayCtx, unit: string, want: { readonly recoveryPoint?: string; readonly force: boolean }): Promise<void>
  /** The part of a reverse that belongs to the other site than `sites.reverse`. */
  prepareReverse?(ctx: ArrayCtx, unit: string): Promise<void>
  /** (demoted, promoted) -> (target, source): only changes travel; the new source is not disturbed. Answers when the roles stand, not when data has moved. */
  reverse(ctx: ArrayCtx, unit: string): Promise<void>
  prepareRestore?(ctx: ArrayCtx, unit: string): Promise<void>
  /**
   * (demoted or source, promoted) -> (source, target): the promoted side's writes are discarded. Where the
   * array swapped roles by itself, this side gets the content of its point `before-demotion` back. When the site is `source` it must work while the peer is dead.
   */
  restore(ctx: ArrayCtx, unit: string): Promise<void>

  /** A writable copy of a complete point, presented to the initiators. Never touches replication. Same id and complete: the one that is there. */
  startTest(ctx: ArrayCtx, unit: string, want: StartTest): Promise<TestCopy>
  /** Gone is done; also after a partial start. */
  stopTest(ctx: ArrayCtx, unit: string, id: string): Promise<void>

  /** All presentations of the members at this array. */
  presentations(ctx: ArrayCtx, unit: string): Promise<readonly Presentation[]>
  /** Presents each member; by configuration where `dynamicAccess` is false. Answers the members with their identities. */
  present(ctx: ArrayCtx, unit: string, initiators: StartTest['initiators']): Promise<readonly UnitMember[]>
  /** Takes every presentation of every member away (fencing), and reads back that none is left. */
  unpresent(ctx: ArrayCtx, unit: string): Promise<void>

  /** Makes the present roles the natural ones (the next start begins from here). */
  adopt(ctx: ArrayCtx, unit: string): Promise<void>
  /** Ends replication of the unit at this array. Data stays on both sides. */
  remove(ctx: ArrayCtx, unit: string): Promise<void>
  /** Setting up: a group towards a peer with these volumes; everything made is rolled back when a step fails. */
  create?(ctx: ArrayCtx, want: CreateUnit): Promise<ReplicationUnit>
  addVolume?(ctx: ArrayCtx, unit: string, volume: string): Promise<ReplicationUnit>
  removeVolume?(ctx: ArrayCtx, unit: string, volume: string): Promise<ReplicationUnit>
}

export interface CreateUnit {
  readonly name: string
  readonly kind: 'group' | 'device'
  readonly peer: string
  readonly mode: ReplicationMode
  readonly periodSeconds?: number
  readonly volumes: readonly string[]
}
