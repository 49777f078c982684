/** The array part of the kit on the model array. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { modelArray } from '../../drivers/array-replication/model/driver.ts'
import { createModelPair } from '../../drivers/array-replication/model/world.ts'
import { describeArrayConformance } from '../kit/array/vitest.ts'
import { createMachine, ctxOn } from '../kit/replication/world.ts'

const root = mkdtempSync(join(tmpdir(), 'kit-'))
const pair = createModelPair(root)
afterAll(() => rmSync(root, { recursive: true, force: true }))
const machine = createMachine('kit')

describeArrayConformance({
  name: 'the model array', features: modelArray.features, sizes: [8192, 16384],
  open: async () => modelArray.connect(ctxOn(machine), { directory: pair.a }), ctx: () => ctxOn(machine),
})
