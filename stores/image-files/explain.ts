/** Lets a driver say more of the failures of an opened store than the store can know: what became of the place below it. */
import type { Ctx } from '../../core/contract.ts'
import { toStorageError, type StorageError } from '../../core/errors.ts'
import type { ImageSr } from './open.ts'
import { layer } from './store.ts'

type Operation = (ctx: Ctx, ...args: readonly unknown[]) => Promise<unknown>

/** The same SR; `explain` answers the error to be thrown, its argument when it knows nothing better. */
export const explainFailures = (sr: ImageSr, explain: (ctx: Ctx, error: StorageError) => Promise<StorageError>): ImageSr => {
  const explained = (operation: Operation): Operation => async (ctx, ...args) => {
    try {
      return await operation(ctx, ...args)
    } catch (error) {
      throw await explain(ctx, toStorageError(error, layer))
    }
  }
  return Object.fromEntries(Object.entries(sr).map(([name, value]: [string, unknown]) =>
    [name, typeof value === 'function' && name !== 'close' ? explained(value as Operation) : value])) as unknown as ImageSr
}
