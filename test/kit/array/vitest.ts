/** The array cases under vitest. `open` is called for each case, as a fresh process would; `features` are those the driver declares. */
import { describe, expect, it } from 'vitest'
import type { OpenArray } from '../../../core/array/contract.ts'
import type { ArrayCtx, Capabilities } from '../../../core/array/types.ts'
import { arrayCases, lacking } from './cases.ts'

export interface ArrayHarness {
  readonly name: string
  readonly features: Capabilities
  readonly sizes: readonly [number, number]
  readonly open: () => Promise<OpenArray>
  readonly ctx: () => ArrayCtx
}

export const describeArrayConformance = (harness: ArrayHarness): void => {
  describe(`array conformance of ${harness.name}`, () => {
    for (const one of arrayCases) {
      const lack = lacking(one, harness.features)
      if (lack !== undefined) {
        it.skip(`${one.name} (${lack})`)
        continue
      }
      it(one.name, async (test) => {
        const array = await harness.open()
        const ctx = harness.ctx()
        const capabilities = await array.capabilities(ctx)
        // A licence may be missing here and now; that is no failure of the driver, and is told.
        if (lacking(one, capabilities) !== undefined) return test.skip(lacking(one, capabilities))
        await one.run({ array, ctx, capabilities, sizes: harness.sizes, reopen: harness.open })
        await array.close()
        expect(capabilities).toBeDefined()
      })
    }
  })
}
