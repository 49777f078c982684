/** checkTestFailoverStart: would a test start now? */
import { withArray } from '../arrays.ts'
import { checkItem } from '../check.ts'
import { eachTarget } from '../targets.ts'
import type { ArrayRun } from './index.ts'

export const run: ArrayRun<'checkTestFailoverStart'> = async (request, world) => withArray(request, world, async (here) =>
  ({ checkTestFailoverStartResults: await eachTarget(here, 'checkTestFailoverStart', request.parameters, 'received', checkItem) }))
