/** prepareReverseReplication: the other site's part of a reversal, before it. */
import { withArray } from '../arrays.ts'
import { runDirection } from '../directions.ts'
import type { ArrayRun } from './index.ts'

export const run: ArrayRun<'prepareReverseReplication'> = async (request, world) => withArray(request, world, async (here) =>
  ({ prepareReverseReplicationResults: await runDirection(here, 'prepareReverseReplication', request.parameters) }))
