/** syncOnce: starts one synchronisation of each item and answers at once. One that runs already is answered with SRM's warning 500. */
import type { ReplicationUnit } from '../../core/array/replication.ts'
import { startSync } from '../../core/replication/index.ts'
import { replicationOf } from '../../core/replication/site.ts'
import { withArray } from '../arrays.ts'
import { nameOf, withWarnings, type Item, type Named } from '../items.ts'
import { shown } from '../log/log.ts'
import { replicationInProgress } from '../messages.ts'
import { eachBySide } from '../sides.ts'
import { shownSync } from '../sync.ts'
import type { ArrayRun } from './index.ts'

/** Which copy the receiving side could go back to while it is being overwritten (appendix A asks for its name). */
const tellFailSafe = async ({ site, unit, log, asked }: Item<Named>, role: ReplicationUnit['role']): Promise<void> => {
  if (role !== 'target') return
  const guards = (await replicationOf(site.local).points(site.ctx, unit.id)).filter(({ purpose }) => purpose.startsWith('before-'))
  for (const { id, name } of guards) log.write('verbose', `Fail-safe snapshot of ${shown(nameOf(asked))} at this side until the synchronisation is complete: ${shown(name)} (${shown(id)})`)
}

export const run: ArrayRun<'syncOnce'> = async (request, world) => withArray(request, world, async (here) => ({
  syncOnceResults: await eachBySide(here, 'syncOnce', request.parameters, async (item) => {
    const { unit, site, asked, log } = item
    log.write('verbose', `Replication method of ${shown(nameOf(asked))}: ${unit.mode}`)
    await tellFailSafe(item, unit.role)
    const session = await startSync(site, { id: unit.id })
    return { deviceSync: shownSync(session, nameOf(asked), log), ...withWarnings(session.joined ? [replicationInProgress(nameOf(asked))] : []) }
  }),
}))
