/** Hosts, sets, QoS, VLUNs, ports and key-values of a simulated array, and what hosts may do (facts 8, 10 to 12, 14). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { codeOf, login, stage, strike, type Client, type Stage } from './plain-client.ts'

let arrays: Stage
let client: Client
const iqn = 'iqn.1993-08.org.debian:01:one'

beforeEach(async () => {
  arrays = await stage({ arrays: 1 })
  client = await login(arrays.a)
  for (const name of ['one', 'two']) await client.post('/volumes', { name, cpg: 'SSD_r6', snapCPG: 'SSD_r6', sizeMiB: 256, tpvv: true })
  await client.post('/hosts', { name: 'h1', iSCSINames: [iqn] })
  await client.post('/hosts', { name: 'h2', FCWWNs: ['50:01:43:80:00:00:00:01'] })
})
afterEach(() => strike(arrays))

describe('hosts', () => {
  it('always show both kinds of paths, in one form', async () => {
    expect((await client.get('/hosts/h1')).body).toMatchObject({ name: 'h1', persona: 2, FCPaths: [], iSCSIPaths: [{ name: iqn }], initiatorChapEnabled: false, targetChapEnabled: false })
    expect((await client.get('/hosts/h2')).body).toMatchObject({ FCPaths: [{ wwn: '5001438000000001' }], iSCSIPaths: [] })
    expect(codeOf(await client.get('/hosts/none'))).toBe('404/17')
  })

  it.each([
    ['a taken name', { name: 'h1' }, '409/16'],
    ['both kinds of paths', { name: 'x', FCWWNs: ['5001438000000009'], iSCSINames: ['iqn.x'] }, '400/44'],
    ['a path of another host', { name: 'x', iSCSINames: [iqn] }, '409/73'],
    ['a path twice', { name: 'x', FCWWNs: ['5001438000000009', '50:01:43:80:00:00:00:09'] }, '400/98'],
    ['a name that is too long', { name: 'x'.repeat(32) }, '400/57'],
    ['a persona that is none', { name: 'x', persona: 99 }, '400/43'],
  ])('refuse %s', async (_, body, code) => {
    expect(codeOf(await client.post('/hosts', body))).toBe(code)
  })

  it('gain and lose paths', async () => {
    expect((await client.put('/hosts/h1', { pathOperation: 1, FCWWNs: ['5001438000000077'] })).status).toBe(200)
    expect((await client.get('/hosts/h1')).body).toMatchObject({ FCPaths: [{ wwn: '5001438000000077' }], iSCSIPaths: [{ name: iqn }] })
    expect(codeOf(await client.put('/hosts/h1', { pathOperation: 1, FCWWNs: ['5001438000000001'] }))).toBe('409/73')
    expect(codeOf(await client.put('/hosts/h1', { pathOperation: 2, FCWWNs: ['5001438000000099'] }))).toBe('404/80')
    await client.put('/hosts/h1', { pathOperation: 2, iSCSINames: [iqn], forcePathRemoval: true })
    expect((await client.get('/hosts/h1')).body).toMatchObject({ iSCSIPaths: [] })
  })

  it('are found by their paths', async () => {
    const names = async (query: string) => ((await client.get(`/hosts?query=${encodeURIComponent(query)}`)).body['members'] as readonly { readonly name: string }[]).map(({ name }) => name)
    expect(await names(`"iSCSIPaths[name==${iqn}]"`)).toEqual(['h1'])
    expect(await names(`"FCPaths[wwn==5001438000000001 OR wwn==5001438000000002] OR iSCSIPaths[name==none]"`)).toEqual(['h2'])
    expect(await names('"FCPaths[wwn==0000000000000000]"')).toEqual([])
  })

  it('take CHAP names and secrets, which nobody reads back', async () => {
    const chap = (more: object) => client.put('/hosts/h1', { chapOperation: 1, chapOperationMode: 1, chapName: 'user', chapSecret: 'secret-secret', ...more })
    expect((await chap({ chapOperationMode: 2 })).status).toBe(400)
    expect(codeOf(await chap({ chapSecret: 'short' }))).toBe('400/115')
    expect(codeOf(await chap({ chapSecret: 'x'.repeat(17) }))).toBe('400/57')
    expect((await chap({})).status).toBe(200)
    const { body, text } = await client.get('/hosts/h1')
    expect(body).toMatchObject({ initiatorChapEnabled: true, initiatorChapName: 'user' })
    expect(text).not.toContain('secret-secret')
    await client.put('/hosts/h1', { chapOperation: 2 })
    expect((await client.get('/hosts/h1')).body).toMatchObject({ initiatorChapEnabled: false })
  })

  it('cannot be removed with VLUNs or out of a set', async () => {
    await client.post('/vluns', { volumeName: 'one', lun: 1, hostname: 'h1' })
    await client.post('/hostsets', { name: 'hs', setmembers: ['h1'] })
    const first = await client.del('/hosts/h1')
    expect([codeOf(first), first.body['desc']]).toEqual(['409/26', 'has exported VLUN'])
    await client.del('/vluns/one,1,h1')
    const second = await client.del('/hosts/h1')
    expect([codeOf(second), second.body['desc']]).toEqual(['409/77', 'host is a member of a set'])
    await client.del('/hostsets/hs')
    expect((await client.del('/hosts/h1')).status).toBe(200)
    expect(codeOf(await client.del('/hosts/h1'))).toBe('404/17')
  })
})

describe('VLUNs', () => {
  const location = async (body: object) => {
    const reply = await client.post('/vluns', body)
    return reply.status === 201 ? String(reply.headers['location']).replace('/api/v1/vluns/', '') : codeOf(reply)
  }
  const port = { node: 0, slot: 2, cardPort: 1 }

  it('are told by their Location only', async () => {
    const reply = await client.post('/vluns', { volumeName: 'one', lun: 1, hostname: 'h1' })
    expect([reply.status, reply.text, reply.headers['location']]).toEqual([201, '', '/api/v1/vluns/one,1,h1'])
    expect(await location({ volumeName: 'two', lun: 2, hostname: 'h1', portPos: port })).toBe('two,2,h1,0:2:1')
    expect(await location({ volumeName: 'two', lun: 9, portPos: port })).toBe('two,9,,0:2:1')
    await client.post('/hostsets', { name: 'hs', setmembers: ['h2'] })
    expect(await location({ volumeName: 'two', lun: 3, hostname: 'set:hs' })).toBe('two,3,set:hs')
  })

  it('take the lowest free number when asked to', async () => {
    await client.post('/vluns', { volumeName: 'one', lun: 0, hostname: 'h1' })
    expect(await location({ volumeName: 'two', lun: 0, hostname: 'h1', autoLun: true })).toBe('two,1,h1')
    await client.del('/vluns/two,1,h1')
    expect((await client.post('/vluns', { volumeName: 'two', lun: 0, hostname: 'h1', autoLun: true, maxAutoLun: 0 })).status).toBe(201)
  })

  it.each([
    ['no such volume', { volumeName: 'none', lun: 1, hostname: 'h1' }, '404/23'],
    ['no such host', { volumeName: 'one', lun: 1, hostname: 'none' }, '404/17'],
    ['no such set', { volumeName: 'set:none', lun: 1, hostname: 'h1' }, '404/102'],
    ['no such port', { volumeName: 'one', lun: 1, hostname: 'h1', portPos: { node: 7, slot: 1, cardPort: 1 } }, '404/20'],
    ['a port of another kind', { volumeName: 'one', lun: 1, hostname: 'h1', portPos: { node: 0, slot: 3, cardPort: 1 } }, '400/21'],
    ['a number that is too high', { volumeName: 'one', lun: 16_384, hostname: 'h1' }, '400/28'],
    ['no number', { volumeName: 'one', hostname: 'h1' }, '400/40'],
  ])('are refused for %s', async (_, body, code) => {
    expect(await location(body)).toBe(code)
  })

  it('have one number per host', async () => {
    await location({ volumeName: 'one', lun: 1, hostname: 'h1' })
    expect(await location({ volumeName: 'one', lun: 1, hostname: 'h1' })).toBe('409/18')
    expect(await location({ volumeName: 'two', lun: 1, hostname: 'h1' })).toBe('409/18')
    expect(await location({ volumeName: 'two', lun: 1, hostname: 'h2' })).toBe('two,1,h2')
  })

  it('of matched sets share a number over ports', async () => {
    expect(await location({ volumeName: 'one', lun: 4, hostname: 'h1', portPos: port })).toBe('one,4,h1,0:2:1')
    expect(await location({ volumeName: 'one', lun: 4, hostname: 'h1', portPos: { ...port, node: 1 } })).toBe('one,4,h1,1:2:1')
  })

  it('show a template, and a row for every path in use', async () => {
    await location({ volumeName: 'one', lun: 1, hostname: 'h1' })
    const members = (await client.get('/vluns')).body['members'] as readonly Record<string, unknown>[]
    expect(members.filter(({ active }) => active === false)).toEqual([expect.objectContaining({ volumeName: 'one', lun: 1, hostname: 'h1', type: 3, volumeWWN: '60002AC00000000000000001000186A1' })])
    expect(members.filter(({ active }) => active === true)).toEqual([expect.objectContaining({ remoteName: iqn, portPos: port }), expect.objectContaining({ remoteName: iqn })])
    expect((await client.get(`/vluns?query=${encodeURIComponent('"volumeName EQ two"')}`)).body).toEqual({ total: 0, members: [] })
  })

  it('are removed by their name, and block the removal of the volume', async () => {
    await location({ volumeName: 'one', lun: 1, hostname: 'h1' })
    expect(codeOf(await client.del('/volumes/one'))).toBe('409/26')
    expect(codeOf(await client.del('/vluns/one,2,h1'))).toBe('404/19')
    expect(codeOf(await client.del('/vluns/one,1'))).toBe('404/19')
    expect((await client.del('/vluns/one,1,h1')).status).toBe(200)
    expect(codeOf(await client.del('/vluns/one,1,h1'))).toBe('404/19')
  })
})

describe('a host', () => {
  const seen = async (volume: string, host = 'h1') => ({ host, wwn: String((await client.get(`/volumes/${volume}`)).body['wwn']) })

  it('reads and writes only what is exported to it', async () => {
    await client.post('/vluns', { volumeName: 'one', lun: 1, hostname: 'h1' })
    const one = await seen('one')
    await arrays.a.write(one, 4096, Buffer.from('hello'))
    expect((await arrays.a.read({ ...one, host: iqn }, 4095, 7)).toString()).toBe('\0hello\0')
    await expect(arrays.a.read({ ...one, host: 'h2' }, 0, 1)).rejects.toMatchObject({ kind: 'notFound' })
    await expect(arrays.a.read(await seen('two'), 0, 1)).rejects.toMatchObject({ kind: 'notFound' })
    await expect(arrays.a.read(one, 256 * 1_048_576, 1)).rejects.toMatchObject({ kind: 'invalidArgument' })
    await client.del('/vluns/one,1,h1')
    await expect(arrays.a.write(one, 0, Buffer.from('x'))).rejects.toMatchObject({ kind: 'notFound' })
  })

  it('cannot write to a read-only snapshot', async () => {
    await client.post('/volumes/one', { action: 'createSnapshot', parameters: { name: 'snap', readOnly: true } })
    await client.post('/vluns', { volumeName: 'snap', lun: 1, hostname: 'h1' })
    await expect(arrays.a.write(await seen('snap'), 0, Buffer.from('x'))).rejects.toMatchObject({ kind: 'readOnly' })
  })

  it('cannot write more than the CPG has', async () => {
    await client.post('/cpgs', { name: 'tiny', growthLimitMiB: 1 })
    await client.post('/volumes', { name: 'thin', cpg: 'tiny', sizeMiB: 256, tpvv: true })
    await client.post('/vluns', { volumeName: 'thin', lun: 1, hostname: 'h1' })
    const thin = await seen('thin')
    await arrays.a.write(thin, 0, Buffer.alloc(1_048_576))
    await expect(arrays.a.write(thin, 1_048_576, Buffer.alloc(16_384))).rejects.toMatchObject({ kind: 'noSpace' })
    await arrays.a.write(thin, 0, Buffer.alloc(16_384, 'x'))
  })
})

describe('sets', () => {
  it('show no member list when empty, and keep their members alive', async () => {
    expect((await client.post('/volumesets', { name: 'vs' })).headers['location']).toBe('/api/v1/volumesets/vs')
    expect((await client.get('/volumesets/vs')).body).not.toHaveProperty('setmembers')
    await client.put('/volumesets/vs', { action: 1, setmembers: ['one', 'two'] })
    expect((await client.get('/volumesets/vs')).body).toMatchObject({ setmembers: ['one', 'two'], qosEnabled: false })
    expect((await client.put('/volumesets/vs', { action: 1, setmembers: ['one'] })).status).toBe(409)
    expect(codeOf(await client.del('/volumes/one'))).toBe('409/34')
    await client.put('/volumesets/vs', { action: 2, setmembers: ['one'] })
    expect((await client.put('/volumesets/vs', { action: 2, setmembers: ['one'] })).status).toBe(404)
    await client.del('/volumesets/vs')
    expect((await client.get('/volumes/two')).status).toBe(200)
  })

  it('refuse what is wrong with them', async () => {
    await client.post('/volumesets', { name: 'vs' })
    expect(codeOf(await client.post('/volumesets', { name: 'vs' }))).toBe('409/101')
    expect(codeOf(await client.post('/volumesets', { name: 'x'.repeat(28) }))).toBe('400/57')
    expect(codeOf(await client.get(`/volumesets/${'x'.repeat(28)}`))).toBe('404/102')
    expect(codeOf(await client.post('/volumesets', { name: 'other', setmembers: ['none'] }))).toBe('404/23')
    expect(codeOf(await client.post('/hostsets', { name: 'other', setmembers: ['none'] }))).toBe('404/17')
    expect(codeOf(await client.put('/volumesets/vs', { newName: 'w', setmembers: ['one'], action: 1 }))).toBe('400/44')
  })

  it('carry QoS rules, and cannot go while they do', async () => {
    await client.post('/volumesets', { name: 'vs', setmembers: ['one'] })
    const rule = (body: object) => client.post('/qos', { name: 'vs', type: 1, ...body })
    expect(codeOf(await client.post('/qos', { name: 'none', type: 1 }))).toBe('404/117')
    expect(codeOf(await rule({ ioMinGoal: 5 }))).toBe('400/40')
    expect(codeOf(await rule({ ioMaxLimit: 0 }))).toBe('400/115')
    expect((await rule({ ioMaxLimit: 1000, enable: true })).headers['location']).toBe('/api/v1/qos/vvset:vs')
    expect(codeOf(await rule({}))).toBe('400/114')
    expect((await client.get('/qos/vvset:vs')).body).toMatchObject({ name: 'vs', enabled: true, ioMaxLimit: 1000 })
    expect((await client.del('/volumesets/vs')).status).toBe(409)
    await client.put('/qos/vvset:vs', { enable: false })
    expect((await client.get('/volumesets/vs')).body).toMatchObject({ qosEnabled: false })
    await client.del('/qos/vvset:vs')
    expect(codeOf(await client.get('/qos/vvset:vs'))).toBe('404/100')
  })
})

it('has ready iSCSI ports with addresses and names, an FC port without devices, and one for remote copy', async () => {
  const ports = (await client.get('/ports')).body['members'] as readonly Record<string, unknown>[]
  expect(ports.filter(({ protocol, mode, linkState }) => protocol === 2 && mode === 2 && linkState === 4)).toEqual([expect.objectContaining({ IPAddr: '127.0.1.1', iSCSIName: expect.stringMatching(/^iqn\.2000-05\.com\.3pardata:2/) as unknown }), expect.objectContaining({ IPAddr: '127.0.1.2' })])
  expect(ports.find(({ protocol }) => protocol === 1)).toMatchObject({ mode: 2, device: [] })
  expect(ports.some(({ type }) => type === 7)).toBe(true)
  expect((await client.get('/ports/0:2:1')).body).toEqual(ports[0])
  expect(codeOf(await client.get('/ports/9'))).toBe('400/55')
})

it('keeps key-values with a volume, and loses them with it', async () => {
  const path = '/volumes/one/objectKeyValues'
  expect((await client.post(path, { key: 'owner', value: 'me' })).status).toBe(201)
  expect(codeOf(await client.post(path, { key: 'owner', value: 'you' }))).toBe('409/181')
  await client.put(`${path}/owner`, { value: 'you' })
  expect((await client.get(`${path}/owner`)).body).toMatchObject({ key: 'owner', value: 'you' })
  expect((await client.get('/volumes/two/objectKeyValues')).body).toEqual({ total: 0, members: [] })
  expect(codeOf(await client.get(`${path}/none`))).toBe('404/180')
  await client.del('/volumes/one')
  expect(codeOf(await client.get(path))).toBe('404/23')
})
