/** What the array's words on a group mean, as pure functions: (role, roleReversed, state) and this driver's own marks in, role and transfer out. */
import type { LastConsistent, PeerView, ReplicationMode, ReplicationUnit, Transfer, UnitMember, UnitRole } from '../../../../core/array/replication.ts'
import { rcMode, rcRole, rcState, rcSync } from '../wsapi/enums.ts'
import type { RcGroup } from '../wsapi/schemas.ts'
import { own, type Marks } from './marks.ts'

const started: ReadonlySet<number> = new Set([rcState.starting, rcState.started, rcState.restart])

/** A group towards one other array; groups with several targets are not taken for anything else. */
export const targetOf = (group: RcGroup): RcGroup['targets'][number] | undefined => group.targets[0]

export const isStarted = (group: RcGroup): boolean => started.has(targetOf(group)?.state ?? rcState.unknown)
export const isReversed = (group: RcGroup): boolean => targetOf(group)?.roleReversed === true

/** What this array is in the layout that counts as the natural one: the array's own, unless the reversed one was adopted. */
export const naturalRole = (group: RcGroup, marks: Marks): ReplicationUnit['naturalRole'] => {
  const away = isReversed(group) !== (marks[own.adopted] !== undefined)
  return (group.role === rcRole.primary) === away ? 'target' : 'source'
}

/**
 * A stopped primary was either made one by a failover (`promoted`), or is a source that is paused: the reversed one is promoted unless it has
 * replicated since (mark `source`); the natural one is promoted only when it was failed back to (mark `promoted`).
 */
export const roleOf = (group: RcGroup, marks: Marks): UnitRole => {
  if (group.role === rcRole.secondary) return 'target'
  if (group.role !== rcRole.primary) return 'unknown'
  const promoted = marks[own.promoted] !== undefined || (isReversed(group) && marks[own.source] === undefined)
  if (promoted && !isStarted(group)) return 'promoted'
  return marks[own.demoted] === undefined ? 'source' : 'demoted'
}

const syncs: Readonly<Record<number, UnitMember['sync']>> = { [rcSync.synced]: 'synced', [rcSync.syncing]: 'syncing', [rcSync.new]: 'syncing', [rcSync.notSynced]: 'stale', [rcSync.stale]: 'stale' }
export const syncOf = (status: number | undefined): UnitMember['sync'] => syncs[status ?? 0] ?? 'unknown'

/** Of one member, in seconds of the answering array's clock. */
export const lastSyncSec = (volume: RcGroup['volumes'][number]): number | undefined => {
  const [remote] = volume.remoteVolumes
  if (remote === undefined) return undefined
  if (remote.volumeLastSyncTimeSec !== undefined) return remote.volumeLastSyncTimeSec
  const parsed = Date.parse(remote.volumeLastSyncTime ?? '')
  return Number.isNaN(parsed) ? undefined : Math.floor(parsed / 1000)
}

export const consistentAt = (seconds: number | undefined, sync: UnitMember['sync']): LastConsistent => {
  if (seconds !== undefined && seconds > 0) return { kind: 'time', ms: seconds * 1000 }
  return sync === 'unknown' ? { kind: 'unknown' } : { kind: 'never' }
}

/** The oldest counts; one member that never had a copy leaves the group without one. */
export const oldest = (all: readonly LastConsistent[]): LastConsistent => {
  if (all.length === 0) return { kind: 'unknown' }
  if (all.some(({ kind }) => kind === 'never')) return { kind: 'never' }
  if (all.some(({ kind }) => kind === 'unknown')) return { kind: 'unknown' }
  return { kind: 'time', ms: Math.min(...all.flatMap((one) => (one.kind === 'time' ? [one.ms] : []))) }
}

/** Only opposite roles replicate, over a link that works. What a stopped group's link does is not told. */
export const linkOf = (group: RcGroup): ReplicationUnit['link'] => (isStarted(group) ? 'up' : 'unknown')

/** `asked`: the group was paused from here. Groups also stop by themselves, when the link or the other array is lost. */
export const transferOf = (group: RcGroup, role: UnitRole, last: LastConsistent, peer: PeerView, asked: boolean): Transfer => {
  if (isStarted(group)) return last.kind === 'never' ? 'initial' : 'running'
  if (role === 'promoted' || peer.role === 'promoted') return 'stopped'
  if (targetOf(group)?.state === undefined) return 'unknown'
  return asked ? 'paused' : 'interrupted'
}

const modes: Readonly<Record<number, ReplicationMode>> = { [rcMode.synchronous]: 'synchronous', [rcMode.periodicOld]: 'periodic', [rcMode.periodic]: 'periodic', [rcMode.streaming]: 'asynchronous' }
export const modeOf = (group: RcGroup): ReplicationMode => modes[targetOf(group)?.mode ?? rcMode.periodic] ?? 'periodic'
export const modeNumber = { synchronous: rcMode.synchronous, periodic: rcMode.periodic, asynchronous: rcMode.streaming } as const

/** `<name>.r<id of the array that made it>` on the array that did not. */
export const madeBy = (group: string): { readonly name: string; readonly creator: number | undefined } => {
  const [, name, creator] = /^(.+)\.r(\d+)$/.exec(group) ?? []
  return name === undefined ? { name: group, creator: undefined } : { name, creator: Number(creator) }
}
