/** Commands that run at the same time, transfers that take time, and who gets to see what: on the model array. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { modelPlay } from '../../kit/sra/model.ts'
import { allDone, failover, pairAt, see, startTest, views, type Play } from '../../kit/sra/play.ts'
import { srmAt } from '../../kit/sra/srm.ts'
import { warningTable } from '../../../sra/strings/language.ts'
import type { AnswerOf } from '../../../sra/schema/index.ts'

let play: Play
beforeEach(async () => {
  const world = await modelPlay()
  play = { world, at: { a: srmAt(world, 'a'), b: srmAt(world, 'b') } }
})
afterEach(async () => play.world.destroy())

describe('two commands at once', () => {
  it('both fail the same unit over, with the same result', async () => {
    const seen = new Map([['mail', await see(play, 'b', 'mail')]])
    const [one, two] = await Promise.all([failover(play, 'b', ['mail'], seen), failover(play, 'b', ['mail'], seen)])
    allDone(one.outcomes)
    allDone(two.outcomes)
    expect(one.ids).toEqual(two.ids)
  })

  it('start one test, and the other is told of it', async () => {
    const outcomes = await Promise.all([startTest(play, 'b', ['mail']), startTest(play, 'b', ['mail'])])
    expect(outcomes.map((one) => typeof one.get('mail')).sort()).toEqual(['object', 'string'])
    expect(await views(play, 'mail')).toBe('source tested')
  })
})

describe('a synchronisation that takes time', () => {
  type Sync = AnswerOf<'querySyncStatus'>['querySyncStatusResults']
  const of = (results: Sync) => {
    const item = results.targetGroups?.[0]
    return item === undefined || 'error' in item ? undefined : item
  }

  it('is answered at once, joined with warning 500, followed to its end, and known after it', async () => {
    play.world.slow?.(3)
    const { key } = await see(play, 'b', 'mail')
    const request = { ...pairAt(play, 'b'), targetGroups: [{ key }] }
    const first = of((await play.at.b.ask('syncOnce', request)).syncOnceResults)
    expect(first).toMatchObject({ deviceSync: { status: 'inProgress', progress: 0, remainingTimeEstimate: 3 } })
    expect(first?.warnings).toBeUndefined()
    const second = of((await play.at.b.ask('syncOnce', request)).syncOnceResults)
    expect(second).toMatchObject({ deviceSync: { id: first?.deviceSync.id, status: 'inProgress' }, warnings: [{ code: 500, placeholders: { Device: key } }] })
    const status = async () => of((await play.at.b.ask('querySyncStatus', { ...pairAt(play, 'b'), targetGroups: [{ key, syncId: first?.deviceSync.id ?? '' }] })).querySyncStatusResults)?.deviceSync
    const seen: unknown[] = []
    for (let poll = 0; poll < 5; poll += 1) seen.push((await status())?.status)
    expect(seen).toEqual(['inProgress', 'inProgress', 'complete', 'complete', 'complete'])
  })

  it('is an error of its item when there never was one, and when the link is gone', async () => {
    const { key } = await see(play, 'b', 'mail')
    const unknown = (await play.at.b.ask('querySyncStatus', { ...pairAt(play, 'b'), targetGroups: [{ key, syncId: '__proto__' }] })).querySyncStatusResults
    expect(unknown.targetGroups?.[0]).toMatchObject({ key, error: { code: 1004 } })
    await play.world.cutLink()
    expect((await play.at.b.ask('syncOnce', { ...pairAt(play, 'b'), targetGroups: [{ key }] })).syncOnceResults.targetGroups?.[0]).toMatchObject({ key, error: { code: 1018 } })
  })
})

describe('presentation', () => {
  const hosts = [
    { id: 'left', initiator: [{ id: 'iqn.2026-01.test:left', type: 'iSCSI' as const, chapName: 'lefty' }, { id: 'host-9', type: 'Host' as const }] },
    { id: 'right', initiator: [{ id: '21:00:00:E0:8B:00:00:01', type: 'FC' as const }, { id: '192.0.2.9', type: 'NFS' as const }] },
  ]

  it('gives each device of a group to its own hosts, and names ports and initiators', async () => {
    const { key, members: [first = '', second = ''] } = await see(play, 'b', 'mail')
    const { failoverResults: { targetGroups, initiatorGroups, storagePorts } } = await play.at.b.ask('failover', {
      arrayId: play.world.arrayIds.b, accessGroups: hosts,
      targetGroups: [{ key, targetDevices: [{ key: first, accessGroups: [{ id: 'left' }] }, { key: second, accessGroups: [{ id: 'left' }, { id: 'right' }] }] }],
    })
    const group = targetGroups?.[0]
    if (group === undefined || 'error' in group) return expect.unreachable(JSON.stringify(group))
    const initiatorsOf = (member: string): readonly string[] => {
      const identity = group.targetDevices.find((one) => one.key === member)?.identity
      const names = identity !== undefined && 'lun' in identity ? identity.lun.map(({ initiatorGroupId }) => initiatorGroupId) : []
      return (initiatorGroups ?? []).filter(({ id }) => names.includes(id)).flatMap(({ initiator }) => initiator.map(({ id }) => id)).sort()
    }
    expect(initiatorsOf(first)).toEqual(['iqn.2026-01.test:left'])
    expect(initiatorsOf(second)).toEqual(['21:00:00:e0:8b:00:00:01', 'iqn.2026-01.test:left'])
    expect(storagePorts?.length).toBeGreaterThan(0)
    expect(play.at.b.log.join('\n')).toContain('with CHAP name lefty')
  })

  it('is a warning when the array can present to none of the hosts, and an error of its item when a group of hosts is unknown', async () => {
    const [mail, wiki] = [await see(play, 'b', 'mail'), await see(play, 'b', 'wiki')]
    const { failoverResults: { targetGroups, targetDevices } } = await play.at.b.ask('failover', {
      arrayId: play.world.arrayIds.b, accessGroups: [{ id: 'nfs', initiator: [{ id: '192.0.2.9', type: 'NFS' }] }],
      targetGroups: [{ key: mail.key, targetDevices: mail.members.map((key) => ({ key, accessGroups: [{ id: 'nobody' }] })) }], targetDevices: [{ key: wiki.key, accessGroups: [{ id: 'nfs' }] }],
    })
    expect(targetGroups?.[0]).toMatchObject({ key: mail.key, error: { code: 1001 } })
    expect(targetDevices?.[0]).toMatchObject({ key: wiki.key, state: 'read-write', warnings: expect.arrayContaining([expect.objectContaining({ code: warningTable.notPresented.code })]) as unknown })
    expect(targetDevices?.[0]).not.toHaveProperty('identity')
    expect((await see(play, 'b', 'mail')).view).toBe('target')
  })

  it('that fails leaves a promoted unit without identity and a warning, and a repeat presents it', async () => {
    const seen = new Map([['mail', await see(play, 'b', 'mail')]])
    const wrap: NonNullable<Parameters<typeof srmAt>[2]>['wrap'] = (array) => ({ ...array, replication: array.replication === undefined ? undefined : { ...array.replication, present: async () => Promise.reject(new Error('no port left')) } }) as typeof array
    const broken: Play = { ...play, at: { ...play.at, b: srmAt(play.world, 'b', { wrap }) } }
    const { response, outcomes } = await failover(broken, 'b', ['mail'], seen)
    expect(outcomes.get('mail')).toBe('warned')
    expect(JSON.stringify(response)).toContain('no port left')
    expect((await see(play, 'b', 'mail')).identities).toBe(0)
    allDone((await failover(play, 'b', ['mail'], seen)).outcomes)
    expect((await see(play, 'b', 'mail')).identities).toBe(2)
  })
})

describe('reading', () => {
  it('tells settings, details and points, and compares settings that come back', async () => {
    const { id = '', key } = await see(play, 'a', 'mail')
    const { replicationSettings } = await play.at.a.ask('queryReplicationSettings', { ...pairAt(play, 'a'), consistencyGroups: [{ id }] })
    expect(replicationSettings.consistencyGroups?.[0]).toHaveProperty('replicationSettings')
    const wiki = (await see(play, 'a', 'wiki')).id ?? ''
    const { deviceDetails } = await play.at.a.ask('queryDeviceDetails', { arrayId: play.world.arrayIds.a, devices: [{ id: wiki }, { id: 'constructor' }] })
    expect(deviceDetails.devices.map((one) => [one.id, 'error' in one])).toEqual([[wiki, false], ['constructor', true]])
    const { queryRecoveryPointsResults } = await play.at.b.ask('queryRecoveryPoints', { arrayId: play.world.arrayIds.b, targetGroups: [{ key }] })
    expect(queryRecoveryPointsResults.targetGroups?.[0]).toMatchObject({ key, recoveryPoints: [{ id: 'latest' }] })
    const bad = await play.at.b.ask('testFailoverStart', { arrayId: play.world.arrayIds.b, targetGroups: [{ key, recoveryPoint: { id: 'gone' } }] })
    expect(bad.testFailoverStartResults.targetGroups?.[0]).toMatchObject({ key, error: { code: 1004 } })
  })
})
