/** Snapshots, copies and promotion on a simulated array: requests, tasks, and the bytes (facts 6, 7 and 13). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { codeOf, login, stage, strike, type Client, type Stage } from './plain-client.ts'

let arrays: Stage
let client: Client
let wwn: string
const host = 'iqn.1993-08.org.debian:01:host'

const wwnOf = async (volume: string): Promise<string> => String((await client.get(`/volumes/${volume}`)).body['wwn'])
const bytes = (letter: string, size = 20_000): Buffer => Buffer.alloc(size, letter)
const write = (letter: string, offset = 0): Promise<void> => arrays.a.write({ host, wwn }, offset, bytes(letter))
const letter = (volume: string, offset = 0): string => arrays.a.inspect(volume, offset, 1).toString()
const snapshot = (volume: string, name: string, more: object = {}) => client.post(`/volumes/${volume}`, { action: 'createSnapshot', parameters: { name, ...more } })

beforeEach(async () => {
  arrays = await stage({ arrays: 1, durations: { copyMs: 5000, promoteMs: 3000 } })
  client = await login(arrays.a)
  await client.post('/volumes', { name: 'base', cpg: 'SSD_r6', snapCPG: 'FC_r5', sizeMiB: 256, tpvv: true })
  await client.post('/hosts', { name: 'host', iSCSINames: [host] })
  await client.post('/vluns', { volumeName: 'base', lun: 1, hostname: 'host' })
  wwn = await wwnOf('base')
})
afterEach(() => strike(arrays))

describe('a snapshot', () => {
  it('keeps what its parent held, whatever is written after', async () => {
    await write('1')
    expect((await snapshot('base', 'snap', { readOnly: true })).headers['location']).toBe('/api/v1/volumes/snap')
    await write('2', 10_000)
    expect([letter('base'), letter('base', 10_000), letter('snap', 10_000), letter('snap', 29_000)]).toEqual(['1', '2', '1', '\0'])
    expect((await client.get('/volumes/snap')).body).toMatchObject({ copyType: 3, provisioningType: 3, copyOf: 'base', readOnly: true, baseId: 1 })
  })

  it('can be written when it is writable, without the parent seeing it, and be snapped again', async () => {
    await write('1')
    await snapshot('base', 'rw')
    await client.post('/vluns', { volumeName: 'rw', lun: 2, hostname: 'host' })
    const seen = { host, wwn: await wwnOf('rw') }
    await snapshot('rw', 'ro', { readOnly: true })
    await arrays.a.write(seen, 0, bytes('w'))
    expect([letter('base'), letter('rw'), letter('ro')]).toEqual(['1', 'w', '1'])
    expect(codeOf(await client.del('/volumes/rw'))).toBe('409/26')
  })

  it('is refused where the rules refuse it', async () => {
    await client.post('/volumes', { name: 'bare', cpg: 'SSD_r6', sizeMiB: 256, tpvv: true })
    expect(codeOf(await snapshot('bare', 's'))).toMatch(/^409\//)
    expect(codeOf(await snapshot('none', 's'))).toBe('404/23')
    await snapshot('base', 'ro', { readOnly: true })
    expect(codeOf(await snapshot('ro', 'ro2', { readOnly: true }))).toMatch(/^403\//)
    expect(codeOf(await snapshot('base', 'ro'))).toBe('409/22')
    expect(codeOf(await client.post('/volumes/base', { action: 'createSnapshot', parameters: { name: 's', colour: 1 } }))).toBe('400/12')
    expect(codeOf(await client.post('/volumes/base', { action: 'fly' }))).toBe('400/46')
  })

  it('blocks the removal of its parent: 25 for a read-only child, 32 for another', async () => {
    await client.del('/vluns/base,1,host')
    await snapshot('base', 'rw')
    expect(codeOf(await client.del('/volumes/base'))).toBe('409/32')
    await snapshot('base', 'ro', { readOnly: true })
    expect(codeOf(await client.del('/volumes/base'))).toBe('409/25')
    await client.del('/volumes/ro')
    await client.del('/volumes/rw')
    expect((await client.del('/volumes/base')).status).toBe(200)
  })

  it('is taken of all volumes of a set at once, numbered', async () => {
    await client.post('/volumes', { name: 'second', cpg: 'SSD_r6', snapCPG: 'FC_r5', sizeMiB: 256, tpvv: true })
    await client.post('/volumesets', { name: 'set', setmembers: ['base', 'second'] })
    expect((await client.post('/volumesets/set', { action: 'createSnapshot', parameters: { name: 's-@count@', readOnly: true } })).status).toBe(201)
    expect((await client.get('/volumes/s-1')).body).toMatchObject({ copyOf: 'second' })
    await client.post('/volumesets', { name: 'empty' })
    expect((await client.post('/volumesets/empty', { action: 'createSnapshot', parameters: { name: 'x' } })).status).toBe(404)
  })
})

describe('a promotion', () => {
  beforeEach(async () => {
    await write('1')
    await snapshot('base', 'snap', { readOnly: true })
    await snapshot('base', 'other', { readOnly: true })
    await write('2')
  })

  it('is refused while the parent is exported, and then brings its bytes back by the end of its task', async () => {
    expect(codeOf(await client.put('/volumes/snap', { action: 4 }))).toMatch(/^403\//)
    await client.del('/vluns/base,1,host')
    const { body } = await client.put('/volumes/snap', { action: 4 })
    expect((await client.get(`/tasks/${String(body['taskid'])}`)).body).toMatchObject({ status: 2, type: 4, finishTime: '-' })
    expect(codeOf(await client.del('/volumes/base'))).toBe('409/151')
    arrays.clock.advance(3000)
    expect((await client.get(`/tasks/${String(body['taskid'])}`)).body).toMatchObject({ status: 1 })
    expect([letter('base'), letter('snap'), letter('other')]).toEqual(['1', '1', '1'])
  })

  it('online shows its bytes at once, and what is written then stays', async () => {
    expect((await client.put('/volumes/snap', { action: 4, online: true })).status).toBe(200)
    expect(letter('base')).toBe('1')
    await write('3')
    arrays.clock.advance(3000)
    expect([letter('base'), letter('snap')]).toEqual(['3', '1'])
  })

  it('can be stopped, once', async () => {
    await client.del('/vluns/base,1,host')
    await client.put('/volumes/snap', { action: 4 })
    expect((await client.put('/volumes/base', { action: 5 })).status).toBe(200)
    expect(codeOf(await client.put('/volumes/base', { action: 5 }))).toBe('409/185')
    arrays.clock.advance(3000)
    expect(letter('base')).toBe('2')
  })

  it('is not possible of what is no snapshot', async () => {
    expect(codeOf(await client.put('/volumes/base', { action: 4 }))).toBe('403/150')
    expect((await client.put('/volumes/snap', { action: 4, online: true, priority: 1 })).status).toBe(409)
  })
})

describe('an online copy', () => {
  const copy = (parameters: object = {}) => client.post('/volumes/base', { action: 'createPhysicalCopy', parameters: { online: true, destVolume: 'clone', destCPG: 'SSD_r6', tpvv: true, ...parameters } })

  it('is usable at once and removable when its task has ended', async () => {
    await write('1')
    const reply = await copy()
    expect([reply.status, reply.headers['location'], typeof reply.body['taskid']]).toEqual([201, '/api/v1/volumes/clone', 'number'])
    expect((await client.get('/volumes/clone')).body).toMatchObject({ copyType: 2, copyOf: 'base' })
    await write('2')
    expect(letter('clone')).toBe('1')
    expect(codeOf(await client.del('/volumes/clone'))).toBe('400/29')
    arrays.clock.advance(5000)
    expect((await client.get('/volumes/clone')).body).toMatchObject({ copyType: 1 })
    expect((await client.del('/volumes/clone')).status).toBe(200)
  })

  it('can be cancelled and is removable then', async () => {
    const { body } = await copy()
    expect((await client.put(`/tasks/${String(body['taskid'])}`, { action: 1 })).status).toBe(200)
    expect((await client.put(`/tasks/${String(body['taskid'])}`, { action: 1 })).status).toBe(400)
    expect((await client.del('/volumes/clone')).status).toBe(200)
  })

  it('needs a CPG and a name that is free', async () => {
    expect(codeOf(await copy({ destCPG: null }))).toBe('400/40')
    expect(codeOf(await copy({ destVolume: 'base' }))).toBe('409/22')
  })
})

describe('an offline copy', () => {
  it('brings the bytes of its start by the end of its task', async () => {
    await client.post('/volumes', { name: 'dest', cpg: 'SSD_r6', sizeMiB: 512, tpvv: true })
    await write('1')
    expect((await client.post('/volumes/base', { action: 'createPhysicalCopy', parameters: { destVolume: 'dest' } })).status).toBe(201)
    await write('2')
    expect(codeOf(await client.post('/vluns', { volumeName: 'dest', lun: 5, hostname: 'host' }))).toBe('409/97')
    expect(letter('dest')).toBe('\0')
    arrays.clock.advance(5000)
    expect(letter('dest')).toBe('1')
    expect((await client.post('/vluns', { volumeName: 'dest', lun: 5, hostname: 'host' })).status).toBe(201)
    expect((await client.get('/volumes')).body['total']).toBe(2)
  })

  it('refuses a destination that is too small, missing, or to be made', async () => {
    await client.put('/volumes/base', { action: 3, sizeMiB: 256 })
    await client.post('/volumes', { name: 'small', cpg: 'SSD_r6', sizeMiB: 256, tpvv: true })
    const copy = (parameters: object) => client.post('/volumes/base', { action: 'createPhysicalCopy', parameters })
    expect((await copy({ destVolume: 'small' })).status).toBe(400)
    expect(codeOf(await copy({ destVolume: 'none' }))).toBe('404/23')
    expect((await copy({ destVolume: 'small', tpvv: true })).status).toBe(400)
  })
})

describe('/tasks', () => {
  it.each([['x', '400/39'], ['0', '400/115'], ['-1', '400/115'], ['99999999999', '400/43'], ['4711', '404/145']])('refuses task %s with %s', async (id, code) => {
    expect(codeOf(await client.get(`/tasks/${id}`))).toBe(code)
  })

  it('lists at least one task', async () => {
    expect((await client.get('/tasks')).body['total']).toBeGreaterThan(0)
  })
})
