/**
 * Preconditions as tables. A cell says what a call does in that state: `run` it, be `done` already, or refuse with that
 * error kind. The reference page prints these tables; the engine reads them; no driver checks any of it again.
 *
 * Law: SM API, "SR-Level API Operations" and "VDI-Level API Operations" (preconditions and idempotency per call).
 */
import type { VdiKind } from './contract.ts'
import type { ErrorKind } from './errors.ts'
import type { MethodName } from './methods/index.ts'

export type Verdict = 'run' | 'done' | ErrorKind

/** unknown: this host has no record of the SR; detached, attached: it has. */
export type SrState = 'unknown' | 'detached' | 'attached'

type SrRow = Readonly<Record<SrState, Verdict>>

const needsAttached: SrRow = { unknown: 'srNotAttached', detached: 'srNotAttached', attached: 'run' }

const srExceptions = {
  'SR.create': { unknown: 'run', detached: 'alreadyExists', attached: 'alreadyExists' },
  'SR.introduce': { unknown: 'run', detached: 'run', attached: 'run' },
  'SR.reidentify': { unknown: 'run', detached: 'run', attached: 'busy' },
  'SR.forget': { unknown: 'done', detached: 'run', attached: 'busy' },
  'SR.attach': { unknown: 'run', detached: 'run', attached: 'run' },
  'SR.detach': { unknown: 'done', detached: 'done', attached: 'run' },
  'SR.delete': { unknown: 'run', detached: 'run', attached: 'run' },
  'SR.content_type': { unknown: 'srNotAttached', detached: 'run', attached: 'run' },
} as const satisfies Partial<Record<MethodName, SrRow>>

export const srRule = (method: MethodName): SrRow =>
  Object.hasOwn(srExceptions, method) ? srExceptions[method as keyof typeof srExceptions] : needsAttached

/** What may be true of a VDI at once; the first one that refuses decides, in this order. */
export type VdiCondition = 'absent' | 'damaged' | 'base' | 'snapshot' | 'attached' | 'locked'

type VdiRow = Readonly<Record<VdiCondition, Verdict>>

export const vdiConditions: readonly VdiCondition[] = ['absent', 'damaged', 'base', 'snapshot', 'attached', 'locked']

export const vdiRules = {
  //                  no such VDI           image unusable           shared data of others  immutable            attached here           persistent lock
  'VDI.delete':    { absent: 'done',      damaged: 'run',          base: 'hasDependents', snapshot: 'run',      attached: 'busy',        locked: 'busy' },
  'VDI.attach':    { absent: 'notFound',  damaged: 'imageCorrupt', base: 'run',           snapshot: 'run',      attached: 'run',         locked: 'run' },
  'VDI.detach':    { absent: 'run',       damaged: 'run',          base: 'run',           snapshot: 'run',      attached: 'run',         locked: 'run' },
  'VDI.snapshot':  { absent: 'notFound',  damaged: 'imageCorrupt', base: 'readOnly',      snapshot: 'run',      attached: 'offlineOnly', locked: 'busy' },
  'VDI.clone':     { absent: 'notFound',  damaged: 'imageCorrupt', base: 'readOnly',      snapshot: 'run',      attached: 'offlineOnly', locked: 'busy' },
  'VDI.resize':    { absent: 'notFound',  damaged: 'imageCorrupt', base: 'readOnly',      snapshot: 'readOnly', attached: 'offlineOnly', locked: 'busy' },
  'VDI.revert':    { absent: 'notFound',  damaged: 'run',          base: 'readOnly',      snapshot: 'readOnly', attached: 'offlineOnly', locked: 'busy' },
  'VDI.lock':      { absent: 'notFound',  damaged: 'run',          base: 'run',           snapshot: 'run',      attached: 'run',         locked: 'run' },
  'VDI.unlock':    { absent: 'notFound',  damaged: 'run',          base: 'run',           snapshot: 'run',      attached: 'run',         locked: 'run' },
  'VDI.set_names': { absent: 'notFound',  damaged: 'run',          base: 'run',           snapshot: 'run',      attached: 'run',         locked: 'run' },
} as const satisfies Partial<Record<MethodName, VdiRow>>

export type GuardedMethod = keyof typeof vdiRules

export interface VdiFacts {
  readonly exists: boolean
  readonly damaged: boolean
  readonly kind: VdiKind
  readonly attached: boolean
  readonly locked: boolean
}

/** The first condition that keeps the call from running, with its verdict; undefined when it may run. */
export const vdiVerdict = (
  method: GuardedMethod,
  facts: VdiFacts,
): { readonly condition: VdiCondition; readonly verdict: 'done' | ErrorKind } | undefined => {
  const holds: Readonly<Record<VdiCondition, boolean>> = {
    absent: !facts.exists,
    damaged: facts.exists && facts.damaged,
    base: facts.exists && facts.kind === 'base',
    snapshot: facts.exists && facts.kind === 'snapshot',
    attached: facts.attached,
    locked: facts.locked,
  }
  const row: VdiRow = vdiRules[method]
  // A copy of something immutable never touches the original: whoever reads it may go on.
  const copying = facts.kind === 'snapshot' && (method === 'VDI.snapshot' || method === 'VDI.clone')
  for (const condition of vdiConditions) {
    if (copying && (condition === 'attached' || condition === 'locked')) continue
    const verdict = row[condition]
    if (holds[condition] && verdict !== 'run') return { condition, verdict }
  }
  return undefined
}
