/** Remote copy between two simulated arrays: objects, gates, roles and states (facts 15 to 18). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { codeOf, login, stage, strike, type Client, type Reply, type Stage } from './plain-client.ts'

let arrays: Stage
let a: Client
let b: Client
const far = 'group.r100001'
const syncMs = 4000

const set = async (profile: '3par-3.3.1' | 'primera-4.2' | 'os-10.5' = '3par-3.3.1') => {
  arrays = await stage({ arrays: [{ profile }, { profile }], durations: { syncMs } })
  a = await login(arrays.a)
  b = await login(arrays.b)
}
beforeEach(() => set())
afterEach(() => strike(arrays))

const createGroup = (mode = 1, name = 'group') =>
  a.post('/remotecopygroups', { name, targets: [{ targetName: 'array-b', mode, userCPG: 'SSD_r6', snapCPG: 'FC_r5' }], localUserCPG: 'SSD_r6', localSnapCPG: 'FC_r5' })
const createVolume = (name: string, client = a) => client.post('/volumes', { name, cpg: 'SSD_r6', snapCPG: 'FC_r5', sizeMiB: 256, tpvv: true })
const admit = (volumeName = 'one', more: object = {}, group = 'group') =>
  a.put(`/remotecopygroups/${group}`, { action: 1, volumeName, targets: [{ targetName: 'array-b', secVolumeName: volumeName }], volumeAutoCreation: true, ...more })
const start = (client = a, name = 'group', more: object = {}) => client.put(`/remotecopygroups/${name}`, { action: 3, ...more })
const stop = (client = a, name = 'group', more: object = {}) => client.put(`/remotecopygroups/${name}`, { action: 4, ...more })
const act = (client: Client, name: string, action: number, more: object = {}) => client.post(`/remotecopygroups/${name}`, { action, ...more })

interface GroupBody {
  readonly role: number
  readonly targets: readonly { readonly roleReversed: boolean; readonly state: number; readonly mode: number; readonly syncPeriod?: number; readonly groupLastSyncTimeSec?: number }[]
  readonly volumes: readonly { readonly localVolumeName: string; readonly remoteVolumes: readonly { readonly syncStatus: number }[] }[]
}
const group = async (client: Client, name: string) => (await client.get(`/remotecopygroups/${name}`)).body as unknown as GroupBody
/** `role/roleReversed/state` as the table of facts 17 writes it. */
const written = ({ role, targets: [target] }: GroupBody): string => `${role}/${target?.roleReversed === true ? 'T' : 'F'}/${target?.state}`
const roles = async (): Promise<readonly string[]> => [written(await group(a, 'group')), written(await group(b, far))]
const statuses = async (client: Client, name: string) => (await group(client, name)).volumes.map(({ remoteVolumes: [remote] }) => remote?.syncStatus)

const started = async (mode = 1) => {
  await createVolume('one')
  await createGroup(mode)
  await admit()
  await start()
  arrays.clock.advance(syncMs)
}

describe('a group', () => {
  it('appears on both arrays at once, under a name with the id of its maker', async () => {
    const reply = await createGroup()
    expect([reply.status, reply.headers['location']]).toEqual([201, '/api/v1/remotecopygroups/group'])
    expect((await a.get('/remotecopygroups/group')).body).toMatchObject({ name: 'group', role: 1, remoteGroupName: far, localUserCPG: 'SSD_r6', volumes: [], targets: [{ targetName: 'array-b', roleReversed: false, state: 5, mode: 1, remoteUserCPG: 'SSD_r6' }] })
    const remote = (await b.get(`/remotecopygroups/${far}`)).body
    expect(remote).toMatchObject({ name: far, role: 2, remoteGroupName: 'group', localSnapCPG: 'FC_r5', targets: [{ targetName: 'array-a', state: 5 }] })
    expect((await b.get('/remotecopygroups')).body).toEqual({ total: 1, members: [remote] })
    expect((await a.get('/remotecopygroups/group/targets/array-b')).body).toMatchObject({ mode: 1 })
  })

  it.each([
    ['a taken name', { name: 'group', targets: [{ targetName: 'array-b', mode: 1 }] }, '409/237'],
    ['a name that leaves no room for the suffix', { name: 'x'.repeat(23), targets: [{ targetName: 'array-b', mode: 1 }] }, '400/57'],
    ['a mode that is none', { name: 'x', targets: [{ targetName: 'array-b', mode: 9 }] }, '400/46'],
    ['no target', { name: 'x' }, '400/40'],
    ['one CPG of two', { name: 'x', targets: [{ targetName: 'array-b', mode: 1 }], localUserCPG: 'SSD_r6' }, '400/40'],
    ['a CPG that the far side has not', { name: 'x', targets: [{ targetName: 'array-b', mode: 1, userCPG: 'none', snapCPG: 'none' }] }, '404/15'],
  ])('is refused with %s', async (_, body, code) => {
    await createGroup()
    expect(codeOf(await a.post('/remotecopygroups', body))).toBe(code)
  })

  it('is refused to an unknown target, and while the link is cut', async () => {
    expect((await a.post('/remotecopygroups', { name: 'x', targets: [{ targetName: 'none', mode: 1 }] })).status).toBe(404)
    arrays.link.cut()
    expect((await createGroup()).status).toBe(403)
    expect((await a.get('/remotecopygroups')).body['total']).toBe(0)
  })

  it('is refused without a licence', async () => {
    const poor = await stage({ arrays: [{ licences: ['Thin Provisioning'] }, {}] })
    try {
      expect((await (await login(poor.a)).post('/remotecopygroups', { name: 'x', targets: [{ targetName: 'array-b', mode: 1 }] })).status).toBe(403)
    } finally {
      await strike(poor)
    }
  })

  it('takes a sync period from 300 on, on both sides, and not together with policies', async () => {
    await createGroup(3)
    const change = (target: object) => a.put('/remotecopygroups/group', { targets: [{ targetName: 'array-b', ...target }] })
    expect(codeOf(await change({ syncPeriod: 299 }))).toBe('400/115')
    expect(codeOf(await change({ syncPeriod: 300, policies: { autoRecover: true } }))).toBe('400/44')
    expect((await change({ syncPeriod: 600 })).status).toBe(200)
    expect((await change({ policies: { autoRecover: true } })).status).toBe(200)
    expect(await group(b, far)).toMatchObject({ targets: [{ syncPeriod: 600, policies: { autoRecover: true, overPeriodAlert: true } }] })
  })

  it('is removed on both sides, stopped only, and never with its volumes', async () => {
    await started()
    expect(codeOf(await a.del('/remotecopygroups/group'))).toBe('403/215')
    await stop()
    expect((await a.del('/remotecopygroups/group')).status).toBe(202)
    expect(codeOf(await b.get(`/remotecopygroups/${far}`))).toBe('404/187')
    expect([(await a.get('/volumes/one')).status, (await b.get('/volumes/one')).status]).toEqual([200, 200])
  })
})

describe('a member', () => {
  beforeEach(async () => {
    await createVolume('one')
    await createGroup()
  })

  it('has its far volume made for it, with its own WWN or with another', async () => {
    await createVolume('two')
    expect((await admit()).status).toBe(200)
    expect((await admit('two', { differentSecondaryWWN: true })).status).toBe(200)
    const wwn = async (client: Client, name: string) => (await client.get(`/volumes/${name}`)).body['wwn']
    expect(await wwn(b, 'one')).toBe(await wwn(a, 'one'))
    expect(await wwn(b, 'two')).not.toBe(await wwn(a, 'two'))
    expect((await b.get('/volumes/one')).body).toMatchObject({ userCPG: 'SSD_r6', snapCPG: 'FC_r5', sizeMiB: 256, rcopyGroup: far })
    expect((await a.get('/remotecopygroups/group/volumes')).body).toMatchObject({ total: 2 })
    expect(await statuses(a, 'group')).toEqual([1, 1])
  })

  const refusals: readonly (readonly [string, () => Promise<Reply>, string | RegExp])[] = [
    ['the volume is not there', () => admit('none'), '404/23'],
    ['the far volume is there', async () => createVolume('one', b).then(() => admit()), /^409\//],
    ['the far volume is not there and not to be made', () => admit('one', { volumeAutoCreation: false }), /^404\//],
    ['it is in the group', async () => admit().then(() => admit()), /^409\//],
    ['it is in another group', async () => admit().then(() => createGroup(1, 'other')).then(() => admit('one', {}, 'other')), /^403\//],
    ['the request comes from the far side', () => b.put(`/remotecopygroups/${far}`, { action: 1, volumeName: 'one', targets: [{ targetName: 'array-a', secVolumeName: 'one' }] }), /^403\//],
    ['the group is started', async () => admit().then(() => start()).then(() => createVolume('two')).then(() => admit('two')), '403/215'],
    ['the group is not there', () => admit('one', {}, 'none'), '404/187'],
  ]
  it.each(refusals)('is not admitted when %s', async (_, request, code) => {
    expect(codeOf(await request())).toMatch(typeof code === 'string' ? new RegExp(`^${code}$`) : code)
  })

  it('that the far side exports is not admitted', async () => {
    await createVolume('one', b)
    await b.post('/hosts', { name: 'h', iSCSINames: ['iqn.h'] })
    await b.post('/vluns', { volumeName: 'one', lun: 1, hostname: 'h' })
    expect((await admit('one', { volumeAutoCreation: false })).status).toBe(403)
  })

  it('cannot be removed on either side, and grows on both while the group is stopped', async () => {
    await admit()
    expect([codeOf(await a.del('/volumes/one')), codeOf(await b.del('/volumes/one'))]).toEqual(['403/120', '403/120'])
    expect((await a.put('/volumes/one', { action: 3, sizeMiB: 256 })).status).toBe(200)
    expect((await b.get('/volumes/one')).body).toMatchObject({ sizeMiB: 512 })
    await start()
    expect(codeOf(await a.put('/volumes/one', { action: 3, sizeMiB: 256 }))).toBe('403/120')
  })

  it('is dismissed on both sides, the far volume only on request', async () => {
    await createVolume('two')
    await admit()
    await admit('two')
    expect((await a.put('/remotecopygroups/group', { action: 2, volumeName: 'one' })).status).toBe(200)
    expect(codeOf(await a.del('/remotecopygroups/group/volumes/two?keepSnap=true&removeSecondaryVolume=true'))).toBe('400/44')
    expect((await a.del('/remotecopygroups/group/volumes/two?removeSecondaryVolume=true')).status).toBe(200)
    expect((await a.del('/remotecopygroups/group/volumes/two')).status).toBe(404)
    expect([(await b.get('/volumes/one')).status, (await b.get('/volumes/two')).status]).toEqual([200, 404])
    expect((await group(b, far)).volumes).toEqual([])
  })
})

describe('start, stop and sync', () => {
  it('are gated, each by its own code', async () => {
    await createGroup()
    expect((await start()).status).toBe(400)
    expect((await start(b, far)).status).toBe(403)
    expect(codeOf(await start(a, 'none'))).toBe('404/187')
    expect((await a.put('/remotecopygroups/group', { action: 5 })).status).toBe(403)
    await createVolume('one')
    await admit()
    expect((await start()).status).toBe(200)
    expect(codeOf(await start())).toBe('403/215')
    expect(codeOf(await a.put('/remotecopygroups/group', { action: 77 }))).toBe('400/46')
    expect(codeOf(await start(a, 'group', { skipPromote: true }))).toBe('400/44')
    expect(codeOf(await start(a, 'group', { colour: 1 }))).toBe('400/12')
  })

  it('go through syncing and synced on both sides, in time', async () => {
    await createVolume('one')
    await createGroup()
    await admit()
    await start()
    expect([await roles(), await statuses(a, 'group'), await statuses(b, far)]).toEqual([['1/F/3', '2/F/3'], [2], [2]])
    arrays.clock.advance(syncMs)
    expect([await statuses(a, 'group'), await statuses(b, far)]).toEqual([[3], [3]])
    expect((await stop(b, far)).status).toBe(200)
    expect(await roles()).toEqual(['1/F/5', '2/F/5'])
  })

  it('do not mix modes on one target', async () => {
    await started(1)
    await createVolume('two')
    await createGroup(3, 'other')
    await admit('two', {}, 'other')
    expect(codeOf(await start(a, 'other'))).toBe('400/236')
  })

  it('twice: a second stop is a no-op on one product and an error on another', async () => {
    await started()
    await stop()
    expect((await stop()).status).toBe(200)
    await strike(arrays)
    await set('primera-4.2')
    await started()
    await stop()
    expect((await stop()).status).toBe(403)
  })

  it('leave resync snapshots, which go when the volume is in sync again', async () => {
    await started()
    await stop()
    const snapshots = async () => ((await a.get('/volumes')).body['members'] as readonly { readonly name: string }[]).map(({ name }) => name).filter((name) => name.startsWith('rcpy.'))
    expect(await snapshots()).toHaveLength(1)
    await start()
    arrays.clock.advance(syncMs)
    expect(await snapshots()).toEqual([])
    await stop(a, 'group', { noSnapshot: true })
    expect(await snapshots()).toEqual([])
  })
})

describe('roles', () => {
  it('go through failover, recover and restore as the facts tell', async () => {
    await started()
    expect(await roles()).toEqual(['1/F/3', '2/F/3'])
    expect(codeOf(await act(b, far, 7))).toBe('403/284')
    await stop()
    expect((await act(a, 'group', 7)).status).toBe(403)
    expect((await act(b, far, 7)).status).toBe(200)
    expect(await roles()).toEqual(['1/F/5', '1/T/5'])
    expect((await act(b, far, 7)).status).toBe(403)
    expect((await start()).status).toBe(403)
    expect((await act(b, far, 9)).status).toBe(200)
    expect([await roles(), await statuses(b, far)]).toEqual([['2/T/3', '1/T/3'], [2]])
    expect((await act(b, far, 10)).status).toBe(403)
    arrays.clock.advance(syncMs)
    expect(await statuses(a, 'group')).toEqual([3])
    expect((await act(b, far, 10)).status).toBe(200)
    expect(await roles()).toEqual(['1/F/3', '2/F/3'])
    arrays.clock.advance(syncMs)
    expect(await statuses(a, 'group')).toEqual([3])
    expect(codeOf(await act(b, far, 10))).toBe('400/29')
  })

  it('come back by restore right after failover, without starting when so asked', async () => {
    await started()
    await stop()
    await act(b, far, 7)
    expect((await act(b, far, 10, { skipStart: true })).status).toBe(200)
    expect(await roles()).toEqual(['1/F/5', '2/F/5'])
  })

  it('change by reverse: both sides, or only the labels of one', async () => {
    await started()
    expect(codeOf(await act(a, 'group', 6))).toBe('403/215')
    expect((await act(a, 'group', 6, { stopGroups: true })).status).toBe(200)
    expect(await roles()).toEqual(['2/T/5', '1/T/5'])
    expect((await start(b, far)).status).toBe(200)
    await stop()
    await act(a, 'group', 6, { localGroupsDirection: true })
    expect(await roles()).toEqual(['1/F/5', '1/T/5'])
  })

  it('switch over without a stop when paths are managed', async () => {
    await started()
    expect((await act(a, 'group', 8)).status).toBe(403)
    await a.put('/remotecopygroups/group', { targets: [{ targetName: 'array-b', policies: { pathManagement: true } }] })
    expect((await act(a, 'group', 8)).status).toBe(200)
    expect(await roles()).toEqual(['2/T/3', '1/T/3'])
  })

  it('are not to be had with unknown actions or none', async () => {
    await createGroup()
    expect(codeOf(await act(a, 'group', 99))).toBe('400/46')
    expect(codeOf(await a.post('/remotecopygroups/group', {}))).toBe('400/40')
    expect(codeOf(await act(b, 'none', 7))).toBe('404/187')
  })

  it('on 10.5 are told the other side at once, and the failed-over side becomes the natural one', async () => {
    await strike(arrays)
    await set('os-10.5')
    await started()
    await a.put('/remotecopygroups/group', { targets: [{ targetName: 'array-b', policies: { autoSynchronize: true } }] })
    await stop()
    await act(b, far, 7)
    expect(await roles()).toEqual(['2/T/3', '1/T/3'])
    expect(codeOf(await act(b, far, 9))).toBe('403/284')
    arrays.clock.advance(syncMs)
    expect(await roles()).toEqual(['2/F/3', '1/F/3'])
    expect(codeOf(await act(b, far, 10))).toBe('400/29')
    await stop()
    await act(a, 'group', 7)
    expect(await roles()).toEqual(['1/T/3', '2/T/3'])
  })
})

describe('when the link goes', () => {
  it('each side stops by itself, failover works, and nothing that needs the other side does', async () => {
    await started()
    arrays.link.cut()
    expect(await roles()).toEqual(['1/F/5', '2/F/5'])
    expect((await a.get('/remotecopylinks')).body).toMatchObject({ members: [{ status: 2 }] })
    expect((await start()).status).toBe(403)
    expect((await act(b, far, 7)).status).toBe(200)
    expect((await act(b, far, 9)).status).toBe(403)
    expect((await a.del('/remotecopygroups/group')).status).toBe(403)
    arrays.link.restore()
    expect(await roles()).toEqual(['1/F/5', '1/T/5'])
    expect((await act(b, far, 9)).status).toBe(200)
    expect(await roles()).toEqual(['2/T/3', '1/T/3'])
  })

  it('groups with automatic recovery start again when it is back', async () => {
    await started()
    await a.put('/remotecopygroups/group', { targets: [{ targetName: 'array-b', policies: { autoRecover: true } }] })
    arrays.link.cut()
    expect(await roles()).toEqual(['1/F/5', '2/F/5'])
    arrays.link.restore()
    expect(await roles()).toEqual(['1/F/3', '2/F/3'])
  })

  it('groups with automatic failover move, and the old primary is fail-safe until a person overrides it', async () => {
    await started()
    await a.put('/remotecopygroups/group', { targets: [{ targetName: 'array-b', policies: { autoFailover: true } }] })
    expect((await act(a, 'group', 11)).status).toBe(403)
    arrays.link.cut()
    expect(await roles()).toEqual(['1/F/7', '1/T/5'])
    expect((await act(a, 'group', 11)).status).toBe(200)
    expect(await roles()).toEqual(['1/F/5', '1/T/5'])
  })

  it('a dead primary does not hinder the failover; its group can be dropped with mirroring off', async () => {
    await started()
    arrays.a.power(false)
    expect((await act(b, far, 7)).status).toBe(200)
    expect((await b.del(`/remotecopygroups/${far}`)).status).toBe(403)
    await b.put('/remotecopytargets/array-a', { policies: { mirrorConfig: false } })
    expect((await b.del(`/remotecopygroups/${far}`)).status).toBe(202)
    arrays.a.power(true)
    a = await login(arrays.a)
    expect(written(await group(a, 'group'))).toBe('1/F/5')
  })
})

it('is a working pair with one target and one link each', async () => {
  expect((await a.get('/remotecopy')).body).toMatchObject({ mode: 2, status: 1 })
  expect((await a.get('/remotecopytargets')).body).toMatchObject({ total: 1, members: [{ name: 'array-b', type: 1, policies: { mirrorConfig: true } }] })
  expect((await b.get('/remotecopylinks')).body).toMatchObject({ members: [{ name: 'array-a_0_3_1', status: 1 }] })
})
