/** Array type -> loader of its driver; a new array driver is one line here. */
import type { ArrayDriver } from '../../core/array/contract.ts'

export const builtinArrays: Readonly<Record<string, () => Promise<ArrayDriver>>> = {
  model: async () => (await import('./model/driver.ts')).modelArray,
}
