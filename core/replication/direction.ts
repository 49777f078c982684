/**
 * After a failover: keep the new side and replicate back from it (reverse), or give its writes up and go back (restore). Each overwrites
 * one side, so that side keeps a copy until the direction has been synchronised completely, and a plan says what is lost.
 */
import type { Side } from '../array/replication.ts'
import { forgetHostsSteps, presentAgainSteps } from './hosts.ts'
import { markKeys } from './marks.ts'
import { needPlan, planRestore, planReverse } from './plan.ts'
import { refuse, runOperation, type OperationResult, type Step, type Work } from './run.ts'
import type { ReplicationSite, SideHandle, UnitRef } from './site.ts'
import { replicationOf } from './site.ts'
import { dropStep, generationStep, keepStep, markStep, mustReach, pointName, roleStep, unpresentStep } from './steps.ts'
import type { UnitView } from './view.ts'

export interface DirectionWant {
  readonly plan?: string
  /** Who declares the other side out of use, when it cannot be seen. */
  readonly operator?: string
}

/** The arrays within reach. */
const handles = (site: ReplicationSite, view: UnitView): readonly SideHandle[] => [
  { side: view.localSide, replication: replicationOf(site.local), unit: view.local },
  ...(site.remote === undefined || view.remote === undefined ? [] : [{ side: view.localSide === 'source' ? 'target' : 'source' as Side, replication: replicationOf(site.remote), unit: view.remote }]),
]

/** Half-way through, roles have moved: the array with one of these roles is the one meant. */
const withRole = (site: ReplicationSite, view: UnitView, roles: readonly string[]): SideHandle | undefined =>
  handles(site, view).find(({ unit }) => roles.includes(unit.role))

const atSide = (side: Side, source: SideHandle | undefined, target: SideHandle | undefined): SideHandle | undefined => (side === 'source' ? source : target)

const opposite = (side: Side): Side => (side === 'source' ? 'target' : 'source')

const doneMarks = (site: ReplicationSite, at: SideHandle | undefined, generation: number, op: 'reverse' | 'restore'): readonly Step[] =>
  at === undefined ? [] : [
    generationStep(site, at, generation), markStep(site, at, markKeys.last, op), markStep(site, at, markKeys.failover, undefined),
    markStep(site, at, markKeys.fenced, undefined), markStep(site, at, markKeys.demotion, undefined),
  ]

/** In place already, and by this very operation: a repeat changes nothing (also when it was done by hand at the array). */
const alreadyReversed = (view: UnitView): boolean =>
  view.pending === undefined && view.roles.target !== 'promoted' && view.roles.source !== 'demoted' && (view.local.marks[markKeys.last] === 'reverse' || view.direction === 'reversed')

const reverseWork = (want: DirectionWant, part: 'whole' | 'prepare') => async ({ site, view, steps }: Work): Promise<void> => {
  // The failover's own: the copies of its time are named by it.
  const generation = Math.max(view.generation.source, view.generation.target)
  if (view.state !== 'reversing') {
    if (view.sourceDisposition !== 'demoted') {
      throw refuse('peerMaybeActive', `The old source of ${view.local.name} is not demoted (${view.sourceDisposition})`, 'Demote it first: smctl replication prepare-failover at its site', view)
    }
    if (view.generation.source > view.generation.target) throw refuse('staleGeneration', `The old source of ${view.local.name} has the newer generation ${view.generation.source}`, 'Look at both arrays before one of them is overwritten', view)
    needPlan(planReverse(view), want.plan)
  }
  const old = withRole(site, view, ['demoted', 'target'])
  const promoted = withRole(site, view, ['promoted', 'source'])
  const run = atSide(site.traits.sites.reverse, old, promoted)
  const prepare = atSide(opposite(site.traits.sites.reverse), old, promoted)
  const kept = old !== undefined && (await old.replication.points(site.ctx, old.unit.id)).some((point) => point.name === pointName('before-demotion', generation))
  const guard = old === undefined ? [] : [unpresentStep(site, old), ...(kept ? [] : [keepStep(site, old, 'before-overwrite', generation)])]
  const prepares: readonly Step[] = !site.traits.prepares.reverse || prepare?.replication.prepareReverse === undefined || prepare.unit.role === 'source' ? [] : [{
    name: 'prepare reverse', at: prepare, repair: true, done: () => true, act: async (replication, unit) => replication.prepareReverse?.(site.ctx, unit.id),
  }]
  if (part === 'prepare') {
    await steps([...(prepare === old ? guard : []), ...prepares])
    return
  }
  const at = mustReach(run, 'Reversing replication')
  await steps([
    ...guard, ...prepares,
    roleStep('reverse', at, at === old ? 'target' : 'source', async (replication, unit) => replication.reverse(site.ctx, unit.id)),
    ...doneMarks(site, old, generation, 'reverse'), ...(old === undefined ? [] : forgetHostsSteps(site, old)), ...doneMarks(site, promoted, generation, 'reverse'),
  ])
}

/**
 * The promoted side becomes the source, the old source is overwritten with what has changed since.
 *   1 unpresent the old source, 2 keep a copy of it (unless its demotion did)  - repeat: so already
 *   3 the other site's part, where the array has one                           - always again, idempotent
 *   4 reverse                                                                  - repeat: roles show it
 *   5 generation and marks on both arrays within reach                         - repeat: written
 */
export const reverse = async (site: ReplicationSite, ref: UnitRef, want: DirectionWant = {}): Promise<OperationResult> => reversing(site, ref, want, 'whole')

/** The part of a reverse at the other site than `sites.reverse` of the array. */
export const prepareReverse = async (site: ReplicationSite, ref: UnitRef, want: DirectionWant = {}): Promise<OperationResult> => reversing(site, ref, want, 'prepare')

const reversing = async (site: ReplicationSite, ref: UnitRef, want: DirectionWant, part: 'whole' | 'prepare'): Promise<OperationResult> =>
  runOperation(site, 'reverse', ref, reverseWork(want, part), alreadyReversed)

const undoPreparation = async ({ site, view, steps, warn }: Work): Promise<void> => {
  const source = mustReach(withRole(site, view, ['demoted', 'source']), 'Taking a prepared failover back')
  if (view.roles.target === 'promoted') return
  await steps([
    roleStep('undemote', source, 'source', async (replication, unit) => replication.undemote(site.ctx, unit.id)),
    dropStep(site, source, 'before-demotion', Math.max(view.generation.source, view.generation.target) + 1),
    markStep(site, source, markKeys.demotion, undefined), ...(await presentAgainSteps(site, source, warn)),
  ])
}

const restoreWork = (want: DirectionWant, part: 'whole' | 'prepare') => async (work: Work): Promise<void> => {
  const { site, view, generation, resuming, steps, warn } = work
  const promotedAtAll = view.roles.target === 'promoted' || view.failover !== undefined
  // A site that sees its own array only takes a preparation back by its own part: half done, the source has its role and the target never lost its.
  const undone = view.localSide === 'source' && site.remote === undefined && view.roles.target === 'target'
  if (view.state === 'prepared' || (resuming && !promotedAtAll && (view.roles.source === 'demoted' || undone))) return undoPreparation(work)
  const old = withRole(site, view, ['demoted', 'source'])
  const promoted = withRole(site, view, ['promoted', 'target'])
  if (view.state !== 'restoring') {
    needPlan(planRestore(view), want.plan)
    if (promoted === undefined && want.operator === undefined) {
      throw refuse('peerMaybeActive', `The promoted side of ${view.local.name} cannot be fenced from here and may still be written to`, 'Run it where both arrays are within reach, or say who declares that side out of use: --operator NAME', view)
    }
  }
  const run = atSide(site.traits.sites.restore, old, promoted)
  const prepare = atSide(opposite(site.traits.sites.restore), old, promoted)
  const guard = promoted === undefined ? [] : [
    ...(promoted.unit.role === 'promoted' ? [unpresentStep(site, promoted)] : []),
    ...(promoted.unit.role === 'promoted' ? [keepStep(site, promoted, 'before-overwrite', generation)] : []),
  ]
  if (promoted === undefined) warn('The other side was not seen: it must not be used until it has been synchronised from here')
  const prepares: readonly Step[] = !site.traits.prepares.restore || prepare?.replication.prepareRestore === undefined ? [] : [{
    name: 'prepare restore', at: prepare, repair: true, done: () => true, act: async (replication, unit) => replication.prepareRestore?.(site.ctx, unit.id),
  }]
  // On the operator's word alone, where the promoted side is out of sight: whoever gave it has stopped its hosts.
  const again = old === undefined ? [] : await presentAgainSteps(site, old, warn)
  if (part === 'prepare') return steps([...(prepare === promoted ? guard : []), ...prepares, ...(prepare === old ? again : [])])
  const at = mustReach(run, 'Restoring replication')
  await steps([
    ...guard, ...prepares,
    roleStep('restore', at, at === old ? 'source' : 'target', async (replication, unit) => replication.restore(site.ctx, unit.id)),
    ...again, ...doneMarks(site, old, generation, 'restore'), ...doneMarks(site, promoted, generation, 'restore'),
  ])
}

/**
 * Back to the old source. Prepared only: it becomes writable again, nothing is discarded. Failed over: the promoted side's writes are
 * discarded, after a copy of them was kept.
 *   1 unpresent the promoted side, 2 keep a copy of it  - repeat: so already
 *   3 the other site's part, where the array has one    - always again, idempotent
 *   4 restore                                           - repeat: roles show it
 *   5 present the old source to its hosts of before     - repeat: presented
 *   6 generation and marks                              - repeat: written
 */
export const restore = async (site: ReplicationSite, ref: UnitRef, want: DirectionWant = {}): Promise<OperationResult> =>
  runOperation(site, 'restore', ref, restoreWork(want, 'whole'))

/** The part of a restore at the other site than `sites.restore`; a prepared source becomes writable again by it alone. */
export const prepareRestore = async (site: ReplicationSite, ref: UnitRef, want: DirectionWant = {}): Promise<OperationResult> =>
  runOperation(site, 'restore', ref, restoreWork(want, 'prepare'))
