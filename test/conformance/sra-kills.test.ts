/** Every command that changes something, killed behind each array call and repeated, on the model array. */
import { describe, expect, it } from 'vitest'
import { killScenarios, runKills } from '../kit/sra/kills.ts'
import { modelPlay } from '../kit/sra/model.ts'

describe('killed at any array call and repeated', { timeout: 120_000 }, () => {
  it.each(killScenarios)('$name comes to its end', async (scenario) => {
    expect(await runKills(modelPlay, () => 'mail', scenario)).toBeGreaterThan(3)
  })
})
