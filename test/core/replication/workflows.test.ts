/** The workflows of disaster recovery on the model array: with both arrays in sight, and with each site knowing its own only. */
import { afterEach, describe, expect, it } from 'vitest'
import type { OpenArray } from '../../../core/array/contract.ts'
import { StorageError } from '../../../core/errors.ts'
import {
  adopt, failover, findUnit, pause, planFailover, planRestore, planReverse, prepareFailover, prepareRestore, prepareReverse, readView, restore, resume, reverse,
  startSync, startTest, stopTest, syncStatus, type ReplicationSite, type UnitView,
} from '../../../core/replication/index.ts'
import { modelWorld } from '../../kit/replication/model-world.ts'
import { createMachine, ctxOn, siteOf, type ReplicationWorld, type Sight, type SiteName } from '../../kit/replication/world.ts'

let world: ReplicationWorld | undefined
afterEach(async () => {
  await world?.destroy()
  world = undefined
})

const modes = ['asynchronous', 'synchronous'] as const
const sights: readonly Sight[] = ['both', 'own']

interface Desk {
  readonly world: ReplicationWorld
  readonly ref: { readonly key: string }
  readonly at: (site: SiteName) => Promise<ReplicationSite>
  readonly view: (site: SiteName) => Promise<UnitView>
  /** The site where a step of that side runs, when only one array is in sight. */
  readonly sync: () => Promise<void>
}

const desk = async (mode: (typeof modes)[number], sight: Sight): Promise<Desk> => {
  const made = await modelWorld({ mode })
  world = made
  const machines = { a: createMachine('host-a'), b: createMachine('host-b') }
  const at = async (site: SiteName): Promise<ReplicationSite> => siteOf(made, site, sight, ctxOn(machines[site]))
  const ref = { key: made.key }
  return {
    world: made, ref, at,
    view: async (site) => {
      const here = await at(site)
      return readView(here, await findUnit(here, ref))
    },
    async sync() {
      const roles = (await (await at('b')).local.replication?.units((await at('b')).ctx))?.[0]?.role
      const where = await at(roles === 'target' ? 'b' : 'a')
      expect((await startSync(where, ref)).state).toBe('complete')
    },
  }
}

const kindOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work
    return 'ok'
  } catch (error) {
    return error instanceof StorageError ? error.kind : String(error)
  }
}

const reverseBoth = async ({ at, ref, view }: Desk, demoted: SiteName, promoted: SiteName): Promise<void> => {
  const plan = planReverse(await view(promoted)).token
  await prepareReverse(await at(promoted), ref, { plan })
  await reverse(await at(demoted), ref, { plan: planReverse(await view(demoted)).token })
}

describe.each(modes.flatMap((mode) => sights.map((sight) => ({ mode, sight }))))('disaster recovery, $mode, seeing $sight', ({ mode, sight }) => {
  it('moves a unit over and back without losing an acknowledged write', async () => {
    const desktop = await desk(mode, sight)
    const { at, ref, view } = desktop
    const w = desktop.world
    expect(await w.write('a', 1)).toBe(true)
    expect((await prepareFailover(await at('a'), ref)).view.state).toBe('prepared')
    expect(await w.write('a', 2)).toBe(false)
    await desktop.sync()
    const moved = await failover(await at('b'), ref, { kind: 'planned', initiators: { '': w.hosts.b } })
    expect(moved.view.state).toBe('failedOver')
    expect(await w.counters('b')).toEqual([1, 1, 1])
    expect(await w.write('b', 3)).toBe(true)
    // A repeat answers the same and changes nothing.
    const again = await failover(await at('b'), ref, { kind: 'planned', initiators: { '': w.hosts.b } })
    expect([again.changed, again.view.failover]).toEqual([false, moved.view.failover])
    await reverseBoth(desktop, 'a', 'b')
    expect(await w.counters('b')).toEqual([3, 3, 3])
    expect((await view('a')).direction).toBe('reversed')
    expect((await view('a')).state).toBe('initialSync')
    await desktop.sync()
    expect((await view('a')).state).toBe('protected')
    expect(await w.counters('a')).toEqual([3, 3, 3])
    expect((await reverse(await at('a'), ref)).changed).toBe(false)
    // Home again.
    await prepareFailover(await at('b'), ref)
    await desktop.sync()
    await failover(await at('a'), ref, { kind: 'planned', initiators: { '': w.hosts.a } })
    await reverseBoth(desktop, 'b', 'a')
    await desktop.sync()
    expect(await w.counters('a')).toEqual([3, 3, 3])
    expect((await view('a')).direction).toBe('natural')
    expect((await view('b')).healthy).toBe(true)
    const pointsAt = async (site: SiteName): Promise<readonly unknown[] | undefined> => (await w.open(site)).replication?.points((await at(site)).ctx, w.idAt(site))
    expect(await pointsAt('b')).toEqual([])
    // A site that sees its own array only tidies up with its next operation.
    if (sight === 'own') await prepareFailover(await at('a'), ref)
    expect(await pointsAt('a')).toHaveLength(sight === 'own' ? 1 : 0)
  })

  it('fails over with the source dead, takes the late preparation, and restores what was before', async () => {
    const desktop = await desk(mode, 'own')
    const { at, ref, view } = desktop
    const w = desktop.world
    await w.write('a', 1)
    await desktop.sync()
    await w.cutLink()
    await w.write('a', 2)
    const b = await at('b')
    expect(await kindOf(failover(b, ref, { kind: 'planned' }))).toBe('peerMaybeActive')
    expect(await kindOf(failover(b, ref, { kind: 'unplanned' }))).toBe('peerMaybeActive')
    expect(await kindOf(failover(b, ref, { kind: 'unplanned', operator: 'alice' }))).toBe('wouldLoseData')
    const plan = planFailover(await view('b')).token
    await failover(b, ref, { kind: 'unplanned', operator: 'alice', plan, initiators: { '': w.hosts.b } })
    expect(await w.counters('b')).toEqual([1, 1, 1])
    await w.write('b', 5)
    await w.restoreLink()
    expect((await view('b')).sourceDisposition).toBe('stillActive')
    expect(await kindOf(reverse(await at('a'), ref))).toBe('peerMaybeActive')
    const late = await prepareFailover(await at('a'), ref)
    expect(late.view.state).toBe('failedOver')
    expect(await w.writable('a')).toBe(false)
    // Back to what was: the promoted side's writes go, after a word.
    expect(await kindOf(prepareRestore(await at('b'), ref))).toBe('wouldLoseData')
    const back = planRestore(await view('a')).token
    await prepareRestore(await at('a'), ref, { plan: back, operator: 'alice' })
    await restore(await at('b'), ref, { plan: planRestore(await view('b')).token, operator: 'alice' })
    expect((await view('a')).roles).toEqual({ source: 'source', target: 'target' })
    expect(await w.counters('a')).toEqual([2, 2, 2])
    await desktop.sync()
    expect(await w.counters('b')).toEqual([2, 2, 2])
    expect((await view('a')).warnings).toEqual([])
  })

  it('takes a preparation back', async () => {
    const { at, ref, world: w, view } = await desk(mode, sight)
    await prepareFailover(await at('a'), ref)
    await (sight === 'both' ? restore : prepareRestore)(await at('a'), ref)
    expect((await view('a')).state).toBe('protected')
    const a = await at('a')
    await a.local.replication?.present(a.ctx, w.idAt('a'), { '': w.hosts.a })
    expect(await w.write('a', 9)).toBe(true)
  })

  it('tests beside replication, once at a time', async () => {
    const desktop = await desk(mode, sight)
    const { at, ref, world: w } = desktop
    await w.write('a', 4)
    await desktop.sync()
    const test = await startTest(await at('b'), ref, { initiators: { '': w.hosts.b } })
    expect(test.copy.members.every(({ identity }) => identity?.kind === 'lun')).toBe(true)
    expect(test.view.testing).toBe(true)
    expect(await kindOf(startTest(await at('b'), ref, { initiators: {} }))).toBe('busy')
    expect(await w.write('a', 5)).toBe(true)
    await desktop.sync()
    expect(await w.counters('b')).toEqual([5, 5, 5])
    expect((await stopTest(await at('b'), ref)).changed).toBe(true)
    expect((await stopTest(await at('b'), ref)).changed).toBe(false)
  })

  it('pauses, resumes, adopts and answers for syncs that have ended', async () => {
    const desktop = await desk(mode, sight)
    const { at, ref, world: w, view } = desktop
    expect((await pause(await at('a'), ref)).view.state).toBe('paused')
    expect((await pause(await at('a'), ref)).changed).toBe(false)
    expect(await kindOf(startSync(await at('b'), ref))).toBe('wrongRole')
    expect((await resume(await at('a'), ref)).view.state).toBe('protected')
    const session = await startSync(await at('b'), ref)
    expect((await syncStatus(await at('b'), ref, session.id)).state).toBe('complete')
    expect(await kindOf(syncStatus(await at('b'), ref, 'never'))).toBe('notFound')
    await prepareFailover(await at('a'), ref)
    await desktop.sync()
    await failover(await at('b'), ref, { kind: 'planned' })
    await reverseBoth(desktop, 'a', 'b')
    await desktop.sync()
    expect((await view('a')).direction).toBe('reversed')
    for (const site of ['a', 'b'] as const) await adopt(await at(site), ref)
    expect((await view('a')).direction).toBe('natural')
    expect((await w.open('b') satisfies OpenArray).type).toBe('model')
  })
})
