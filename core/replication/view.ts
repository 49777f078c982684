/** Both arrays' words on one unit, put together: state, direction, the newer side, what is unfinished, and what an operator should know. */
import type { ReplicationUnit, Side, UnitRole } from '../array/replication.ts'
import { toStorageError } from '../errors.ts'
import { failoverOf, generationOf, intentOf, intentUnreadable, type FailoverRecord, type Intent } from './marks.ts'
import { layer, replicationOf, type ReplicationSite, type SideHandle } from './site.ts'
import { pairRows, stateSays, transferStates, type UnitState } from './states.ts'

export interface UnitView {
  readonly local: ReplicationUnit
  /** The peer's own words; absent when only the local array could be asked. */
  readonly remote?: ReplicationUnit
  readonly localSide: Side
  readonly state: UnitState
  /** The state in a sentence. */
  readonly says: string
  /** natural: as set up; reversed: the other way round. */
  readonly direction: 'natural' | 'reversed'
  readonly roles: { readonly source: UnitRole; readonly target: UnitRole }
  /** Of the old source after a failover: can hosts still write there? */
  readonly sourceDisposition: 'demoted' | 'fenced' | 'stillActive' | 'unknown'
  readonly generation: { readonly source: number; readonly target: number }
  /** An operation that was begun and has not ended. */
  readonly pending?: Intent
  readonly failover?: FailoverRecord
  readonly testing: boolean
  /** True only when link, members, lag, pause and test all say so: one stale field may not hide another. */
  readonly healthy: boolean
  readonly warnings: readonly string[]
}

const sourceish: readonly UnitRole[] = ['source', 'demoted']
const targetish: readonly UnitRole[] = ['target', 'promoted']

const sideOf = (unit: ReplicationUnit): Side => {
  if (sourceish.includes(unit.role)) return 'source'
  if (targetish.includes(unit.role)) return 'target'
  return unit.naturalRole
}

const stateByRoles = (source: UnitRole, target: UnitRole, local: ReplicationUnit): UnitState => {
  const row = pairRows.find((candidate) => candidate.source === source && candidate.target === target)
  if (row === undefined) return 'needsOperator'
  if (row.state !== 'by-transfer') return row.state
  const state = transferStates[local.transfer]
  return state === 'protected' && local.link === 'down' ? 'interrupted' : state
}

/** Periodic replication may be one period and a half behind before it counts as lagging; asynchronous with unsent bytes is not. */
const isLagging = (view: ReplicationUnit, nowMs: number): boolean =>
  view.mode === 'periodic' && view.periodSeconds !== undefined && view.lastConsistent.kind === 'time' && nowMs - view.lastConsistent.ms > view.periodSeconds * 1500

const hasCopy = (unit: ReplicationUnit): boolean => unit.lastConsistent.kind === 'time'

/** Puts the views together. `nowMs` must be the clock of the local array's site. */
export const combine = (local: ReplicationUnit, remote: ReplicationUnit | undefined, nowMs: number): UnitView => {
  const localSide = sideOf(local)
  const other: UnitRole = remote?.role ?? (local.peerView.reachable ? local.peerView.role ?? 'unknown' : 'unknown')
  const source = localSide === 'source' ? local.role : other
  const target = localSide === 'target' ? local.role : other
  const otherMarks = remote?.marks ?? local.peerView.marks ?? {}
  const localIntent = intentOf(local.marks)
  const otherIntent = intentOf(otherMarks)
  const pending = localIntent ?? otherIntent
  let state = local.splitBrain || remote?.splitBrain === true ? 'splitBrain' : stateByRoles(source, target, local)
  if (intentUnreadable(local.marks)) state = 'needsOperator'
  else if (pending?.op === 'reverse') state = 'reversing'
  else if (pending?.op === 'restore') state = 'restoring'
  else if (state === 'protected' && isLagging(local, nowMs)) state = 'lagging'
  const sourceMarks = localSide === 'source' ? local.marks : otherMarks
  const targetMarks = localSide === 'target' ? local.marks : otherMarks
  const failover = failoverOf(targetMarks)
  const testing = local.testCopies.length > 0 || (remote?.testCopies.length ?? 0) > 0
  const warnings = [
    ...(pending === undefined ? [] : [`${pending.op} ${pending.id} has not ended; it was at step ${pending.step}`]),
    ...(intentUnreadable(local.marks) ? ['The record of an unfinished operation on the array cannot be read'] : []),
    ...(local.link === 'down' ? ['The link between the arrays is down'] : []),
    ...(local.peerView.reachable || remote !== undefined ? [] : ['The peer does not answer; its role is not known']),
    ...local.members.filter((member) => member.sync === 'stale' && (state === 'protected' || state === 'lagging')).map((member) => `${member.name} is not in step`),
    ...(testing ? ['A test copy is active'] : []),
    ...(source === 'source' && target === 'promoted' ? ['The old source is not demoted: hosts may still write to it'] : []),
  ]
  const fenced = sourceMarks['sm.fenced'] !== undefined
  return {
    local,
    ...(remote === undefined ? {} : { remote }),
    localSide,
    state,
    says: stateSays[state],
    direction: (local.naturalRole === localSide) ? 'natural' : 'reversed',
    roles: { source, target },
    sourceDisposition: source === 'demoted' || source === 'target' ? 'demoted' : fenced ? 'fenced' : source === 'source' ? 'stillActive' : 'unknown',
    generation: { source: generationOf(sourceMarks), target: generationOf(targetMarks) },
    ...(pending === undefined ? {} : { pending }),
    ...(failover === undefined ? {} : { failover }),
    testing,
    healthy: state === 'protected' && local.link === 'up' && !testing && hasCopy(local) && local.members.every((member) => member.sync === 'synced'),
    warnings,
  }
}

const remoteUnit = async (site: ReplicationSite, key: string): Promise<{ readonly unit?: ReplicationUnit; readonly warning?: string }> => {
  if (site.remote === undefined) return {}
  try {
    const unit = (await replicationOf(site.remote).units(site.ctx)).find((candidate) => candidate.key === key)
    return unit === undefined ? { warning: 'The peer does not know this unit' } : { unit }
  } catch (error) {
    // A peer that cannot be asked is unknown, never absent: the local array's word on it is all there is.
    return { warning: `The peer could not be asked: ${toStorageError(error, layer).message}` }
  }
}

/** Reads the unit afresh from both arrays. */
export const readView = async (site: ReplicationSite, local: ReplicationUnit): Promise<UnitView> => {
  const other = await remoteUnit(site, local.key)
  const view = combine(local, other.unit, site.ctx.clock.now())
  return other.warning === undefined ? view : { ...view, warnings: [...view.warnings, other.warning] }
}

/** The array that has a side, when it is within reach. */
export const sideHandle = (site: ReplicationSite, view: UnitView, side: Side): SideHandle | undefined => {
  if (view.localSide === side) return { side, replication: replicationOf(site.local), unit: view.local }
  if (site.remote === undefined || view.remote === undefined) return undefined
  return { side, replication: replicationOf(site.remote), unit: view.remote }
}

/** All units of the local array; the peer is asked once for all of them. */
export const listViews = async (site: ReplicationSite): Promise<readonly UnitView[]> => {
  const units = await replicationOf(site.local).units(site.ctx)
  let others: ReadonlyMap<string, ReplicationUnit> = new Map()
  if (site.remote !== undefined) {
    try {
      others = new Map((await replicationOf(site.remote).units(site.ctx)).map((unit) => [unit.key, unit]))
    } catch (error) {
      site.ctx.log.warn({ kind: toStorageError(error, layer).kind }, 'the peer could not be asked')
    }
  }
  const nowMs = site.ctx.clock.now()
  return units.map((unit) => combine(unit, others.get(unit.key), nowMs))
}
