/**
 * What arrays consist of, in the words of the field and as plain data: volumes, access groups, presentations, snapshots,
 * capabilities, jobs. Sizes are bytes, times milliseconds of the Unix epoch by the clock that the field names.
 */
import type { CallCtx } from '../contract.ts'
import type { ErrorReport } from '../errors.ts'
import type { Wwid } from './wwid.ts'

/** What every function of an array driver gets. */
export type ArrayCtx = CallCtx

/** Connection keys as they arrive: a flat map of strings, like a dconf. Secrets are marked in the driver's schema. */
export type ArrayConnection = Readonly<Record<string, string>>

export const healths = ['ok', 'degraded', 'offline', 'error', 'unknown'] as const
export type Health = (typeof healths)[number]

export interface ArrayStatus {
  readonly health: Health
  /** The array's own words. */
  readonly says: string
}

/** One array as it describes itself. `id` is stable, globally unique and opaque. */
export interface ArrayInfo extends ArrayStatus {
  readonly id: string
  readonly name: string
  readonly vendor: string
  readonly model: string
  readonly serial?: string
  readonly version: string
  readonly totalSize: number
  readonly usedSize: number
  readonly freeSize: number
}

/** A place volumes are made in (pool, common provisioning group, directory). */
export interface Pool {
  readonly id: string
  readonly name: string
  readonly totalSize?: number
  readonly freeSize: number
}

export interface Volume extends ArrayStatus {
  /** Of the array, stable while the volume lives. */
  readonly id: string
  readonly name: string
  /** Absent only where the array cannot tell yet (a volume under construction); create and clone must answer it. */
  readonly wwid?: Wwid
  readonly pool: string
  readonly size: number
  readonly allocated?: number
  readonly provisioning: 'thin' | 'full' | 'unknown'
  readonly online: boolean
  readonly writable: boolean
  /** The volume or snapshot a clone came from, while it still depends on it. */
  readonly parent?: string
  readonly qos?: string
  /** Names of the access groups it is presented to now. */
  readonly presentedTo: readonly string[]
  /** The replication unit it belongs to. */
  readonly replicationUnit?: string
  /** Filled by `updateVolumes` only: device paths on this host. */
  readonly paths?: readonly string[]
}

export interface Snapshot {
  readonly id: string
  readonly name: string
  /** The volumes it holds, and for each the id of its part. One snapshot of many volumes has one id and one time. */
  readonly members: readonly { readonly volume: string; readonly snapshot: string; readonly wwid?: Wwid }[]
  /** By the array's clock. */
  readonly createdMs: number
  readonly consistency: 'crash' | 'quiesced' | 'unknown'
}

export const initiatorKinds = ['fc', 'iscsi', 'nfs', 'host'] as const
/** fc: WWPN as eight colon-separated pairs in lower case; iscsi: its iqn/eui name; nfs: an IP address; host: an opaque id of the caller's world. */
export interface Initiator {
  readonly kind: (typeof initiatorKinds)[number]
  readonly id: string
  readonly chapName?: string
}

export interface AccessGroup {
  readonly name: string
  readonly initiators: readonly Initiator[]
}

/** One presentation as it stands. `targets` are port names (WWPN or iqn) where the number belongs to a target. */
export interface Presentation {
  readonly volume: string
  readonly group: string
  readonly lun: number
  readonly mode: 'rw' | 'ro'
  readonly targets: readonly string[]
}

/** A port of the array that hosts reach its volumes through. */
export interface StoragePort {
  /** Of the array, stable. */
  readonly id: string
  readonly kind: 'fc' | 'iscsi' | 'nfs'
  /** WWPN as eight colon-separated pairs in lower case, the iSCSI name of the target, or for nfs an address. */
  readonly name: string
  /** Of an iSCSI port: where hosts log in. */
  readonly address?: string
  readonly port?: number
  readonly online: boolean
}

/** Where initiators of this host log in: `address:port`, with what CHAP needs. Credentials are secrets. */
export interface AccessContext {
  readonly address: string
  readonly port: number
  readonly chap?: { readonly user: string; readonly password: string }
}

export interface IscsiTarget {
  readonly iqn: string
  readonly address: string
  readonly port: number
}

export const arrayFeatures = [
  'accessControl', 'iscsi', 'resize', 'shrink', 'snapshot', 'multiSnapshot', 'restore', 'clone', 'cloneFromSnapshot', 'split', 'qos', 'thin', 'replication',
] as const
export type ArrayFeature = (typeof arrayFeatures)[number]

/**
 * One capability (array plug-in guide, "abilities"). Level: in use, only out of use, or not at all. Completion: `sync` has
 * always ended when the call returns, `async` answers a job, `either` may do both. Every feature has a row, always.
 */
export interface Capability {
  readonly level: 'online' | 'offline' | 'unsupported'
  readonly completion: 'sync' | 'async' | 'either'
  /** -1: no limit known. Snapshots and clones per volume, entries per access group. */
  readonly limit?: number
  /** Why the level is below what the driver could do. */
  readonly reason?: 'notLicensed' | 'firmware' | 'topology' | 'temporary' | 'notImplemented'
}

export type Capabilities = Readonly<Record<ArrayFeature, Capability>>

/**
 * How a changing operation ended: done (`changed` false when it was so already), or started as a job of the array. The job id
 * is all that is needed to ask for it again, also in another process after a crash.
 */
export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T; readonly changed: boolean; readonly warnings: readonly string[] }
  | { readonly kind: 'started'; readonly job: string }

export interface Job<T = unknown> {
  readonly id: string
  readonly state: 'running' | 'succeeded' | 'failed' | 'unknown'
  /** 0..100; absent when the array has no estimate. 100 does not mean that it has ended. */
  readonly percent?: number
  readonly etaSeconds?: number
  /** When succeeded: what a synchronous call would have answered. */
  readonly value?: T
  readonly error?: ErrorReport
}

/** One item of a batch: every item asked for is answered, always. */
export interface ItemResult<T> {
  readonly item: string
  readonly value?: T
  readonly warnings: readonly string[]
  readonly error?: ErrorReport
}

export interface CreateVolume {
  readonly name: string
  readonly size: number
  readonly pool?: string
  /** thin where the array can (the default), else full; the answer tells which. */
  readonly provisioning: 'thin' | 'full'
  /** Not supported: ignored, and the answer tells the QoS really in force. */
  readonly qos?: string
}

export interface CopyVolume {
  /** Only where the array lets the caller name copies; else it names them. */
  readonly name?: string
  readonly qos?: string
}

/** What a restore would touch besides the volumes asked for. Empty lists: it is safe. */
export interface RestorePlan {
  readonly newerSnapshots: readonly string[]
  readonly clones: readonly string[]
  readonly otherVolumes: readonly string[]
  readonly presentedTo: readonly string[]
  readonly replicationUnit?: string
}
