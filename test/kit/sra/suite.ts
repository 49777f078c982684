/** What SRM relies on, played at two sites: the same sentences for every replicating driver. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { OpenArray } from '../../../core/array/contract.ts'
import type { ArrayCtx } from '../../../core/array/types.ts'
import { StorageError } from '../../../core/errors.ts'
import { withFaults } from '../replication/faults.ts'
import { createMachine, ctxOn, otherSite } from '../replication/world.ts'
import { allDone, direct, failover, migrate, pairAt, prepareFailover, reprotect, restore, see, sourceIds, startTest, stopTest, sync, turn, views, check, type Play } from './play.ts'
import { password, srmAt, username } from './srm.ts'
import type { NewPlayWorld } from './world.ts'

/** Calls after which nothing can be different. */
const reading: ReadonlySet<string> = new Set(['units', 'unit', 'points', 'presentations', 'peers', 'syncStatus'])

export const playSuite = (name: string, newWorld: NewPlayWorld, timeout: number): void => {
  describe(`SRM at two sites, ${name}`, { timeout }, () => {
    let play: Play
    let names: readonly string[] = []
    let fromA: readonly string[] = []
    let fromB: readonly string[] = []
    beforeEach(async () => {
      const world = await newWorld()
      play = { world, at: { a: srmAt(world, 'a'), b: srmAt(world, 'b') } }
      names = world.units.map((unit) => unit.name)
      fromA = world.units.filter(({ from }) => from === 'a').map((unit) => unit.name)
      fromB = world.units.filter(({ from }) => from === 'b').map((unit) => unit.name)
    }, timeout)
    afterEach(async () => {
      for (const line of [...play.at.a.log, ...play.at.b.log]) expect(line.includes(password) || line.includes(username)).toBe(false)
      await play.world.destroy()
    }, timeout)

    const allViews = async (units: readonly string[]): Promise<readonly string[]> => Promise.all(units.map(async (unit) => views(play, unit)))
    const same = (units: readonly string[], view: string): readonly string[] => units.map(() => view)

    it('pairs the arrays, and shows every unit of both directions at both sites', async () => {
      for (const site of ['a', 'b'] as const) {
        const { arrays } = await play.at[site].ask('discoverArrays', undefined)
        expect(arrays.map(({ id, peerArrays }) => [id, peerArrays.map((peer) => peer.id)])).toEqual([[play.world.arrayIds[site], [play.world.arrayIds[otherSite(site)]]]])
      }
      expect(await allViews(fromA)).toEqual(same(fromA, 'source target'))
      expect(await allViews(fromB)).toEqual(same(fromB, 'target source'))
      for (const unit of play.world.units) {
        const { identities, members } = await see(play, unit.from, unit.name)
        expect(identities).toBe(members.length)
      }
    })

    it('migrates both directions at once, protects them again, fails back, and loses no acknowledged write', async () => {
      for (const { from, name: unit } of play.world.units) expect(await play.world.write(from, unit, 1)).toBe(true)
      const [left, right] = await Promise.all([migrate(play, 'a', fromA), migrate(play, 'b', fromB)])
      expect(await allViews(fromA)).toEqual(same(fromA, 'demoted promoted'))
      expect(await allViews(fromB)).toEqual(same(fromB, 'promoted demoted'))
      for (const { from, name: unit } of play.world.units) {
        expect(await play.world.writable(from, unit)).toBe(false)
        expect(new Set(await play.world.counters(otherSite(from), unit))).toEqual(new Set([1]))
        expect(await play.world.write(otherSite(from), unit, 2)).toBe(true)
        const { identities, members, id } = await see(play, otherSite(from), unit)
        expect([identities, id]).toEqual([members.length, (from === 'a' ? left : right).promoted.get(unit)])
      }
      await Promise.all([reprotect(play, left), reprotect(play, right)])
      expect(await allViews(fromA)).toEqual(same(fromA, 'target source'))
      expect(await allViews(fromB)).toEqual(same(fromB, 'source target'))
      for (const { from, name: unit } of play.world.units) expect(new Set(await play.world.counters(from, unit))).toEqual(new Set([2]))
      const [back, forth] = await Promise.all([migrate(play, 'b', fromA), migrate(play, 'a', fromB)])
      await Promise.all([reprotect(play, back), reprotect(play, forth)])
      expect(await allViews(fromA)).toEqual(same(fromA, 'source target'))
      for (const { from, name: unit } of play.world.units) {
        expect(await play.world.write(from, unit, 3)).toBe(true)
        await sync(play, from, [unit])
        expect(new Set(await play.world.counters(otherSite(from), unit))).toEqual(new Set([3]))
      }
    })

    it('tests without touching replication or source, refuses a second test, and cleans up as often as it is asked', async () => {
      const unit = fromA[0] ?? ''
      await play.world.write('a', unit, 1)
      await sync(play, 'a', [unit])
      allDone(await check(play, 'b', [unit], 'checkTestFailoverStart'))
      allDone(await startTest(play, 'b', [unit]))
      const tested = await see(play, 'b', unit)
      expect([tested.view, tested.id, tested.identities]).toEqual(['tested', undefined, tested.members.length])
      expect((await see(play, 'a', unit)).view).toBe('source')
      expect((await startTest(play, 'b', [unit])).get(unit)).toMatchObject({ error: expect.stringContaining('is active') as unknown })
      expect(await play.world.write('a', unit, 2)).toBe(true)
      await sync(play, 'a', [unit])
      expect(new Set(await play.world.counters('b', unit))).toEqual(new Set([2]))
      expect((await stopTest(play, 'b', [unit])).get(unit)).toBe('done')
      expect((await stopTest(play, 'b', [unit])).get(unit)).toBe('warned')
      expect(await views(play, unit)).toBe('source target')
    })

    it('fails over while site A is silent, takes its late preparation, and protects the new side', async () => {
      const unit = fromA[0] ?? ''
      await play.world.write('a', unit, 1)
      await sync(play, 'a', [unit])
      const old = await sourceIds(play, 'a', [unit])
      await play.world.write('a', unit, 2)
      await play.world.cutLink()
      allDone(await check(play, 'b', [unit], 'checkFailover'))
      const first = await failover(play, 'b', [unit])
      expect(first.outcomes.get(unit)).toBe('warned')
      const again = await failover(play, 'b', [unit])
      expect(allDone(again.outcomes).get(unit)).toBe('warned')
      const shape = ({ response }: typeof first) => JSON.parse(JSON.stringify(response, (key, value: unknown) => (key === 'warnings' ? undefined : value))) as unknown
      expect(shape(again)).toEqual(shape(first))
      expect((await see(play, 'b', unit)).view).toBe('promoted')
      expect(await play.world.write('b', unit, 3)).toBe(true)
      const moved = { from: 'a' as const, old, promoted: first.ids }
      await play.world.restoreLink()
      expect(await views(play, unit)).toBe('source promoted')
      // The old source may still be written to: nothing may overwrite it.
      for (const outcomes of await turn(play, moved, 'reverse')) expect(outcomes.get(unit)).toMatchObject({ error: expect.any(String) as unknown })
      expect((await prepareFailover(play, 'a', old)).get(unit)).toBe('warned')
      expect((await prepareFailover(play, 'a', old)).get(unit)).toBe('warned')
      expect(await play.world.writable('a', unit)).toBe(false)
      expect(await views(play, unit)).toBe('demoted promoted')
      await reprotect(play, moved)
      expect(await views(play, unit)).toBe('target source')
      expect(new Set(await play.world.counters('a', unit))).toEqual(new Set([3]))
      // Once more, and late: nothing moves.
      for (const outcomes of await turn(play, moved, 'reverse')) allDone(outcomes)
      allDone(await prepareFailover(play, 'a', old))
      expect(await views(play, unit)).toBe('target source')
    })

    it('restores after a production test: the writes of the test are gone, those of the source are there', async () => {
      const unit = fromA[0] ?? ''
      await play.world.write('a', unit, 5)
      const moved = await migrate(play, 'a', [unit])
      expect(await play.world.write('b', unit, 9)).toBe(true)
      await restore(play, moved)
      expect(await views(play, unit)).toBe('source target')
      expect(new Set(await play.world.counters('a', unit))).toEqual(new Set([5]))
      expect(new Set(await play.world.counters('b', unit))).toEqual(new Set([5]))
      expect(await play.world.writable('b', unit)).toBe(false)
      // To the hosts that had it before the preparation took it from them.
      expect(await play.world.write('a', unit, 6)).toBe(true)
      const { identities, members } = await see(play, 'a', unit)
      expect(identities).toBe(members.length)
      for (const outcomes of await turn(play, moved, 'restore')) allDone(outcomes)
      expect(await views(play, unit)).toBe('source target')
      expect(await play.world.write('a', unit, 7)).toBe(true)
    })

    it('takes a preparation back when nothing was failed over, and lets the hosts of the source write again', async () => {
      const unit = fromA[0] ?? ''
      const old = await sourceIds(play, 'a', [unit])
      allDone(await prepareFailover(play, 'a', old))
      expect(await play.world.write('a', unit, 1)).toBe(false)
      // Ids of the other side come from no failover: there was none. What runs at the source is enough.
      const main = play.world.driver.replication?.sites.restore === 'source' ? 'main' : 'prepare'
      for (const outcomes of await turn(play, { from: 'a', old, promoted: new Map() }, 'restore', main)) allDone(outcomes)
      expect(await views(play, unit)).toBe('source target')
      expect(await play.world.write('a', unit, 2)).toBe(true)
      await sync(play, 'a', [unit])
      expect(new Set(await play.world.counters('b', unit))).toEqual(new Set([2]))
    })

    it('keeps a usable copy at the receiving side at every instant of a reversal and of a restore', async () => {
      const unit = fromA[0] ?? ''
      const lacking: string[] = []
      const watched = (): Play => {
        const wrap = (array: OpenArray): OpenArray => withFaults(array, { at: 0, fate: 'fails', calls: 0, dead: false, cutLink: async () => undefined, watch: async (call) => {
          if (reading.has(call)) return
          for (const site of ['a', 'b'] as const) {
            const array = await play.world.open(site)
            const ctx = ctxOn(createMachine('watcher'))
            const shown = (await array.replication?.units(ctx))?.find(({ name }) => name === unit)
            if (shown?.role === 'target' && shown.lastConsistent.kind !== 'time' && (await array.replication?.points(ctx, shown.id))?.length === 0) lacking.push(`${site} after ${call}`)
            await array.close()
          }
        } })
        return { ...play, at: { a: srmAt(play.world, 'a', { wrap }), b: srmAt(play.world, 'b', { wrap }) } }
      }
      await reprotect(watched(), await migrate(play, 'a', [unit]))
      await restore(watched(), await migrate(play, 'b', [unit]))
      expect(lacking).toEqual([])
      expect(await views(play, unit)).toBe('target source')
    })

    it('refuses what a state does not allow, item by item, and changes nothing', async () => {
      const unit = fromA[0] ?? ''
      const refused = { error: expect.any(String) as unknown }
      const [old, before] = [await sourceIds(play, 'a', [unit]), await see(play, 'b', unit)]
      const names = { from: 'a' as const, old, promoted: old }
      const main = play.world.driver.replication?.sites.reverse === 'source' ? 'a' : 'b'
      if (main === 'a') expect((await direct(play, 'a', 'reverseReplication', old)).get(unit)).toMatchObject(refused)
      const moved = await migrate(play, 'a', [unit])
      expect((await startTest(play, 'b', [unit])).get(unit)).toMatchObject(refused)
      await reprotect(play, moved)
      // The key names a target, and there is none at this site any more; a restore would undo what reprotect has done.
      expect((await failover(play, 'b', [unit], new Map([[unit, before]]))).outcomes.get(unit)).toMatchObject(refused)
      const atA = play.world.driver.replication?.sites.restore === 'source'
      expect((await direct(play, atA ? 'a' : 'b', 'restoreReplication', atA ? names.old : moved.promoted)).get(unit)).toMatchObject(refused)
      expect(await views(play, unit)).toBe('target source')
    })

    it('fails over although a test runs, and cleans the test up later', async () => {
      const unit = fromA[0] ?? ''
      allDone(await startTest(play, 'b', [unit]))
      const tested = new Map([[unit, await see(play, 'b', unit)]])
      await play.world.cutLink()
      expect(allDone((await failover(play, 'b', [unit], tested)).outcomes).get(unit)).toBe('warned')
      expect((await see(play, 'b', unit)).view).toBe('promoted')
      allDone(await stopTest(play, 'b', [unit]))
      expect((await see(play, 'b', unit)).view).toBe('promoted')
    })

    it('does as many items as possible, and a retry finishes the rest', async () => {
      const bad = fromA.at(-1) ?? ''
      const array = await play.world.open('b')
      const id = (await array.replication?.units(ctxOn(createMachine('asker'))))?.find(({ name }) => name === bad)?.id
      await array.close()
      const wrap = (one: OpenArray): OpenArray => ({ ...one, replication: one.replication === undefined ? undefined : { ...one.replication, promote: async (ctx: ArrayCtx, unit: string, want: { readonly force: boolean }) => {
        if (unit === id) throw new StorageError('arrayFault', 'a disk of the array is on fire', { layer: 'test', remedy: 'Put it out' })
        return one.replication?.promote(ctx, unit, want)
      } } }) as OpenArray
      const burning: Play = { ...play, at: { ...play.at, b: srmAt(play.world, 'b', { wrap }) } }
      const first = await failover(burning, 'b', fromA)
      for (const [unit, outcome] of first.outcomes) {
        if (unit === bad) expect(outcome).toMatchObject({ error: expect.stringMatching(/on fire.*Put it out/) as unknown })
        else expect(outcome).toBe('warned')
      }
      const again = await failover(play, 'b', fromA)
      allDone(again.outcomes)
      for (const [unit, promoted] of first.ids) expect(again.ids.get(unit)).toBe(promoted)
      for (const unit of fromA) expect((await see(play, 'b', unit)).view).toBe('promoted')
    })

    it('fails as a whole for an array or a peer that is not there', async () => {
      const { arrayId, peerArrayId } = pairAt(play, 'a')
      await expect(play.at.a.ask('discoverDevices', { arrayId: peerArrayId, peerArrayId: arrayId })).rejects.toThrow('no array')
      await expect(play.at.a.ask('discoverDevices', { arrayId, peerArrayId: 'nobody' })).rejects.toThrow('replicates with no array')
    })

    it('answers good items beside unknown ones, and lists none of the names that the request did not', async () => {
      const site = 'b'
      const [unit = ''] = fromA
      const { key, members } = await see(play, site, unit)
      const { checkFailoverResults } = await play.at[site].ask('checkFailover', {
        arrayId: play.world.arrayIds[site], targetGroups: [{ key: 'no such "group": ü' }, { key }], targetDevices: [{ key: members[0] ?? '' }, { key: '__proto__' }],
      })
      expect(checkFailoverResults.targetGroups?.map((one) => [one.key, 'error' in one])).toEqual([['no such "group": ü', true], [key, false]])
      expect(checkFailoverResults.targetDevices?.map((one) => [one.key, 'error' in one])).toEqual([[members[0], true], ['__proto__', true]])
    })

    it('keeps units that the filter leaves out from every command', async () => {
      const [unit = '', other = ''] = names
      const filtered: Play = { ...play, at: { a: srmAt(play.world, 'a', { filter: unit }), b: srmAt(play.world, 'b', { filter: unit }) } }
      await see(filtered, 'b', unit)
      await expect(see(filtered, 'b', other)).rejects.toThrow('0 times')
      expect(filtered.at.b.log.some((line) => line.includes(`Excluded: `) && line.includes(other))).toBe(true)
    })

    it('reports progress upwards from 0 to 100', async () => {
      await play.at.a.ask('discoverDevices', pairAt(play, 'a'))
      const { progress } = play.at.a
      expect([progress[0], progress.at(-1)]).toEqual([0, 100])
      expect([...progress].sort((one, two) => one - two)).toEqual(progress)
    })
  })
}
