/** The model world of the template driver, or of a variant of it. */
import type { Driver } from '../../core/contract.ts'
import { modelHarness } from './model/world.ts'

export const templateHarness = (driver: Driver) =>
  modelHarness({ driver, deviceConfig: { location: '/srv/disks' }, directories: ['/srv/disks'] })
