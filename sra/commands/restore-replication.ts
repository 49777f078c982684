/** restoreReplication: the direction before the failover again; what was written since at the promoted side is discarded, after a copy of it was kept. */
import { withArray } from '../arrays.ts'
import { runDirection } from '../directions.ts'
import type { ArrayRun } from './index.ts'

export const run: ArrayRun<'restoreReplication'> = async (request, world) => withArray(request, world, async (here) =>
  ({ restoreReplicationResults: await runDirection(here, 'restoreReplication', request.parameters) }))
