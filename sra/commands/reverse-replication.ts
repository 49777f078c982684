/** reverseReplication: replicates from the promoted side; the old source is overwritten with what has changed since the failover. */
import { withArray } from '../arrays.ts'
import { runDirection } from '../directions.ts'
import type { ArrayRun } from './index.ts'

export const run: ArrayRun<'reverseReplication'> = async (request, world) => withArray(request, world, async (here) =>
  ({ reverseReplicationResults: await runDirection(here, 'reverseReplication', request.parameters) }))
