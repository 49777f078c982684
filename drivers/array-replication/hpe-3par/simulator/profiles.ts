/** The products that an array can be, as data: what their builds open and where they differ (facts 2 and 18.4). */

export interface Profile {
  readonly build: number
  readonly version: string
  readonly model: string
  /** Dedup and compression are one property, `reduce`; there is no full provisioning. */
  readonly reduces: boolean
  /** A volume needs a snapshot CPG before it can have snapshots or be replicated. */
  readonly needsSnapCpg: boolean
  /** A failover is told the other array at once, and the failed-over side becomes the natural one by its next synchronisation. */
  readonly mirrorsFailover: boolean
  /** Not known of real arrays, therefore one way here and the other there: whether stopping a stopped group is an error. */
  readonly refusesSecondStop: boolean
  /** As above: what is read after periodic mode was set by number 3. */
  readonly periodicMode: 2 | 3
}

export const profiles = {
  '3par-3.3.1': { build: 30_301_215, version: '3.3.1.215', model: 'HPE_3PAR 8200', reduces: false, needsSnapCpg: true, mirrorsFailover: false, refusesSecondStop: false, periodicMode: 2 },
  'primera-4.2': { build: 40_200_000, version: '4.2.0.0', model: 'HPE_Primera 630', reduces: true, needsSnapCpg: false, mirrorsFailover: false, refusesSecondStop: true, periodicMode: 3 },
  'os-10.5': { build: 100_500_000, version: '10.5.0.0', model: 'HPE Alletra MP', reduces: true, needsSnapCpg: false, mirrorsFailover: true, refusesSecondStop: true, periodicMode: 3 },
} as const satisfies Readonly<Record<string, Profile>>

export type ProfileName = keyof typeof profiles
