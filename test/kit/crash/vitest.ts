/** The crash explorer under vitest: one test a scenario; how many schedules were judged is printed. */
import { afterAll, describe, expect, it } from 'vitest'
import type { ModelWorldOptions } from '../model/world.ts'
import { usualSize } from '../stage.ts'
import { explore, missingForScenario } from './explore.ts'
import { scenarios, type Scenario } from './scenarios.ts'

/** `CRASH_SCHEDULES=all` judges every schedule of every driver; `CRASH_SEED` draws others. */
const { CRASH_SCHEDULES: asked, CRASH_SEED: seedText } = process.env
const seed = Number(seedText ?? 1)

export interface CrashSettings {
  readonly more?: readonly Scenario[]
  /** For drivers with so many schedules that a usual run judges a part of them only, see ExploreOptions. */
  readonly share?: number
  /** Scenarios of a usual run; the others only when all schedules are asked for. All when absent. */
  readonly usual?: (scenario: Scenario) => boolean
}

export const describeCrashes = (world: ModelWorldOptions, { more = [], share: usualShare = 1, usual = () => true }: CrashSettings = {}): void => {
  const share = asked === 'all' ? 1 : usualShare
  describe(`crashes of ${world.name ?? world.driver.type}`, () => {
    let schedules = 0
    for (const scenario of [...scenarios(world.vdiSize ?? usualSize(world.driver)), ...more]) {
      const missing = missingForScenario(world, scenario) ?? (asked === 'all' || usual(scenario) ? undefined : 'CRASH_SCHEDULES=all')
      if (missing !== undefined) {
        it.skip(`${scenario.name} (${missing})`)
        continue
      }
      it(`${scenario.name} survives a crash at every step`, async () => {
        const found = await explore(world, scenario, { share, seed })
        schedules += found.schedules
        expect(found.problems).toEqual([])
        // The collector of a driver that shares nothing has nothing to do.
        if (scenario.invisible !== true) expect(found.steps.length).toBeGreaterThan(0)
        expect(found.schedules).toBeGreaterThan(found.steps.length)
      })
    }
    afterAll(() => console.log(`${world.name ?? world.driver.type}: ${schedules} crash schedules judged${share < 1 ? `, drawn by lot (CRASH_SEED=${seed}); CRASH_SCHEDULES=all judges every one` : ''}`))
  })
}
