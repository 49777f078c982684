import { afterAll } from 'vitest'
import { listenAsNfs } from '../kit/fakes/nfs.ts'
import { modelNfsHarness } from '../kit/nfs-harness.ts'
import { describeConformance } from '../kit/vitest.ts'

const listener = await listenAsNfs()
afterAll(() => listener.close())

describeConformance(modelNfsHarness(listener.port))
