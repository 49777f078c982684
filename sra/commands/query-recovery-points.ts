/** queryRecoveryPoints: the points that targets can be brought to, the latest first. None: an error of that item. */
import { replicationOf } from '../../core/replication/site.ts'
import { withArray } from '../arrays.ts'
import { eachItem, nameOf, refuse } from '../items.ts'
import { shown } from '../log/log.ts'
import { pointsOf } from '../recovery-points.ts'
import type { ArrayRun } from './index.ts'

export const run: ArrayRun<'queryRecoveryPoints'> = async (request, world) => withArray(request, world, async (here) => {
  const { targetGroups, targetDevices } = request.parameters
  const { groups, devices } = await eachItem(here, 'queryRecoveryPoints', { groups: targetGroups, devices: targetDevices }, 'received', async ({ unit, site, asked }) => {
    const recoveryPoints = pointsOf(unit, await replicationOf(site.local).points(site.ctx, unit.id))
    if (recoveryPoints.length === 0) throw refuse('notFound', `There is no complete copy of ${shown(nameOf(asked))} on this array`, 'Wait for the first synchronisation')
    return { recoveryPoints }
  })
  return { queryRecoveryPointsResults: { ...(groups === undefined ? {} : { targetGroups: groups }), ...(devices === undefined ? {} : { targetDevices: devices }) } }
})
