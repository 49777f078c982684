import { modelExtHarness } from '../kit/ext-harness.ts'
import { describeConformance } from '../kit/vitest.ts'

describeConformance(modelExtHarness())
