/**
 * What the replication part of the kit needs of a world: two replicating arrays with one unit of several volumes, hosts that write to it,
 * a link that can be cut. A harness for another driver implements `ReplicationWorld` and gets every scenario and the failure matrix.
 */
import type { OpenArray } from '../../../core/array/contract.ts'
import type { ReplicationTraits } from '../../../core/array/replication.ts'
import type { ArrayCtx, Initiator } from '../../../core/array/types.ts'
import { createLockTable } from '../../../core/lock-table.ts'
import type { Exclusive, Host, Log } from '../../../core/ports.ts'
import type { ReplicationSite } from '../../../core/replication/site.ts'

export type SiteName = 'a' | 'b'
export const otherSite = (site: SiteName): SiteName => (site === 'a' ? 'b' : 'a')

export interface ReplicationWorld {
  readonly traits: ReplicationTraits
  readonly mode: 'synchronous' | 'periodic' | 'asynchronous'
  /** A connection of its own, as a fresh process would open it. */
  open(site: SiteName): Promise<OpenArray>
  /** Of the one unit; a is its natural source. It starts protected and presented at a. */
  readonly key: string
  idAt(site: SiteName): string
  /** Counter `value` is written to every volume of the unit in order, by a host of that site. False: the array refused, nothing is acknowledged. */
  write(site: SiteName, value: number): Promise<boolean>
  /** The counters as they stand at that site, one a volume in order, also where no host can read. */
  counters(site: SiteName): Promise<readonly number[]>
  /** Whether any host could write there now. */
  writable(site: SiteName): Promise<boolean>
  /** Bytes of a volume that the arrays can make. */
  readonly volumeSize: number
  readonly hosts: Readonly<Record<SiteName, readonly Initiator[]>>
  /** Milliseconds that are long enough for any call (40): one that is slower counts as silent, which is a fate like any other. */
  readonly silentMs?: number
  cutLink(): Promise<void>
  restoreLink(): Promise<void>
  /** Remembers the state of both arrays; the answer puts it back. Where it is absent each cell of the matrix builds a new world. */
  save?(): Promise<() => Promise<void>>
  destroy(): Promise<void>
}

export type NewWorld = (options: { readonly mode: ReplicationWorld['mode'] }) => Promise<ReplicationWorld>

const silent: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, child: () => silent }

/** One table a "machine": locks between callers as the kernel's are between processes. */
export const createMachine = (id: string): { readonly exclusive: Exclusive; readonly id: string } => {
  const table = createLockTable()
  return { id, exclusive: async (name, purpose, waitMs, signal) => table.acquire({ sr: name as never, srMode: 'exclusive', vdis: [], purpose }, waitMs, signal) }
}

let calls = 0
export const ctxOn = (machine: { readonly exclusive: Exclusive; readonly id: string }, signal: AbortSignal = new AbortController().signal): ArrayCtx => ({
  callId: `call-${(calls += 1)}`, signal, log: silent, clock: { now: () => Date.now() }, host: { id: machine.id, exclusive: machine.exclusive } as unknown as Host, progress: () => undefined,
})

/** How much each site's process can see: both arrays, or its own one only (as in SRA). */
export type Sight = 'both' | 'own'

export const siteOf = async (world: ReplicationWorld, name: SiteName, sight: Sight, ctx: ArrayCtx, wrap: (array: OpenArray, site: SiteName) => OpenArray = (array) => array): Promise<ReplicationSite> => {
  const other = name === 'a' ? 'b' : 'a'
  const local = wrap(await world.open(name), name)
  return { ctx, traits: world.traits, local, ...(sight === 'both' ? { remote: wrap(await world.open(other), other) } : {}) }
}
