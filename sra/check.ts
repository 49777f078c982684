/** Whether a target is ready for a test or a failover: changes nothing. */
import { checkTarget, readView } from '../core/replication/index.ts'
import { nameOf, refuse, type Item, type Named } from './items.ts'
import { shown } from './log/log.ts'
import { success } from './targets.ts'
import { stateWarnings } from './warnings.ts'

/** Every reason against it is one error; what is only unusual is a warning. */
export const checkItem = async ({ site, unit, asked }: Item<Named>) => {
  const view = await readView(site, unit)
  const problems = checkTarget(view)
  if (problems.length > 0) throw refuse('wrongRole', `${shown(nameOf(asked))} is not ready: ${problems.join('; ')}`, 'Look at its state: smctl replication status')
  return success(stateWarnings(asked, view))
}
