import { lvmHarness, lvmthinHarness } from '../kit/lvm-harness.ts'
import { describeConformance } from '../kit/vitest.ts'

describeConformance(lvmHarness())
describeConformance(lvmthinHarness())
