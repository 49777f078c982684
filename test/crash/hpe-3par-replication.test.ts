/**
 * The failure matrix of replication on the 3PAR-class driver and two simulated arrays: the same as on the model array. Each array call is several
 * requests over TLS, so each fate meets a few of the calls of each scenario, another one a fate; HPE3PAR_MATRIX=1 takes all of them (an hour).
 */
import { describe, expect, it } from 'vitest'
import { runMatrix, scenarios } from '../kit/replication/matrix.ts'
import { hpe3parWorld } from '../kit/replication/hpe-3par-world.ts'

const every = process.env['HPE3PAR_MATRIX'] === '1' ? 1 : 97
const changing = ['planned failover of a prepared unit', 'reverse after a planned failover', 'restore after a failover']

describe('every fate of an array call', () => {
  it.each(scenarios.filter(({ name }) => every === 1 || changing.includes(name)))('leaves one writable side and a way on: $name', async (scenario) => {
    const result = await runMatrix(hpe3parWorld, 'periodic', scenario, 'both', every)
    console.log(`failure matrix of the 3PAR-class driver: ${JSON.stringify(result)}`)
    expect(result.cells).toBeGreaterThanOrEqual(6)
  })
})
