/**
 * The four commands that give a unit its direction after a failover: at the site that the array wants, or their part at the other one.
 * Where this site must end up follows from where the command runs; a unit that has ended up the other way is refused, never "done already".
 */
import type { Side, UnitRole } from '../core/array/replication.ts'
import { planRestore, planReverse, prepareRestore, prepareReverse, readView, restore, reverse, type OperationResult } from '../core/replication/index.ts'
import type { Here } from './arrays.ts'
import { eachItem, refuse, type Item } from './items.ts'
import { shown } from './log/log.ts'
import type { RequestOf } from './schema/index.ts'
import { difference, spelt } from './settings.ts'
import { success } from './targets.ts'
import { engineWarnings, settingsDiffer } from './warnings.ts'

type Parameters = RequestOf<'reverseReplication'>['parameters']
type Asked = NonNullable<Parameters['devices']>[number]
type Command = 'reverseReplication' | 'prepareReverseReplication' | 'restoreReplication' | 'prepareRestoreReplication'

/** SRM's command is the operator's word for what is discarded. */
const operator = 'SRM'

interface Row {
  readonly operation: 'reverse' | 'restore'
  readonly part: 'whole' | 'prepare'
  readonly call: (item: Item<Asked>) => Promise<OperationResult>
}

const rows: Readonly<Record<Command, Row>> = {
  reverseReplication: { operation: 'reverse', part: 'whole', call: async ({ site, unit }) => reverse(site, { id: unit.id }, { operator, plan: planReverse(await readView(site, unit)).token }) },
  prepareReverseReplication: { operation: 'reverse', part: 'prepare', call: async ({ site, unit }) => prepareReverse(site, { id: unit.id }, { operator, plan: planReverse(await readView(site, unit)).token }) },
  restoreReplication: { operation: 'restore', part: 'whole', call: async ({ site, unit }) => restore(site, { id: unit.id }, { operator, plan: planRestore(await readView(site, unit)).token }) },
  prepareRestoreReplication: { operation: 'restore', part: 'prepare', call: async ({ site, unit }) => prepareRestore(site, { id: unit.id }, { operator, plan: planRestore(await readView(site, unit)).token }) },
}

/** The roles of this site that the command may leave behind. The traits name sides as they were before the failover: `source` is the demoted one. */
const wanted = (operation: Row['operation'], here: Side): readonly UnitRole[] => {
  if (operation === 'reverse') return here === 'source' ? ['target', 'demoted'] : ['source', 'promoted']
  return here === 'source' ? ['source', 'demoted'] : ['target', 'promoted']
}

const other = (side: Side): Side => (side === 'source' ? 'target' : 'source')

export const runDirection = async (here: Here, command: Command, { consistencyGroups, devices: asked }: Parameters) => {
  const { operation, part, call } = rows[command]
  const main = here.traits.sites[operation]
  const roles = wanted(operation, part === 'whole' ? main : other(main))
  const { groups, devices } = await eachItem(here, command, { groups: consistencyGroups, devices: asked }, 'any', async (item) => {
    const { unit, log } = item
    log.write('verbose', `Settings in force: ${spelt(unit)}`)
    const result = await call(item)
    const { view, changed } = result
    if (!changed && !roles.includes(view.local.role)) {
      throw refuse('wrongRole', `${shown(item.asked.id)} is ${view.local.role} here: it is not in the state that ${command} ends`, 'Discover the devices again and run the command at the site that fits their roles')
    }
    for (const { volume } of view.local.members) log.write('verbose', `Device ${shown(volume)} is ${view.local.role} now`)
    const differs = difference(view.local, item.asked.replicationSettings)
    return success([
      ...engineWarnings(item.asked, result),
      ...(differs === undefined ? [] : [settingsDiffer(item.asked, differs)]),
    ])
  })
  return { ...(groups === undefined ? {} : { consistencyGroups: groups }), ...(devices === undefined ? {} : { devices }) }
}
