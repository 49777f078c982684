/** prepareFailover: the sources become read-only and are taken from all hosts; a copy of each is kept. Also late, after the failover. */
import { prepareFailover, readView } from '../../core/replication/index.ts'
import { withArray } from '../arrays.ts'
import { eachItem, refuse } from '../items.ts'
import { shown } from '../log/log.ts'
import { success } from '../targets.ts'
import { engineWarnings, noChange, preparedLate } from '../warnings.ts'
import type { ArrayRun } from './index.ts'

export const run: ArrayRun<'prepareFailover'> = async (request, world) => withArray(request, world, async (here) => {
  const { consistencyGroups, sourceDevices } = request.parameters
  const { groups, devices } = await eachItem(here, 'prepareFailover', { groups: consistencyGroups, devices: sourceDevices }, 'any', async ({ site, unit, asked }) => {
    if (unit.role === 'target' || unit.role === 'promoted') {
      // It was the source once, and a change of direction has come since: nothing of it can be written to by anybody.
      const { generation: { source, target }, state } = await readView(site, unit)
      if (unit.role === 'target' && Math.max(source, target) > 0 && state !== 'needsOperator') return success([noChange(asked, 'the direction of replication was reversed since, this side is the target')])
      throw refuse('wrongRole', `${shown(asked.id)} is no source here, it is ${unit.role}`, 'Run it at the site of the source')
    }
    const result = await prepareFailover(site, { id: unit.id })
    return success(result.changed && result.view.state === 'failedOver' ? [preparedLate(asked)] : engineWarnings(asked, result))
  })
  return { prepareFailoverResults: { ...(groups === undefined ? {} : { consistencyGroups: groups }), ...(devices === undefined ? {} : { sourceDevices: devices }) } }
})
