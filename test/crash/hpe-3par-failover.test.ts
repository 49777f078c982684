/** Every request of a failover of the 3PAR-class driver, and everything that can happen to it on the wire. */
import { afterEach, describe, expect, it } from 'vitest'
import type { Pair } from '../drivers/array-replication/hpe-3par/on-simulator.ts'
import { replicated as replicatedPair, roles, until, type World } from '../drivers/array-replication/hpe-3par/replication/pair.ts'

let pair: Pair | undefined
afterEach(async () => {
  await pair?.close()
  pair = undefined
})
const replicated = async (): Promise<World> => replicatedPair((started) => { pair = started })

describe('every call of a failover that goes wrong', () => {
  const effects = ['error', 'lost', 'expire', 'unavailable'] as const
  it.each(effects)('%s: a repeat ends it, and there are never two writable sides that anybody was given', async (effect) => {
    const world = await replicated()
    await world.p.demote(world.ctx, 'g')
    let hit = true
    for (let nth = 1; hit; nth += 1) {
      const plan = world.sims[1].fault({ match: '*', nth, effect, ...(effect === 'error' ? { status: 500, code: 1 } : {}) })
      await world.s.promote(world.ctx, world.there, { force: false }).catch(() => undefined)
      hit = plan.hits() > 0
      plan.release()
      await world.s.promote(world.ctx, world.there, { force: false })
      expect(await roles(world)).toEqual(['demoted', 'promoted'])
      await world.s.prepareRestore?.(world.ctx, world.there)
      await world.p.restore(world.ctx, 'g')
      expect(await roles(world)).toEqual(['source', 'target'])
      await until(world.unitP, (unit) => unit.members.every(({ sync }) => sync === 'synced'))
      await world.p.demote(world.ctx, 'g')
    }
  })
})
