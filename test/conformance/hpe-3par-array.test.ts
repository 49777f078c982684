/** The array part of the kit on the 3PAR-class driver and a simulated array. */
import { afterAll, beforeAll } from 'vitest'
import { features } from '../../drivers/array-replication/hpe-3par/capabilities.ts'
import { startPair, type Pair } from '../drivers/array-replication/hpe-3par/on-simulator.ts'
import { describeArrayConformance } from '../kit/array/vitest.ts'

const MiB = 2 ** 20

let pair: Pair
beforeAll(async () => {
  pair = await startPair()
})
afterAll(async () => pair.close())

describeArrayConformance({
  name: 'the 3PAR-class driver', features, sizes: [256 * MiB, 512 * MiB],
  open: async () => pair.reopen(), ctx: () => pair.ctx,
})
