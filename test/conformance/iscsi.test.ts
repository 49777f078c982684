import { iscsiHarness } from '../kit/iscsi-harness.ts'
import { describeConformance } from '../kit/vitest.ts'

describeConformance(iscsiHarness('one path'))
describeConformance(iscsiHarness('multipath'))
