/** The driver that authors copy passes the whole suite. */
import template from '../../drivers/template/driver.ts'
import { templateHarness } from '../kit/template-harness.ts'
import { describeConformance } from '../kit/vitest.ts'

describeConformance(templateHarness(template))
