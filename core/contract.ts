/**
 * What a driver promises. A driver is plain data plus functions; the engine is the only caller. The engine has validated
 * every parameter, holds the locks of the call and has checked the preconditions (states.ts) before any function here runs.
 *
 * Rules for every function:
 * - The substrate is authoritative. Nothing is remembered elsewhere, and "cannot be read" is never answered as "empty".
 * - Every function may be repeated after a crash. `destroy`, `detach` and `remove` treat "gone" as done, step by step.
 * - Long work watches `ctx.signal` and stops between two steps.
 * - Failures are StorageErrors with the layer, what was found and a remedy.
 */
import type * as z from 'zod'
import type { ArrayOpener } from './array/ports.ts'
import type { ErrorReport } from './errors.ts'
import type { SrUuid, VdiUuid } from './ids.ts'
import type { Clock, Host, LockRequest, Log, Release } from './ports.ts'

/** Version of this contract. A driver states the one it was written for; the accepted range is checked when it is loaded. */
export const contractVersion = 1
export const oldestContract = 1

/** What every function gets that works for a call: the call, and the machine it may touch. Nothing may outlive `signal`. */
export interface CallCtx {
  readonly callId: string
  readonly signal: AbortSignal
  readonly log: Log
  readonly clock: Clock
  readonly host: Host
  /** Tells how far a long step is; cheap, may be called often. Both in the same unit. */
  readonly progress: (done: number, total: number) => void
}

/** What every function of an SR driver gets. */
export interface Ctx extends CallCtx {
  readonly sr: SrUuid
  /** The arrays that this host knows, for SRs whose VDIs are volumes of one. */
  readonly arrays: ArrayOpener
}

/** dconf keys as they arrive: a flat map of strings (the SM API's dconf). */
export type DeviceConfig = Readonly<Record<string, string>>

export type VdiKind = 'disk' | 'snapshot' | 'base'

/** Who holds a persistent VDI lock. */
export interface VdiLock {
  /** The unique string of the user who took it. */
  readonly owner: string
  /** The host it was taken on. */
  readonly host: string
  /** Grows by one at every change of owner: a stale owner is told by it. */
  readonly epoch: number
  /** Absent: the storage does not tell (a reservation of an array that another host took). */
  readonly sinceMs?: number
  /** Absent: never expires. */
  readonly expiresMs?: number
}

export interface VdiRecord {
  readonly uuid: VdiUuid
  /** disk: writable; snapshot: immutable, made by a user; base: inner node that only holds shared data. */
  readonly kind: VdiKind
  /** Virtual size in bytes. */
  readonly size: number
  /** Bytes it really occupies, without its parents. */
  readonly utilisation: number
  readonly readOnly: boolean
  readonly shareable: boolean
  readonly name: string
  readonly description: string
  readonly parent?: VdiUuid
  /** For snapshots: the VDI it was taken of, and when. */
  readonly snapshotOf?: VdiUuid
  readonly snapshotMs?: number
  readonly lock?: VdiLock
  /** Image format or `raw`. */
  readonly format: string
  /** Set when the image cannot be used: the other fields are then what could still be found out. */
  readonly problem?: ErrorReport
  /** Odd but harmless things. */
  readonly warnings?: readonly string[]
}

export interface SrStat {
  /** Bytes of the place, and how many of them are used by VDIs of this SR; `free` is what could still be allocated. */
  readonly physicalSize: number
  readonly physicalUtilisation: number
  readonly free: number
  readonly name: string
  readonly description: string
  /** What an operator should know before it hurts: a thin pool that fills up, a path that is lost. A sentence each. */
  readonly warnings?: readonly string[]
}

export interface SrContents {
  readonly stat: SrStat
  /** Sum of the virtual sizes. */
  readonly virtualAllocation: number
  readonly vdis: readonly VdiRecord[]
}

/** Where a consumer finds an attached VDI. */
export interface Attachment {
  readonly path: string
  /** Which data path opens it: `vhd` for image files, `aio` for block devices (SM API, sr_content_type). */
  readonly contentType: string
  /** Opaque, given back at detach: what detach needs when the device is gone already. */
  readonly driverData?: Readonly<Record<string, string>>
}

/** One place that a probe looked at. */
export interface Candidate {
  /** The dconf that reaches it, completed as far as known. */
  readonly deviceConfig: DeviceConfig
  /** With this dconf the SR can be created or attached; otherwise something is still to be chosen. */
  readonly complete: boolean
  /** `sr`: an SR of this type is there. `adoptable`: VDIs without an SR identity. `blank`: proven empty. `occupied`: something else. `unknown`: cannot be read. */
  readonly found: 'sr' | 'adoptable' | 'blank' | 'occupied' | 'unknown'
  readonly sr?: { readonly uuid?: SrUuid; readonly name?: string; readonly description?: string; readonly vdis?: number }
  /** What was found, in a sentence. */
  readonly says: string
}

export interface ProbeResult {
  readonly candidates: readonly Candidate[]
  /** Every step that was tried and what it said, also when nothing was found. */
  readonly tried: readonly { readonly step: string; readonly said: string }[]
}

export interface PrepareRequest {
  /** Bytes asked for; 0 means as large as the place. */
  readonly size: number
  readonly name: string
  readonly description: string
}

/** Which VDI of a re-identified copy stands for which one of the original. */
export interface CopiedVdi {
  readonly vdi: VdiUuid
  readonly original: VdiUuid
}

export interface CreateRequest {
  readonly uuid: VdiUuid
  readonly size: number
  readonly name: string
  readonly description: string
  readonly shareable: boolean
  /** `sparse` grows with use, `full` takes all space at once. */
  readonly provisioning: 'sparse' | 'full'
}

export interface CopyRequest {
  readonly source: VdiUuid
  readonly dest: VdiUuid
  readonly name?: string
  readonly description?: string
}

export interface Finding {
  readonly vdi?: VdiUuid
  /** File, volume or other object it is about. */
  readonly where: string
  readonly weight: 'note' | 'repairable' | 'damage'
  readonly what: string
  /** With repair: whether it was mended (or, in a dry run, would be). */
  readonly repaired: boolean
}

/** Something on the substrate that belongs to no VDI. */
export interface Orphan {
  readonly where: string
  readonly bytes: number
  readonly why: string
  /** The collector removes it by itself. `false`: only an operator can decide. */
  readonly collectable: boolean
}

/** One thing the collector still owes. */
export interface CollectorStep {
  readonly action: 'remove' | 'coalesce'
  readonly vdi: VdiUuid
  /** coalesce: the child whose data moves into `vdi`. */
  readonly child?: VdiUuid
  /** VDIs to be locked, unattached and unlocked while it runs. */
  readonly needs: readonly VdiUuid[]
  readonly bytes: number
}

export interface Recovery {
  /** What was finished or undone, a sentence each. */
  readonly replayed: readonly string[]
}

/** Every opened SR. */
export interface SrCore {
  stat(ctx: Ctx): Promise<SrStat>
  scan(ctx: Ctx): Promise<SrContents>
  /** undefined only when it is proven absent. */
  vdi(ctx: Ctx, vdi: VdiUuid): Promise<VdiRecord | undefined>
  attach(ctx: Ctx, vdi: VdiUuid, mode: 'ro' | 'rw'): Promise<Attachment>
  detach(ctx: Ctx, vdi: VdiUuid, attachment: Attachment | undefined): Promise<void>
  /**
   * Finishes or undoes what a dead process left. With `vdi` only what concerns that VDI alone (its lock is held), else
   * everything (the SR is held exclusively). Returns at once when there is nothing.
   */
  recover(ctx: Ctx, vdi?: VdiUuid): Promise<Recovery>
  /**
   * Of an SR that several hosts share: the lock on the storage itself that keeps them off each other, with the same rules as
   * the locks of this host. The engine holds both for the whole call. Released by the storage when this host dies.
   */
  guard?(ctx: Ctx, request: LockRequest, waitMs: number): Promise<Release>
  close(): Promise<void>
}

/** Named once; a driver lists the names it offers and must then implement exactly these. */
export interface FeatureOps {
  create: { create(ctx: Ctx, want: CreateRequest): Promise<VdiRecord> }
  destroy: { destroy(ctx: Ctx, vdi: VdiUuid): Promise<void> }
  snapshot: { snapshot(ctx: Ctx, want: CopyRequest): Promise<VdiRecord> }
  clone: { clone(ctx: Ctx, want: CopyRequest): Promise<VdiRecord> }
  /** Never smaller than asked; the answer tells the real size. */
  resize: { resize(ctx: Ctx, vdi: VdiUuid, size: number): Promise<VdiRecord> }
  /** The VDI gets the content of the snapshot and keeps its identity; the snapshot stays. */
  revert: { revert(ctx: Ctx, vdi: VdiUuid, snapshot: VdiUuid): Promise<VdiRecord> }
  names: {
    setVdiNames(ctx: Ctx, vdi: VdiUuid, names: { readonly name?: string; readonly description?: string }): Promise<void>
    setSrNames(ctx: Ctx, names: { readonly name?: string; readonly description?: string }): Promise<void>
  }
  /** Persistent locks on the storage, safe between hosts that share it. */
  lock: {
    readLock(ctx: Ctx, vdi: VdiUuid): Promise<VdiLock | undefined>
    /** Takes a free or expired lock, refreshes the owner's own, breaks another's with `force`; else lockUnavailable. */
    lock(ctx: Ctx, vdi: VdiUuid, want: { readonly owner: string; readonly force: boolean; readonly ttlMs?: number }): Promise<VdiLock>
    /** An unlocked VDI is done; another owner's lock is lockUnavailable. */
    unlock(ctx: Ctx, vdi: VdiUuid, owner: string): Promise<boolean>
  }
  collect: {
    /** What could be removed or coalesced now, cheapest first. */
    backlog(ctx: Ctx): Promise<readonly CollectorStep[]>
    /** Does a bounded part of one step; false while more of it is left. The engine holds the locks of `step.needs`. */
    collect(ctx: Ctx, step: CollectorStep): Promise<boolean>
  }
  verify: {
    verify(ctx: Ctx, vdi: VdiUuid | undefined, repair: 'no' | 'dry-run' | 'yes'): Promise<readonly Finding[]>
    orphans(ctx: Ctx): Promise<readonly Orphan[]>
  }
}

export type Feature = keyof FeatureOps
export const features = [
  'create', 'destroy', 'snapshot', 'clone', 'resize', 'revert', 'names', 'lock', 'collect', 'verify',
] as const satisfies readonly Feature[]

type UnionToIntersection<U> = (U extends unknown ? (u: U) => void : never) extends (i: infer I) => void ? I : never
export type SrWith<F extends Feature> = SrCore & UnionToIntersection<FeatureOps[F]>
/** An opened SR as the engine sees it: what it offers beyond the core is asked of `features`. */
export type Sr = SrCore & Partial<UnionToIntersection<FeatureOps[Feature]>> & { readonly features: readonly Feature[] }

export const supports = <F extends Feature>(sr: Sr, feature: F): sr is Sr & SrWith<F> => sr.features.includes(feature)

/** One host tool a driver starts, for `doctor` and for errors. */
export interface Tool {
  readonly name: string
  readonly debianPackage: string
  readonly neededFor: string
}

export const srOperationNames = ['create', 'delete', 'introduce', 'reidentify'] as const
export type SrOperation = (typeof srOperationNames)[number]

export interface DriverDescriptor {
  /** The SR type: lower case; its executable is named after it (`file` -> FileSR). */
  readonly type: string
  /** As in the executable's name, `File` of FileSR. */
  readonly executable: string
  readonly title: string
  readonly summary: string
  readonly contract: number
  /** What SRs of this type can offer at most; an opened SR says what it really offers. */
  readonly features: readonly Feature[]
  /** `delete` absent: sr_delete answers ENOSYS. */
  readonly srOperations: readonly SrOperation[]
  readonly contentType: string
  readonly limits: {
    /** Several hosts may attach the same SR at once. */
    readonly shared: boolean
    readonly minVdiSize: number
    readonly maxVdiSize: number
    /** Sizes are rounded up to a multiple of this. */
    readonly sizeStep: number
    readonly maxChain?: number
  }
  /** False: VDIs found by a scan are not enabled by default (default_vdi_visibility of sr_scan). */
  readonly defaultVdiVisibility: boolean
  readonly tools: readonly Tool[]
  /** A dconf that works, for docs and completion. */
  readonly example: DeviceConfig
}

export interface DriverCalls<Dconf> {
  /** Read-only. Half a dconf in, candidates out. */
  probe(ctx: Ctx, partial: DeviceConfig): Promise<ProbeResult>
  /** sr_create: the only function that may format. Refuses a place that holds anything or cannot be read. */
  prepare?(ctx: Ctx, dconf: Dconf, want: PrepareRequest): Promise<void>
  /** Gives an SR identity to a place that holds VDIs but none yet; touches nothing else. */
  adopt?(ctx: Ctx, dconf: Dconf, want: PrepareRequest): Promise<void>
  /**
   * Turns a block copy of SR `want.original` (an array clone, a snapshot, a replica) into SR `ctx.sr`: new identities for
   * volume group, file system and VDIs (`copiedVdiUuid` of core/ids.ts), so that both can be attached to one host. The
   * original is never touched; a place that does not carry the original's identity is refused. Can be repeated after a crash.
   */
  reidentify?(ctx: Ctx, dconf: Dconf, want: { readonly original: SrUuid }): Promise<readonly CopiedVdi[]>
  /** sr_delete of an empty SR. The engine has seen that it holds no VDI. */
  remove?(ctx: Ctx, dconf: Dconf): Promise<void>
  /** sr_attach: makes the place reachable from this host and verifies that it is this SR. */
  attach(ctx: Ctx, dconf: Dconf): Promise<void>
  /**
   * Of a place that one host at a time may hold: takes it from the host that the refusal of `attach` called `from` and that an
   * operator knows to be dead; `attach` comes next. A place that anybody else holds is refused, and nothing is changed.
   */
  takeOver?(ctx: Ctx, dconf: Dconf, from: string): Promise<void>
  /** sr_detach; what is gone already is done. */
  detach(ctx: Ctx, dconf: Dconf): Promise<void>
  /** A handle on an attached SR; verifies identity again. Cheap: each process does it. */
  open(ctx: Ctx, dconf: Dconf): Promise<Sr>
  /**
   * vdi_detach when the SR cannot be opened, or its own detach fails, because its place is gone: takes away what this host
   * holds of the VDI, with what `attach` answered as the only help. Absent: such a VDI stays attached until the place is back.
   */
  letGo?(ctx: Ctx, dconf: Dconf, vdi: VdiUuid, attachment: Attachment): Promise<void>
}

export interface DriverDefinition<Schema extends z.ZodObject> extends DriverDescriptor, DriverCalls<z.output<Schema>> {
  /** A strict object with a sentence a key; secrets carry `.meta({ secret: true })`. */
  readonly dconf: Schema
}

/** As the engine holds it: dconf types erased, raw dconf parsed before any function sees it. */
export interface Driver extends DriverDescriptor, DriverCalls<DeviceConfig> {
  readonly dconf: z.ZodObject
}
