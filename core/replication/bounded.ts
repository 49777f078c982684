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

/** The same array, its replication calls bounded. A deadline of its own for every call, in milliseconds. */
export const boundArray = (array: OpenArray, deadlineMs: number): OpenArray => {
  if (array.replication === undefined) return array
  const bounded = Object.fromEntries(Object.entries(array.replication as unknown as Readonly<Record<string, Call | undefined>>).flatMap(([name, call]) =>
    call === undefined ? [] : [[name, async (ctx: ArrayCtx, ...rest: readonly unknown[]) => {
      ctx.signal.throwIfAborted()
      return race(call(ctx, ...rest), name, ctx.signal, deadlineMs)
    }]]))
  return { ...array, replication: bounded as unknown as NonNullable<OpenArray['replication']> }
}
