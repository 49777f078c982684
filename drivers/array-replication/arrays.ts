/** Array type -> loader of its driver; a new array driver is one line here. */
import type { ArrayDriver } from '../../core/array/contract.ts'

export const builtinArrays: Readonly<Record<string, () => Promise<ArrayDriver>>> = {
  'hpe-3par': async () => (await import('./hpe-3par/hpe-3par.array.ts')).default,
  model: async () => (await import('./model/driver.ts')).modelArray,
}
