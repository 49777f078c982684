/** The records of an array, and the world of several arrays that share a clock, a disk and links. */
import type { BlockStore } from './blocks.ts'
import type { Journal, Table } from './journal.ts'
import type { Profile } from './profiles.ts'
import { refuse } from './refusals.ts'

export interface Cpg {
  readonly id: number
  readonly name: string
  readonly uuid: string
  readonly domain?: string
  readonly growthIncrementMiB: number
  readonly growthLimitMiB?: number
  readonly warningMiB?: number
  readonly layout: { readonly RAIDType: number; readonly setSize: number; readonly HA: number; readonly chunkletPosPref?: number; readonly diskPatterns: readonly { readonly diskType: number }[] }
}

export interface Volume {
  readonly id: number
  readonly name: string
  readonly uuid: string
  readonly wwn: string
  readonly sizeMiB: number
  readonly cpg: string
  readonly snapCpg?: string
  readonly comment?: string
  /** 1 full, 2 thin, 3 snapshot, 6 dedup. */
  readonly provisioning: 1 | 2 | 3 | 6
  readonly copyType: 1 | 2 | 3
  readonly compression: boolean
  readonly readOnly: boolean
  /** Id of the volume that a snapshot is read through. */
  readonly parent?: number
  /** Id of the source of a physical copy. */
  readonly physicalParent?: number
  readonly savedSnapshot?: string
  readonly createdMs: number
  readonly expiresMs?: number
  readonly retainedUntilMs?: number
  readonly policies: Readonly<Record<string, boolean>>
  readonly percents: Readonly<Record<string, number>>
}

export interface Host {
  readonly id: number
  readonly name: string
  readonly uuid: string
  readonly persona: number
  readonly domain?: string
  readonly fc: readonly string[]
  readonly iscsi: readonly string[]
  readonly descriptors?: Readonly<Record<string, string | undefined>>
  readonly initiatorChap?: { readonly name: string; readonly secret: string }
  readonly targetChap?: { readonly name: string; readonly secret: string }
}

export interface MemberSet {
  readonly id: number
  readonly name: string
  readonly uuid: string
  readonly members: readonly string[]
  readonly comment?: string
  readonly domain?: string
  readonly flashCachePolicy?: number
}

export interface PortPos {
  readonly node: number
  readonly slot: number
  readonly cardPort: number
}

export interface Vlun {
  /** A volume, or `set:<volume set>`. */
  readonly volumeName: string
  readonly lun: number
  /** A host, or `set:<host set>`; none for a VLUN that everybody on a port sees. */
  readonly hostname?: string
  readonly portPos?: PortPos
  readonly type: 2 | 3 | 4 | 5
}

type TaskKind = 'copy' | 'resync' | 'promote' | 'tune' | 'remoteCopy' | 'system'

export interface Task {
  readonly id: number
  readonly type: number
  readonly name: string
  readonly user: string
  /** 1 done, 2 active, 3 cancelled, 4 failed. */
  readonly status: 1 | 2 | 3 | 4
  readonly startMs: number
  readonly endMs: number
  readonly priority?: number
  readonly kind: TaskKind
  /** Volumes that the task is about: where the bytes come from and where they go. */
  readonly source?: number
  readonly destination?: number
  /** Its bytes are to be moved at its start (false) or have been (true); otherwise they move at its end. */
  readonly applied?: boolean
}

export interface KeyValue {
  readonly key: string
  readonly value: string
  readonly createdMs: number
}

export interface Qos {
  readonly id: number
  readonly name: string
  readonly type: number
  readonly enabled: boolean
  readonly rule: Readonly<Record<string, unknown>>
}

/** 2 syncing, 3 synced, 4 not synced, 1 new. */
type SyncStatus = 1 | 2 | 3 | 4

export interface GroupVolume {
  readonly local: number
  readonly localName: string
  readonly remote: number
  readonly remoteName: string
  readonly syncStatus: SyncStatus
  readonly lastSyncMs?: number
  /** Snapshots of the array's own: the point that is being sent, and the point from which a resync would start. */
  readonly syncSnapshot?: string
  readonly resyncSnapshot?: string
}

/** One array's record of a group; the other array has its own, which may say something else while the link is down. */
export interface Group {
  readonly id: number
  readonly name: string
  readonly remoteName: string
  /** Index of the other array. */
  readonly peer: number
  readonly targetName: string
  readonly domain?: string
  readonly role: 1 | 2
  readonly reversed: boolean
  /** 3 started, 5 stopped, 7 fail-safe. */
  readonly state: 3 | 5 | 7
  readonly mode: number
  readonly syncPeriod?: number
  readonly snapFrequency?: number
  readonly recoveryPointSecs?: number
  readonly localUserCpg?: string
  readonly localSnapCpg?: string
  readonly remoteUserCpg?: string
  readonly remoteSnapCpg?: string
  readonly policies: Readonly<Record<string, boolean>>
  readonly volumes: readonly GroupVolume[]
  readonly lastSyncMs?: number
  /** Of the primary: when the next periodic synchronisation begins, and the one that runs. */
  readonly nextCycleMs?: number
  readonly transfer?: { readonly pointMs: number; readonly endMs: number }
  /** This side was made primary while the other was it, too; until a recover or restore settles who wins. */
  readonly failedOver?: boolean
  /** It stopped by itself when the link went. */
  readonly lostLink?: boolean
  /** A restore is under way: whether bytes come from the other side, and whether the group starts then. */
  readonly fill?: { readonly bytes: boolean; readonly start: boolean }
}

export interface Tables {
  readonly cpgs: Table<Cpg>
  readonly volumes: Table<Volume>
  readonly hosts: Table<Host>
  readonly hostSets: Table<MemberSet>
  readonly volumeSets: Table<MemberSet>
  readonly vluns: Table<Vlun>
  readonly tasks: Table<Task>
  readonly keyValues: Table<KeyValue>
  readonly qos: Table<Qos>
  readonly groups: Table<Group>
  readonly targets: Table<{ readonly name: string; readonly peer: number; readonly mirrorConfig: boolean }>
  /** `lastId:<what>`, `flashCache`. */
  readonly values: Table<number>
}

const tableNames = ['cpgs', 'volumes', 'hosts', 'hostSets', 'volumeSets', 'vluns', 'tasks', 'keyValues', 'qos', 'groups', 'targets', 'values'] as const satisfies readonly (keyof Tables)[]

/** The tables of array number `index`. */
export const tablesOf = (journal: Journal, index: number): Tables =>
  Object.fromEntries(tableNames.map((name) => [name, journal.table(`${index}.${name}`)])) as unknown as Tables

export interface SimArray {
  readonly index: number
  /** The system id, decimal on the wire and in names of groups. */
  readonly id: number
  readonly name: string
  readonly profile: Profile
  readonly user: string
  readonly password: string
  readonly licences: ReadonlySet<string>
  readonly capacityMiB: number
  readonly maxSessions: number
  /** 127.0.0.x addresses of its iSCSI ports. */
  readonly iscsiAddresses: readonly string[]
  readonly tables: Tables
  /** False: the array is dead to everybody. */
  powered: boolean
}

/** How long things take on the simulator's clock, in milliseconds. */
export interface Durations {
  readonly copyMs: number
  readonly promoteMs: number
  readonly syncMs: number
}

export interface World {
  readonly now: () => number
  readonly journal: Journal
  readonly blocks: BlockStore
  readonly arrays: readonly SimArray[]
  readonly durations: Durations
  /** True while the links between all arrays are cut. */
  linkCut: boolean
  /** Files go only after the record that named them is gone for good, and are taken back when the request fails. */
  readonly afterCommit: (() => void)[]
  readonly onDiscard: (() => void)[]
}

/** One request, as a handler sees it. */
export interface Call {
  readonly world: World
  readonly array: SimArray
  readonly tables: Tables
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly body: unknown
}

export interface Answer {
  readonly status?: number
  readonly body?: unknown
  /** Path below /api/v1. */
  readonly location?: string
}

export type Handler = (call: Call) => Answer

/** The next number of its kind; numbers are not used again. */
export const nextId = (tables: Tables, what: string): number => {
  const id = (tables.values.get(`lastId:${what}`) ?? 0) + 1
  tables.values.put(`lastId:${what}`, id)
  return id
}

/** Key of a volume's bytes in the block store. */
export const bytesKey = (array: SimArray, id: number): string => `${array.index}-${id}`

export const list = (members: readonly unknown[]): Answer => ({ body: { total: members.length, members } })

/** `2026-01-02T03:04:05Z`, the form of times in answers. */
export const iso = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`
export const seconds = (ms: number): number => Math.floor(ms / 1000)

/** Throws 403 when the array has not the licence; the golden one is all of them. */
export const needLicence = (array: SimArray, name: string): void => {
  if (!array.licences.has(name) && !array.licences.has('Golden License')) throw refuse('notLicensed', name)
}
