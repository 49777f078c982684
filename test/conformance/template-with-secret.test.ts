/** A secret in a dconf is never seen again. */
import template from '../../drivers/template/driver.ts'
import { secretiveHarness, withSecret } from '../kit/secretive-harness.ts'
import { describeConformance } from '../kit/vitest.ts'

describeConformance(secretiveHarness(withSecret(template)))
