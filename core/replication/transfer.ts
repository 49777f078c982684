/** What moves data or stops moving it, and what follows when a direction has been synchronised completely. */
import type { SyncSession } from '../array/replication.ts'
import { toStorageError } from '../errors.ts'
import { markKeys } from './marks.ts'
import { lockUnit, refuse, runOperation, type OperationResult } from './run.ts'
import { findUnit, layer, nameOf, type ReplicationSite, type UnitRef } from './site.ts'
import { operationRules, remedies } from './states.ts'
import { isGuard, mustReach } from './steps.ts'
import { readView, sideHandle, type UnitView } from './view.ts'

/** Copies that protected a change of direction are needed until the first complete sync after it. */
const dropKept = async (site: ReplicationSite, view: UnitView): Promise<void> => {
  if (view.pending !== undefined || view.roles.source !== 'source' || view.roles.target !== 'target') return
  for (const side of ['source', 'target'] as const) {
    const handle = sideHandle(site, view, side)
    if (handle === undefined) continue
    for (const point of await handle.replication.points(site.ctx, handle.unit.id)) {
      if (isGuard(point)) await handle.replication.removePoint(site.ctx, handle.unit.id, point.id)
    }
  }
}

/** The name of the source's last demotion, as far as it can be seen. */
const demotionOf = (view: UnitView): string | undefined =>
  (view.localSide === 'source' ? view.local.marks : view.remote?.marks ?? view.local.peerView.marks)?.[markKeys.demotion]

/** A complete session that was not joined: all writes before it are on the target. */
const afterSync = async (site: ReplicationSite, ref: UnitRef, session: SyncSession): Promise<void> => {
  if (session.state !== 'complete' || session.joined) return
  try {
    const view = await readView(site, await findUnit(site, ref))
    const at = sideHandle(site, view, site.traits.sites.sync)
    const demotion = demotionOf(view)
    if (at !== undefined && demotion !== undefined && at.unit.marks[markKeys.syncAfter] === `${demotion} ${session.id}`) {
      await at.replication.setMark(site.ctx, at.unit.id, markKeys.caughtUp, demotion)
    }
    await dropKept(site, view)
  } catch (error) {
    // The sync itself is complete: tidying is done by the next one that asks.
    site.ctx.log.warn({ kind: toStorageError(error, layer).kind }, 'copies that are needed no more were not removed')
  }
}

/** Starts one cycle, or joins the one that runs. Answers at once. Runs at the array's site for it (`sites.sync`). */
export const startSync = async (site: ReplicationSite, ref: UnitRef): Promise<SyncSession> => {
  const view = await readView(site, await findUnit(site, ref))
  const verdict = operationRules.sync[view.state]
  if (verdict !== 'run') throw refuse(verdict === 'done' ? 'wrongRole' : verdict, `${view.local.name} cannot be synchronised now. ${view.says}`, remedies[view.state], view)
  const at = mustReach(sideHandle(site, view, site.traits.sites.sync), 'Synchronising')
  const session = await at.replication.startSync(site.ctx, at.unit.id)
  const demotion = demotionOf(view)
  // Seen demoted before it was started: this one brings everything there is.
  if (view.roles.source === 'demoted' && demotion !== undefined && !session.joined) {
    await at.replication.setMark(site.ctx, at.unit.id, markKeys.syncAfter, `${demotion} ${session.id}`)
  }
  await afterSync(site, ref, session)
  return session
}

/** notFound: no session of that id was ever started here. */
export const syncStatus = async (site: ReplicationSite, ref: UnitRef, session: string): Promise<SyncSession> => {
  const view = await readView(site, await findUnit(site, ref))
  const at = mustReach(sideHandle(site, view, site.traits.sites.sync), 'Asking for a sync')
  const answer = await at.replication.syncStatus(site.ctx, at.unit.id, session)
  await afterSync(site, ref, answer)
  return answer
}

/** pause: 1 stop at the replicating side. resume: 1 start there, only where roles and generations fit together. Both: repeat is so already. */
export const pause = async (site: ReplicationSite, ref: UnitRef): Promise<OperationResult> =>
  runOperation(site, 'pause', ref, async ({ view, steps }) => {
    const at = mustReach(sideHandle(site, view, 'source') ?? sideHandle(site, view, 'target'), 'Pausing replication')
    await steps([{ name: 'pause', at, done: (unit) => unit.transfer === 'paused' || unit.transfer === 'stopped', act: async (replication, unit) => replication.pause(site.ctx, unit.id) }])
  })

export const resume = async (site: ReplicationSite, ref: UnitRef): Promise<OperationResult> =>
  runOperation(site, 'resume', ref, async ({ view, steps }) => {
    if (view.generation.target > view.generation.source && view.generation.source > 0 && view.roles.target !== 'unknown') {
      throw refuse('staleGeneration', `The target of ${view.local.name} has the newer generation ${view.generation.target}: resuming could overwrite the valid side`, remedies.needsOperator, view)
    }
    const at = mustReach(sideHandle(site, view, 'source') ?? sideHandle(site, view, 'target'), 'Resuming replication')
    await steps([{ name: 'resume', at, done: (unit) => unit.transfer === 'running' || unit.transfer === 'initial', act: async (replication, unit) => replication.resume(site.ctx, unit.id) }])
  })

/** Ends replication; the data of both sides stays. Not beside another operation on the unit. 1 remove at each array within reach - repeat: gone is done. */
export const removeUnit = async (site: ReplicationSite, ref: UnitRef): Promise<readonly string[]> => {
  const lock = await lockUnit(site, (await findUnit(site, ref)).key, `remove of ${nameOf(ref)}`)
  try {
    const view = await readView(site, await findUnit(site, ref))
    const verdict = operationRules.remove[view.state]
    if (verdict !== 'run') throw refuse(verdict === 'done' ? 'notReplicated' : verdict, `Replication of ${view.local.name} cannot be ended now. ${view.says}`, remedies[view.state], view)
    const warnings: string[] = []
    for (const side of ['source', 'target'] as const) {
      const handle = sideHandle(site, view, side)
      if (handle === undefined) warnings.push(`The ${side} array was not within reach: end replication there too`)
      else await handle.replication.remove(site.ctx, handle.unit.id)
    }
    return warnings
  } finally {
    lock.release()
  }
}

/** Makes the present roles the natural ones, at each array within reach - repeat: they are. */
export const adopt = async (site: ReplicationSite, ref: UnitRef): Promise<OperationResult> =>
  runOperation(site, 'adopt', ref, async ({ view, steps }) => {
    const reach = (['source', 'target'] as const).flatMap((side) => sideHandle(site, view, side) ?? [])
    await steps(reach.map((at) => ({ name: 'adopt', at, done: (unit) => unit.naturalRole === at.side, act: async (replication, unit) => replication.adopt(site.ctx, unit.id) })))
  })
