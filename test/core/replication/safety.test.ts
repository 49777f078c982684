/** The safety rules of replication, each by its name, on the model array. */
import { afterEach, describe, expect, it } from 'vitest'
import type { OpenArray } from '../../../core/array/contract.ts'
import type { ReplicationUnit } from '../../../core/array/replication.ts'
import { StorageError } from '../../../core/errors.ts'
import {
  boundArray, eachUnit, failover, findUnit, pause, planFailover, planRestore, planReverse, prepareFailover, readView, removeUnit, restore, resume, reverse, startSync, startTest, type ReplicationSite, type UnitView,
} from '../../../core/replication/index.ts'
import { operationRules, pairRows, remedies, replicationOperations, unitStates } from '../../../core/replication/states.ts'
import { combine } from '../../../core/replication/view.ts'
import { markKeys } from '../../../core/replication/marks.ts'
import { modelWorld } from '../../kit/replication/model-world.ts'
import { createMachine, ctxOn, siteOf, type ReplicationWorld, type Sight, type SiteName } from '../../kit/replication/world.ts'

let world: ReplicationWorld | undefined
afterEach(async () => {
  await world?.destroy()
  world = undefined
})

const machines = { a: createMachine('host-a'), b: createMachine('host-b') }

const start = async (sight: Sight = 'both', wrap?: (array: OpenArray, site: SiteName) => OpenArray) => {
  const made = await modelWorld({ mode: 'asynchronous' })
  world = made
  const ref = { key: made.key }
  const at = async (site: SiteName, signal?: AbortSignal): Promise<ReplicationSite> => siteOf(made, site, sight, ctxOn(machines[site], signal), wrap)
  const view = async (site: SiteName): Promise<UnitView> => readView(await at(site), await findUnit(await at(site), ref))
  return { made, ref, at, view }
}

const failure = async (work: Promise<unknown>): Promise<StorageError> => {
  try {
    await work
  } catch (error) {
    if (error instanceof StorageError) return error
    throw error
  }
  throw new Error('it succeeded')
}

const moved = async (sight: Sight = 'both', kind: 'planned' | 'unplanned' = 'planned') => {
  const desk = await start(sight)
  const { ref, at, made, view } = desk
  if (kind === 'planned') {
    await prepareFailover(await at('a'), ref)
    await startSync(await at('b'), ref)
  }
  await failover(await at('b'), ref, { kind, plan: planFailover(await view('b')).token, operator: 'alice', initiators: { '': made.hosts.b } })
  return desk
}

const spied = (log: string[]) => (array: OpenArray, site: SiteName): OpenArray => ({
  ...array,
  replication: Object.fromEntries(Object.entries(array.replication ?? {}).map(([name, call]) => [name, async (...args: readonly unknown[]) => {
    log.push(`${site} ${name}${name === 'promote' ? ` force=${String((args[2] as { readonly force: boolean }).force)}` : ''}`)
    return (call as (...all: readonly unknown[]) => Promise<unknown>)(...args)
  }])) as unknown as NonNullable<OpenArray['replication']>,
})

const overriding = (name: string, call: (...args: readonly never[]) => Promise<unknown>) => (array: OpenArray): OpenArray =>
  ({ ...array, replication: { ...array.replication, [name]: call } as unknown as NonNullable<OpenArray['replication']> })

describe('the safety rules', () => {
  it('1: no answer of the source is no proof that it may be promoted over', async () => {
    const { ref, at, made } = await start('own')
    await made.cutLink()
    expect((await failure(failover(await at('b'), ref, { kind: 'unplanned' }))).kind).toBe('peerMaybeActive')
    expect(await made.writable('b')).toBe(false)
  })

  it('1: a source that is alive and could not be read for a moment is not promoted over, whoever declares it dead', async () => {
    const { ref, at, view, made } = await start('both', (array, site) => (site === 'b' ? array : overriding('units', async () => {
      throw new StorageError('arrayFault', 'refused', { layer: 'test' })
    })(array)))
    const plan = planFailover(await view('b')).token
    expect((await failure(failover(await at('b'), ref, { kind: 'unplanned', operator: 'alice', plan, initiators: { '': made.hosts.b } }))).kind).toBe('peerMaybeActive')
    expect([await made.writable('a'), await made.writable('b')]).toEqual([true, false])
  })

  it('2: force is never chosen by code, only passed on', async () => {
    const log: string[] = []
    const { ref, at, view, made } = await start('both', spied(log))
    await failover(await at('b'), ref, { kind: 'unplanned', plan: planFailover(await view('b')).token, initiators: { '': made.hosts.b } })
    expect(log.filter((line) => line.includes('promote'))).toEqual(['b promote force=false'])
  })

  it('2: an array that wants force gets none: forceRequired comes back and nothing is repeated', async () => {
    let calls = 0
    const { ref, at, view } = await start('both', overriding('promote', async () => {
      calls += 1
      throw new StorageError('forceRequired', 'device or resource busy', { layer: 'test' })
    }))
    expect((await failure(failover(await at('b'), ref, { kind: 'unplanned', plan: planFailover(await view('b')).token }))).kind).toBe('forceRequired')
    expect(calls).toBe(1)
  })

  it('3: after a failover the newer generation is the promoted side, whatever the returning source says of itself', async () => {
    const { view } = await moved('own', 'unplanned')
    const seen = await view('a')
    expect([seen.local.role, seen.state, seen.generation.target > seen.generation.source]).toEqual(['source', 'failedOver', true])
  })

  it('4: what discards data needs the plan as it is now, and the plan names the loser', async () => {
    const { ref, at, view } = await moved()
    const plan = planRestore(await view('b'))
    expect(plan).toMatchObject({ loser: 'target', discards: true })
    expect((await failure(restore(await at('b'), ref))).kind).toBe('wouldLoseData')
    expect((await failure(restore(await at('b'), ref, { plan: '0000000000000000' }))).kind).toBe('staleGeneration')
  })

  it('5: the side that is overwritten has a kept copy until the new direction is in step', async () => {
    const { ref, at, view, made } = await moved()
    await reverse(await at('a'), ref, { plan: planReverse(await view('a')).token })
    const points = async () => ((await (await at('a')).local.replication?.points((await at('a')).ctx, made.idAt('a'))) ?? []).map(({ purpose }) => purpose)
    expect(await points()).toContain('before-demotion')
    await startSync(await at('a'), ref)
    expect(await points()).toEqual([])
  })

  it('6: source and target are copied before their roles change', async () => {
    const log: string[] = []
    const { ref, at } = await start('both', spied(log))
    await prepareFailover(await at('a'), ref)
    await startSync(await at('b'), ref)
    await failover(await at('b'), ref, { kind: 'planned' })
    expect(log.indexOf('a keepPoint')).toBeLessThan(log.indexOf('a demote'))
    expect(log.indexOf('b keepPoint')).toBeLessThan(log.findIndex((line) => line.startsWith('b promote')))
    expect(log.indexOf('a keepPoint')).toBeGreaterThan(0)
  })

  it('7: an error of the array is not taken for split brain', async () => {
    const { ref, at, view } = await start('both', overriding('demote', async () => {
      throw new StorageError('arrayFault', 'split-brain suspected', { layer: 'test' })
    }))
    expect((await failure(prepareFailover(await at('a'), ref))).kind).toBe('arrayFault')
    expect((await view('a')).state).toBe('protected')
  })

  it('8: a target has caught up when it holds what the source had at its demotion, not when the link is well', async () => {
    const { ref, at } = await start()
    await prepareFailover(await at('a'), ref)
    expect((await failure(failover(await at('b'), ref, { kind: 'planned' }))).kind).toBe('wouldLoseData')
    await startSync(await at('b'), ref)
    expect((await failover(await at('b'), ref, { kind: 'planned' })).changed).toBe(true)
  })

  it('9: one bad unit never stops the others, and each is answered', async () => {
    const { at, made } = await start()
    const site = await at('a')
    const results = await eachUnit([{ id: 'nothing' }, { id: made.idAt('a') }], async (ref) => pause(site, ref))
    expect(results.map(({ item, error, value }) => [item, error?.kind, value?.view.state])).toEqual([['nothing', 'notFound', undefined], [made.idAt('a'), undefined, 'paused']])
  })

  it('10: the intent stands on the array before the call, and success is what the array shows', async () => {
    const { ref, at, view } = await start('both', overriding('demote', async () => undefined))
    const error = await failure(prepareFailover(await at('a'), ref))
    expect(error.message).toContain('does not show it')
    expect((await view('a')).pending).toMatchObject({ op: 'prepareFailover', step: 'demote' })
  })

  it('11: an unfinished operation of another kind is inProgress, with its id', async () => {
    const { ref, at, made } = await start()
    const site = await at('a')
    await site.local.replication?.setMark(site.ctx, made.idAt('a'), markKeys.intent, JSON.stringify({ op: 'prepareFailover', id: 'op-1', generation: 1, side: 'source', step: 'demote', host: 'elsewhere' }))
    const error = await failure(pause(await at('a'), ref))
    expect([error.kind, error.facts.details?.['operation']]).toEqual(['inProgress', 'op-1'])
  })

  it('12: a call that never ends is given up at its deadline', async () => {
    const { ref, at } = await start('both', (array) => boundArray(overriding('demote', async () => new Promise(() => undefined))(array), 300))
    expect((await failure(prepareFailover(await at('a'), ref))).kind).toBe('outcomeUnknown')
  })

  it('13: hosts lose the source before it is demoted, and get the target after it is promoted', async () => {
    const log: string[] = []
    const { ref, at, made } = await start('both', spied(log))
    await prepareFailover(await at('a'), ref)
    await startSync(await at('b'), ref)
    await failover(await at('b'), ref, { kind: 'planned', initiators: { '': made.hosts.b } })
    expect(log.indexOf('a unpresent')).toBeLessThan(log.indexOf('a demote'))
    expect(log.indexOf('b present')).toBeGreaterThan(log.findIndex((line) => line.startsWith('b promote')))
  })

  it('14: fencing is believed when the presentations are gone, not when the call says so', async () => {
    const { ref, at, view, made } = await start('both', overriding('unpresent', async () => undefined))
    const error = await failure(failover(await at('b'), ref, { kind: 'unplanned', plan: planFailover(await view('b')).token }))
    expect(error.kind).toBe('peerMaybeActive')
    expect((await view('b')).local.role).toBe('target')
    expect(await made.writable('a')).toBe(true)
  })

  it('15: ending replication keeps the data of both sides', async () => {
    const { ref, at, made } = await start()
    await made.write('a', 7)
    await startSync(await at('b'), ref)
    expect(await removeUnit(await at('a'), ref)).toEqual([])
    expect([await made.counters('a'), await made.counters('b')]).toEqual([[7, 7, 7], [7, 7, 7]])
  })

  it('16: volumes of a unit are not restored, shrunk or removed behind its back, and grow on both sides', async () => {
    const { at } = await start()
    const { local, remote, ctx } = await at('a')
    const [volume] = await local.list(ctx)
    const id = volume?.id ?? ''
    await local.access?.unpresent(ctx, id, volume?.presentedTo ?? [])
    await local.resize(ctx, id, 8192, false)
    expect((await remote?.list(ctx))?.map(({ size }) => size)).toEqual([8192, 4096, 4096])
    expect((await failure(local.resize(ctx, id, 4096, true))).kind).toBe('busy')
    expect((await failure(local.remove(ctx, id))).kind).toBe('busy')
  })

  it('17: after a failover the old side takes no part in replication operations', async () => {
    const { ref, at } = await moved()
    for (const work of [pause(await at('a'), ref), resume(await at('a'), ref), startSync(await at('a'), ref)]) expect((await failure(work)).kind).toBe('wrongRole')
  })

  it('18: healthy needs link, every member, lag and the absence of pause and test', async () => {
    const { view, ref, at } = await start()
    const good = (await view('a')).local
    expect(combine(good, undefined, Date.now()).healthy).toBe(true)
    const spoilt: readonly Partial<ReplicationUnit>[] = [
      { link: 'down' }, { transfer: 'paused' }, { lastConsistent: { kind: 'unknown' } }, { splitBrain: true },
      { members: good.members.map((member, index) => (index === 1 ? { ...member, sync: 'stale' } : member)) },
      { mode: 'periodic', periodSeconds: 300, lastConsistent: { kind: 'time', ms: 0 } },
    ]
    for (const change of spoilt) expect(combine({ ...good, ...change }, undefined, Date.now()).healthy, JSON.stringify(change)).toBe(false)
    await startTest(await at('b'), ref, { initiators: {} })
    expect((await view('b')).healthy).toBe(false)
  })

  it('19: being caught up is told by one array\'s clock alone', async () => {
    const { ref, at, view } = await start()
    await prepareFailover(await at('a'), ref)
    const seen = await view('b')
    // The target's clock runs an hour ahead: that alone makes nothing caught up.
    const ahead = { ...seen.local, lastConsistent: { kind: 'time', ms: Date.now() + 3_600_000 } as const }
    expect(planFailover(combine(ahead, seen.remote, Date.now())).discards).toBe(true)
  })

  it('20: where a unit was failed over to is on the array, for whoever starts next', async () => {
    const { view } = await moved()
    expect((await view('b')).failover).toMatchObject({ kind: 'planned', generation: 1, operator: 'alice' })
  })
})

describe('the tables of the state machine', () => {
  it('answer every operation in every state, and every state says what to do', () => {
    for (const operation of replicationOperations) expect(Object.keys(operationRules[operation]).sort()).toEqual([...unitStates].sort())
    for (const state of unitStates) expect(remedies[state].length).toBeGreaterThan(20)
  })

  it('let no operation run where both sides may have taken writes, but for taking a test away', () => {
    for (const operation of replicationOperations) {
      for (const state of ['splitBrain', 'needsOperator'] as const) expect(operationRules[operation][state] === 'run', `${operation} ${state}`).toBe(operation === 'stopTest')
    }
  })

  it('never fail over to a side without a complete copy', () => {
    expect([operationRules.failover.initialSync, operationRules.startTest.initialSync]).toEqual(['wouldLoseData', 'wouldLoseData'])
  })

  it('name each pair of roles once', () => {
    const pairs = pairRows.map(({ source, target }) => `${source}/${target}`)
    expect(new Set(pairs).size).toBe(pairs.length)
  })
})
