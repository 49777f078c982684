/** Steps that several operations share. Each says what the array shows when it is done. */
import type { RecoveryPoint, StartTest, UnitRole } from '../array/replication.ts'
import type { ReplicationSite, SideHandle } from './site.ts'
import { markKeys } from './marks.ts'
import { refuse, type Step } from './run.ts'

/** Fences this side: no host has a way to the volumes. Read back by asking for the presentations, not by believing the call. */
export const unpresentStep = (site: ReplicationSite, at: SideHandle): Step => ({
  name: 'unpresent', at,
  done: async (unit, replication) => (await replication.presentations(site.ctx, unit.id)).length === 0,
  act: async (replication, unit) => replication.unpresent(site.ctx, unit.id),
})

export const pointName = (purpose: RecoveryPoint['purpose'], generation: number): string => `sm-${purpose}-${generation}`

/** A copy that stays until the direction has been synchronised completely (or the operation was undone). */
export const keepStep = (site: ReplicationSite, at: SideHandle, purpose: RecoveryPoint['purpose'], generation: number): Step => ({
  name: `keep ${purpose}`, at,
  done: async (unit, replication) => (await replication.points(site.ctx, unit.id)).some((point) => point.name === pointName(purpose, generation)),
  act: async (replication, unit) => replication.keepPoint(site.ctx, unit.id, pointName(purpose, generation), purpose),
})

/** Takes away a copy of the same name that an earlier, undone attempt left: it would be taken for the one of now. */
export const dropStep = (site: ReplicationSite, at: SideHandle, purpose: RecoveryPoint['purpose'], generation: number): Step => ({
  name: `drop ${purpose}`, at,
  done: async (unit, replication) => !(await replication.points(site.ctx, unit.id)).some((point) => point.name === pointName(purpose, generation)),
  act: async (replication, unit) => {
    for (const point of await replication.points(site.ctx, unit.id)) {
      if (point.name === pointName(purpose, generation)) await replication.removePoint(site.ctx, unit.id, point.id)
    }
  },
})

/** Why a copy is kept only until its direction has been synchronised completely. */
const guarding: readonly RecoveryPoint['purpose'][] = ['before-demotion', 'before-promotion', 'before-overwrite']

export const isGuard = (point: RecoveryPoint): boolean => guarding.includes(point.purpose)

/** Takes away all of them: of earlier changes of direction that have been synchronised since, and of attempts that were undone. */
export const dropGuardsStep = (site: ReplicationSite, at: SideHandle): Step => ({
  name: 'drop old copies', at,
  done: async (unit, replication) => !(await replication.points(site.ctx, unit.id)).some(isGuard),
  act: async (replication, unit) => {
    for (const point of await replication.points(site.ctx, unit.id)) if (isGuard(point)) await replication.removePoint(site.ctx, unit.id, point.id)
  },
})

export const markStep = (site: ReplicationSite, at: SideHandle, key: string, value: string | undefined): Step => ({
  name: `mark ${key.slice(3)}`, at,
  done: (unit) => unit.marks[key] === value,
  act: async (replication, unit) => replication.setMark(site.ctx, unit.id, key, value),
})

export const roleStep = (name: string, at: SideHandle, role: UnitRole, act: Step['act']): Step => ({ name, at, done: (unit) => unit.role === role, act })

export const presentStep = (site: ReplicationSite, at: SideHandle, initiators: StartTest['initiators']): Step => ({
  name: 'present', at, repair: true,
  done: async (unit, replication) => (await replication.presentations(site.ctx, unit.id)).length > 0,
  act: async (replication, unit) => replication.present(site.ctx, unit.id, initiators),
})

export const generationStep = (site: ReplicationSite, at: SideHandle, generation: number): Step => markStep(site, at, markKeys.generation, String(generation))

/** The handle, or an error that says where to run the command instead. */
export const mustReach = (handle: SideHandle | undefined, what: string): SideHandle => {
  if (handle !== undefined) return handle
  throw refuse('wrongRole', `${what} runs at the other site, whose array is not within reach here`, 'Run it there, or name both arrays (--array and --peer-array)')
}
