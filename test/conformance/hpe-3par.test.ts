/** The replication engine on the 3PAR-class driver: every scenario of the kit once, with nothing going wrong. The failure matrix is in test/crash. */
import { describe, it } from 'vitest'
import { scenarios } from '../kit/replication/scenarios.ts'
import { hpe3parWorld } from '../kit/replication/hpe-3par-world.ts'
import { createMachine, ctxOn, siteOf } from '../kit/replication/world.ts'

/** Synchronous differs in what must not be lost. */
const moving = ['planned failover of a prepared unit', 'unplanned failover, the source site is dead', 'reverse after a planned failover', 'restore after a failover']

describe.each(['periodic', 'synchronous'] as const)('%s', (mode) => {
  const chosen = scenarios.filter(({ name }) => mode === 'periodic' || moving.includes(name))
  it.each(chosen.flatMap((scenario) => scenario.sights.map((sight) => ({ name: scenario.name, scenario, sight }))))('$name, seeing $sight', async ({ scenario, sight }) => {
    const world = await hpe3parWorld({ mode })
    try {
      const machines = { a: createMachine('host-a'), b: createMachine('host-b') }
      const actors = { world, sight, at: async (site: 'a' | 'b') => siteOf(world, site, sight, ctxOn(machines[site])) }
      await scenario.prepare(actors)
      let acked = 0
      if (scenario.sourceSiteDead !== true && (await world.writable('a')) && (await world.write('a', 1))) acked = 1
      await scenario.run(actors)
      await scenario.reached(actors, { a: mode === 'synchronous' ? acked : 0, b: 0 })
    } finally {
      await world.destroy()
    }
  })
})
