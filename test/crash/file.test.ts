/** The file driver, and with it the store of image files, survives a crash at every step of every call. */
import { describeCrashes } from '../kit/crash/vitest.ts'
import { modelFileWorld } from '../kit/file-harness.ts'

describeCrashes(modelFileWorld, { share: 0.15 })
