/** What the play needs of a world: two sites with an array each, units in both directions, hosts that write to them, and a link that can be cut. */
import type { ArrayDriver, OpenArray } from '../../../core/array/contract.ts'
import type { SiteName } from '../replication/world.ts'


export interface PlayedUnit {
  readonly name: string
  readonly kind: 'group' | 'device'
  /** Where it is the source at the beginning, presented to that site's hosts. */
  readonly from: SiteName
}

export interface PlayWorld {
  readonly driver: ArrayDriver
  readonly units: readonly PlayedUnit[]
  readonly arrayIds: Readonly<Record<SiteName, string>>
  /** One host a site, as SRM names its initiator. */
  readonly hosts: Readonly<Record<SiteName, { readonly type: 'FC' | 'iSCSI'; readonly id: string }>>
  /** A connection of its own, as a fresh process would open it. */
  open(site: SiteName): Promise<OpenArray>
  /** Counter `value` to every device of the unit, in order. False: the array refused, nothing is acknowledged. */
  write(site: SiteName, unit: string, value: number): Promise<boolean>
  /** The counters as they stand there, one a device in order, also where no host can read. */
  counters(site: SiteName, unit: string): Promise<readonly number[]>
  /** Whether any host could write there now. */
  writable(site: SiteName, unit: string): Promise<boolean>
  cutLink(): Promise<void>
  restoreLink(): Promise<void>
  /** Synchronisations end after they were asked for so often. */
  slow?(polls: number): void
  /** Remembers both arrays; the answer puts them back. */
  save?(): Promise<() => Promise<void>>
  destroy(): Promise<void>
}

export type NewPlayWorld = () => Promise<PlayWorld>
