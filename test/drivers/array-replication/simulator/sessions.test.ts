/** Transport and sessions of a simulated array (facts 1). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, codeOf, login, stage, strike, type Stage } from './plain-client.ts'

let arrays: Stage
beforeEach(async () => {
  arrays = await stage({ arrays: [{ maxSessions: 3 }, {}] })
})
afterEach(() => strike(arrays))

const credentials = () => ({ user: arrays.a.user, password: arrays.a.password })

describe('without a session', () => {
  it('tells its version at /api, and nothing else', async () => {
    const { status, body } = await ask(arrays.a, 'GET', '/api')
    expect(status).toBe(200)
    expect(body).toMatchObject({ major: 1, build: 30_301_215 })
    expect(codeOf(await ask(arrays.a, 'GET', '/volumes'))).toBe('403/6')
    expect(codeOf(await ask(arrays.a, 'GET', '/volumes', { key: 'made-up' }))).toBe('403/6')
  })

  it('refuses a wrong password with 403/5', async () => {
    expect(codeOf(await ask(arrays.a, 'POST', '/credentials', { body: { user: arrays.a.user, password: 'wrong' } }))).toBe('403/5')
    expect(codeOf(await ask(arrays.a, 'POST', '/credentials', { body: { user: arrays.a.user } }))).toBe('400/40')
  })

  it('is not accepted by a client that does not trust its certificate', async () => {
    await expect(ask({ url: arrays.a.url, certificate: arrays.b.certificate }, 'GET', '/api')).rejects.toThrow(/certificate|self/i)
  })
})

describe('a session', () => {
  it('begins with 201, a key and a Location, and ends with DELETE', async () => {
    const reply = await ask(arrays.a, 'POST', '/credentials', { body: credentials() })
    const key = String(reply.body['key'])
    expect(reply.status).toBe(201)
    expect(reply.headers['location']).toBe(`/api/v1/credentials/${key}`)
    expect((await ask(arrays.a, 'GET', '/system', { key })).status).toBe(200)
    const end = await ask(arrays.a, 'DELETE', `/credentials/${key}`)
    expect([end.status, end.text]).toEqual([200, ''])
    expect(codeOf(await ask(arrays.a, 'GET', '/system', { key }))).toBe('403/6')
    expect(codeOf(await ask(arrays.a, 'DELETE', `/credentials/${key}`))).toBe('403/6')
  })

  it('ends after 15 idle minutes, and each use renews it', async () => {
    const client = await login(arrays.a)
    for (let use = 0; use < 3; use++) {
      arrays.clock.advance(14 * 60_000)
      expect((await client.get('/system')).status).toBe(200)
    }
    arrays.clock.advance(15 * 60_000)
    expect(codeOf(await client.get('/system'))).toBe('403/6')
  })

  it('is worth nothing on the other array', async () => {
    const { key } = await login(arrays.a)
    expect(codeOf(await ask(arrays.b, 'GET', '/system', { key }))).toBe('403/6')
  })

  it('is not to be had beyond the limit: 503; the configuration tells how many there are', async () => {
    const client = await login(arrays.a)
    await login(arrays.a)
    await login(arrays.a)
    expect((await ask(arrays.a, 'POST', '/credentials', { body: credentials() })).status).toBe(503)
    expect((await client.get('/wsapiconfiguration')).body).toMatchObject({ sessionsInUse: 3, systemResourceUsage: 3, httpsState: 'Enabled' })
    arrays.clock.advance(15 * 60_000)
    expect((await ask(arrays.a, 'POST', '/credentials', { body: credentials() })).status).toBe(201)
  })
})

describe('a request', () => {
  it('that is no JSON is refused with 400/60', async () => {
    const { key } = await login(arrays.a)
    const reply = await ask(arrays.a, 'POST', '/volumes', { key, raw: '{"name": ' })
    expect(codeOf(reply)).toBe('400/60')
    expect(reply.body['ref']).toBeTypeOf('string')
  })

  it('for a resource that is none is answered with 404/11', async () => {
    const client = await login(arrays.a)
    expect(codeOf(await client.get('/nothing'))).toBe('404/11')
    expect(codeOf(await client.put('/ports', {}))).toBe('404/11')
  })

  it('is answered with the headers of such arrays', async () => {
    const client = await login(arrays.a)
    const { headers } = await client.get('/system')
    expect(headers).toMatchObject({ 'server': 'hp3par-wsapi', 'cache-control': 'no-cache', 'connection': 'close', 'content-type': 'application/json' })
    expect((await client.get('/volumes')).headers['transfer-encoding']).toBe('chunked')
  })
})

describe('by script', () => {
  it('the second matching request fails, the others do not', async () => {
    const client = await login(arrays.a)
    const planned = arrays.a.fault({ match: 'GET /sys*', nth: 2, effect: 'error', status: 409, code: 151 })
    expect((await client.get('/system')).status).toBe(200)
    expect(codeOf(await client.get('/system'))).toBe('409/151')
    expect((await client.get('/system')).status).toBe(200)
    expect(planned.hits()).toBe(1)
  })

  it('an answer is lost after the work was done', async () => {
    const client = await login(arrays.a)
    arrays.a.fault({ match: 'POST /cpgs', effect: 'lost' })
    await expect(client.post('/cpgs', { name: 'made' })).rejects.toThrow()
    expect((await client.get('/cpgs/made')).status).toBe(200)
  })

  it('the connection breaks before anything was done', async () => {
    const client = await login(arrays.a)
    arrays.a.fault({ match: 'POST /cpgs', effect: 'drop' })
    await expect(client.post('/cpgs', { name: 'made' })).rejects.toThrow()
    expect(codeOf(await client.get('/cpgs/made'))).toBe('404/15')
  })

  it('an answer never comes', async () => {
    const { key } = await login(arrays.a)
    arrays.a.fault({ match: 'GET /system', effect: 'hang' })
    await expect(ask(arrays.a, 'GET', '/system', { key, timeoutMs: 200 })).rejects.toThrow('no answer in time')
  })

  it('the session expires, and the array is overloaded', async () => {
    const client = await login(arrays.a)
    arrays.a.fault({ match: 'GET /system', effect: 'unavailable', times: 2 })
    arrays.a.fault({ match: 'GET /capacity', effect: 'expire' })
    const busy = await client.get('/system')
    expect([busy.status, busy.text]).toEqual([503, ''])
    expect((await client.get('/system')).status).toBe(503)
    expect((await client.get('/system')).status).toBe(200)
    expect(codeOf(await client.get('/capacity'))).toBe('403/6')
    expect(codeOf(await client.get('/system'))).toBe('403/6')
  })

  it('the array is dead, and comes back without its sessions', async () => {
    const client = await login(arrays.a)
    arrays.a.power(false)
    await expect(client.get('/system')).rejects.toThrow()
    arrays.a.power(true)
    expect(codeOf(await client.get('/system'))).toBe('403/6')
  })

  it('requests are counted by resource', async () => {
    const client = await login(arrays.a)
    await client.get('/volumes')
    await client.get('/volumes/x')
    await client.get('/volumes/y')
    expect(arrays.a.requests()).toEqual({ 'POST /credentials': 1, 'GET /volumes': 1, 'GET /volumes/:name': 2 })
  })
})
