/** Peers on the unix socket: many at once, ones that leave, ones that do not read, and who may take the socket's name. */
import { existsSync, lstatSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../host/log.ts'
import type { RpcLimits } from '../../rpc/limits.ts'
import { createRpcServer } from '../../rpc/server.ts'
import { listenUnix } from '../../rpc/unix.ts'
import { createGate, createMemoryEngine, srUuid, temporaryDirectory, until } from './memory.ts'
import { rawPeer, request, startServer, type TestServer } from './raw.ts'

let test: TestServer
const start = async (limits: Partial<RpcLimits> = {}): Promise<TestServer> => (test = await startServer(limits))
afterEach(async () => test.stop())

const sr = { sr_uuid: srUuid }
const fault = (code: number, message: string, id: unknown = null) => expect.objectContaining({ id, error: expect.objectContaining({ code, message: expect.stringContaining(message) }) })

describe('peers on the socket', () => {
  beforeEach(async () => start())

  it('are answered side by side: a slow call of one keeps no other waiting', async () => {
    test.memory.gate = createGate()
    const [slow, quick] = [await rawPeer(test.path), await rawPeer(test.path)]
    slow.send(request(1, 'SR.scan', sr))
    await until(() => test.memory.gate?.inside === 1, 'the scan runs')
    for (let id = 1; id <= 50; id += 1) quick.send(request(id, 'SR.stat', sr))
    for (let id = 1; id <= 50; id += 1) expect(await quick.next()).toMatchObject({ id })
    slow.send(request(2, 'SR.stat', sr))
    expect(await slow.next()).toMatchObject({ id: 2 })
    test.memory.gate.open()
    expect(await slow.next()).toMatchObject({ id: 1, result: { uuid: srUuid } })
  })

  it('get all answers to a thousand calls in flight on one connection, in few writes', async () => {
    const peer = await rawPeer(test.path)
    let chunks = 0
    peer.socket.on('data', () => (chunks += 1))
    for (let round = 0; round < 20; round += 1) {
      peer.send(...Array.from({ length: 50 }, (_, index) => request(round * 50 + index, 'SR.content_type', sr)))
      const ids = new Set<number>()
      for (let count = 0; count < 50; count += 1) ids.add(((await peer.next()) as { readonly id: number }).id)
      expect(ids.size).toBe(50)
    }
    expect(chunks).toBeLessThan(500)
  })

  it('that leave cancel their calls that read', async () => {
    test.memory.gate = createGate()
    const peer = await rawPeer(test.path)
    peer.send(request(1, 'SR.scan', sr))
    await until(() => test.memory.gate?.inside === 1, 'the scan runs')
    peer.socket.destroy()
    await until(() => test.memory.gate?.inside === 0 && test.server.runningCalls() === 0, 'the scan is cancelled')
  })

  it('that leave do not stop their calls that write', async () => {
    test.memory.gate = createGate()
    const peer = await rawPeer(test.path)
    peer.send(request(1, 'VDI.create', { ...sr, size: 512 }), request(2, 'SR.content_type', sr))
    expect(await peer.next()).toMatchObject({ id: 2 })
    await until(() => test.memory.gate?.inside === 1, 'the create runs')
    peer.socket.destroy()
    const other = await rawPeer(test.path)
    other.send(request(1, 'SR.stat', sr))
    await other.next()
    expect(test.memory.gate.inside).toBe(1)
    test.memory.gate.open()
    await until(() => test.memory.vdis.size === 1, 'the VDI is there')
  })

  it('that only close their own side still get their answers', async () => {
    test.memory.gate = createGate()
    const peer = await rawPeer(test.path)
    peer.send(request(1, 'SR.scan', sr))
    peer.socket.end()
    await until(() => test.memory.gate?.inside === 1, 'the scan runs')
    test.memory.gate.open()
    expect(await peer.next()).toMatchObject({ id: 1, result: { uuid: srUuid } })
    await peer.closed
  })

  it('cancel a call of theirs by its id, and no other', async () => {
    test.memory.gate = createGate()
    const [peer, other] = [await rawPeer(test.path), await rawPeer(test.path)]
    peer.send(request('a', 'SR.scan', sr))
    await until(() => test.memory.gate?.inside === 1, 'the scan runs')
    other.send(request(1, 'rpc.cancel', { id: 'a' }))
    expect(await other.next()).toMatchObject({ result: { changed: false } })
    peer.send(request(undefined, 'rpc.cancel', { id: 'a' }))
    expect(await peer.next()).toMatchObject({ id: 'a', error: { code: 1040, data: { kind: 'cancelled' } } })
  })

  it('get progress when they ask for it, and none otherwise', async () => {
    const peer = await rawPeer(test.path)
    peer.send(request(1, 'SR.scan', sr), request(2, 'SR.scan', sr, { progress: true }))
    expect(await peer.next()).toMatchObject({ id: 1 })
    expect(await peer.next()).toEqual({ jsonrpc: '2.0', method: 'call.progress', params: { id: 2, done: 1, total: 4 } })
    expect(await peer.next()).toMatchObject({ id: 2 })
  })

  it('get events once they subscribe, of the kind and SR they want, until they unsubscribe', async () => {
    const [all, some] = [await rawPeer(test.path), await rawPeer(test.path)]
    all.send(request(1, 'events.subscribe'), request(2, 'events.subscribe'))
    expect(await all.next()).toMatchObject({ id: 1, result: { changed: true } })
    expect(await all.next()).toMatchObject({ id: 2, result: { changed: false } })
    some.send(request(1, 'events.subscribe', { events: ['changed'], sr_uuid: '11111111-2222-4333-9444-555555555555' }))
    await some.next()
    await test.engine.call('VDI.create', { sr_uuid: srUuid, size: 512 }, { callId: 'call-7' })
    expect(await all.next()).toEqual({ jsonrpc: '2.0', method: 'event', params: expect.objectContaining({ event: 'changed', method: 'VDI.create', sr_uuid: srUuid, call_id: 'call-7' }) })
    await test.engine.call('Task.start', { method: 'Host.status' })
    expect(await all.next()).toMatchObject({ method: 'event', params: { event: 'task', task: { method: 'Host.status' } } })
    all.send(request(3, 'events.unsubscribe'))
    await until(() => all.messages.some((message) => (message as { readonly id?: number }).id === 3), 'it is unsubscribed')
    all.messages.length = 0
    await test.engine.call('VDI.create', { sr_uuid: srUuid, size: 512 })
    for (const peer of [all, some]) {
      peer.send(request(9, 'Host.status'))
      expect(await peer.next()).toMatchObject({ id: 9 })
    }
  })
})

describe('limits', () => {
  it('a message that is too long is one error, and the connection goes on', async () => {
    await start({ messageBytes: 2000 })
    const peer = await rawPeer(test.path)
    peer.send('x'.repeat(100_000), request(1, 'SR.content_type', sr))
    expect(await peer.next()).toEqual(fault(-32600, '2000 bytes'))
    expect(await peer.next()).toMatchObject({ id: 1, result: {} })
  })

  it('of nesting, batch length and bad bytes are one error each, and the connection goes on', async () => {
    await start()
    const peer = await rawPeer(test.path)
    peer.send('['.repeat(500_000))
    expect(await peer.next()).toEqual(fault(-32600, 'nested'))
    peer.send(`[${Array.from({ length: 10_000 }, () => '1').join()}]`)
    expect(await peer.next()).toEqual(fault(-32600, '10000 requests'))
    peer.socket.write(Buffer.from([0x22, 0xff, 0xfe, 0x22, 0x0a]))
    expect(await peer.next()).toEqual(fault(-32700, 'UTF-8'))
    peer.socket.write(Buffer.from([0, 1, 2, 3, 10]))
    expect(await peer.next()).toEqual(fault(-32700, 'JSON'))
    peer.send('', '\r', request(1, 'SR.content_type', sr))
    expect(await peer.next()).toMatchObject({ id: 1, result: {} })
  })

  it('calls beyond the limit of a connection are refused, those within it run', async () => {
    await start({ callsPerConnection: 2 })
    test.memory.gate = createGate()
    const peer = await rawPeer(test.path)
    peer.send(request(1, 'SR.scan', sr), request(2, 'SR.scan', sr), request(3, 'SR.stat', sr))
    expect(await peer.next()).toEqual(fault(1009, '2 calls run', 3))
    test.memory.gate.open()
    expect([await peer.next(), await peer.next()]).toEqual([expect.objectContaining({ id: 1, result: expect.anything() }), expect.objectContaining({ id: 2, result: expect.anything() })])
  })

  it('connections beyond the limit are told why and closed; a place that becomes free is used again', async () => {
    await start({ connections: 2 })
    const peers = [await rawPeer(test.path), await rawPeer(test.path)]
    for (const peer of peers) {
      peer.send(request(1, 'Host.status'))
      await peer.next()
    }
    const refused = await rawPeer(test.path)
    expect(await refused.next()).toEqual(fault(1009, '2 connections'))
    await refused.closed
    peers[0]?.socket.destroy()
    await until(() => test.server.runningCalls() === 0, 'nothing runs')
    for (;;) {
      const next = await rawPeer(test.path)
      next.send(request(1, 'Host.status'))
      if ('result' in ((await next.next()) as object)) break
    }
  })

  it('a peer that does not read loses events, is told how many, and holds up nobody', async () => {
    await start({ outputBytes: 64 * 1024 })
    const renamed = await vdi()
    const [slow, quick] = [await rawPeer(test.path), await rawPeer(test.path)]
    for (const peer of [slow, quick]) {
      peer.send(request(1, 'events.subscribe', { events: ['changed'] }))
      await peer.next()
    }
    slow.socket.pause()
    const total = 5000
    for (let count = 0; count < total; count += 1) {
      await test.engine.call('VDI.set_names', { sr_uuid: srUuid, vdi_uuid: renamed, name: `name ${count} ${'x'.repeat(200)}` })
      if (count % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => quick.messages.length >= total, 'the quick one has all events')
    slow.socket.resume()
    const lost = (): number => slow.messages.reduce<number>((sum, message) => {
      const { method, params } = message as { readonly method: string; readonly params: { readonly lost: number } }
      return method === 'events.lost' ? sum + params.lost : sum
    }, 0)
    const got = (): number => slow.messages.filter((message) => (message as { readonly method: string }).method === 'event').length
    await until(() => lost() + got() === total, 'the slow one knows of every event')
    expect(lost()).toBeGreaterThan(0)
    expect(got()).toBeGreaterThan(0)
  })

  it('a peer that asks without reading the answers is not read from, and disconnected when it stays so', async () => {
    await start({ outputBytes: 64 * 1024, stalledMs: 300 })
    await vdi()
    const peer = await rawPeer(test.path)
    peer.socket.pause()
    let refused = false
    peer.socket.on('close', () => (refused = true))
    let asked = 0
    while (!refused && asked < 1_000_000) {
      peer.send(...Array.from({ length: 20 }, (_, index) => request(index, 'Driver.list')))
      asked += 20
      // What the kernel and this process hold is bounded: soon nothing more is taken from us.
      if (peer.socket.writableLength > 1024 * 1024) await until(() => peer.socket.destroyed || refused, 'we are disconnected')
      await new Promise((resolve) => setImmediate(resolve))
      if (peer.socket.destroyed) break
    }
    expect(asked).toBeLessThan(1_000_000)
    const other = await rawPeer(test.path)
    other.send(request(1, 'Host.status'))
    expect(await other.next()).toMatchObject({ id: 1 })
  })

  const vdi = async (): Promise<string> => {
    const [first] = test.memory.vdis.keys()
    return first ?? (await test.engine.call('VDI.create', { sr_uuid: srUuid, size: 512 })).uuid
  }
})

describe('the name of the socket', () => {
  beforeEach(async () => start())
  const listenAgain = async (path: string) => listenUnix(createRpcServer({ engine: createMemoryEngine().engine, log: silentLog, discover: async () => ({}) }), { path })

  it('can be opened by its owner alone', () => {
    expect(statSync(test.path).mode & 0o777).toBe(0o600)
  })

  it('is not taken over from a process that listens', async () => {
    await expect(listenAgain(test.path)).rejects.toMatchObject({ kind: 'busy', facts: { remedy: expect.any(String) } })
    const peer = await rawPeer(test.path)
    peer.send(request(1, 'Host.status'))
    expect(await peer.next()).toMatchObject({ id: 1 })
  })

  it('is replaced when nobody listens there any more, and removed at the end', async () => {
    const directory = temporaryDirectory()
    const path = `${directory.path}/stale.sock`
    // A killed daemon leaves its socket file: closing without unlinking is what the kernel does for it.
    const dead = createServer().listen(`${path}.x`)
    await new Promise((resolve) => dead.once('listening', resolve))
    renameSync(`${path}.x`, path)
    await new Promise((resolve) => dead.close(resolve))
    expect(lstatSync(path).isSocket()).toBe(true)
    const listener = await listenAgain(path)
    const peer = await rawPeer(path)
    peer.send(request(1, 'Host.status'))
    expect(await peer.next()).toMatchObject({ id: 1 })
    listener.stop()
    expect(existsSync(path)).toBe(false)
    peer.socket.destroy()
    await listener.end()
    directory.remove()
  })

  it('is refused when a file of another kind has it, which stays as it is', async () => {
    const directory = temporaryDirectory()
    const path = `${directory.path}/precious`
    writeFileSync(path, 'data')
    await expect(listenAgain(path)).rejects.toMatchObject({ kind: 'alreadyExists' })
    expect(statSync(path).size).toBe(4)
    directory.remove()
  })

  it('is left alone at the end when somebody else has taken it', async () => {
    const directory = temporaryDirectory()
    const path = `${directory.path}/smd.sock`
    const listener = await listenAgain(path)
    rmSync(path)
    writeFileSync(path, 'not ours')
    listener.stop()
    await listener.end()
    expect(existsSync(path)).toBe(true)
    directory.remove()
  })

  it('must fit the kernel: one byte too many is refused with the limit', async () => {
    await expect(listenAgain(`/tmp/${'x'.repeat(103)}`)).rejects.toMatchObject({ kind: 'invalidArgument', message: expect.stringContaining('107') })
  })
})
