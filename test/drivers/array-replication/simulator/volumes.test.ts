/** System, CPGs and volumes of a simulated array (facts 3, 5 and 9). */
import { Agent } from 'node:https'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, codeOf, login, stage, strike, type Client, type Stage } from './plain-client.ts'

let arrays: Stage
let client: Client
beforeEach(async () => {
  arrays = await stage({ arrays: [{ capacityMiB: 100_000 }, { profile: 'primera-4.2' }] })
  client = await login(arrays.a)
})
afterEach(() => strike(arrays))

const thin = (name: string, more: object = {}) => ({ name, cpg: 'SSD_r6', sizeMiB: 1024, tpvv: true, ...more })
const longest = 'x'.repeat(31)

describe('the system', () => {
  it('tells its decimal id, its name and its licences', async () => {
    const { body } = await client.get('/system')
    expect(body).toMatchObject({ id: 100_001, name: 'array-a', totalCapacityMiB: 100_000, licenseInfo: { licenses: [{ name: 'Golden License' }] } })
    expect((await client.get('/capacity')).body).toMatchObject({ allCapacity: { totalMiB: 100_000, freeMiB: 100_000 } })
  })
})

describe('POST /volumes', () => {
  it('answers 201 with a Location and no body', async () => {
    const reply = await client.post('/volumes', thin('one'))
    expect([reply.status, reply.headers['location'], reply.text]).toEqual([201, '/api/v1/volumes/one', ''])
  })

  it.each([
    ['without a name', { cpg: 'SSD_r6', sizeMiB: 1024 }, '400/40', 'name'],
    ['with null for a required member', { name: null, cpg: 'SSD_r6', sizeMiB: 1024 }, '400/40', 'name'],
    ['with a name that is too long', thin(`${longest}x`), '400/57', 'name'],
    ['with a name of wrong characters', thin('a b'), '400/69', 'name'],
    ['with a name that is a number', { ...thin('x'), name: 7 }, '400/39', 'name'],
    ['with a size that is a text', thin('x', { sizeMiB: '1024' }), '400/39', 'sizeMiB'],
    ['with a size below 256', thin('x', { sizeMiB: 255 }), '400/115', 'sizeMiB'],
    ['with a size above 16 TiB', thin('x', { sizeMiB: 16_777_217 }), '400/28', 'sizeMiB'],
    ['with a member that is none', thin('x', { colour: 'blue' }), '400/12', 'colour'],
    ['thin and dedup', thin('x', { tdvv: true }), '400/44', 'tpvv,tdvv'],
    ['compressed and full', thin('x', { tpvv: false, compression: true, sizeMiB: 16_384 }), '400/44', 'compression'],
    ['with a comment of 512 characters', thin('x', { comment: 'x'.repeat(512) }), '400/57', 'comment'],
    ['retained for longer than it lives', thin('x', { expirationHours: 1, retentionHours: 2 }), '400/43', 'retentionHours'],
    ['in a CPG that is not there', thin('x', { cpg: 'none' }), '404/15', 'none'],
    ['with wrong members and a missing CPG: the members come first', thin('x', { cpg: 'none', sizeMiB: 1 }), '400/115', 'sizeMiB'],
  ])('refuses a volume %s', async (_, body, code, ref) => {
    const reply = await client.post('/volumes', body)
    expect(codeOf(reply)).toBe(code)
    expect(reply.body['ref']).toBe(ref)
    expect((await client.get('/volumes')).body).toMatchObject({ total: 0, members: [] })
  })

  it('takes null for an optional member as absent', async () => {
    expect((await client.post('/volumes', thin('one', { comment: null, domain: undefined }))).status).toBe(201)
  })

  it('refuses a taken name with 409/22 and a taken id with 409/59', async () => {
    await client.post('/volumes', thin('one', { id: 77 }))
    expect(codeOf(await client.post('/volumes', thin('one')))).toBe('409/22')
    expect(codeOf(await client.post('/volumes', thin('two', { id: 77 })))).toBe('409/59')
  })

  it('refuses a full volume that has no room, in the array or in its CPG', async () => {
    expect(codeOf(await client.post('/volumes', thin('x', { tpvv: false, sizeMiB: 100_256 })))).toBe('400/24')
    await client.post('/cpgs', { name: 'small', growthLimitMiB: 1024 })
    expect((await client.post('/volumes', thin('one', { tpvv: false, cpg: 'small' }))).status).toBe(201)
    expect(codeOf(await client.post('/volumes', thin('two', { tpvv: false, cpg: 'small' })))).toBe('403/153')
  })

  it('on Primera wants tpvv or reduce', async () => {
    const primera = await login(arrays.b)
    const reply = await primera.post('/volumes', { name: 'x', cpg: 'SSD_r6', sizeMiB: 1024 })
    expect([codeOf(reply), reply.body['ref']]).toEqual(['400/78', 'tpvv,reduce'])
    expect((await primera.post('/volumes', { name: 'x', cpg: 'SSD_r6', sizeMiB: 1024, reduce: true })).status).toBe(201)
    expect(codeOf(await client.post('/volumes', thin('x', { tpvv: false, reduce: true })))).toBe('400/12')
  })
})

describe('GET /volumes', () => {
  it('shows one volume as the list does, with a WWN of volume and system', async () => {
    await client.post('/volumes', thin('one', { comment: '{"owner":"me"}', snapCPG: 'FC_r5', tdvv: true, tpvv: false }))
    const one = (await client.get('/volumes/one')).body
    expect((await client.get('/volumes')).body).toEqual({ total: 1, members: [one] })
    expect(one).toMatchObject({
      id: 1, name: 'one', provisioningType: 6, copyType: 1, baseId: 1, readOnly: false, state: 1, sizeMiB: 1024, userCPG: 'SSD_r6', snapCPG: 'FC_r5', deduplicationState: 1,
      wwn: '60002AC00000000000000001000186A1', comment: '{"owner":"me"}', rcopyStatus: 1, userSpace: { usedMiB: 0 },
    })
    expect(codeOf(await client.get('/volumes/two'))).toBe('404/23')
  })

  it('answers queries, in either case, and nothing found is an empty list', async () => {
    for (const [name, cpg] of [['db-1', 'SSD_r6'], ['db-2', 'FC_r5'], ['web', 'FC_r5']] as const) await client.post('/volumes', thin(name, { cpg }))
    const names = async (query: string) => {
      const { status, body } = await client.get(`/volumes?query=${encodeURIComponent(query)}`)
      return status === 200 ? (body['members'] as readonly { readonly name: string }[]).map(({ name }) => name) : `${status}/${String(body['code'])}`
    }
    expect(await names('"userCPG EQ FC_r5"')).toEqual(['db-2', 'web'])
    expect(await names('"name LIKE db-*"')).toEqual(['db-1', 'db-2'])
    expect(await names('"name like db-* and usercpg EQ FC_r5"')).toEqual([])
    expect(await names('"name like db-* and userCPG eq FC_r5 OR name EQ web"')).toEqual(['db-2', 'web'])
    expect(await names('"copyOf EQ none"')).toEqual([])
    expect(await names('"name SOUNDS db"')).toBe('400/12')
  })
})

describe('PUT /volumes/<name>', () => {
  beforeEach(() => client.post('/volumes', thin('one')))

  it('renames, and what is changed stays changed', async () => {
    const reply = await client.put('/volumes/one', { newName: 'two', comment: 'new', snapCPG: 'FC_r5', usrSpcAllocWarningPct: 80 })
    expect([reply.status, reply.headers['location']]).toEqual([200, '/api/v1/volumes/two'])
    expect((await client.get('/volumes/two')).body).toMatchObject({ name: 'two', comment: 'new', snapCPG: 'FC_r5', usrSpcAllocWarningPct: 80 })
    await client.put('/volumes/two', { rmUsrSpcAllocWarning: true })
    expect((await client.get('/volumes/two')).body).toMatchObject({ usrSpcAllocWarningPct: 0 })
    expect(codeOf(await client.get('/volumes/one'))).toBe('404/23')
  })

  it('refuses a name that is taken and an action that is none', async () => {
    await client.post('/volumes', thin('two'))
    expect(codeOf(await client.put('/volumes/one', { newName: 'two' }))).toBe('409/22')
    expect(codeOf(await client.put('/volumes/one', { action: 99 }))).toBe('400/46')
    expect(codeOf(await client.put('/volumes/none', { comment: 'x' }))).toBe('404/23')
  })

  it('grows by an increment that is rounded up to 256 MiB', async () => {
    expect((await client.put('/volumes/one', { action: 3, sizeMiB: 1 })).status).toBe(200)
    expect((await client.get('/volumes/one')).body).toMatchObject({ sizeMiB: 1280 })
    expect(codeOf(await client.put('/volumes/one', { action: 3, sizeMiB: 0 }))).toBe('400/152')
    expect(codeOf(await client.put('/volumes/one', { action: 3, sizeMiB: 16_777_216 }))).toBe('400/28')
    expect(codeOf(await client.put('/volumes/one', { action: 3 }))).toBe('400/40')
  })
})

describe('DELETE /volumes/<name>', () => {
  it('removes a volume, once', async () => {
    await client.post('/volumes', thin('one'))
    expect((await client.del('/volumes/one')).status).toBe(200)
    expect(codeOf(await client.del('/volumes/one'))).toBe('404/23')
  })

  it('refuses while the volume is retained, and retention can only be lengthened', async () => {
    await client.post('/volumes', thin('one', { expirationHours: 5, retentionHours: 2 }))
    expect(codeOf(await client.del('/volumes/one'))).toMatch(/^403\//)
    expect(codeOf(await client.put('/volumes/one', { retentionHours: 1 }))).toMatch(/^403\//)
    arrays.clock.advance(2 * 3_600_000)
    const later = await login(arrays.a)
    expect((await later.del('/volumes/one')).status).toBe(200)
  })
})

describe('CPGs', () => {
  it('are made, changed, and removed only when nothing is in them', async () => {
    expect((await client.post('/cpgs', { name: 'pool', growthLimitMiB: 4096, LDLayout: { RAIDType: 3, setSize: 5 } })).headers['location']).toBe('/api/v1/cpgs/pool')
    expect((await client.get('/cpgs/pool')).body).toMatchObject({ name: 'pool', SDGrowth: { limitMiB: 4096 }, UsrUsage: { usedMiB: 0 }, numTPVVs: 0, state: 1 })
    expect(codeOf(await client.post('/cpgs', { name: 'pool' }))).toBe('409/14')
    expect(codeOf(await client.post('/cpgs', { name: 'other', LDLayout: { RAIDType: 4, setSize: 7 } }))).toMatch(/^403\/9[23]$/)
    await client.post('/volumes', thin('one', { cpg: 'pool' }))
    expect(codeOf(await client.del('/cpgs/pool'))).toBe('403/34')
    await client.del('/volumes/one')
    expect((await client.del('/cpgs/pool')).status).toBe(200)
    expect(codeOf(await client.get('/cpgs/pool'))).toBe('404/15')
  })

  it('have their free space reported', async () => {
    expect((await client.post('/spacereporter', { cpg: 'SSD_r6' })).body).toEqual({ rawFreeMiB: 200_000, usableFreeMiB: 100_000 })
    expect(codeOf(await client.post('/spacereporter', { cpg: 'none' }))).toBe('404/15')
  })
})

describe('licences', () => {
  it('that are missing are refused with 403', async () => {
    const bare = await stage({ arrays: [{ licences: [] }] })
    try {
      const poor = await login(bare.a)
      expect(codeOf(await poor.post('/volumes', thin('x')))).toMatch(/^403\//)
      expect((await poor.post('/volumes', { name: 'x', cpg: 'SSD_r6', sizeMiB: 256 })).status).toBe(201)
    } finally {
      await strike(bare)
    }
  })
})

it('lists 1,000 volumes in one answer', { timeout: 60_000 }, async () => {
  const many = await stage({ arrays: 1, keepAlive: true })
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  try {
    const { key } = await login(many.a)
    await Promise.all(Array.from({ length: 1000 }, (_, at) => ask(many.a, 'POST', '/volumes', { key, agent, body: thin(`v${at}`) })))
    const { body } = await ask(many.a, 'GET', '/volumes', { key, agent })
    expect(body['total']).toBe(1000)
    expect(new Set((body['members'] as readonly { readonly wwn: string }[]).map(({ wwn }) => wwn)).size).toBe(1000)
  } finally {
    agent.destroy()
    await strike(many)
  }
})
