/** The driver that authors copy survives a crash at every step of every call. */
import template from '../../drivers/template/driver.ts'
import { describeCrashes } from '../kit/crash/vitest.ts'
import { templateSettings } from '../kit/template-harness.ts'

describeCrashes({ driver: template, ...templateSettings, vdiSize: 64 * 1024 })
