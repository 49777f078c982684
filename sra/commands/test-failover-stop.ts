/** testFailoverStop: takes the copies away; none is success too, also of a unit that was promoted or reversed since. */
import { stopTest } from '../../core/replication/index.ts'
import { withArray } from '../arrays.ts'
import { success, eachTarget } from '../targets.ts'
import { noChange } from '../warnings.ts'
import type { ArrayRun } from './index.ts'

export const run: ArrayRun<'testFailoverStop'> = async (request, world) => withArray(request, world, async (here) => ({
  testFailoverStopResults: await eachTarget(here, 'testFailoverStop', request.parameters, 'any', async ({ site, unit, log, asked }) => {
    const { changed } = await stopTest(site, { id: unit.id })
    if (changed) return success([])
    log.write('verbose', 'There was no test copy to take away')
    return success([noChange(asked, 'there was no test copy to take away')])
  }),
}))
