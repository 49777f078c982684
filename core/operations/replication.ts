/** The calls of replication, on the engine of core/replication. */
import type { LastConsistent, SyncSession } from '../array/replication.ts'
import type { Call } from '../call.ts'
import { errorFromReport } from '../errors.ts'
import type { Params, Result } from '../methods/index.ts'
import {
  adopt, checkTarget, createReplicatedVolume, deleteReplicatedVolume, eachUnit, failover, findUnit, listViews, pause, planFailover, planRestore, planReverse, prepareFailover, prepareRestore, prepareReverse, readView, removeUnit, restore,
  resume, reverse, startSync, startTest, stopTest, syncStatus, type OperationResult, type ReplicationSite, type UnitRef, type UnitView,
} from '../replication/index.ts'
import { replicationOf } from '../replication/site.ts'
import { initiatorOf, volumeInfo } from './array.ts'
import { withSite, type ArrayRef } from './open-array.ts'

const when = (point: LastConsistent): string => (point.kind === 'time' ? new Date(point.ms).toISOString() : point.kind)

const unitInfo = (view: UnitView, more: readonly string[] = []): Result<'Replication.status'> => {
  const { local, pending, failover: done } = view
  return {
    unit: local.id, key: local.key, name: local.name, kind: local.kind, peer: local.peer, mode: local.mode, ...(local.periodSeconds === undefined ? {} : { period_seconds: local.periodSeconds }),
    state: view.state, says: view.says, healthy: view.healthy, direction: view.direction, role: local.role, source_role: view.roles.source, target_role: view.roles.target,
    source_disposition: view.sourceDisposition, transfer: local.transfer, link: local.link, last_consistent: when(local.lastConsistent),
    generation: Math.max(view.generation.source, view.generation.target), testing: view.testing,
    ...(pending === undefined ? {} : { pending: { operation: pending.op, id: pending.id, step: pending.step, host: pending.host } }),
    ...(done === undefined ? {} : { failover: { kind: done.kind, point: done.point, time: new Date(done.time).toISOString(), ...(done.operator === undefined ? {} : { operator: done.operator }) } }),
    members: local.members.map((member) => ({
      volume: member.volume, key: member.key, name: member.name, size: member.size, sync: member.sync, last_consistent: when(member.lastConsistent),
      ...(member.lagBytes === undefined ? {} : { lag_bytes: member.lagBytes }),
    })),
    warnings: [...view.warnings, ...more],
  }
}

interface Target {
  readonly array: ArrayRef
  readonly peer?: ArrayRef | undefined
}

/** By id, or by key: people copy either from a list. */
const refOf = async (site: ReplicationSite, unit: string): Promise<UnitRef> => {
  const found = await replicationOf(site.local).unit(site.ctx, unit)
  return found === undefined ? { key: unit } : { id: unit }
}

const onUnit = <P extends Target & { readonly unit: string }, R>(work: (site: ReplicationSite, ref: UnitRef, params: P, warnings: readonly string[]) => Promise<R>) =>
  async (call: Call, params: P): Promise<R> => withSite(call, params.array, params.peer, async (site, warnings) => work(site, await refOf(site, params.unit), params, warnings))

/** One unit alone fails as the call; of several every one has its own answer. */
const onUnits = <P extends Target & { readonly units: readonly string[] }>(work: (site: ReplicationSite, ref: UnitRef, params: P) => Promise<OperationResult>) =>
  async (call: Call, params: P): Promise<Result<'Replication.pause'>> => withSite(call, params.array, params.peer, async (site, more) => {
    const results = await eachUnit(params.units.map((id) => ({ id })), async ({ id }) => work(site, await refOf(site, id), params))
    const [only] = results
    if (results.length === 1 && only?.error !== undefined) throw errorFromReport(only.error)
    return { results: results.map(({ item, value, warnings, error }) => ({
      item, warnings: [...warnings, ...more],
      ...(value === undefined ? {} : { value: { changed: value.changed, state: value.view.state, says: value.view.says, role: value.view.local.role } }),
      ...(error === undefined ? {} : { error }),
    })) }
  })

const viewOf = async (site: ReplicationSite, ref: UnitRef): Promise<UnitView> => readView(site, await findUnit(site, ref))

const word = ({ plan, operator }: { readonly plan?: string | undefined; readonly operator?: string | undefined }) => ({ ...(plan === undefined ? {} : { plan }), ...(operator === undefined ? {} : { operator }) })

const session = (one: SyncSession): Result<'Replication.sync'> => ({
  session: one.id, state: one.state, joined: one.joined, ...(one.percent === undefined ? {} : { percent: one.percent }), ...(one.remainingSeconds === undefined ? {} : { remaining_seconds: one.remainingSeconds }),
})

const plans = { failover: planFailover, reverse: planReverse, restore: planRestore } as const

export const replicationOperations = {
  'Replication.list': async (call: Call, params: Params<'Replication.list'>): Promise<Result<'Replication.list'>> =>
    withSite(call, params.array, params.peer, async (site, warnings) => ({ units: (await listViews(site)).map((view) => unitInfo(view, warnings)) })),
  'Replication.status': onUnit(async (site, ref, _params: Params<'Replication.status'>, warnings) => unitInfo(await viewOf(site, ref), warnings)),
  'Replication.check': onUnit(async (site, ref, _params: Params<'Replication.check'>, warnings) => {
    const view = await viewOf(site, ref)
    const problems = [...checkTarget(view)]
    return { ready: problems.length === 0, problems, warnings: [...view.warnings, ...warnings] }
  }),
  'Replication.plan': onUnit(async (site, ref, params: Params<'Replication.plan'>) => {
    const { operation, unit, state, loser, lastCommonPoint, lost, keeps, discards, token } = plans[params.operation](await viewOf(site, ref))
    return { operation, unit, state, loser, last_common_point: when(lastCommonPoint), lost: [...lost], keeps, discards, plan: token }
  }),
  'Replication.points': onUnit(async (site, ref, _params: Params<'Replication.points'>) => {
    const unit = await findUnit(site, ref)
    return { points: (await replicationOf(site.local).points(site.ctx, unit.id)).map(({ id, name, timeMs, consistency, purpose }) => ({ id, name, time: new Date(timeMs).toISOString(), consistency, purpose })) }
  }),
  'Replication.sync': onUnit(async (site, ref, _params: Params<'Replication.sync'>) => session(await startSync(site, ref))),
  'Replication.sync_status': onUnit(async (site, ref, params: Params<'Replication.sync_status'>) => session(await syncStatus(site, ref, params.session))),
  'Replication.pause': onUnits(async (site, ref, _params: Params<'Replication.pause'>) => pause(site, ref)),
  'Replication.resume': onUnits(async (site, ref, _params: Params<'Replication.resume'>) => resume(site, ref)),
  'Replication.prepare_failover': onUnits(async (site, ref, _params: Params<'Replication.prepare_failover'>) => prepareFailover(site, ref)),
  'Replication.failover': onUnits(async (site, ref, params: Params<'Replication.failover'>) => failover(site, ref, {
    kind: params.kind, force: params.force, ...word(params), ...(params.recovery_point === undefined ? {} : { recoveryPoint: params.recovery_point }),
    ...(params.initiators === undefined ? {} : { initiators: { '': params.initiators.map(initiatorOf) } }),
  })),
  'Replication.prepare_reverse': onUnits(async (site, ref, params: Params<'Replication.prepare_reverse'>) => prepareReverse(site, ref, word(params))),
  'Replication.reverse': onUnits(async (site, ref, params: Params<'Replication.reverse'>) => reverse(site, ref, word(params))),
  'Replication.prepare_restore': onUnits(async (site, ref, params: Params<'Replication.prepare_restore'>) => prepareRestore(site, ref, word(params))),
  'Replication.restore': onUnits(async (site, ref, params: Params<'Replication.restore'>) => restore(site, ref, word(params))),
  'Replication.start_test': onUnit(async (site, ref, params: Params<'Replication.start_test'>, more) => {
    const { copy, warnings } = await startTest(site, ref, { initiators: { '': params.initiators.map(initiatorOf) }, ...(params.recovery_point === undefined ? {} : { recoveryPoint: params.recovery_point }) })
    return { test: copy.id, time: new Date(copy.recoveryPoint.timeMs).toISOString(), copies: copy.members.map(({ key, copy: volume }) => ({ key, copy: volume })), warnings: [...warnings, ...more] }
  }),
  'Replication.stop_test': onUnits(async (site, ref, _params: Params<'Replication.stop_test'>) => stopTest(site, ref)),
  'Replication.adopt': onUnits(async (site, ref, _params: Params<'Replication.adopt'>) => adopt(site, ref)),
  'Replication.create_volume': async (call: Call, params: Params<'Replication.create_volume'>): Promise<Result<'Replication.create_volume'>> =>
    withSite(call, params.array, params.peer, async (site) => volumeInfo(await createReplicatedVolume(site, {
      name: params.name, size: params.size, provisioning: params.provisioning, group: params.group, mode: params.mode,
      ...(params.pool === undefined ? {} : { pool: params.pool }), ...(params.period_seconds === undefined ? {} : { periodSeconds: params.period_seconds }),
    }))),
  'Replication.delete_volume': async (call: Call, params: Params<'Replication.delete_volume'>): Promise<Result<'Replication.delete_volume'>> =>
    withSite(call, params.array, params.peer, async (site) => ({ changed: await deleteReplicatedVolume(site, params.name, params.group) })),
  'Replication.remove': onUnit(async (site, ref, _params: Params<'Replication.remove'>, more) => ({ changed: true, warnings: [...(await removeUnit(site, ref)), ...more] })),
}
