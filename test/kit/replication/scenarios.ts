/** Every operation of disaster recovery with a state to start from, what must be true when it has succeeded, and what never may be false. */
import { strict as assert } from 'node:assert'
import {
  createReplicatedVolume, deleteReplicatedVolume, failover, findUnit, pause, planFailover, planRestore, planReverse, prepareFailover, prepareRestore, prepareReverse, readView, restore, resume, reverse, startSync, startTest, stopTest,
  type ReplicationSite, type UnitView,
} from '../../../core/replication/index.ts'
import { StorageError } from '../../../core/errors.ts'
import type { ReplicationWorld, Sight, SiteName } from './world.ts'

export interface Actors {
  readonly world: ReplicationWorld
  readonly sight: Sight
  readonly at: (site: SiteName) => Promise<ReplicationSite>
}

export interface Scenario {
  readonly name: string
  readonly sights: readonly Sight[]
  readonly prepare: (actors: Actors) => Promise<void>
  readonly run: (actors: Actors) => Promise<unknown>
  /** After success. `acked`: the last counter a host was acknowledged at each side. */
  readonly reached: (actors: Actors, acked: Readonly<Record<SiteName, number>>) => Promise<void>
  /** The hosts of the source are gone (a dead site): the consumer does not write there. */
  readonly sourceSiteDead?: true
}

const viewAt = async ({ world, at }: Actors, site: SiteName): Promise<UnitView> => {
  const here = await at(site)
  return readView(here, await findUnit(here, { key: world.key }))
}

const syncNow = async (actors: Actors): Promise<void> => {
  const view = await viewAt(actors, 'a')
  const source: SiteName = view.localSide === 'source' ? 'a' : 'b'
  const target: SiteName = source === 'a' ? 'b' : 'a'
  await startSync(await actors.at(actors.world.traits.sites.sync === 'source' ? source : target), { key: actors.world.key })
}

const rolesAre = async (actors: Actors, a: string, b: string): Promise<void> => {
  const shown = await Promise.all((['a', 'b'] as const).map(async (site) => (await viewAt(actors, site)).local.role))
  assert.deepEqual(shown, [a, b], 'roles')
}

const toB = (actors: Actors) => ({ initiators: { '': actors.world.hosts.b } })

const planned = async (actors: Actors): Promise<void> => {
  const ref = { key: actors.world.key }
  await prepareFailover(await actors.at('a'), ref)
  await syncNow(actors)
  await failover(await actors.at('b'), ref, { kind: 'planned', ...toB(actors) })
}

const hostsOfADie = async ({ world, at }: Actors): Promise<void> => {
  const here = await at('a')
  await here.local.replication?.unpresent(here.ctx, world.idAt('a'))
}

const disaster = async (actors: Actors): Promise<unknown> => {
  const plan = planFailover(await viewAt(actors, 'b')).token
  return failover(await actors.at('b'), { key: actors.world.key }, { kind: 'unplanned', operator: 'the operator', plan, ...toB(actors) })
}

const doReverse = async (actors: Actors): Promise<unknown> => {
  const ref = { key: actors.world.key }
  const { sites, prepares } = actors.world.traits
  const main: SiteName = sites.reverse === 'source' ? 'a' : 'b'
  const other: SiteName = main === 'a' ? 'b' : 'a'
  if (actors.sight === 'own' && prepares.reverse) await prepareReverse(await actors.at(other), ref, { plan: planReverse(await viewAt(actors, other)).token })
  return reverse(await actors.at(main), ref, { plan: planReverse(await viewAt(actors, main)).token })
}

const doRestore = async (actors: Actors): Promise<unknown> => {
  const ref = { key: actors.world.key }
  const { sites, prepares } = actors.world.traits
  const main: SiteName = sites.restore === 'source' ? 'a' : 'b'
  const other: SiteName = main === 'a' ? 'b' : 'a'
  const word = { operator: 'the operator' }
  if (actors.sight === 'own') {
    // The promoted side is taken from its hosts first, as whoever stops them would see to.
    const b = await actors.at('b')
    await b.local.replication?.unpresent(b.ctx, actors.world.idAt('b'))
    if (prepares.restore) await prepareRestore(await actors.at(other), ref, { ...word, plan: planRestore(await viewAt(actors, other)).token })
  }
  return restore(await actors.at(main), ref, { ...word, plan: planRestore(await viewAt(actors, main)).token })
}


const none = async (): Promise<void> => undefined
const both: readonly Sight[] = ['both', 'own']

const mine = { name: 'kit-new', provisioning: 'thin' } as const
const newGroup = { group: 'kit-group', periodSeconds: 31_622_400 } as const

const createMine = async ({ at, world }: Actors, group: string = newGroup.group): Promise<unknown> => {
  const site = await at('a')
  // Made by the run that was interrupted: the repeat answers that it is there.
  return createReplicatedVolume(site, { ...mine, size: world.volumeSize, group, mode: world.mode, ...(world.mode === 'periodic' ? { periodSeconds: newGroup.periodSeconds } : {}) }).catch((error: unknown) => {
    if (error instanceof StorageError && error.kind === 'alreadyExists') return undefined
    throw error
  })
}

/** The volume on each array, and the members of the groups that are there. */
const whatIs = async ({ at }: Actors): Promise<{ readonly volumes: readonly number[]; readonly groups: Readonly<Record<string, readonly number[]>>; readonly texts: readonly string[] }> => {
  const { ctx, local, remote } = await at('a')
  const arrays = [local, ...(remote === undefined ? [] : [remote])]
  const volumes = await Promise.all(arrays.map(async (array) => (await array.list(ctx)).filter(({ name }) => name === mine.name).length))
  const groups: Record<string, number[]> = {}
  for (const array of arrays) for (const { name, members } of (await array.replication?.units(ctx)) ?? []) groups[name] = [...(groups[name] ?? []), members.length]
  return { volumes, groups, texts: [...((await local.metadata?.list(ctx, 'op.')) ?? new Map<string, string>()).keys()] }
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'making a replicated volume with its group', sights: ['both'], prepare: none, run: async (actors) => createMine(actors),
    async reached(actors) {
      assert.deepEqual(await whatIs(actors), { volumes: [1, 1], groups: { unit: [3, 3], [newGroup.group]: [1, 1] }, texts: [] })
    },
  },
  {
    name: 'making a replicated volume in a group that is there', sights: ['both'], prepare: none, run: async (actors) => createMine(actors, 'unit'),
    async reached(actors) {
      assert.deepEqual(await whatIs(actors), { volumes: [1, 1], groups: { unit: [4, 4] }, texts: [] })
      await rolesAre(actors, 'source', 'target')
    },
  },
  {
    name: 'deleting the last replicated volume of a group', sights: ['both'], prepare: async (actors) => void (await createMine(actors)),
    run: async ({ at }) => deleteReplicatedVolume(await at('a'), mine.name, newGroup.group),
    async reached(actors) {
      assert.deepEqual(await whatIs(actors), { volumes: [0, 0], groups: { unit: [3, 3] }, texts: [] })
    },
  },
  {
    name: 'deleting one of several replicated volumes', sights: ['both'], prepare: async (actors) => void (await createMine(actors, 'unit')),
    run: async ({ at }) => deleteReplicatedVolume(await at('a'), mine.name, 'unit'),
    async reached(actors) {
      assert.deepEqual(await whatIs(actors), { volumes: [0, 0], groups: { unit: [3, 3] }, texts: [] })
      await rolesAre(actors, 'source', 'target')
    },
  },
  {
    name: 'prepareFailover of a protected unit', sights: both, prepare: none,
    run: async ({ at, world }) => prepareFailover(await at('a'), { key: world.key }),
    async reached(actors) {
      await rolesAre(actors, 'demoted', 'target')
      assert.equal(await actors.world.writable('a'), false)
    },
  },
  {
    name: 'planned failover of a prepared unit', sights: both,
    async prepare(actors) {
      await prepareFailover(await actors.at('a'), { key: actors.world.key })
      await syncNow(actors)
    },
    run: async (actors) => failover(await actors.at('b'), { key: actors.world.key }, { kind: 'planned', ...toB(actors) }),
    async reached(actors, acked) {
      await rolesAre(actors, 'demoted', 'promoted')
      assert.ok(await actors.world.writable('b'), 'b is writable')
      const counters = await actors.world.counters('b')
      assert.ok(counters.every((value) => value >= acked.a && value >= acked.b), `no acknowledged write is lost: ${counters.join()} of ${JSON.stringify(acked)}`)
    },
  },
  {
    name: 'unplanned failover, the source site is dead', sights: both, prepare: hostsOfADie, sourceSiteDead: true,
    run: disaster,
    async reached(actors, acked) {
      assert.equal((await viewAt(actors, 'b')).local.role, 'promoted')
      assert.ok(await actors.world.writable('b'), 'b is writable')
      const counters = await actors.world.counters('b')
      if (actors.world.mode === 'synchronous') assert.ok(counters.every((value) => value >= acked.a), `synchronous keeps every acknowledged write: ${counters.join()}`)
    },
  },
  {
    name: 'unplanned failover, the source is alive and gets fenced', sights: ['both'], prepare: none,
    run: disaster,
    async reached(actors) {
      assert.equal(await actors.world.writable('a'), false)
      assert.ok(await actors.world.writable('b'))
    },
  },
  {
    name: 'late prepareFailover after a disaster', sights: both, sourceSiteDead: true,
    async prepare(actors) {
      await hostsOfADie(actors)
      await disaster(actors)
    },
    run: async ({ at, world }) => prepareFailover(await at('a'), { key: world.key }),
    reached: async (actors) => rolesAre(actors, 'demoted', 'promoted'),
  },
  {
    name: 'reverse after a planned failover', sights: both, prepare: planned, run: doReverse,
    async reached(actors, acked) {
      await rolesAre(actors, 'target', 'source')
      assert.ok((await actors.world.counters('b')).every((value) => value >= acked.b), 'the promoted side is undisturbed')
      await syncNow(actors)
      assert.deepEqual(await actors.world.counters('a'), await actors.world.counters('b'))
    },
  },
  {
    name: 'restore after a failover', sights: both, prepare: planned, run: doRestore,
    async reached(actors, acked) {
      await rolesAre(actors, 'source', 'target')
      assert.ok((await actors.world.counters('a')).every((value) => value >= acked.a), 'the old source has its data')
      await syncNow(actors)
      assert.deepEqual(await actors.world.counters('b'), await actors.world.counters('a'))
    },
  },
  {
    name: 'taking a prepared failover back', sights: ['both'],
    prepare: async ({ at, world }) => void (await prepareFailover(await at('a'), { key: world.key })),
    run: async ({ at, world }) => restore(await at('a'), { key: world.key }),
    reached: async (actors) => rolesAre(actors, 'source', 'target'),
  },
  {
    name: 'starting a test', sights: ['own'], prepare: none,
    run: async (actors) => {
      const view = await viewAt(actors, 'b')
      // A start that was killed may have made the copy: whoever repeats it is told, and that is an end too.
      if (view.local.testCopies.some(({ complete }) => complete)) return undefined
      return startTest(await actors.at('b'), { key: actors.world.key }, { initiators: { '': actors.world.hosts.b } })
    },
    async reached(actors) {
      await rolesAre(actors, 'source', 'target')
      assert.equal((await viewAt(actors, 'b')).local.testCopies.filter(({ complete }) => complete).length, 1)
    },
  },
  {
    name: 'stopping a test', sights: ['own'],
    prepare: async (actors) => void (await startTest(await actors.at('b'), { key: actors.world.key }, { initiators: { '': actors.world.hosts.b } })),
    run: async (actors) => stopTest(await actors.at('b'), { key: actors.world.key }),
    async reached(actors) {
      await rolesAre(actors, 'source', 'target')
      assert.equal((await viewAt(actors, 'b')).local.testCopies.length, 0)
    },
  },
  {
    name: 'pausing', sights: ['own'], prepare: none,
    run: async (actors) => pause(await actors.at('a'), { key: actors.world.key }),
    async reached(actors) {
      assert.equal((await viewAt(actors, 'a')).state, 'paused')
    },
  },
  {
    name: 'resuming', sights: ['own'],
    prepare: async (actors) => void (await pause(await actors.at('a'), { key: actors.world.key })),
    run: async (actors) => resume(await actors.at('a'), { key: actors.world.key }),
    async reached(actors) {
      await syncNow(actors)
      assert.equal((await viewAt(actors, 'a')).state, 'protected')
    },
  },
  {
    name: 'synchronising', sights: ['own'], prepare: none, run: syncNow,
    async reached(actors) {
      await syncNow(actors)
      await rolesAre(actors, 'source', 'target')
    },
  },
]
