/** What SRM relies on, played at two sites: the same sentences for every replicating driver. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { allDone, failover, migrate, pairAt, prepareFailover, reprotect, restore, see, sourceIds, startTest, stopTest, sync, turn, views, check, type Play } from './play.ts'
import { password, srmAt, username } from './srm.ts'
import { otherSite, type NewPlayWorld } from './world.ts'

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
      for (const outcomes of await turn(play, moved, 'restore')) allDone(outcomes)
      expect(await views(play, unit)).toBe('source target')
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
