import { frontEnds, modelFileHarness, realFileHarness } from '../kit/file-harness.ts'
import { describeConformance } from '../kit/vitest.ts'

describeConformance(modelFileHarness())
for (const name of Object.keys(frontEnds)) describeConformance(realFileHarness(name))
