/**
 * No array call may wait for ever: each is given up at its deadline or when the operation is cancelled. What it was doing is then
 * unknown (outcomeUnknown), so the state is read again before anything else is done.
 */
import type { OpenArray } from '../array/contract.ts'
import type { ArrayCtx } from '../array/types.ts'
import { StorageError } from '../errors.ts'
import { layer } from './site.ts'

const race = async <T>(work: Promise<T>, name: string, signal: AbortSignal, deadlineMs: number): Promise<T> =>
  new Promise<T>((resolve, reject) => {
    const give = (why: string): void => settle(() => reject(new StorageError('outcomeUnknown', `The array call ${name} ${why}`, {
      layer, mayHaveChanged: true, remedy: 'Look at the state again (smctl replication status), then repeat the operation: it goes on where it stopped',
    })))
    const onAbort = (): void => give('was given up: the operation was cancelled')
    const timer = setTimeout(() => give(`did not end within ${deadlineMs / 1000} s`), deadlineMs)
    const settle = (act: () => void): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      act()
    }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    work.then((value) => settle(() => resolve(value)), (error: unknown) => settle(() => reject(error as Error)))
  })

type Call = (ctx: ArrayCtx, ...rest: readonly unknown[]) => Promise<unknown>

/** Calls that answer at once, or with a job: of these a slow one is a dead array. Copies and searches may take their time, within the call they are for. */
const quick: ReadonlySet<string> = new Set(['info', 'status', 'list', 'volume', 'create', 'remove', 'job'])

const bound = <S extends object>(section: S, deadlineMs: number, only?: ReadonlySet<string>): S => Object.fromEntries(Object.entries(section).map(([name, call]: [string, unknown]) =>
  typeof call !== 'function' || only?.has(name) === false ? [name, call] : [name, async (ctx: ArrayCtx, ...rest: readonly unknown[]) => {
    ctx.signal.throwIfAborted()
    return race((call as Call)(ctx, ...rest), name, ctx.signal, deadlineMs)
  }])) as S

/** The same array, its replication calls and those that must be quick bounded. A deadline of its own for every call, in milliseconds. */
export const boundArray = (array: OpenArray, deadlineMs: number): OpenArray => ({
  ...bound(array, deadlineMs, quick),
  ...(array.replication === undefined ? {} : { replication: bound(array.replication, deadlineMs) }),
  ...(array.metadata === undefined ? {} : { metadata: bound(array.metadata, deadlineMs) }),
})
