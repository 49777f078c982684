/** Volumes, access, copies and QoS of the driver on a simulated array. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MiB } from '../../../../core/units.ts'
import { caught, settle, startPair, type Pair } from './on-simulator.ts'

let pair: Pair
beforeAll(async () => {
  pair = await startPair({ durations: { copyMs: 4_000 } })
})
afterAll(async () => pair.close())

const make = async (name: string, size = 256 * MiB): Promise<void> => {
  await pair.near.create(pair.ctx, { name, size, provisioning: 'thin' })
}

describe('an array', () => {
  it('tells who it is, what it has room for, and what it can do', async () => {
    const info = await pair.near.info(pair.ctx)
    expect(info).toMatchObject({ id: `hpe-3par:${pair.sims[0].id}`, health: 'ok' })
    expect(info.freeSize).toBeGreaterThan(0)
    expect((await pair.near.pools(pair.ctx)).map(({ id }) => id).toSorted()).toEqual(['FC_r5', 'SSD_r6'])
    const capabilities = await pair.near.capabilities(pair.ctx)
    expect(capabilities.replication.level).toBe('online')
    expect(capabilities.shrink.level).toBe('unsupported')
  })

  it('says which licence is missing', async () => {
    const poor = await startPair({ wishes: [{ licences: ['Thin Provisioning'] }, {}], blind: true })
    try {
      const capabilities = await poor.near.capabilities(poor.ctx)
      expect(capabilities.qos).toMatchObject({ level: 'unsupported', reason: 'notLicensed' })
      expect(capabilities.replication).toMatchObject({ level: 'unsupported', reason: 'notLicensed' })
      expect(capabilities.thin.level).toBe('online')
    } finally {
      await poor.close()
    }
  })
})

describe('volumes', () => {
  it('are made in steps of 256 MiB, and the same again is done already', async () => {
    const first = await pair.near.create(pair.ctx, { name: 'made', size: 300 * MiB, provisioning: 'thin' })
    expect(first).toMatchObject({ kind: 'done', changed: true, value: { id: 'made', size: 512 * MiB, provisioning: 'thin', pool: 'SSD_r6', presentedTo: [] } })
    expect(first.kind === 'done' ? first.value.wwid : '').toMatch(/^naa\.60002ac/)
    expect(await pair.near.create(pair.ctx, { name: 'made', size: 512 * MiB, provisioning: 'thin' })).toMatchObject({ changed: false })
    expect((await caught(pair.near.create(pair.ctx, { name: 'made', size: 1024 * MiB, provisioning: 'thin' }))).kind).toBe('alreadyExists')
  })

  it('are taken for made when the answer was lost', async () => {
    pair.sims[0].fault({ match: 'POST /volumes', effect: 'lost' })
    expect(await pair.near.create(pair.ctx, { name: 'lost', size: 256 * MiB, provisioning: 'full' })).toMatchObject({ kind: 'done', changed: true, value: { provisioning: 'full' } })
  })

  it('grow, and never shrink', async () => {
    await make('grows')
    expect(await pair.near.resize(pair.ctx, 'grows', 700 * MiB, false)).toMatchObject({ kind: 'done', value: { size: 768 * MiB } })
    expect(await pair.near.resize(pair.ctx, 'grows', 768 * MiB, false)).toMatchObject({ changed: false })
    expect((await caught(pair.near.resize(pair.ctx, 'grows', 256 * MiB, false))).kind).toBe('wouldLoseData')
    expect((await caught(pair.near.resize(pair.ctx, 'grows', 256 * MiB, true))).kind).toBe('notSupported')
  })

  it('are not removed while anything depends on them, and what does is named', async () => {
    await make('busy')
    await pair.near.access?.createGroups(pair.ctx, [{ name: 'keeper', initiators: [{ kind: 'iscsi', id: 'iqn.2020-01.example:keeper' }] }])
    await pair.near.access?.present(pair.ctx, 'busy', ['keeper'])
    const presented = await caught(pair.near.remove(pair.ctx, 'busy'))
    expect([presented.kind, presented.message]).toEqual(['stillPresented', 'Volume busy is presented to keeper'])
    await pair.near.access?.unpresent(pair.ctx, 'busy', ['keeper'])
    await pair.near.snapshots?.create(pair.ctx, ['busy'], 'busy-snap')
    const dependent = await caught(pair.near.remove(pair.ctx, 'busy'))
    expect([dependent.kind, dependent.message]).toEqual(['hasDependents', 'Volume busy has the snapshots busy-snap'])
    await pair.near.snapshots?.remove(pair.ctx, 'busy-snap')
    await pair.near.remove(pair.ctx, 'busy')
    expect(await pair.near.volume(pair.ctx, 'busy')).toBeUndefined()
    await pair.near.remove(pair.ctx, 'busy')
  })

  it.each(['', '9starts-with-a-digit', 'a/b', 'x'.repeat(32), '../x', 'a b'])('are not named %j', async (name) => {
    expect((await caught(pair.near.create(pair.ctx, { name, size: 256 * MiB, provisioning: 'thin' }))).facts.field).toBe('name')
  })
})

describe('access groups', () => {
  it('answer each group, also when one of them cannot be made', async () => {
    const results = await pair.near.access?.createGroups(pair.ctx, [
      { name: 'one', initiators: [{ kind: 'iscsi', id: 'iqn.2020-01.example:one' }, { kind: 'fc', id: '10:00:00:00:c9:ab:cd:ef' }] },
      { name: 'thief', initiators: [{ kind: 'iscsi', id: 'iqn.2020-01.example:one' }] },
      { name: 'nfs', initiators: [{ kind: 'nfs', id: '192.0.2.1' }] },
    ])
    expect(results?.map(({ item, error }) => [item, error?.kind])).toEqual([['one', undefined], ['thief', 'alreadyExists'], ['nfs', 'invalidArgument']])
    expect(results?.[0]?.value?.initiators.toSorted((x, y) => (x.kind < y.kind ? -1 : 1))).toEqual([{ kind: 'fc', id: '10:00:00:00:c9:ab:cd:ef' }, { kind: 'iscsi', id: 'iqn.2020-01.example:one' }])
    expect((await pair.near.access?.createGroups(pair.ctx, [{ name: 'one', initiators: [{ kind: 'fc', id: '10:00:00:00:c9:ab:cd:ef' }, { kind: 'iscsi', id: 'iqn.2020-01.example:one' }] }]))?.[0]?.error).toBeUndefined()
  })

  it('are renamed, grow and shrink, and stay while volumes are presented to them', async () => {
    await pair.near.access?.createGroups(pair.ctx, [{ name: 'before', initiators: [{ kind: 'iscsi', id: 'iqn.2020-01.example:b' }] }])
    expect((await pair.near.access?.renameGroup(pair.ctx, 'before', 'after'))?.name).toBe('after')
    expect((await pair.near.access?.addToGroup(pair.ctx, 'after', [{ kind: 'iscsi', id: 'iqn.2020-01.example:c' }, { kind: 'iscsi', id: 'iqn.2020-01.example:b' }]))?.initiators).toHaveLength(2)
    expect((await pair.near.access?.removeFromGroup(pair.ctx, 'after', [{ kind: 'iscsi', id: 'iqn.2020-01.example:b' }]))?.initiators).toEqual([{ kind: 'iscsi', id: 'iqn.2020-01.example:c' }])
    await make('shown')
    expect((await pair.near.access?.present(pair.ctx, 'shown', ['after']))?.presentedTo).toEqual(['after'])
    expect((await pair.near.access?.present(pair.ctx, 'shown', ['after']))?.presentedTo).toEqual(['after'])
    expect((await pair.near.access?.presentations(pair.ctx, ['shown']))).toEqual([{ volume: 'shown', group: 'after', lun: 1, mode: 'rw', targets: [] }])
    expect((await pair.near.access?.removeGroups(pair.ctx, ['after', 'never-was']))?.map(({ item, error }) => [item, error?.kind])).toEqual([['after', 'stillPresented'], ['never-was', undefined]])
    expect((await pair.near.access?.unpresent(pair.ctx, 'shown', ['after']))?.presentedTo).toEqual([])
    expect((await pair.near.access?.removeGroups(pair.ctx, ['after']))?.[0]?.error).toBeUndefined()
    expect((await caught(pair.near.access?.present(pair.ctx, 'shown', ['after']) ?? Promise.resolve())).kind).toBe('notFound')
  })
})

describe('copies', () => {
  it('snapshot many volumes at one moment, as one snapshot', async () => {
    await make('m1')
    await make('m2')
    const outcome = await pair.near.snapshots?.create(pair.ctx, ['m1', 'm2'], 'together')
    expect(outcome).toMatchObject({ kind: 'done', changed: true })
    const value = outcome?.kind === 'done' ? outcome.value : undefined
    expect(value?.members.map(({ volume }) => volume).toSorted()).toEqual(['m1', 'm2'])
    expect(await pair.near.snapshots?.create(pair.ctx, ['m1', 'm2'], 'together')).toMatchObject({ changed: false, value: { id: value?.id } })
    expect((await pair.near.snapshots?.current(pair.ctx, 'm1'))?.map(({ id, name }) => [id, name])).toEqual([[value?.id, 'together']])
    await pair.near.snapshots?.remove(pair.ctx, value?.id ?? '')
    expect(await pair.near.snapshots?.current(pair.ctx, 'm1')).toEqual([])
  })

  it('restore only when nobody uses the volume, as a job that another process can ask for', async () => {
    await make('r1')
    await pair.near.snapshots?.create(pair.ctx, ['r1'], 'r1-snap')
    await pair.near.access?.createGroups(pair.ctx, [{ name: 'user', initiators: [{ kind: 'iscsi', id: 'iqn.2020-01.example:user' }] }])
    await pair.near.access?.present(pair.ctx, 'r1', ['user'])
    expect(await pair.near.snapshots?.planRestore(pair.ctx, 'r1-snap')).toMatchObject({ presentedTo: ['user'] })
    expect((await caught(pair.near.snapshots?.restore(pair.ctx, 'r1-snap') ?? Promise.resolve())).kind).toBe('restoreNotSafe')
    await pair.near.access?.unpresent(pair.ctx, 'r1', ['user'])
    const outcome = await pair.near.snapshots?.restore(pair.ctx, 'r1-snap')
    expect(outcome?.kind).toBe('started')
    const other = await pair.reopen()
    expect((await other.job(pair.ctx, outcome?.kind === 'started' ? outcome.job : '')).state).toMatch(/running|succeeded/)
    if (outcome !== undefined) await settle(pair, outcome)
    expect((await caught(pair.near.job(pair.ctx, 'task:999999'))).kind).toBe('notFound')
  })

  it('clone a volume and a snapshot, each a volume of its own in the end', async () => {
    await make('src')
    await pair.near.snapshots?.create(pair.ctx, ['src'], 'src-snap')
    const clone = await pair.near.clones?.clone(pair.ctx, 'src', { name: 'copy-1' })
    expect(clone?.kind).toBe('started')
    if (clone !== undefined) expect(await settle(pair, clone)).toMatchObject({ id: 'copy-1', size: 256 * MiB })
    const second = await pair.near.clones?.cloneFromSnapshot(pair.ctx, 'src', 'src-snap', { name: 'copy-2' })
    if (second !== undefined) expect((await settle(pair, second)).wwid).toMatch(/^naa\.6/)
    expect((await caught(pair.near.clones?.clone(pair.ctx, 'src', { name: 'copy-1' }) ?? Promise.resolve())).kind).toBe('alreadyExists')
    expect((await pair.near.list(pair.ctx)).map(({ id }) => id)).toEqual(expect.arrayContaining(['src', 'copy-1', 'copy-2']))
    expect((await pair.near.list(pair.ctx)).map(({ id }) => id)).not.toContain('src-snap')
  })
})

describe('the number of requests', () => {
  it('does not grow with the volumes that are listed or not touched', async () => {
    pair.requests()
    await pair.near.list(pair.ctx)
    const before = pair.requests().length
    for (let count = 0; count < 20; count += 1) await make(`many-${count}`)
    pair.requests()
    expect((await pair.near.list(pair.ctx)).length).toBeGreaterThan(20)
    expect(pair.requests().length).toBe(before)
    expect(before).toBeLessThanOrEqual(4)
    await pair.near.volume(pair.ctx, 'many-3')
    expect(pair.requests().length).toBeLessThanOrEqual(4)
  })
})
