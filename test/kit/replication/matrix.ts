/**
 * The failure matrix: every scenario, every array call in it, every fate of that call. After the fault and after each later call at most
 * one side is writable, and the side that is overwritten has a usable copy; repeating the operation in a fresh process reaches the wanted
 * state, or ends in a state that only an operator can resolve, with the sentence that says how.
 */
import { strict as assert } from 'node:assert'
import { boundArray } from '../../../core/replication/bounded.ts'
import { StorageError } from '../../../core/errors.ts'
import { fates, withFaults, type Fate, type FaultPlan } from './faults.ts'
import { scenarios, type Actors, type Scenario } from './scenarios.ts'
import { createMachine, ctxOn, siteOf, type NewWorld, type ReplicationWorld, type Sight, type SiteName } from './world.ts'

export interface MatrixResult {
  readonly scenario: string
  readonly sight: Sight
  readonly calls: number
  readonly cells: number
  readonly needsOperator: number
}

const patientMs = 20_000

const stages: readonly SiteName[] = ['a', 'b']

interface Consumer {
  readonly acked: Record<SiteName, number>
  readonly writeSomewhere: () => Promise<void>
}

const createConsumer = (world: ReplicationWorld, scenario: Scenario): Consumer => {
  const acked = { a: 0, b: 0 }
  let next = 0
  return {
    acked,
    async writeSomewhere() {
      for (const site of stages) {
        if ((scenario.sourceSiteDead === true && site === 'a') || !(await world.writable(site))) continue
        next += 1
        if (await world.write(site, next)) acked[site] = next
      }
    },
  }
}

const oneWritableSide = async (world: ReplicationWorld, after: string): Promise<void> => {
  assert.ok(!((await world.writable('a')) && (await world.writable('b'))), `both sides are writable after ${after}`)
}

/** Counters are written in the order of the volumes: any point in time has them falling, by one at most. */
const ordered = async (world: ReplicationWorld): Promise<void> => {
  for (const site of stages) {
    const counters = await world.counters(site)
    for (const [index, value] of counters.entries()) {
      const next = counters[index + 1] ?? value
      assert.ok(next === value || next === value - 1, `${site} is no point in time: ${counters.join()}`)
    }
    assert.ok((counters[0] ?? 0) - (counters.at(-1) ?? 0) <= 1, `${site} is no point in time: ${counters.join()}`)
  }
}

/** A side that receives has a complete copy, or one that was kept before it began to be overwritten. */
const usableCopies = async (world: ReplicationWorld, after: string): Promise<void> => {
  const ctx = ctxOn(createMachine('watcher'))
  for (const site of stages) {
    const replication = (await world.open(site)).replication
    const unit = await replication?.unit(ctx, world.idAt(site))
    if (unit?.role !== 'target' || unit.lastConsistent.kind === 'time') continue
    const points = (await replication?.points(ctx, world.idAt(site))) ?? []
    assert.ok(points.length > 0, `${site} has no usable copy after ${after}`)
  }
}

const newPlan = (world: ReplicationWorld, consumer: Consumer, at: number, fate: Fate): FaultPlan => ({
  at, fate, calls: 0, dead: false, cutLink: async () => world.cutLink(),
  async watch(call) {
    await consumer.writeSomewhere()
    await oneWritableSide(world, call)
  },
})

const actorsFor = (world: ReplicationWorld, sight: Sight, plan?: FaultPlan): Actors => {
  const machines = { a: createMachine('host-a'), b: createMachine('host-b') }
  const deadline = plan?.fate === 'silent for ever' && plan.at > 0 ? world.silentMs ?? 40 : patientMs
  return {
    world, sight,
    at: async (site) => siteOf(world, site, sight, ctxOn(machines[site]), (array) => boundArray(plan === undefined ? array : withFaults(array, plan), deadline)),
  }
}

/** Only a state that a human must resolve excuses a repeat that does not succeed, and it must say how. */
const needsOperator = (error: unknown): boolean =>
  error instanceof StorageError && (error.facts.details?.['state'] === 'needsOperator' || error.facts.details?.['state'] === 'splitBrain') && (error.facts.remedy ?? '') !== ''

const settle = async (scenario: Scenario, world: ReplicationWorld, sight: Sight, consumer: Consumer): Promise<'reached' | 'needsOperator'> => {
  await world.restoreLink()
  const again = actorsFor(world, sight)
  try {
    await scenario.run(again)
  } catch (error) {
    if (needsOperator(error)) return 'needsOperator'
    throw error
  }
  await oneWritableSide(world, 'the repeat')
  await scenario.reached(again, consumer.acked)
  return 'reached'
}

interface Stage {
  readonly world: ReplicationWorld
  readonly reset: () => Promise<ReplicationWorld>
}

const stageFor = async (newWorld: NewWorld, mode: ReplicationWorld['mode'], scenario: Scenario, sight: Sight): Promise<Stage> => {
  const build = async (): Promise<ReplicationWorld> => {
    const world = await newWorld({ mode })
    await scenario.prepare(actorsFor(world, sight))
    return world
  }
  let world = await build()
  const back = await world.save?.()
  return {
    get world() {
      return world
    },
    async reset() {
      if (back !== undefined) await back()
      else {
        await world.destroy()
        world = await build()
      }
      return world
    },
  }
}

/** How many array calls the scenario makes when nothing goes wrong. */
const countCalls = async (stage: Stage, scenario: Scenario, sight: Sight): Promise<number> => {
  const world = await stage.reset()
  const consumer = createConsumer(world, scenario)
  const plan = newPlan(world, consumer, 0, 'fails')
  await scenario.run(actorsFor(world, sight, plan))
  await ordered(world)
  await scenario.reached(actorsFor(world, sight), consumer.acked)
  return plan.calls
}

const runCell = async (stage: Stage, scenario: Scenario, sight: Sight, at: number, fate: Fate): Promise<'reached' | 'needsOperator'> => {
  const world = await stage.reset()
  const consumer = createConsumer(world, scenario)
  const plan = newPlan(world, consumer, at, fate)
  let thrown: unknown
  try {
    await scenario.run(actorsFor(world, sight, plan))
  } catch (error) {
    thrown = error
    if (error instanceof assert.AssertionError) throw error
  }
  const where = `${scenario.name} (${sight}): call ${at} (${plan.hit ?? 'not reached'}) ${fate}; first ${thrown instanceof Error ? thrown.message : 'succeeded'}`
  try {
    await oneWritableSide(world, 'the fault')
    await ordered(world)
    await usableCopies(world, 'the fault')
    return await settle(scenario, world, sight, consumer)
  } catch (error) {
    throw new Error(`${where}; then ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

/** Runs one scenario through all its cells. `every` > 1 takes each n-th call only (another starting point a fate). */
export const runMatrix = async (newWorld: NewWorld, mode: ReplicationWorld['mode'], scenario: Scenario, sight: Sight, every = 1): Promise<MatrixResult> => {
  const stage = await stageFor(newWorld, mode, scenario, sight)
  try {
    const calls = await countCalls(stage, scenario, sight)
    let cells = 0
    let operator = 0
    for (const [index, fate] of fates.entries()) {
      for (let at = 1 + (index % every); at <= calls; at += every) {
        cells += 1
        if ((await runCell(stage, scenario, sight, at, fate)) === 'needsOperator') operator += 1
      }
    }
    return { scenario: scenario.name, sight, calls, cells, needsOperator: operator }
  } finally {
    await stage.world.destroy()
  }
}

export { scenarios }
