/** The array's enumerations, as names. What an array answers may be outside of them: readers then say so and go on. */

export const provisioning = { full: 1, thin: 2, snapshot: 3, peer: 4, unknown: 5, dedup: 6, dds: 7 } as const
export const copyType = { base: 1, physical: 2, virtual: 3 } as const
export const health = { normal: 1, degraded: 2, failed: 3, unknown: 99 } as const
export const volumeAction = { stopCopy: 1, resyncCopy: 2, grow: 3, promote: 4, stopPromote: 5, tune: 6, refresh: 7 } as const
export const setAction = { add: 1, remove: 2 } as const
export const pathOperation = { add: 1, remove: 2 } as const
export const vlunType = { empty: 1, port: 2, host: 3, matchedSet: 4, hostSet: 5 } as const
export const taskStatus = { done: 1, active: 2, cancelled: 3, failed: 4 } as const
export const taskAction = { cancel: 1 } as const
export const portMode = { target: 2 } as const
export const portReady = 4
export const portProtocol = { fc: 1, iscsi: 2, fcoe: 3, ip: 4 } as const
export const qosTarget = { set: 1, system: 2 } as const
export const qosLimitless = 2

export const rcMode = { synchronous: 1, periodicOld: 2, periodic: 3, streaming: 4 } as const
export const rcRole = { primary: 1, secondary: 2 } as const
export const rcState = { new: 1, starting: 2, started: 3, restart: 4, stopped: 5, backup: 6, failsafe: 7, unknown: 8, logging: 9 } as const
export const rcSync = { new: 1, syncing: 2, synced: 3, notSynced: 4, stale: 5 } as const
export const rcAction = {
  admit: 1, dismiss: 2, start: 3, stop: 4, synchronise: 5, reverse: 6, failover: 7, switchover: 8, recover: 9, restore: 10, overrideFailsafe: 11,
} as const

/** Task types whose ids a caller may be given (`taskType[type]`). */
export const taskType: Readonly<Record<number, string>> = {
  1: 'volume copy', 2: 'physical copy resync', 3: 'move regions', 4: 'promote snapshot', 5: 'remote copy sync', 6: 'remote copy reverse', 7: 'remote copy failover',
  8: 'remote copy recover', 9: 'remote copy restore', 18: 'online copy', 19: 'convert volume',
}

/** Builds that open features. A build is one number and compares as one. */
export const build = {
  floor: 30103230,
  dedup: 30201120,
  vlunQuery: 30201292,
  remoteCopy: 30202290,
  compression: 30301215,
  reduce: 40000128,
  noSnapCpg: 100000000,
  tenFive: 100500000,
} as const
