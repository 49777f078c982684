/** Many units at once: as many as possible succeed, and every one that was asked for is answered. */
import type { ItemResult } from '../array/types.ts'
import { reportError, toStorageError } from '../errors.ts'
import { layer, nameOf, type UnitRef } from './site.ts'

const atOnce = 8

/** Results in the order of the request. One bad unit never stops the others. */
export const eachUnit = async <R extends UnitRef, T extends { readonly warnings: readonly string[] }>(refs: readonly R[], work: (ref: R) => Promise<T>): Promise<readonly ItemResult<T>[]> => {
  const results: ItemResult<T>[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < refs.length; index = next++) {
      const ref = refs[index]
      if (ref === undefined) continue
      try {
        const value = await work(ref)
        results[index] = { item: nameOf(ref), value, warnings: value.warnings }
      } catch (error) {
        results[index] = { item: nameOf(ref), warnings: [], error: reportError(toStorageError(error, layer)) }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, refs.length) }, worker))
  return results
}
