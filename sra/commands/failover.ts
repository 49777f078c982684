/**
 * failover: the targets become writable and are presented. SRM's command is the word of the operator that the source is not to be waited
 * for; a source that is known to be demoted, with everything on the target, makes it a planned one. A repeat answers the first result.
 */
import type { ReplicationUnit, UnitMember } from '../../core/array/replication.ts'
import { StorageError, toStorageError } from '../../core/errors.ts'
import { failover, findUnit, planFailover, readView, type UnitView } from '../../core/replication/index.ts'
import { withArray } from '../arrays.ts'
import { identityOf, portsOf } from '../identity.ts'
import { idOf, withWarnings, type Item } from '../items.ts'
import { accessOf, type Access, type Target } from '../presentation.ts'
import { shownPoint, wantedPoint, type ShownPoint } from '../recovery-points.ts'
import type { Message } from '../schema/shape.ts'
import { eachAccessed } from '../targets.ts'
import { engineWarnings, notPresented, other } from '../warnings.ts'
import type { ArrayRun } from './index.ts'

interface Promoted {
  readonly unit: ReplicationUnit
  readonly point: ShownPoint
  readonly presented: boolean
  readonly warnings: readonly Message[]
}

const wantOf = (view: UnitView, access: Access, asked: Target): Parameters<typeof failover>[2] => {
  const plan = planFailover(view)
  const how = view.roles.source === 'demoted' && !plan.discards ? { kind: 'planned' as const } : { kind: 'unplanned' as const, operator: 'SRM', plan: plan.token }
  return { ...how, ...wantedPoint(asked), ...(access.initiators === undefined ? {} : { initiators: access.initiators }) }
}

const promotedView = (view: UnitView, warnings: readonly Message[], presented: boolean): Promoted => {
  const { failover: record, local } = view
  if (local.role !== 'promoted') throw new StorageError('arrayFault', `The array does not show ${local.name} as promoted (${local.role})`, { field: 'item', layer: 'sra', mayHaveChanged: true, remedy: 'Look at the unit on the array, then run the failover again' })
  // Promoted at the array by hand: it has what it had when replication stopped.
  const point = record === undefined ? { id: 'unknown', timeMs: local.lastConsistent.kind === 'time' ? local.lastConsistent.ms : 0 } : { id: record.point, timeMs: record.time }
  return { unit: local, point: shownPoint(point), presented, warnings }
}

/** Promoted, and only then something went wrong: it can be written to, by nobody yet. Another run repairs the presentation. */
const withoutPresentation = async ({ site, unit, asked }: Item<Target>, error: StorageError): Promise<Promoted> => {
  if (site.ctx.signal.aborted) throw error
  const view = await readView(site, await findUnit(site, { id: unit.id }))
  if (view.local.role !== 'promoted' || view.pending?.op !== 'failover' || view.pending.step !== 'present') throw error
  return promotedView(view, [notPresented(asked, error.message)], false)
}

const promote = async (access: Access, item: Item<Target>): Promise<Promoted> => {
  const { site, unit, asked } = item
  const view = await readView(site, unit)
  const lost = unit.role === 'promoted' ? [] : planFailover(view).lost
  try {
    const result = await failover(site, { id: unit.id }, wantOf(view, access, asked))
    const presented = access.initiators !== undefined
    return promotedView(result.view, [...engineWarnings(asked, result), ...lost.map((sentence) => other(sentence)), ...access.warnings], presented)
  } catch (thrown) {
    return withoutPresentation(item, toStorageError(thrown, 'sra'))
  }
}

const deviceOf = (member: UnitMember, presented: boolean) => ({ id: member.volume, state: 'read-write' as const, ...(presented ? identityOf(member.identity) : {}) })

export const run: ArrayRun<'failover'> = async (request, world) => withArray(request, world, async (here) => {
  const done: Promoted[] = []
  const one = async (item: Item<Target>): Promise<Promoted> => {
    const promoted = await promote(accessOf(here, request.parameters.accessGroups, item), item)
    done.push(promoted)
    return promoted
  }
  const results = await eachAccessed(here, 'failover', request.parameters, one, {
    group: ({ unit, point, presented, warnings }) =>
      ({ id: idOf(unit), state: 'read-write' as const, recoveryPoint: point, targetDevices: unit.members.map((member) => ({ key: member.key, ...deviceOf(member, presented) })), ...withWarnings(warnings) }),
    device: ({ unit, point, presented, warnings }) =>
      ({ id: idOf(unit), state: 'read-write' as const, ...(presented ? identityOf(unit.members[0]?.identity) : {}), recoveryPoint: point, ...withWarnings(warnings) }),
  })
  return { failoverResults: { ...results, ...(await portsOf(here, done.flatMap(({ unit, presented }) => (presented ? unit.members.map(({ identity }) => identity) : [])))) } }
})
