import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { reportError, StorageError } from '../../core/errors.ts'
import { silentLog } from '../../host/log.ts'
import { connectStreams, connectUnix, type Client } from '../../rpc/client.ts'
import { createRpcServer } from '../../rpc/server.ts'
import { serveStdio } from '../../rpc/stdio.ts'
import { attachSr, createGate, createMemoryEngine, secret, srUuid, until } from './memory.ts'
import { startServer, type TestServer } from './raw.ts'

describe('the client on the unix socket', () => {
  let test: TestServer
  let client: Client
  beforeEach(async () => {
    test = await startServer()
    client = await connectUnix(test.path)
  })
  afterEach(async () => {
    await client.close()
    await test.stop()
  })

  it('throws the very error that the engine threw', async () => {
    const here = await test.engine.call('VDI.stat', { sr_uuid: srUuid, vdi_uuid: '11111111-2222-4333-9444-555555555555' }).catch((error: unknown) => error)
    const there = await client.call('VDI.stat', { sr_uuid: srUuid, vdi_uuid: '11111111-2222-4333-9444-555555555555' }).catch((error: unknown) => error)
    expect(there).toBeInstanceOf(StorageError)
    expect(reportError(there as StorageError)).toEqual(reportError(here as StorageError))
  })

  it('keeps answers apart, however many calls are under way', async () => {
    const made = await Promise.all(Array.from({ length: 60 }, async (_, index) => client.call('VDI.create', { sr_uuid: srUuid, size: 512 * (index + 1) })))
    expect(made.map((vdi) => vdi.size)).toEqual(Array.from({ length: 60 }, (_, index) => 512 * (index + 1)))
  })

  it('tells progress, and only to the call that asked for it', async () => {
    const seen: unknown[] = []
    await client.call('SR.scan', { sr_uuid: srUuid }, { onProgress: (done, total) => seen.push([done, total]) })
    await client.call('SR.scan', { sr_uuid: srUuid })
    expect(seen).toEqual([[1, 4]])
  })

  it('cancels by its signal: the daemon answers what became of the call', async () => {
    test.memory.gate = createGate()
    const controller = new AbortController()
    const read = client.call('SR.scan', { sr_uuid: srUuid }, { signal: controller.signal })
    await until(() => test.memory.gate?.inside === 1, 'the scan runs')
    controller.abort()
    await expect(read).rejects.toMatchObject({ kind: 'cancelled' })
    expect(test.memory.gate.inside).toBe(0)
    await expect(client.call('SR.list', {}, { signal: controller.signal })).rejects.toMatchObject({ kind: 'cancelled' })
  })

  it('carries call id and place', async () => {
    const seen: unknown[] = []
    test.engine.subscribe((event) => seen.push(event))
    const place = { type: 'memory', deviceConfig: { location: '/memory', password: secret } }
    await client.call('VDI.create', { sr_uuid: srUuid, size: 512 }, { callId: 'driver-4711', place })
    expect(seen).toMatchObject([{ call_id: 'driver-4711' }])
    const wrong = client.call('SR.stat', { sr_uuid: srUuid }, { place: { ...place, deviceConfig: { location: '/other' } } })
    await expect(wrong).rejects.toMatchObject({ kind: 'invalidArgument' })
  })

  it('tells events until it is told to stop', async () => {
    const seen: unknown[] = []
    const stop = await client.subscribe((event) => seen.push(event), { events: ['changed'], sr_uuid: srUuid })
    await client.call('VDI.create', { sr_uuid: srUuid, size: 512 })
    await until(() => seen.length === 1, 'the event came')
    await stop()
    await client.call('VDI.create', { sr_uuid: srUuid, size: 512 })
    expect(seen).toHaveLength(1)
  })

  it('after a lost connection says of each call what is known of it', async () => {
    test.memory.gate = createGate()
    const unknown = expect(client.callByName('Vendor.new_call', {})).rejects.toMatchObject({ kind: 'notSupported' })
    const outcomes = Promise.allSettled([client.call('VDI.create', { sr_uuid: srUuid, size: 512 }), client.call('SR.scan', { sr_uuid: srUuid })])
    await unknown
    await until(() => test.memory.gate?.inside === 1, 'the create runs')
    await client.close()
    const kinds = (await outcomes).map((outcome) => (outcome.status === 'rejected' ? [(outcome.reason as StorageError).kind, (outcome.reason as StorageError).facts.mayHaveChanged] : outcome))
    expect(kinds).toEqual([['outcomeUnknown', true], ['unreachable', undefined]])
    await expect(client.call('SR.list', {})).rejects.toMatchObject({ kind: 'unreachable' })
  })

  it('says that nobody listens, with the command that starts the daemon', async () => {
    await expect(connectUnix(`${test.path}.none`)).rejects.toMatchObject({ kind: 'unreachable', facts: { remedy: expect.stringContaining('systemctl start'), details: { code: 'ENOENT' } } })
  })

  it('learns that its request was too long for the daemon', async () => {
    await expect(client.call('VDI.create', { sr_uuid: srUuid, size: 512, name: 'x'.repeat(2 ** 21) })).rejects.toMatchObject({ kind: 'invalidArgument', message: expect.stringContaining('longer') })
    expect(await client.call('SR.content_type', { sr_uuid: srUuid })).toEqual({ content_type: 'vhd' })
  })

  it('takes ten thousand VDIs in one answer', async () => {
    const first = await client.call('VDI.create', { sr_uuid: srUuid, size: 512 })
    const record = test.memory.vdis.values().next().value
    if (record === undefined) throw new Error('the VDI is there')
    for (let count = 1; count < 10_000; count += 1) {
      const uuid = `${first.uuid.slice(0, -5)}${count.toString(16).padStart(5, '0')}` as typeof record.uuid
      test.memory.vdis.set(uuid, { ...record, uuid })
    }
    expect((await client.call('SR.scan', { sr_uuid: srUuid })).vdis).toHaveLength(test.memory.vdis.size)
  })
})

describe('the client on standard input and output', () => {
  it('is served like on a socket, and the server ends when its caller has closed', async () => {
    const { engine } = createMemoryEngine()
    await attachSr(engine)
    const server = createRpcServer({ engine, log: silentLog, discover: async () => ({}) })
    const [input, output] = [new PassThrough(), new PassThrough()]
    const { closed } = serveStdio(server, input, output)
    const client = connectStreams(output, input, 'a child')
    expect(await client.call('SR.content_type', { sr_uuid: srUuid })).toEqual({ content_type: 'vhd' })
    const call = client.call('SR.stat', { sr_uuid: srUuid })
    input.end()
    expect(await call).toMatchObject({ uuid: srUuid })
    await closed
    await expect(client.call('SR.list', {})).rejects.toMatchObject({ kind: 'unreachable' })
    await engine.close()
  })

  it('gives up on a server that does not speak JSON-RPC', async () => {
    const [input, output] = [new PassThrough(), new PassThrough()]
    const client = connectStreams(output, input, 'a child')
    const call = client.call('VDI.delete', { sr_uuid: srUuid, vdi_uuid: srUuid })
    output.write('Segmentation fault\n')
    await expect(call).rejects.toMatchObject({ kind: 'outcomeUnknown', facts: { mayHaveChanged: true } })
  })
})
