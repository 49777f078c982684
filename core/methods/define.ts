/** The shape of one row in the table of calls. */
import type * as z from 'zod'
import type { Feature } from '../contract.ts'
import type { ErrorKind } from '../errors.ts'
import { lazily } from '../lazily.ts'

/** Which locks the engine takes for a call, and which parameters name the VDIs. Documented in docs/reference.md. */
export interface LockScope {
  readonly sr: 'none' | 'shared' | 'exclusive'
  readonly vdis?: readonly string[]
  /** Connecting and disconnecting: the operation itself knows when the storage's own lock (`guard`) can be held. */
  readonly guard?: 'by-operation'
}

export interface MethodShape {
  /** One sentence. */
  readonly doc: string
  readonly params: z.ZodObject
  readonly result: z.ZodType
  /** Kinds this call adds to the ones that any call may answer (see `commonErrors`). */
  readonly errors: readonly ErrorKind[]
  readonly effect: 'read' | 'write'
  /** What a second identical call does: answers the same and changes nothing, or fails. */
  readonly repeat: 'no-op' | 'fails'
  readonly lock: LockScope
  readonly feature?: Feature
  /** May take long: reports progress, is worth a `Task.start`. */
  readonly long?: true
  readonly deadlineMs: number
  /** How smctl spells it: `smctl <noun> <verb> <positionals...>`, the other parameters become options. */
  readonly cli: {
    readonly noun: string
    readonly verb: string
    readonly positionals: readonly string[]
    readonly examples: readonly string[]
  }
  /** The verb of the SM API and its arguments in order. Absent: the executables do not have it. */
  readonly xe?: { readonly verb: string; readonly args: readonly string[] }
}

/** Kinds that any call may answer. */
export const commonErrors = [
  'invalidArgument', 'srNotAttached', 'placeMissing', 'identityMismatch', 'permissionDenied', 'readOnly', 'ioError',
  'unreachable', 'toolMissing', 'toolFailed', 'inProgress', 'cancelled', 'outcomeUnknown', 'driverBug',
] as const satisfies readonly ErrorKind[]

type Row<P, R> = Omit<MethodShape, 'params' | 'result'> & { readonly params: () => P; readonly result: () => R }

/**
 * Keeps the exact zod types of params and result, and makes the schemas when they are first read: a short process makes one
 * call, and all schemas together take longer to make than the call.
 */
export const method = <P extends z.ZodObject, R extends z.ZodType>({ params, result, ...row }: Row<P, R>): MethodShape & { readonly params: P; readonly result: R } => {
  const paramsOnce = lazily(params)
  const resultOnce = lazily(result)
  return {
    ...row,
    get params() {
      return paramsOnce()
    },
    get result() {
      return resultOnce()
    },
  }
}

export const seconds = 1000
export const minutes = 60 * seconds
