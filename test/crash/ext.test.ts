/** The calls in which the ext driver itself writes to devices and mounts, stopped at every step; the rest is the image store's. */
import { describe, expect, it } from 'vitest'
import { extWorld } from '../kit/ext-harness.ts'
import { explore } from '../kit/crash/explore.ts'
import { scenarios } from '../kit/crash/scenarios.ts'
import { usualSize } from '../kit/stage.ts'

const ofTheDriver = scenarios(usualSize(extWorld.driver)).filter(({ call: [method] }) => method.startsWith('SR.') && method !== 'SR.collect')

describe('crashes of ext, on model devices', () => {
  it.each(ofTheDriver.map((scenario) => [scenario.name, scenario] as const))('%s survives a crash at every step', async (_, scenario) => {
    const found = await explore(extWorld, scenario)
    expect(found.problems).toEqual([])
    expect(found.schedules).toBeGreaterThan(found.steps.length)
    console.log(`ext: ${scenario.name}: ${found.schedules} crash schedules judged`)
  })
})
