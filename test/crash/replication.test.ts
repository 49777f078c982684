/**
 * The failure matrix of replication on the model array. The other driver runs the same (test/kit/replication/matrix.ts). Every ninth call
 * of every fate, each fate from another one on; REPLICATION_MATRIX=full takes them all (a quarter of an hour).
 */
import { afterAll, describe, expect, it } from 'vitest'
import { runMatrix, scenarios, type MatrixResult } from '../kit/replication/matrix.ts'
import { modelWorld } from '../kit/replication/model-world.ts'

const results: (MatrixResult & { readonly mode: string })[] = []
const cells = (['asynchronous', 'synchronous'] as const).flatMap((mode) => scenarios.flatMap((scenario) => scenario.sights.map((sight) => ({ name: scenario.name, mode, scenario, sight }))))

describe('every fate of every array call', () => {
  it.each(cells)('leaves one writable side and a way on: $name, $mode, seeing $sight', async ({ scenario, mode, sight }) => {
    const every = process.env['REPLICATION_MATRIX'] === 'full' ? 1 : mode === 'synchronous' ? 17 : 9
    const result = await runMatrix(modelWorld, mode, scenario, sight, every)
    results.push({ ...result, mode })
    expect(result.calls).toBeGreaterThan(2)
    expect(result.cells).toBeGreaterThanOrEqual(Math.floor((result.calls * 6) / every) - 6)
  })

  afterAll(() => {
    const total = results.reduce((sum, one) => sum + one.cells, 0)
    console.log(`failure matrix of the model array: ${total} cells, ${results.reduce((sum, one) => sum + one.needsOperator, 0)} of them end with an operator`)
  })
})
