import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Engine } from '../../core/caller.ts'
import { silentLog } from '../../host/log.ts'
import type { Client } from '../../rpc/client.ts'
import { createHttpClient } from '../../rpc/client-http.ts'
import { listenHttp, type HttpOptions } from '../../rpc/http.ts'
import type { RpcLimits } from '../../rpc/limits.ts'
import type { Listener } from '../../rpc/listener.ts'
import { createMetrics } from '../../rpc/metrics.ts'
import { createRpcServer, type RpcServer } from '../../rpc/server.ts'
import { haveOpenssl, makeCertificate, type Pem } from './certificates.ts'
import { attachSr, createGate, createMemoryEngine, srUuid, temporaryDirectory, until, type Memory } from './memory.ts'

const token = 'a-token-for-tests-0123456789'
let engine: Engine
let memory: Memory
let server: RpcServer
let listener: Listener
const clients: Client[] = []

const listen = async (options: Partial<HttpOptions> = {}, limits: Partial<RpcLimits> = {}): Promise<Listener> => {
  const metrics = createMetrics('1.2.3')
  const made = createMemoryEngine(silentLog, (trace) => metrics.trace(trace))
  engine = made.engine
  memory = made.memory
  await attachSr(engine)
  server = createRpcServer({ engine, log: silentLog, limits, discover: async () => ({}) })
  metrics.watchRunning(() => server.runningCalls())
  metrics.backlog(srUuid, { bytes: 4096, longest_chain: 3 })
  return listenHttp(server, { host: '127.0.0.1', port: 0, token, metrics: async () => metrics.render(), openrpc: async () => '{"openrpc":"1.3.2"}', ...options })
}
const client = async (options: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly token?: string } = {}): Promise<Client> => {
  const made = createHttpClient({ url: listener.address, token, ...options })
  clients.push(made)
  return made
}
const stop = async (): Promise<void> => {
  memory.gate?.open()
  for (const made of clients.splice(0)) await made.close()
  listener.stop()
  await server.drain(0)
  await listener.end()
  await engine.close()
}

const authorization = `Bearer ${token}`
const post = async (body: string | Uint8Array<ArrayBuffer>, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  fetch(`${listener.address}/rpc`, { method: 'POST', body, headers: { authorization, 'content-type': 'application/json', ...headers } })
const status = '{"jsonrpc":"2.0","id":1,"method":"Host.status"}'

describe('over HTTP', () => {
  beforeEach(async () => {
    listener = await listen()
  })
  afterEach(stop)

  it('a call is answered to who has the token', async () => {
    const answer = await post(status)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(await answer.json()).toMatchObject({ id: 1, result: { host: 'host-1' } })
  })

  it('nobody without the right token gets anything, whatever the path', async () => {
    for (const given of ['', 'Bearer', 'Bearer ', `Bearer ${token}x`, `Bearer ${token.slice(0, -1)}`, `Basic ${token}`, `bearer${token}`, token]) {
      for (const [method, path] of [['POST', '/rpc'], ['GET', '/metrics'], ['GET', '/openrpc.json'], ['GET', '/events'], ['GET', '/nothing']] as const) {
        const answer = await fetch(`${listener.address}${path}`, { method, headers: { 'content-type': 'application/json', ...(given === '' ? {} : { authorization: given }) }, ...(method === 'POST' ? { body: status } : {}) })
        expect(answer.status).toBe(401)
        const text = await answer.text()
        expect(JSON.parse(text)).toMatchObject({ error: { data: { kind: 'unauthenticated', remedy: expect.any(String) } } })
        expect(text).not.toContain(token.slice(0, 10))
      }
    }
  })

  it('a notification is answered by no content, a batch by an array', async () => {
    const none = await post('{"jsonrpc":"2.0","method":"Host.status"}')
    expect([none.status, await none.text()]).toEqual([204, ''])
    expect(await (await post(`[${status},1]`)).json()).toEqual([expect.objectContaining({ id: 1, result: expect.anything() }), expect.objectContaining({ id: null, error: expect.anything() })])
  })

  it('wrong paths, methods, content types and bytes are one clear error each', async () => {
    const codes = async (answer: Response): Promise<readonly [number, string]> => [answer.status, ((await answer.json()) as { readonly error: { readonly data: { readonly kind: string } } }).error.data.kind]
    expect(await codes(await fetch(`${listener.address}/`, { headers: { authorization } }))).toEqual([404, 'notFound'])
    expect(await codes(await fetch(`${listener.address}/rpc`, { headers: { authorization } }))).toEqual([405, 'notFound'])
    expect(await codes(await post(status, { 'content-type': 'text/plain' }))).toEqual([415, 'invalidArgument'])
    expect(await codes(await post('{'))).toEqual([200, 'invalidArgument'])
    expect(await codes(await post(new Uint8Array([0x22, 0xff, 0x22])))).toEqual([200, 'invalidArgument'])
    expect(await codes(await fetch(`${listener.address}/events?events=nothing`, { headers: { authorization } }))).toEqual([400, 'invalidArgument'])
  })

  it('a body that is too long is refused, told beforehand or not', async () => {
    const long = 'x'.repeat(server.limits.messageBytes + 1)
    expect((await post(long)).status).toBe(413)
    const raw = connect({ host: '127.0.0.1', port: Number(new URL(listener.address).port) })
    let answer = ''
    raw.on('error', () => undefined)
    raw.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
    raw.write(`POST /rpc HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`)
    raw.write(`${long.length.toString(16)}\r\n${long}\r\n`)
    await until(() => answer.includes('\r\n\r\n'), 'it is answered')
    expect(answer).toContain('413')
    raw.destroy()
  })

  it('headers and body arrive in one piece, on a kept connection', async () => {
    const raw = connect({ host: '127.0.0.1', port: Number(new URL(listener.address).port) })
    const chunks: string[] = []
    raw.on('data', (chunk: Buffer) => chunks.push(chunk.toString('latin1')))
    for (let round = 1; round <= 20; round += 1) {
      raw.write(`POST /rpc HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\ncontent-type: application/json\r\ncontent-length: ${status.length}\r\n\r\n${status}`)
      await until(() => chunks.length === round, 'it is answered')
      expect(chunks[round - 1]).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*\r\n\r\n\{.*\}$/)
    }
    raw.destroy()
  })

  it('a dropped request cancels its calls that read', async () => {
    memory.gate = createGate()
    const made = await client()
    const controller = new AbortController()
    const call = made.call('SR.scan', { sr_uuid: srUuid }, { signal: controller.signal })
    await until(() => memory.gate?.inside === 1, 'the scan runs')
    controller.abort()
    await expect(call).rejects.toMatchObject({ kind: 'cancelled' })
    await until(() => memory.gate?.inside === 0, 'the scan is cancelled')
  })

  it('the typed client gets results, the errors of the table and events', async () => {
    const made = await client()
    const seen: unknown[] = []
    const unsubscribe = await made.subscribe((event) => seen.push(event), { events: ['changed'] })
    const vdi = await made.call('VDI.create', { sr_uuid: srUuid, size: 512 }, { callId: 'my-call' })
    expect(vdi.size).toBe(512)
    await until(() => seen.length === 1, 'the event came')
    expect(seen[0]).toMatchObject({ method: 'VDI.create', vdi_uuid: vdi.uuid, call_id: 'my-call' })
    await expect(made.call('VDI.resize', { sr_uuid: srUuid, vdi_uuid: vdi.uuid, size: 2 ** 50 })).rejects.toMatchObject({ name: 'StorageError', kind: 'sizeOutOfRange', facts: { field: 'size' } })
    await expect((await client({ token: 'wrong-token-wrong-token' })).call('SR.list', {})).rejects.toMatchObject({ kind: 'unauthenticated' })
    await expect((await client({ token: 'wrong-token-wrong-token' })).subscribe(() => undefined)).rejects.toMatchObject({ kind: 'unauthenticated' })
    await unsubscribe()
  })

  it('calls that need a stream say where they can be made', async () => {
    await expect((await client()).callByName('events.subscribe', {})).rejects.toMatchObject({ kind: 'notSupported', facts: { remedy: expect.stringContaining('GET /events') } })
  })

  it('a lost answer of a call that writes is an unknown outcome, one that only reads can be repeated, an unsent one changed nothing', async () => {
    memory.gate = createGate()
    const made = await client()
    const writes = made.call('VDI.create', { sr_uuid: srUuid, size: 512 })
    writes.catch(() => undefined)
    await until(() => memory.gate?.inside === 1, 'the create runs')
    await made.close()
    await expect(writes).rejects.toMatchObject({ kind: 'outcomeUnknown', facts: { mayHaveChanged: true } })
    memory.gate.open()
    const nobody = createHttpClient({ url: 'http://127.0.0.1:1', token })
    await expect(nobody.call('VDI.create', { sr_uuid: srUuid, size: 512 })).rejects.toMatchObject({ kind: 'unreachable', facts: expect.not.objectContaining({ mayHaveChanged: true }) })
  })

  it('metrics are text that a scraper can parse, with calls, durations, lock waits and backlog', async () => {
    const made = await client()
    await made.call('SR.scan', { sr_uuid: srUuid })
    await made.call('SR.stat', { sr_uuid: '11111111-2222-4333-9444-555555555555' }).catch(() => undefined)
    const answer = await fetch(`${listener.address}/metrics`, { headers: { authorization } })
    expect(answer.headers.get('content-type')).toContain('text/plain')
    const samples = parseMetrics(await answer.text())
    expect(samples.get('storage_manager_calls_total{method="SR.scan",outcome="ok"}')).toBe(1)
    expect(samples.get('storage_manager_calls_total{method="SR.stat",outcome="srNotAttached"}')).toBe(1)
    expect(samples.get('storage_manager_call_duration_seconds_count{method="SR.scan"}')).toBe(1)
    expect(samples.get('storage_manager_lock_wait_seconds_count{method="SR.scan"}')).toBe(1)
    expect(samples.get('storage_manager_running_calls')).toBe(0)
    expect(samples.get(`storage_manager_sr_backlog_bytes{sr_uuid="${srUuid}"}`)).toBe(4096)
    expect(samples.get(`storage_manager_sr_longest_chain{sr_uuid="${srUuid}"}`)).toBe(3)
    expect(samples.get('storage_manager_info{version="1.2.3"}')).toBe(1)
    expect([...samples.keys()].some((name) => name.startsWith('process_resident_memory_bytes'))).toBe(true)
  })

  it('the OpenRPC document is there', async () => {
    expect(await (await fetch(`${listener.address}/openrpc.json`, { headers: { authorization } })).json()).toEqual({ openrpc: '1.3.2' })
  })
})

/** Exposition format of Prometheus: comments, or a name with labels and a number. Anything else fails. */
const parseMetrics = (text: string): ReadonlyMap<string, number> =>
  new Map(text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => {
    const match = /^([a-zA-Z_:][\w:]*(?:\{(?:[a-zA-Z_]\w*="(?:[^"\\]|\\.)*",?)*\})?) (\S+)$/.exec(line)
    expect(match, line).not.toBeNull()
    const value = match?.[2] ?? ''
    expect(/^(nan|[+-]?inf)$/i.test(value) || Number.isFinite(Number(value)), line).toBe(true)
    return [match?.[1] ?? '', Number(value)]
  }))

it('is not offered without TLS to anybody but this host', async () => {
  for (const host of ['0.0.0.0', '::', '192.0.2.1', '127.0.0.1.example.org']) {
    await expect(listen({ host })).rejects.toMatchObject({ kind: 'invalidArgument', facts: { remedy: expect.stringContaining('tls') } })
    await engine.close()
  }
})

it('connections beyond the limit are told why', async () => {
  listener = await listen({}, { connections: 1 })
  const raw = connect({ host: '127.0.0.1', port: Number(new URL(listener.address).port) })
  await new Promise((resolve) => raw.once('connect', resolve))
  const answer = await post(status)
  expect([answer.status, await answer.json()]).toEqual([503, expect.objectContaining({ error: expect.objectContaining({ code: 1009 }) })])
  raw.destroy()
  await stop()
})

// Where everything has to run, a missing openssl is a failure.
describe.skipIf(!haveOpenssl() && process.env['CI'] !== 'true')('over TLS', () => {
  const directory = temporaryDirectory()
  let own: Pem
  let clientPem: Pem
  beforeAll(() => {
    own = makeCertificate(directory.path, 'server')
    clientPem = makeCertificate(directory.path, 'client')
  })
  afterAll(() => directory.remove())

  it('a client that knows the certificate is answered, one that does not sends nothing', async () => {
    listener = await listen({ tls: { cert: own.cert, key: own.key } })
    expect(listener.address).toMatch(/^https:/)
    expect(await (await client({ ca: own.cert })).call('SR.content_type', { sr_uuid: srUuid })).toEqual({ content_type: 'vhd' })
    await expect((await client()).call('VDI.create', { sr_uuid: srUuid, size: 512 })).rejects.toMatchObject({ kind: 'unreachable', facts: expect.not.objectContaining({ mayHaveChanged: true }) })
    expect(memory.vdis.size).toBe(0)
    await stop()
  })

  it('a client certificate is demanded where one is configured', async () => {
    listener = await listen({ tls: { cert: own.cert, key: own.key, clientCa: clientPem.cert } })
    expect(await (await client({ ca: own.cert, cert: clientPem.cert, key: clientPem.key })).call('SR.list', {})).toHaveProperty('srs')
    await expect((await client({ ca: own.cert })).call('SR.list', {})).rejects.toMatchObject({ kind: 'unreachable' })
    await expect((await client({ ca: own.cert, cert: own.cert, key: own.key })).call('SR.list', {})).rejects.toMatchObject({ kind: 'unreachable' })
    await stop()
  })

  it('certificate and key that do not belong together are refused by name', async () => {
    await expect(listen({ tls: { cert: own.cert, key: clientPem.key } })).rejects.toMatchObject({ kind: 'invalidArgument', facts: { field: 'config.http.tls' } })
    await engine.close()
  })
})
