/** Each command that changes something, killed behind every array call and repeated: SRM does no more than that when its time limit has hit. */
import { strict as assert } from 'node:assert'
import type { FaultPlan } from '../replication/faults.ts'
import { withFaults } from '../replication/faults.ts'
import { allDone, failover, migrate, prepareFailover, sourceIds, startTest, stopTest, sync, turn, views, type Moved, type Play } from './play.ts'
import { srmAt } from './srm.ts'
import type { NewPlayWorld, PlayWorld } from './world.ts'

/** `S`: names that SRM remembers of the steps before. */
interface Killed<S> {
  readonly name: string
  readonly before: (play: Play, unit: string) => Promise<S>
  readonly run: (play: Play, unit: string, known: S) => Promise<void>
  /** Views of both sites after the repeat, and the counter that both must hold at the side that counts. */
  readonly after: string
  readonly counts: (play: Play, unit: string) => Promise<void>
}

const holds = async ({ world }: Play, site: 'a' | 'b', unit: string, value: number): Promise<void> =>
  assert.deepEqual(new Set(await world.counters(site, unit)), new Set([value]), `the data at ${site}`)

const begin = async (play: Play, unit: string): Promise<void> => {
  assert.ok(await play.world.write('a', unit, 7))
  await sync(play, 'a', [unit])
}

const test = async (play: Play, unit: string): Promise<void> => {
  await begin(play, unit)
  allDone(await startTest(play, 'b', [unit]))
}

/** Killed when all was done but the answer: then a test is active, and the interface wants an error. It must say the way out, which SRM takes anyway. */
const startOnce = async (play: Play, unit: string): Promise<void> => {
  const outcome = (await startTest(play, 'b', [unit])).get(unit)
  if (typeof outcome !== 'object') return
  assert.match(outcome.error, /is active .*stop-test/)
  allDone(await stopTest(play, 'b', [unit]))
  allDone(await startTest(play, 'b', [unit]))
}

const turned = async (play: Play, moved: Moved, operation: 'reverse' | 'restore'): Promise<void> => {
  for (const outcomes of await turn(play, moved, operation)) allDone(outcomes)
}

const moved = async (play: Play, unit: string): Promise<Moved> => {
  await begin(play, unit)
  const done = await migrate(play, 'a', [unit])
  assert.ok(await play.world.write('b', unit, 8))
  return done
}

const scenario = <S>(one: Killed<S>): Killed<unknown> => one as Killed<unknown>

export const killScenarios: readonly Killed<unknown>[] = [
  scenario({ name: 'testFailoverStart', before: begin, run: startOnce, after: 'source tested', counts: async (play, unit) => holds(play, 'a', unit, 7) }),
  scenario({ name: 'testFailoverStop', before: test, run: async (play, unit) => void allDone(await stopTest(play, 'b', [unit])), after: 'source target', counts: async (play, unit) => holds(play, 'a', unit, 7) }),
  scenario({
    name: 'prepareFailover', after: 'demoted target', counts: async (play, unit) => assert.equal(await play.world.writable('a', unit), false),
    before: async (play, unit) => { await begin(play, unit); return sourceIds(play, 'a', [unit]) }, run: async (play, _unit, ids) => void allDone(await prepareFailover(play, 'a', ids)),
  }),
  scenario({
    name: 'failover, planned', after: 'demoted promoted', run: async (play, unit) => void allDone((await failover(play, 'b', [unit])).outcomes),
    before: async (play, unit) => { await begin(play, unit); allDone(await prepareFailover(play, 'a', await sourceIds(play, 'a', [unit]))); await sync(play, 'a', [unit]) },
    counts: async (play, unit) => { await holds(play, 'b', unit, 7); assert.ok(await play.world.write('b', unit, 8), 'the new side can be written to') },
  }),
  scenario({
    name: 'failover, site A silent', after: 'source promoted', run: async (play, unit) => void allDone((await failover(play, 'b', [unit])).outcomes),
    before: async (play, unit) => { await begin(play, unit); await play.world.cutLink() },
    counts: async (play, unit) => { await holds(play, 'b', unit, 7); assert.ok(await play.world.write('b', unit, 8), 'the new side can be written to') },
  }),
  scenario({
    name: 'late prepareFailover', after: 'demoted promoted', counts: async (play, unit) => { assert.equal(await play.world.writable('a', unit), false); await holds(play, 'b', unit, 7) },
    before: async (play, unit) => {
      await begin(play, unit)
      const ids = await sourceIds(play, 'a', [unit])
      await play.world.cutLink()
      allDone((await failover(play, 'b', [unit])).outcomes)
      await play.world.restoreLink()
      return ids
    },
    run: async (play, _unit, ids) => void allDone(await prepareFailover(play, 'a', ids)),
  }),
  scenario({
    name: 'reverseReplication', before: moved, run: async (play, _unit, done) => turned(play, done, 'reverse'), after: 'target source',
    counts: async (play, unit) => { await holds(play, 'b', unit, 8); await sync(play, 'b', [unit]); await holds(play, 'a', unit, 8) },
  }),
  scenario({
    name: 'restoreReplication', before: moved, run: async (play, _unit, done) => turned(play, done, 'restore'), after: 'source target',
    counts: async (play, unit) => { await holds(play, 'a', unit, 7); await sync(play, 'a', [unit]); await holds(play, 'b', unit, 7) },
  }),
]

const newPlan = (world: PlayWorld, at: number): FaultPlan => ({ at, fate: 'killed after', calls: 0, dead: false, cutLink: async () => world.cutLink(), watch: async () => undefined })

const playOn = (world: PlayWorld, plan?: FaultPlan): Play => {
  const options = plan === undefined ? {} : { wrap: (array: Parameters<typeof withFaults>[0]) => withFaults(array, plan) }
  return { world, at: { a: srmAt(world, 'a', options), b: srmAt(world, 'b', options) } }
}

/** Runs one scenario through its kills; `every` > 1 takes each n-th call only. Answers how many there were. */
export const runKills = async (newWorld: NewPlayWorld, unitName: (world: PlayWorld) => string, { before, run, after, counts }: Killed<unknown>, every = 1): Promise<number> => {
  const build = async () => {
    const world = await newWorld()
    return { world, known: await before(playOn(world), unitName(world)) }
  }
  let { world, known } = await build()
  let back = await world.save?.()
  const reset = async (): Promise<void> => {
    if (back !== undefined) return back()
    await world.destroy()
    ;({ world, known } = await build())
    back = await world.save?.()
  }
  try {
    const unit = unitName(world)
    const counted = newPlan(world, 0)
    await run(playOn(world, counted), unit, known)
    let cells = 0
    for (let at = 1; at <= counted.calls; at += every) {
      await reset()
      const plan = newPlan(world, at)
      // What the dead process would have answered is of no interest: nobody heard it.
      await run(playOn(world, plan), unit, known).catch(() => undefined)
      try {
        const again = playOn(world)
        await run(again, unit, known)
        await world.restoreLink()
        assert.equal(await views(again, unit), after)
        await counts(again, unit)
      } catch (error) {
        throw new Error(`killed after call ${at} (${plan.hit ?? 'not reached'}), then: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
      }
      cells += 1
    }
    return cells
  } finally {
    await world.destroy()
  }
}
