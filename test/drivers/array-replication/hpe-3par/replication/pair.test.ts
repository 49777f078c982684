/** Replication between two simulated arrays through the driver: set-up and its undoing, roles of both sides, points, test copies, fencing. */
import { afterEach, describe, expect, it } from 'vitest'
import { MiB } from '../../../../../core/units.ts'
import { caught, startPair, type Pair } from '../on-simulator.ts'
import { initiators, read, replicated as replicatedPair, replicationOf, roles, until, write, type World } from './pair.ts'

let pair: Pair | undefined
afterEach(async () => {
  await pair?.close()
  pair = undefined
})
const replicated = async (): Promise<World> => replicatedPair((started) => { pair = started })

describe('a replicated group', () => {
  it('is seen from both sides as one unit', async () => {
    const world = await replicated()
    const [p, s] = [await world.unitP(), await world.unitS()]
    expect(p).toMatchObject({ id: 'g', name: 'g', naturalRole: 'source', role: 'source', transfer: 'running', mode: 'periodic', periodSeconds: 900, splitBrain: false, peerView: { reachable: true, role: 'target' } })
    expect(s).toMatchObject({ id: world.there, name: 'g', naturalRole: 'target', role: 'target', transfer: 'running', peerView: { reachable: true, role: 'source' } })
    expect(s.key).toBe(p.key)
    expect(s.members.map(({ key }) => key).toSorted()).toEqual(p.members.map(({ key }) => key).toSorted())
    expect(p.members[0]?.identity?.kind).toBe('wwn')
    expect([p.peer, s.peer]).toEqual([(await world.far.info(world.ctx)).id, (await world.near.info(world.ctx)).id])
  })

  it('has volumes of two identities, so that no host takes the two sides for paths to one disk', async () => {
    const world = await replicated()
    const [near, far] = await Promise.all([world.near.volume(world.ctx, 'v1'), world.far.volume(world.ctx, 'v1')])
    expect(near?.wwid).toMatch(/^naa\./)
    expect(far?.wwid).toMatch(/^naa\./)
    expect(far?.wwid).not.toBe(near?.wwid)
  })

  it('is made again as it is', async () => {
    const world = await replicated()
    expect(await world.p.create?.(world.ctx, { name: 'g', kind: 'group', peer: world.sims[1].name, mode: 'periodic', volumes: ['v1', 'v2'] })).toMatchObject({ id: 'g', transfer: 'running' })
    expect((await caught(world.p.create?.(world.ctx, { name: 'g', kind: 'group', peer: world.sims[1].name, mode: 'synchronous', volumes: ['v1'] }) ?? Promise.resolve())).kind).toBe('alreadyExists')
  })

  it.each(['POST /remotecopygroups', 'PUT /remotecopygroups/*'])('leaves nothing behind when %s fails while it is made', async (match) => {
    const world = await startPair()
    pair = world
    const p = replicationOf(world.near)
    for (const name of ['v1', 'v2']) await world.near.create(world.ctx, { name, size: 256 * MiB, provisioning: 'thin' })
    // Period, first volume, second volume, start: each in its turn.
    for (let nth = 1; nth <= (match.startsWith('POST') ? 1 : 4); nth += 1) {
      const plan = world.sims[0].fault({ match, nth, effect: 'error', status: 500, code: 1 })
      expect((await caught(p.create?.(world.ctx, { name: 'g', kind: 'group', peer: world.sims[1].name, mode: 'periodic', periodSeconds: 600, volumes: ['v1', 'v2'] }) ?? Promise.resolve())).kind).toBe('arrayFault')
      expect(plan.hits()).toBe(1)
      plan.release()
      expect(await p.units(world.ctx)).toEqual([])
      expect((await world.far.list(world.ctx)).map(({ id }) => id)).toEqual([])
      expect((await world.near.list(world.ctx)).map(({ id }) => id).toSorted()).toEqual(['v1', 'v2'])
    }
  })

  it('takes and gives up members, stopped meanwhile and started again', async () => {
    const world = await replicated()
    await world.near.create(world.ctx, { name: 'v3', size: 256 * MiB, provisioning: 'thin' })
    expect((await world.p.addVolume?.(world.ctx, 'g', 'v3'))?.members.map(({ name }) => name)).toEqual(['v1', 'v2', 'v3'])
    expect((await world.p.removeVolume?.(world.ctx, 'g', 'v1'))?.members.map(({ name }) => name)).toEqual(['v2', 'v3'])
    expect((await world.unitP()).transfer).not.toBe('paused')
    expect((await world.far.volume(world.ctx, 'v1'))?.id).toBe('v1')
    expect((await caught(world.near.remove(world.ctx, 'v2'))).kind).toBe('busy')
    expect(await world.near.resize(world.ctx, 'v2', 512 * MiB, false)).toMatchObject({ kind: 'done', value: { size: 512 * MiB } })
    expect((await world.unitP()).transfer).not.toBe('paused')
  })

  it('ends, and both sides keep their volumes', async () => {
    const world = await replicated()
    await world.p.remove(world.ctx, 'g')
    expect([await world.p.units(world.ctx), await world.s.units(world.ctx)]).toEqual([[], []])
    expect((await world.far.list(world.ctx)).map(({ id }) => id).toSorted()).toEqual(['v1', 'v2'])
    await world.p.remove(world.ctx, 'g')
  })

  it('costs the same number of requests, however many groups there are', async () => {
    const world = await replicated()
    world.requests()
    await world.p.units(world.ctx)
    const one = world.requests().length
    for (let count = 0; count < 5; count += 1) {
      await world.near.create(world.ctx, { name: `w${count}`, size: 256 * MiB, provisioning: 'thin' })
      await world.p.create?.(world.ctx, { name: `h${count}`, kind: 'group', peer: world.sims[1].name, mode: 'periodic', volumes: [`w${count}`] })
    }
    world.requests()
    expect(await world.p.units(world.ctx)).toHaveLength(6)
    expect(world.requests().length).toBe(one)
    expect(one).toBeLessThanOrEqual(5)
  })
})

describe('marks', () => {
  it('are kept on their side, without the other array, and go with the unit', async () => {
    const world = await replicated()
    world.sims[1].power(false)
    await world.p.setMark(world.ctx, 'g', 'sm.intent', JSON.stringify({ op: 'failover', text: 'ä"x' }))
    await world.p.setMark(world.ctx, 'g', 'sm.generation', '3')
    await world.p.setMark(world.ctx, 'g', 'sm.generation', '4')
    expect((await world.unitP()).marks).toEqual({ 'sm.intent': JSON.stringify({ op: 'failover', text: 'ä"x' }), 'sm.generation': '4' })
    expect((await world.unitP()).peerView.reachable).toBe(false)
    await world.p.setMark(world.ctx, 'g', 'sm.intent', undefined)
    await world.p.setMark(world.ctx, 'g', 'sm.intent', undefined)
    expect((await world.unitP()).marks).toEqual({ 'sm.generation': '4' })
    expect((await caught(world.p.setMark(world.ctx, 'g', 'k', 'x'.repeat(241)))).kind).toBe('invalidArgument')
  })
})

describe('roles', () => {
  it('a demoted source has no host, and what is synchronised afterwards is later than its demotion', async () => {
    const world = await replicated()
    await world.p.present(world.ctx, 'g', initiators)
    expect(await world.p.presentations(world.ctx, 'g')).toHaveLength(2)
    await world.p.demote(world.ctx, 'g')
    await world.p.demote(world.ctx, 'g')
    expect(await world.p.presentations(world.ctx, 'g')).toEqual([])
    const demoted = await world.unitP()
    expect(demoted.role).toBe('demoted')
    const session = await world.p.startSync(world.ctx, 'g')
    await until(async () => world.p.syncStatus(world.ctx, 'g', session.id), ({ state }) => state === 'complete')
    const after = await world.unitP()
    expect(after.lastConsistent.kind === 'time' ? after.lastConsistent.ms : 0).toBeGreaterThanOrEqual(demoted.demotedMs ?? Number.MAX_SAFE_INTEGER)
    await world.p.undemote(world.ctx, 'g')
    expect((await world.unitP()).role).toBe('source')
  })

  it('pause and resume, each twice', async () => {
    const world = await replicated()
    for (const _ of [1, 2]) await world.p.pause(world.ctx, 'g')
    expect((await world.unitP()).transfer).toBe('paused')
    for (const _ of [1, 2]) await world.p.resume(world.ctx, 'g')
    expect((await world.unitP()).transfer).toBe('running')
    expect((await caught(world.s.resume(world.ctx, world.there))).kind).toBe('wrongRole')
  })

  it('a lost link is an interruption and no pause, on both sides, until replication is resumed', async () => {
    const world = await replicated()
    world.running.link.cut()
    expect([(await world.unitP()).transfer, (await world.unitS()).transfer]).toEqual(['interrupted', 'interrupted'])
    world.running.link.restore()
    await world.p.resume(world.ctx, 'g')
    expect([(await world.unitP()).transfer, (await world.unitS()).transfer]).toEqual(['running', 'running'])
    expect((await world.unitP()).link).toBe('up')
  })

  it('go the whole way there and back, with the bytes', async () => {
    const world = await replicated()
    await write(world, 0, 'v1', 'first')
    await write(world, 0, 'v2', 'first')
    await world.p.demote(world.ctx, 'g')
    const session = await world.p.startSync(world.ctx, 'g')
    await until(async () => world.p.syncStatus(world.ctx, 'g', session.id), ({ state }) => state === 'complete')
    for (const _ of [1, 2]) await world.s.promote(world.ctx, world.there, { force: false })
    expect(await roles(world)).toEqual(['demoted', 'promoted'])
    expect((await caught(world.p.undemote(world.ctx, 'g'))).kind).toBe('wrongRole')
    expect([read(world, 1, 'v1'), read(world, 1, 'v2')]).toEqual(['first', 'first'])
    await write(world, 1, 'v1', 'second')
    for (const _ of [1, 2]) await world.s.reverse(world.ctx, world.there)
    expect(await roles(world)).toEqual(['target', 'source'])
    await until(world.unitS, (unit) => unit.members.every(({ sync }) => sync === 'synced'))
    await world.s.demote(world.ctx, world.there)
    const back = await world.s.startSync(world.ctx, world.there)
    await until(async () => world.s.syncStatus(world.ctx, world.there, back.id), ({ state }) => state === 'complete')
    for (const _ of [1, 2]) await world.p.promote(world.ctx, 'g', { force: false })
    expect(await roles(world)).toEqual(['promoted', 'demoted'])
    expect(read(world, 0, 'v1')).toBe('second')
    for (const _ of [1, 2]) await world.p.reverse(world.ctx, 'g')
    expect(await roles(world)).toEqual(['source', 'target'])
    expect((await world.unitP()).transfer).toMatch(/running|initial/)
  })

  it('a promotion needs nothing of a dead source', async () => {
    const world = await replicated()
    world.sims[0].power(false)
    await world.s.keepPoint(world.ctx, world.there, 'sm-before-promotion-1', 'before-promotion')
    await world.s.promote(world.ctx, world.there, { force: false })
    const unit = await world.unitS()
    expect([unit.role, unit.peerView.reachable]).toEqual(['promoted', false])
  })

  it('a restore gives the promoted side\'s writes up and replicates as before', async () => {
    const world = await replicated()
    await write(world, 0, 'v1', 'kept')
    const session = await world.p.startSync(world.ctx, 'g')
    await until(async () => world.p.syncStatus(world.ctx, 'g', session.id), ({ state }) => state === 'complete')
    await world.p.demote(world.ctx, 'g')
    await world.s.promote(world.ctx, world.there, { force: false })
    await write(world, 1, 'v1', 'given up')
    for (const _ of [1, 2]) await world.s.prepareRestore?.(world.ctx, world.there)
    for (const _ of [1, 2]) await world.p.restore(world.ctx, 'g')
    expect(await roles(world)).toEqual(['source', 'target'])
    await until(world.unitP, (unit) => unit.transfer === 'running' && unit.members.every(({ sync }) => sync === 'synced'))
    expect([read(world, 0, 'v1'), read(world, 1, 'v1')]).toEqual(['kept', 'kept'])
  })

  it('the present layout becomes the natural one', async () => {
    const world = await replicated()
    await world.p.demote(world.ctx, 'g')
    await world.s.promote(world.ctx, world.there, { force: false })
    await world.s.reverse(world.ctx, world.there)
    await until(world.unitS, (unit) => unit.members.every(({ sync }) => sync === 'synced'))
    for (const _ of [1, 2]) {
      await world.s.adopt(world.ctx, world.there)
      await world.p.adopt(world.ctx, 'g')
    }
    expect([(await world.unitP()).naturalRole, (await world.unitS()).naturalRole]).toEqual(['target', 'source'])
    expect(await roles(world)).toEqual(['target', 'source'])
  })
})

describe('points and test copies', () => {
  it('a point is one moment of all members, is the same when asked for again, and can be promoted to', async () => {
    const world = await replicated()
    await write(world, 0, 'v1', 'old')
    const first = await world.p.startSync(world.ctx, 'g')
    await until(async () => world.p.syncStatus(world.ctx, 'g', first.id), ({ state }) => state === 'complete')
    const point = await world.s.keepPoint(world.ctx, world.there, 'keep-me', 'user')
    expect(await world.s.keepPoint(world.ctx, world.there, 'keep-me', 'user')).toEqual(point)
    expect(await world.s.points(world.ctx, world.there)).toEqual([point])
    await write(world, 0, 'v1', 'new')
    const second = await world.p.startSync(world.ctx, 'g')
    await until(async () => world.p.syncStatus(world.ctx, 'g', second.id), ({ state }) => state === 'complete')
    await world.p.demote(world.ctx, 'g')
    await world.s.promote(world.ctx, world.there, { force: false, recoveryPoint: point.id })
    expect((await world.unitS()).role).toBe('promoted')
    expect(read(world, 1, 'v1')).toBe('old')
    await world.s.removePoint(world.ctx, world.there, point.id)
    await world.s.removePoint(world.ctx, world.there, point.id)
    expect(await world.s.points(world.ctx, world.there)).toEqual([])
  })

  it('a test copy is writable, presented, and leaves replication alone', async () => {
    const world = await replicated()
    const test = await world.s.startTest(world.ctx, world.there, { id: 'test-1', initiators })
    expect(test).toMatchObject({ id: 'test-1', complete: true })
    expect(test.members.map(({ key }) => key).toSorted()).toEqual(['v1', 'v2'])
    expect(await world.s.startTest(world.ctx, world.there, { id: 'test-1', initiators })).toEqual(test)
    expect((await world.unitS()).testCopies).toEqual([test])
    expect((await world.unitS()).transfer).toBe('running')
    expect(await world.far.access?.presentations(world.ctx, test.members.map(({ copy }) => copy))).toHaveLength(2)
    expect(await world.s.presentations(world.ctx, world.there)).toEqual([])
    for (const _ of [1, 2]) await world.s.stopTest(world.ctx, world.there, 'test-1')
    expect((await world.unitS()).testCopies).toEqual([])
  })

  it('a test copy of a kept point is of that point', async () => {
    const world = await replicated()
    const point = await world.s.keepPoint(world.ctx, world.there, 'then', 'user')
    const test = await world.s.startTest(world.ctx, world.there, { id: 'test-2', recoveryPoint: point.id, initiators })
    expect(test.recoveryPoint).toEqual({ id: point.id, timeMs: point.timeMs })
    expect(test.members.map(({ key }) => key).toSorted()).toEqual(['v1', 'v2'])
    expect((await caught(world.s.startTest(world.ctx, world.there, { id: 'test-3', recoveryPoint: 'smp-none', initiators }))).kind).toBe('notFound')
    await world.s.stopTest(world.ctx, world.there, 'test-2')
    expect((await world.s.points(world.ctx, world.there)).map(({ id }) => id)).toEqual([point.id])
  })
})

it('keeps a mark as long as the engine may write one, and replaces it whole', async () => {
  const world = await replicated()
  for (const value of ['x'.repeat(240), 'short', 'y'.repeat(240)]) {
    await world.p.setMark(world.ctx, 'g', 'kit', value)
    expect((await world.unitP()).marks['kit']).toBe(value)
  }
  await world.p.setMark(world.ctx, 'g', 'kit', undefined)
  expect((await world.unitP()).marks['kit']).toBeUndefined()
})
