/**
 * Runs one operation on one unit. The order that makes it survive a kill at any point:
 *   1. one operation a unit on this host (a lock the kernel releases), and no other one unfinished on the arrays (else inProgress);
 *   2. for each step: read the unit afresh; done already: next step;
 *   3. write the intent (operation, id, generation, side, step) to the array the step runs on;
 *   4. call the array; 5. read back: only what the array shows counts as done, whatever the call answered;
 *   6. after the last step: take the intents away.
 * A death between any two of them leaves the intent: repeating the operation goes through the steps again, and each finds itself done
 * or does its work. A definite refusal before anything changed takes the intent away again.
 */
import type { ArrayReplication, ReplicationUnit } from '../array/replication.ts'
import { StorageError, toStorageError, type ErrorKind } from '../errors.ts'
import { digest } from './digest.ts'
import { markKeys, writeIntent, type Intent } from './marks.ts'
import { findUnit, layer, nameOf, replicationOf, type ReplicationSite, type SideHandle, type UnitRef } from './site.ts'
import { operationRules, remedies, supersedes, type ReplicationOperation } from './states.ts'
import { readView, type UnitView } from './view.ts'

export interface OperationResult {
  /** As read after the last step. */
  readonly view: UnitView
  /** False: it was so already. */
  readonly changed: boolean
  readonly warnings: readonly string[]
}

export interface Step {
  /** Short; written into the intent. */
  readonly name: string
  readonly at: SideHandle
  readonly done: (unit: ReplicationUnit, replication: ArrayReplication) => boolean | Promise<boolean>
  readonly act: (replication: ArrayReplication, unit: ReplicationUnit) => Promise<unknown>
  /** A repair that is no change of state (presenting again): runs each time, is not counted as a change. */
  readonly repair?: true
}

export interface Work {
  readonly site: ReplicationSite
  readonly view: UnitView
  readonly generation: number
  /** Of this operation, also over its repeats. */
  readonly id: string
  /** The same operation was begun before and not finished. */
  readonly resuming: boolean
  readonly warn: (sentence: string) => void
  readonly steps: (steps: readonly Step[]) => Promise<void>
}

export const refuse = (kind: ErrorKind, message: string, remedy: string, view?: UnitView): StorageError =>
  new StorageError(kind, message, { field: 'unit', layer, remedy, ...(view === undefined ? {} : { details: { unit: view.local.name, state: view.state } }) })

/** Keys of units are the array's words and no file names. */
const lockName = (key: string): string => `replication-${digest(key)}`

/** One operation a unit at a time on this host; released by the kernel when the process dies. */
export const lockUnit = async (site: ReplicationSite, key: string, purpose: string) =>
  site.ctx.host.exclusive(lockName(key), `${purpose} (call ${site.ctx.callId})`, 5000, site.ctx.signal)

const fresh = async (site: ReplicationSite, at: SideHandle): Promise<ReplicationUnit> => {
  const unit = await at.replication.unit(site.ctx, at.unit.id)
  if (unit === undefined) throw refuse('notFound', `The unit ${at.unit.name} is gone from the array`, 'Look at both arrays: smctl replication list')
  return unit
}

const notDone = (step: Step): StorageError =>
  new StorageError('arrayFault', `The array accepted ${step.name} and does not show it`, { layer, mayHaveChanged: true, remedy: 'Look at the unit on the array, then repeat the operation' })

/** Kinds after which only reading the state tells what happened. */
const unclear: readonly ErrorKind[] = ['outcomeUnknown', 'unreachable', 'cancelled']

const runStep = async (site: ReplicationSite, step: Step, intent: Omit<Intent, 'step' | 'side'>): Promise<boolean> => {
  const before = await fresh(site, step.at)
  const isDone = await step.done(before, step.at.replication)
  if (isDone && step.repair === undefined) return false
  await step.at.replication.setMark(site.ctx, before.id, markKeys.intent, writeIntent({ ...intent, side: step.at.side, step: step.name }))
  try {
    await step.act(step.at.replication, before)
  } catch (thrown) {
    const error = toStorageError(thrown, layer)
    if (!unclear.includes(error.kind) || site.ctx.signal.aborted) throw error
    if (!(await step.done(await fresh(site, step.at), step.at.replication))) throw error
    return !isDone
  }
  if (!(await step.done(await fresh(site, step.at), step.at.replication))) throw notDone(step)
  return !isDone
}

const clearIntents = async (site: ReplicationSite, touched: readonly SideHandle[]): Promise<void> => {
  for (const at of touched) {
    const unit = await at.replication.unit(site.ctx, at.unit.id)
    if (unit?.marks[markKeys.intent] !== undefined) await at.replication.setMark(site.ctx, unit.id, markKeys.intent, undefined)
  }
}

const checkPending = (op: ReplicationOperation, view: UnitView): void => {
  const { pending } = view
  if (pending === undefined || pending.op === op || supersedes[op].includes(pending.op)) return
  throw new StorageError('inProgress', `${pending.op} ${pending.id} of ${view.local.name} was begun on host ${pending.host} and has not ended (step ${pending.step})`, {
    field: 'unit', layer, remedy: remedies[pending.op === 'reverse' ? 'reversing' : pending.op === 'restore' ? 'restoring' : view.state], details: { operation: pending.id, unit: view.local.name },
  })
}

/**
 * One operation from start to end. `body` checks its own guards and runs its steps. Answers what was read back at the end.
 * Errors: the verdict of the state table; inProgress with the id of the operation that is under way; those of the steps.
 */
export const runOperation = async (site: ReplicationSite, op: ReplicationOperation, ref: UnitRef, body: (work: Work) => Promise<void>, already: (view: UnitView) => boolean = () => false): Promise<OperationResult> => {
  const first = await findUnit(site, ref)
  const lock = await lockUnit(site, first.key, `${op} of ${nameOf(ref)}`)
  try {
    const view = await readView(site, await findUnit(site, ref))
    checkPending(op, view)
    const verdict = already(view) ? 'done' : operationRules[op][view.state]
    if (verdict === 'done') return { view, changed: false, warnings: [`Nothing to do: ${view.says}`] }
    if (verdict !== 'run') throw refuse(verdict, `${op} of ${view.local.name} is not possible now. ${view.says}`, remedies[view.state], view)
    const warnings: string[] = []
    let changed = false
    const resuming = view.pending?.op === op
    const generation = resuming && view.pending !== undefined ? view.pending.generation : Math.max(view.generation.source, view.generation.target) + 1
    const intent = { op, id: (resuming ? view.pending?.id : undefined) ?? site.ctx.callId.slice(0, 40), generation, host: site.ctx.host.id.slice(0, 32) }
    const touched = new Map<ArrayReplication, SideHandle>()
    const run = async (steps: readonly Step[]): Promise<void> => {
      for (const [index, step] of steps.entries()) {
        site.ctx.signal.throwIfAborted()
        touched.set(step.at.replication, step.at)
        if (await runStep(site, step, intent)) {
          changed = true
          site.ctx.log.info({ unit: view.local.name, operation: op, step: step.name, side: step.at.side }, 'replication step done')
        }
        site.ctx.progress(index + 1, steps.length)
      }
    }
    try {
      await body({ site, view, generation, id: intent.id, resuming, warn: (sentence) => warnings.push(sentence), steps: run })
    } catch (thrown) {
      const error = toStorageError(thrown, layer)
      // Refused for certain, and nothing done yet: the next caller must not find an unfinished operation.
      if (!changed && !resuming && !unclear.includes(error.kind) && error.kind !== 'driverBug') await clearIntents(site, [...touched.values()]).catch(() => undefined)
      throw changed && error.facts.mayHaveChanged !== true ? new StorageError(error.kind, error.message, { ...error.facts, mayHaveChanged: true }) : error
    }
    await clearIntents(site, [...touched.values(), ...(resuming || view.pending !== undefined ? leftOver(site, view) : [])])
    return { view: await readView(site, await findUnit(site, { id: view.local.id })), changed, warnings }
  } finally {
    lock.release()
  }
}

/** Where an earlier run of it may have left its intent. */
const leftOver = (site: ReplicationSite, view: UnitView): readonly SideHandle[] => [
  { side: view.localSide, replication: replicationOf(site.local), unit: view.local },
  ...(site.remote === undefined || view.remote === undefined ? [] : [{ side: view.localSide === 'source' ? 'target' : 'source', replication: replicationOf(site.remote), unit: view.remote } as const]),
]
