/**
 * Plans: before anything is discarded, it is said what: who loses, up to which point both sides are the same, what is lost, which copy is
 * kept. The token is bound to what was found; when that has changed, the plan must be made again (staleGeneration).
 */
import type { LastConsistent, Side } from '../array/replication.ts'
import { StorageError } from '../errors.ts'
import { digest } from './digest.ts'
import { markKeys } from './marks.ts'
import { pointName } from './steps.ts'
import { layer } from './site.ts'
import type { UnitView } from './view.ts'

export interface DiscardPlan {
  readonly operation: 'failover' | 'reverse' | 'restore'
  readonly unit: string
  readonly state: UnitView['state']
  /** The side whose writes are lost, and its role there. */
  readonly loser: Side
  readonly lastCommonPoint: LastConsistent
  /** A sentence each. */
  readonly lost: readonly string[]
  /** The copy that is kept of it. */
  readonly keeps: string
  readonly discards: boolean
  readonly token: string
}

const when = (point: LastConsistent): string => (point.kind === 'time' ? new Date(point.ms).toISOString() : point.kind === 'never' ? 'never' : 'an unknown time')

const generationFor = (view: UnitView): number => Math.max(view.generation.source, view.generation.target)

/** Only what decides is in the token: an asynchronous target's last point moves all the time and changes nothing about who loses. */
const tokenOf = (operation: DiscardPlan['operation'], view: UnitView): string =>
  digest(JSON.stringify([operation, view.local.key, view.direction, view.roles.target === 'promoted', generationFor(view), view.failover?.point ?? '']))

/**
 * The target has everything up to the source's demotion: by the source array's own clock, or by the mark of a sync that was started after
 * exactly that demotion and has ended (the way for a site that sees one array only).
 */
export const caughtUp = (view: UnitView): boolean => {
  if (view.roles.source !== 'demoted') return false
  const local = view.local.marks
  const other = view.remote?.marks ?? view.local.peerView.marks ?? {}
  const demotion = (view.localSide === 'source' ? local : other)[markKeys.demotion]
  if (demotion !== undefined && (local[markKeys.caughtUp] === demotion || other[markKeys.caughtUp] === demotion)) return true
  const source = view.localSide === 'source' ? view.local : view.remote
  if (source === undefined) return view.local.mode === 'synchronous' && view.local.link === 'up' && view.local.members.every((member) => member.sync === 'synced')
  if (source.mode === 'synchronous') return source.members.every((member) => member.sync === 'synced')
  return source.demotedMs !== undefined && source.lastConsistent.kind === 'time' && source.lastConsistent.ms >= source.demotedMs
}

export const planFailover = (view: UnitView): DiscardPlan => ({
  operation: 'failover', unit: view.local.name, state: view.state, loser: 'source', lastCommonPoint: view.local.lastConsistent,
  lost: caughtUp(view) ? [] : [`Writes to the source after ${when(view.local.lastConsistent)} are not on the target`],
  keeps: pointName('before-promotion', generationFor(view) + 1), discards: !caughtUp(view), token: tokenOf('failover', view),
})

export const planReverse = (view: UnitView): DiscardPlan => {
  const clean = view.failover?.kind === 'planned'
  return {
    operation: 'reverse', unit: view.local.name, state: view.state, loser: 'source',
    lastCommonPoint: view.failover === undefined ? { kind: 'unknown' } : { kind: 'time', ms: view.failover.time },
    lost: clean ? [] : ['Writes to the old source that had not reached the other side before the failover'],
    keeps: pointName('before-demotion', generationFor(view)), discards: !clean, token: tokenOf('reverse', view),
  }
}

export const planRestore = (view: UnitView): DiscardPlan => ({
  operation: 'restore', unit: view.local.name, state: view.state, loser: 'target',
  lastCommonPoint: view.failover === undefined ? { kind: 'unknown' } : { kind: 'time', ms: view.failover.time },
  lost: view.roles.target === 'promoted' ? ['All writes to the promoted side since the failover'] : [],
  keeps: pointName('before-overwrite', generationFor(view)), discards: view.roles.target === 'promoted', token: tokenOf('restore', view),
})

/** Lets a discarding operation go on only with the token of the plan as it is now. */
export const needPlan = (plan: DiscardPlan, token: string | undefined): void => {
  if (!plan.discards || token === plan.token) return
  if (token === undefined) {
    throw new StorageError('wouldLoseData', `${plan.operation} of ${plan.unit} discards data. ${plan.lost.join('. ')}; ${plan.keeps} keeps a copy of the side that is overwritten`, {
      field: 'plan', layer, remedy: `When that is wanted, repeat it with --plan ${plan.token}`, details: { plan: plan.token, loser: plan.loser, last_common_point: when(plan.lastCommonPoint) },
    })
  }
  throw new StorageError('staleGeneration', `The plan ${token.slice(0, 32)} for ${plan.operation} of ${plan.unit} does not fit the state any more`, {
    field: 'plan', layer, remedy: `Look at it again: smctl replication plan; now it would be ${plan.token}`,
  })
}
