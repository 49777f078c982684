/** queryReplicationSettings: what SRM should hand back to reverseReplication and restoreReplication. */
import { withArray } from '../arrays.ts'
import { settingsOf, spelt } from '../settings.ts'
import { eachBySide } from '../sides.ts'
import type { ArrayRun } from './index.ts'

export const run: ArrayRun<'queryReplicationSettings'> = async (request, world) => withArray(request, world, async (here) => ({
  replicationSettings: await eachBySide(here, 'queryReplicationSettings', request.parameters, async ({ unit, log }) => {
    log.write('verbose', `Settings in force: ${spelt(unit)}`)
    return { replicationSettings: settingsOf(unit) }
  }),
}))
