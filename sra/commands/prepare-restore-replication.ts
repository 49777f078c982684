/** prepareRestoreReplication: the other site's part of a restore, before it. */
import { withArray } from '../arrays.ts'
import { runDirection } from '../directions.ts'
import type { ArrayRun } from './index.ts'

export const run: ArrayRun<'prepareRestoreReplication'> = async (request, world) => withArray(request, world, async (here) =>
  ({ prepareRestoreReplicationResults: await runDirection(here, 'prepareRestoreReplication', request.parameters) }))
