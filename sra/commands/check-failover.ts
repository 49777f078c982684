/** checkFailover: would a failover succeed now? */
import { withArray } from '../arrays.ts'
import { checkItem } from '../check.ts'
import { eachTarget } from '../targets.ts'
import type { ArrayRun } from './index.ts'

export const run: ArrayRun<'checkFailover'> = async (request, world) => withArray(request, world, async (here) =>
  ({ checkFailoverResults: await eachTarget(here, 'checkFailover', request.parameters, 'received', checkItem) }))
