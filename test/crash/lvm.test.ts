/** The LVM drivers survive a crash at every command of every call. */
import { describeCrashes } from '../kit/crash/vitest.ts'
import { lvmSettings, lvmthinSettings } from '../kit/lvm-harness.ts'

describeCrashes(lvmSettings)
describeCrashes(lvmthinSettings)
