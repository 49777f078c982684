/** Leaving the source: prepare it, take the preparation back, and promote the target, planned or in a disaster. */
import type { Initiator } from '../array/types.ts'
import { toStorageError } from '../errors.ts'
import { rememberHostsStep } from './hosts.ts'
import { markKeys, writeFailover } from './marks.ts'
import { caughtUp, needPlan, planFailover } from './plan.ts'
import { refuse, runOperation, type OperationResult, type Work } from './run.ts'
import { layer, type ReplicationSite, type UnitRef } from './site.ts'
import { dropGuardsStep, dropStep, generationStep, keepStep, markStep, mustReach, pointName, presentStep, roleStep, unpresentStep } from './steps.ts'
import { sideHandle, type UnitView } from './view.ts'

/**
 * Demotes the source: after it no host can write there, and replication goes on. Also late, after a failover without it.
 *   1 drop copies of earlier attempts     - repeat; skipped when it is known that this demotion was begun
 *   2 keep a copy of the source          - repeat: it is there
 *   3 remember its hosts, 4 unpresent    - repeat: remembered; nothing is presented
 *   5 name this demotion                 - repeat: named; what has caught up with it is told by the name
 *   6 demote                             - repeat: it is demoted
 */
export const prepareFailover = async (site: ReplicationSite, ref: UnitRef): Promise<OperationResult> =>
  runOperation(site, 'prepareFailover', ref, async ({ view, id, resuming, steps, warn }) => {
    const late = view.state === 'failedOver'
    const source = mustReach(sideHandle(site, view, 'source'), 'Preparing a failover (demoting the source)')
    // Late, the newer generation belongs to the failover that has happened.
    const generation = late ? view.generation.target : Math.max(view.generation.source, view.generation.target) + 1
    if (late) warn('The unit was failed over already; the old source is demoted now')
    const demoted = source.unit.role === 'demoted'
    const begun = resuming && view.pending?.step !== 'drop old copies'
    await steps([
      // In step: whatever they were kept for has been synchronised since.
      ...(begun || demoted || late || source.unit.lastConsistent.kind !== 'time' ? [] : [dropGuardsStep(site, source)]),
      ...(demoted ? [] : [keepStep(site, source, 'before-demotion', generation)]),
      ...(demoted ? [] : [rememberHostsStep(site, source)]),
      unpresentStep(site, source),
      ...(demoted ? [] : [markStep(site, source, markKeys.demotion, id)]),
      roleStep('demote', source, 'demoted', async (replication, unit) => replication.demote(site.ctx, unit.id)),
    ])
    if (demoted && !late) warn('The source was demoted already')
  })

export interface FailoverWant {
  /** planned: the source is demoted and the target has caught up with it. unplanned: it need not be. */
  readonly kind: 'planned' | 'unplanned'
  /** Who declares the other side dead, when it can neither be seen nor fenced. Recorded on the array. */
  readonly operator?: string
  /** Of `planFailover`; needed when writes of the source are not on the target. */
  readonly plan?: string
  /** The array's own force, for when it refuses (forceRequired). Never chosen by code. */
  readonly force?: boolean
  readonly recoveryPoint?: string
  /** Whom to present the promoted volumes to, by member key ('' for all). Absent and `dynamicAccess`: nobody yet. */
  readonly initiators?: Readonly<Record<string, readonly Initiator[]>>
}

const checkSource = (site: ReplicationSite, view: UnitView, want: FailoverWant): void => {
  if (want.kind === 'planned') {
    if (view.roles.source !== 'demoted') {
      throw refuse('peerMaybeActive', `The source of ${view.local.name} is not demoted (${view.sourceDisposition}), so a planned failover could lose writes`, 'Demote it first: smctl replication prepare-failover at its site', view)
    }
    if (!caughtUp(view)) throw refuse('wouldLoseData', `The target of ${view.local.name} has not caught up with the demoted source`, 'Bring it up to date: smctl replication sync, and wait until it is complete', view)
    return
  }
  if (view.sourceDisposition === 'demoted') return
  // Within reach, alive by this array's word, and not readable at this moment: one failed read must not turn into a failover without a fence.
  if (site.remote !== undefined && view.remote === undefined && view.local.peerView.reachable) {
    throw refuse('peerMaybeActive', `The source array of ${view.local.name} could not be asked and is alive, so it was not fenced`, 'Try again; or leave the peer out and say who declares it dead: --operator NAME', view)
  }
  if (view.remote !== undefined || want.operator !== undefined) return
  throw refuse('peerMaybeActive', `The source of ${view.local.name} cannot be fenced from here and may still be written to; no answer is no proof that it is dead`,
    'Demote it at its site, or say who declares it dead: --operator NAME', view)
}

/** Takes the way to the source away from all hosts; recorded there, so that nobody takes it for active later. */
const fence = async ({ site, view, steps }: Work): Promise<void> => {
  const source = sideHandle(site, view, 'source')
  if (source === undefined || view.roles.source === 'demoted') return
  try {
    await steps([unpresentStep(site, source), markStep(site, source, markKeys.fenced, 'yes')])
  } catch (thrown) {
    const error = toStorageError(thrown, layer)
    throw refuse('peerMaybeActive', `The source of ${view.local.name} answers and could not be fenced: ${error.message}`, 'Repair the access to its array, or work with the target\'s array alone and --operator NAME', view)
  }
}

/**
 * Makes the target the writable side. Calls nothing at a dead source.
 *   1 fence the source when it is within reach and not demoted - repeat: nothing is presented
 *   2 keep a copy of the target                                 - repeat: it is there
 *   3 record generation and recovery point at the target        - repeat: written
 *   4 promote                                                   - repeat: it is promoted
 *   5 present                                                   - always again: repairs access
 * A repeat answers the first result.
 */
export const failover = async (site: ReplicationSite, ref: UnitRef, want: FailoverWant): Promise<OperationResult> =>
  runOperation(site, 'failover', ref, async (work) => {
    const { view, generation, resuming, steps, warn } = work
    const target = mustReach(sideHandle(site, view, 'target'), 'A failover (promoting the target)')
    const access = want.initiators === undefined && site.traits.dynamicAccess ? [] : [presentStep(site, target, want.initiators ?? {})]
    if (target.unit.role !== 'promoted') {
      if (target.unit.lastConsistent.kind !== 'time') {
        throw refuse('wouldLoseData', `The target of ${view.local.name} has no complete copy (last consistent: ${target.unit.lastConsistent.kind})`, 'There is nothing to fail over to; repair the source, or wait for the first sync', view)
      }
      checkSource(site, view, want)
      if (want.kind === 'unplanned' && !resuming) needPlan(planFailover(view), want.plan)
      if (view.testing) warn('A test copy is active; it stays until the test is stopped')
      await fence(work)
      const begun = resuming && !['unpresent', 'mark fenced', 'drop before-promotion'].includes(view.pending?.step ?? '')
      await steps([...(begun ? [] : [dropStep(site, target, 'before-promotion', generation)]), keepStep(site, target, 'before-promotion', generation)])
      const points = await target.replication.points(site.ctx, target.unit.id)
      const kept = points.find((point) => point.name === pointName('before-promotion', generation))
      const used = want.recoveryPoint === undefined ? kept : points.find((point) => point.id === want.recoveryPoint)
      if (used === undefined) throw refuse('notFound', `There is no recovery point ${JSON.stringify(want.recoveryPoint?.slice(0, 64))} of ${view.local.name}`, 'See which there are: smctl replication points', view)
      await steps([
        markStep(site, target, markKeys.failover, writeFailover({
          generation, kind: want.kind, point: used.id, time: used.timeMs, ...(want.operator === undefined ? {} : { operator: want.operator.slice(0, 40) }),
        })),
        generationStep(site, target, generation),
        markStep(site, target, markKeys.last, 'failover'),
        roleStep('promote', target, 'promoted', async (replication, unit) => replication.promote(site.ctx, unit.id, {
          force: want.force === true, ...(want.recoveryPoint === undefined ? {} : { recoveryPoint: want.recoveryPoint }),
        })),
      ])
    } else {
      warn('The unit was failed over already')
    }
    await steps(access)
  })
