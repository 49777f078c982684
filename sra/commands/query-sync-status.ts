/** querySyncStatus: how far the synchronisations are that syncOnce started; those that have ended stay known. */
import { syncStatus } from '../../core/replication/index.ts'
import { withArray } from '../arrays.ts'
import { nameOf } from '../items.ts'
import { eachBySide } from '../sides.ts'
import { shownSync } from '../sync.ts'
import type { ArrayRun } from './index.ts'

export const run: ArrayRun<'querySyncStatus'> = async (request, world) => withArray(request, world, async (here) => ({
  querySyncStatusResults: await eachBySide(here, 'querySyncStatus', request.parameters, async ({ unit, site, asked, log }) =>
    ({ deviceSync: shownSync(await syncStatus(site, { id: unit.id }, asked.syncId), nameOf(asked), log) })),
}))
