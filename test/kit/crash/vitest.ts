/** The crash explorer under vitest: one test a scenario; how many schedules were judged is printed. */
import { afterAll, describe, expect, it } from 'vitest'
import type { ModelWorldOptions } from '../model/world.ts'
import { usualSize } from '../stage.ts'
import { explore, missingForScenario } from './explore.ts'
import { scenarios, type Scenario } from './scenarios.ts'

export const describeCrashes = (world: ModelWorldOptions, more: readonly Scenario[] = []): void => {
  describe(`crashes of ${world.name ?? world.driver.type}`, () => {
    let schedules = 0
    for (const scenario of [...scenarios(world.vdiSize ?? usualSize(world.driver)), ...more]) {
      const missing = missingForScenario(world, scenario)
      if (missing !== undefined) {
        it.skip(`${scenario.name} (${missing})`)
        continue
      }
      it(`${scenario.name} survives a crash at every step`, async () => {
        const found = await explore(world, scenario)
        schedules += found.schedules
        expect(found.problems).toEqual([])
        // The collector of a driver that shares nothing has nothing to do.
        if (scenario.invisible !== true) expect(found.steps.length).toBeGreaterThan(0)
        expect(found.schedules).toBeGreaterThan(found.steps.length)
      })
    }
    afterAll(() => console.log(`${world.name ?? world.driver.type}: ${schedules} crash schedules judged`))
  })
}
