/**
 * What an array driver promises: a function-built object with a descriptor and `connect`. The engine is the only caller; it
 * has parsed the connection. Law: the storage array plug-in guide, each operation under the field's name for it.
 *
 * Rules for every function:
 * - The array is authoritative; nothing is remembered on this host. "Cannot be read" is never answered as "empty".
 * - Success means the array was read back and says so. A lost reply is `outcomeUnknown`, never success and never failure.
 * - Removing what is gone, presenting what is presented: done, `changed: false`. No function decides more than it was asked for.
 * - Failures are StorageErrors with the array's own code and words in `details`; secrets never.
 * - The number of array calls must not grow with what is not touched.
 */
import type * as z from 'zod'
import type { ArrayReplication, ReplicationTraits } from './replication.ts'
import type {
  AccessContext, AccessGroup, ArrayConnection, ArrayCtx, ArrayInfo, ArrayStatus, Capabilities, CopyVolume, CreateVolume,
  Initiator, IscsiTarget, ItemResult, Job, Outcome, Pool, Presentation, RestorePlan, Snapshot, StoragePort, Volume,
} from './types.ts'

export const arrayContractVersion = 1

export interface ArrayDescriptor {
  /** Lower case letters, digits and dashes. */
  readonly type: string
  readonly title: string
  readonly summary: string
  readonly contract: number
  readonly protocols: readonly ('fc' | 'iscsi' | 'nfs' | 'file')[]
  /** What the code can do at most; `capabilities()` of an open array says what that array can do now. */
  readonly features: Capabilities
  readonly limits: { readonly minVolumeSize: number; readonly maxVolumeSize: number; readonly sizeStep: number; readonly maxNameLength: number }
  readonly customNames: { readonly snapshot: boolean; readonly clone: boolean }
  /** Present when the driver replicates. */
  readonly replication?: ReplicationTraits
  /** A connection that works, for docs and completion. */
  readonly example: ArrayConnection
}

export interface ArrayAccess {
  /** All groups, or those a volume is presented to now. */
  groups(ctx: ArrayCtx, volume?: string): Promise<readonly AccessGroup[]>
  /** Makes as many as possible; one result a group. An equal group is there: done. Of that name with other entries: alreadyExists. */
  createGroups(ctx: ArrayCtx, groups: readonly AccessGroup[]): Promise<readonly ItemResult<AccessGroup>[]>
  /** One result a name; stillPresented while volumes are presented to it. Gone is done. */
  removeGroups(ctx: ArrayCtx, names: readonly string[]): Promise<readonly ItemResult<undefined>[]>
  renameGroup(ctx: ArrayCtx, from: string, to: string): Promise<AccessGroup>
  addToGroup(ctx: ArrayCtx, group: string, initiators: readonly Initiator[]): Promise<AccessGroup>
  removeFromGroup(ctx: ArrayCtx, group: string, initiators: readonly Initiator[]): Promise<AccessGroup>
  /** All presentations of these volumes. Here and in the next two a volume is also the part of a snapshot (`Snapshot.members`), which is presented for reading. */
  presentations(ctx: ArrayCtx, volumes: readonly string[]): Promise<readonly Presentation[]>
  /** Additive; answers the volume with all groups it is presented to. */
  present(ctx: ArrayCtx, volume: string, groups: readonly string[]): Promise<Volume>
  /** Takes it away from these groups only. */
  unpresent(ctx: ArrayCtx, volume: string, groups: readonly string[]): Promise<Volume>
}

/** iSCSI from this host, per access context. */
export interface ArrayIscsi {
  /** Sendtargets to each context; only targets that can be reached. */
  discover(ctx: ArrayCtx, contexts: readonly AccessContext[]): Promise<readonly IscsiTarget[]>
  /** Logs in to exactly these contexts. */
  start(ctx: ArrayCtx, contexts: readonly AccessContext[]): Promise<void>
  /** Multipath maps first, then logs out of exactly these contexts and no others. */
  stop(ctx: ArrayCtx, contexts: readonly AccessContext[]): Promise<void>
}

export interface ArraySnapshots {
  /** Snapshots it may still have; -1: no limit. Without a volume the array's. The nearer limit wins. */
  limit(ctx: ArrayCtx, volume?: string): Promise<number>
  /** Now, counting limits and licence. */
  snapable(ctx: ArrayCtx, volume?: string): Promise<boolean>
  /** One volume, or many at one point in time (multiSnapshot; else notSupported). */
  create(ctx: ArrayCtx, volumes: readonly string[], name?: string): Promise<Outcome<Snapshot>>
  current(ctx: ArrayCtx, volume?: string): Promise<readonly Snapshot[]>
  /** What a restore of the snapshot (or only of `volume` of it) would affect. */
  planRestore(ctx: ArrayCtx, snapshot: string, volume?: string): Promise<RestorePlan>
  /** restoreNotSafe names everything else that would be affected, and changes nothing. */
  restore(ctx: ArrayCtx, snapshot: string, volume?: string): Promise<Outcome<undefined>>
  /** busy while it is presented or has clones. Gone is done. */
  remove(ctx: ArrayCtx, snapshot: string): Promise<void>
}

export interface ArrayClones {
  limit(ctx: ArrayCtx, volume?: string): Promise<number>
  cloneable(ctx: ArrayCtx, volume: string): Promise<boolean>
  /** Shallow. A snapshot that had to be made for it is removed again if possible. */
  clone(ctx: ArrayCtx, volume: string, want: CopyVolume): Promise<Outcome<Volume>>
  /** The content of `volume` at the time of the snapshot. */
  cloneFromSnapshot(ctx: ArrayCtx, volume: string, snapshot: string, want: CopyVolume): Promise<Outcome<Volume>>
  /** False where the copy would not stay independent. */
  splittable(ctx: ArrayCtx, clone: string): Promise<boolean>
  /** Makes it independent of its parent and peers; else notSupported. */
  split(ctx: ArrayCtx, clone: string): Promise<Outcome<Volume>>
  current(ctx: ArrayCtx, volume?: string): Promise<readonly Volume[]>
}

export interface ArrayQos {
  list(ctx: ArrayCtx): Promise<readonly { readonly value: string; readonly label: string }[]>
  /** offlineOnly when the array wants the volume out of use, notSupported when it never can. */
  set(ctx: ArrayCtx, volume: string, value: string): Promise<void>
}

/**
 * Texts of ours on the array, by key: what is true of volumes is kept beside them, and every host that reaches the array sees it. Keys
 * have up to 100 of `a-z 0-9 . -`. Must work while the peer is dead.
 */
export interface ArrayMetadata {
  /** Bytes of UTF-8 that a value may have: at least 16384. */
  readonly maxValue: number
  /** All whose key begins so; the number of array calls does not depend on how many there are. */
  list(ctx: ArrayCtx, prefix: string): Promise<ReadonlyMap<string, string>>
  /** Durable when it returns. False when the key is there already: of several hosts that try at once, one gets true. */
  create(ctx: ArrayCtx, key: string, value: string): Promise<boolean>
  /** Makes or replaces, whole or not at all. */
  put(ctx: ArrayCtx, key: string, value: string): Promise<void>
  /** Gone is done. */
  remove(ctx: ArrayCtx, key: string): Promise<void>
}

export interface OpenArray {
  readonly type: string
  /** Live: licence and firmware counted in; a row for every feature, `unsupported` with its reason. */
  capabilities(ctx: ArrayCtx): Promise<Capabilities>
  info(ctx: ArrayCtx): Promise<ArrayInfo>
  /** The light version of `info`. */
  status(ctx: ArrayCtx): Promise<ArrayStatus>
  /** Arrays behind a concentrator; empty without one. */
  storageNames(ctx: ArrayCtx): Promise<readonly string[]>
  pools(ctx: ArrayCtx): Promise<readonly Pool[]>
  /** Host-facing ports, also those that are down now. */
  ports(ctx: ArrayCtx): Promise<readonly StoragePort[]>
  /** Volumes and clones, never snapshots; `wwid` mandatory. `filter` names ids; absent: all. */
  list(ctx: ArrayCtx, filter?: readonly string[]): Promise<readonly Volume[]>
  /** undefined only when it is proven absent. By id. */
  volume(ctx: ArrayCtx, id: string): Promise<Volume | undefined>
  /** Everything of these volumes afresh, with the device paths on this host. */
  updateVolumes(ctx: ArrayCtx, ids: readonly string[]): Promise<readonly Volume[]>
  /** Never changes presentation. */
  setOnline(ctx: ArrayCtx, volume: string, online: boolean): Promise<Volume>
  /** Same name and equal parameters: done. Same name and others: alreadyExists. */
  create(ctx: ArrayCtx, want: CreateVolume): Promise<Outcome<Volume>>
  /** Larger, or smaller with `shrink` (wouldLoseData without it). The answer tells the real size. */
  resize(ctx: ArrayCtx, volume: string, size: number, shrink: boolean): Promise<Outcome<Volume>>
  /** stillPresented while presented (never unpresents by itself), hasDependents names them, busy while replicated. Gone is done. */
  remove(ctx: ArrayCtx, volume: string): Promise<void>
  /** A job by the id that started it, also after a restart of this process; notFound when the array never knew it. */
  job(ctx: ArrayCtx, id: string): Promise<Job>
  close(): Promise<void>
  readonly access?: ArrayAccess
  readonly iscsi?: ArrayIscsi
  readonly snapshots?: ArraySnapshots
  readonly clones?: ArrayClones
  readonly qos?: ArrayQos
  readonly replication?: ArrayReplication
  /** Without it an array cannot hold SRs. */
  readonly metadata?: ArrayMetadata
}

export interface ArrayDefinition<Schema extends z.ZodObject> extends ArrayDescriptor {
  /** A strict object over strings with a sentence a key; secrets carry `.meta({ secret: true })`. */
  readonly connection: Schema
  /** Validates by connecting: credentials, kind and release of the array, licence. The closest error kind, with a remedy. Never changes anything. */
  connect(ctx: ArrayCtx, connection: z.output<Schema>): Promise<OpenArray>
}

/** As the engine holds it: raw connections are parsed before `connect` sees them. */
export interface ArrayDriver extends ArrayDescriptor {
  readonly connection: z.ZodObject
  connect(ctx: ArrayCtx, connection: ArrayConnection): Promise<OpenArray>
}
