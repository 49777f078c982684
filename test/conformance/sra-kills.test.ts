/** Commands that change something, killed behind array calls and repeated, on the model array: each fourth call, all of them with SRA_KILLS=full. */
import { describe, expect, it } from 'vitest'
import { killScenarios, runKills } from '../kit/sra/kills.ts'
import { modelPlay } from '../kit/sra/model.ts'

const every = process.env['SRA_KILLS'] === 'full' ? 1 : 4

describe('killed behind an array call and repeated', { timeout: 120_000 }, () => {
  it.each(killScenarios)('$name comes to its end', async (scenario) => {
    expect(await runKills(modelPlay, () => 'mail', scenario, every)).toBeGreaterThan(2)
  })
})
