/**
 * The drivers whose SRs lie on LUNs. What the stores below do with devices is proven on devices (lvm.test.ts, ext.test.ts): of a
 * store that was proven there, the topics run here in which the way to the LUNs matters.
 */
import { topics } from '../kit/cases/index.ts'
import { extOnLunHarness, thickHarness, thinHarness } from '../kit/luns-harness.ts'
import { describeConformance } from '../kit/vitest.ts'

const onTheWay = new Set(['SR life cycle', 'attach and detach', 'repeats', 'trouble', 'secrets'])
const some = topics.filter(({ topic }) => onTheWay.has(topic))

describeConformance(thickHarness())
describeConformance(thinHarness(), some)
describeConformance(extOnLunHarness(), some)
