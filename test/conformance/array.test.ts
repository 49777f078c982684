import { arraySrHarness } from '../kit/array-sr-harness.ts'
import { describeConformance } from '../kit/vitest.ts'

describeConformance(await arraySrHarness('plain'))
describeConformance(await arraySrHarness('replicated'))
