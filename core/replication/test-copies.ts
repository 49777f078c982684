/** Test copies: a writable copy of a complete point for given initiators, beside replication and never in its way. */
import type { StartTest, TestCopy } from '../array/replication.ts'
import { refuse, runOperation, type OperationResult } from './run.ts'
import type { ReplicationSite, UnitRef } from './site.ts'
import { mustReach } from './steps.ts'
import { sideHandle, type UnitView } from './view.ts'

export interface TestResult extends OperationResult {
  readonly copy: TestCopy
}

/** What keeps a failover (or a test of one) from succeeding, without changing anything. Empty: it can be done. */
export const checkTarget = (view: UnitView): readonly string[] => {
  const target = view.localSide === 'target' ? view.local : view.remote
  if (target === undefined) return ['The target array is not within reach']
  return [
    ...(target.role === 'promoted' ? ['The unit is failed over already'] : []),
    ...(target.lastConsistent.kind === 'time' ? [] : [`The target has no complete copy (last consistent: ${target.lastConsistent.kind})`]),
    ...(view.state === 'splitBrain' || view.state === 'needsOperator' || view.state === 'reversing' || view.state === 'restoring' ? [view.says] : []),
  ]
}

/**
 * 1 remove what an interrupted start left, 2 make and present the copy - repeat after a crash: what that one made is replaced, complete or
 * not, as nobody was ever told of it. A test that is active is an error (busy): the old copy stays.
 */
export const startTest = async (site: ReplicationSite, ref: UnitRef, want: Omit<StartTest, 'id'>): Promise<TestResult> => {
  const result = await runOperation(site, 'startTest', ref, async ({ view, resuming, steps }) => {
    const target = mustReach(sideHandle(site, view, 'target'), 'A test')
    const left = (copy: TestCopy): boolean => resuming || !copy.complete
    const active = target.unit.testCopies.find((copy) => !left(copy))
    if (active !== undefined) throw refuse('busy', `A test of ${view.local.name} is active (${active.id})`, 'Stop it first: smctl replication stop-test', view)
    if (target.unit.lastConsistent.kind !== 'time') throw refuse('wouldLoseData', `The target of ${view.local.name} has no complete copy to test with`, 'Wait for the first sync: smctl replication status', view)
    const id = `test-${site.ctx.callId.slice(0, 36)}`
    await steps([
      { name: 'remove leftover', at: target, done: (unit) => !unit.testCopies.some(left), act: async (replication, unit) => {
        for (const copy of unit.testCopies) if (left(copy)) await replication.stopTest(site.ctx, unit.id, copy.id)
      } },
      { name: 'start test', at: target, done: (unit) => unit.testCopies.some((copy) => copy.id === id && copy.complete), act: async (replication, unit) => replication.startTest(site.ctx, unit.id, { ...want, id }) },
    ])
  })
  const target = mustReach(sideHandle(site, result.view, 'target'), 'A test')
  const copy = target.unit.testCopies.find((candidate) => candidate.complete)
  if (copy === undefined) throw refuse('arrayFault', `The test copy of ${result.view.local.name} vanished`, 'Look at the array, then start it again', result.view)
  return { ...result, copy }
}

/** Takes every copy of a test away; none is done. */
export const stopTest = async (site: ReplicationSite, ref: UnitRef): Promise<OperationResult> =>
  runOperation(site, 'stopTest', ref, async ({ view, steps }) => {
    // After a failover or a reversal the copies are still where they were made: on whichever array shows them.
    const holders = (['target', 'source'] as const).flatMap((side) => sideHandle(site, view, side) ?? []).filter(({ unit }) => unit.testCopies.length > 0)
    await steps(holders.map((at) => ({ name: 'stop test', at, done: (unit) => unit.testCopies.length === 0, act: async (replication, unit) => {
      for (const copy of unit.testCopies) await replication.stopTest(site.ctx, unit.id, copy.id)
    } })))
  })
