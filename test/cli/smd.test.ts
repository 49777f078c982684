/** The daemon as a whole: in this process on the memory driver, and as a process of its own with signals and sockets. */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readSettings } from '../../cli/config.ts'
import { startDaemon, type Daemon } from '../../cli/smd.ts'
import type { Log } from '../../core/ports.ts'
import { pinoLog, silentLog } from '../../host/log.ts'
import { connectStreams, connectUnix, type Client } from '../../rpc/client.ts'
import { createHttpClient } from '../../rpc/client-http.ts'
import { attachSr, createGate, createMemoryEngine, secret, srUuid, temporaryDirectory, until, type EngineForTests } from '../rpc/memory.ts'
import { rawPeer, request } from '../rpc/raw.ts'

let directory: ReturnType<typeof temporaryDirectory>
const socket = (): string => join(directory.path, 'run', 'smd.sock')
const configure = (config: object): void => writeFileSync(join(directory.path, 'config.json'), JSON.stringify(config), { mode: 0o600 })
beforeEach(() => (directory = temporaryDirectory()))
afterEach(() => directory.remove())

describe('the daemon in this process', () => {
  let made: EngineForTests
  let daemon: Daemon
  const start = async (log: Log = silentLog): Promise<Daemon> => {
    daemon = await startDaemon({
      settings: readSettings(directory.path), log,
      compose: async ({ onTrace }) => {
        made = createMemoryEngine(log, onTrace)
        await attachSr(made.engine)
        return made.engine
      },
    })
    return daemon
  }
  afterEach(async () => {
    made.memory.gate?.open()
    await daemon.stop()
  })

  it('answers on its unix socket and describes itself', async () => {
    await start()
    expect(daemon.addresses).toEqual([`unix:${socket()}`])
    const client = await connectUnix(socket())
    expect(await client.call('SR.stat', { sr_uuid: srUuid })).toMatchObject({ uuid: srUuid, type: 'memory' })
    expect(await client.callByName('rpc.discover', {})).toMatchObject({ openrpc: '1.3.2', methods: expect.arrayContaining([expect.objectContaining({ name: 'SR.scan' })]) })
    await client.close()
  })

  it('opens HTTP with a token of its own making, and counts calls of every way in', async () => {
    configure({ http: [{ port: 0 }] })
    await start()
    const url = daemon.addresses.find((address) => address.startsWith('http')) ?? ''
    const token = readFileSync(join(directory.path, 'http-token'), 'utf8').trim()
    const unix = await connectUnix(socket())
    await unix.call('SR.scan', { sr_uuid: srUuid })
    const http: Client = createHttpClient({ url, token })
    await http.call('SR.scan', { sr_uuid: srUuid })
    const metrics = await (await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token}` } })).text()
    expect(metrics).toContain('storage_manager_calls_total{method="SR.scan",outcome="ok"} 2')
    await unix.close()
    await http.close()
  })

  it('has a state directory to itself', async () => {
    await start()
    await expect(startDaemon({ settings: readSettings(directory.path), log: silentLog, compose: async () => made.engine })).rejects.toMatchObject({ kind: 'busy' })
    const client = await connectUnix(socket())
    expect(await client.call('SR.list', {})).toHaveProperty('srs')
    await client.close()
  })

  it('leaves nothing open when it cannot start: a repeat with the fault mended works', async () => {
    configure({ http: [{ port: 0 }, { port: 0, host: '192.0.2.1' }] })
    await expect(start()).rejects.toMatchObject({ kind: 'invalidArgument' })
    expect(existsSync(socket())).toBe(false)
    configure({})
    await start()
    expect(existsSync(socket())).toBe(true)
  })

  it('that would listen nowhere does not start', async () => {
    configure({ socket: false })
    await expect(start()).rejects.toMatchObject({ kind: 'invalidArgument', facts: { field: 'config.socket' } })
    configure({})
    await start()
  })

  it('lets running calls end when it stops, refuses new ones, and removes its socket', async () => {
    configure({ stop_seconds: 20 })
    await start()
    made.memory.gate = createGate()
    const peer = await rawPeer(socket())
    peer.send(request(1, 'VDI.create', { sr_uuid: srUuid, size: 512 }))
    await until(() => made.memory.gate?.inside === 1, 'the create runs')
    const stopped = daemon.stop()
    await until(() => !existsSync(socket()), 'the socket is gone')
    peer.send(request(2, 'SR.list'))
    expect(await peer.next()).toMatchObject({ id: 2, error: { code: 1018, message: expect.stringContaining('stopping') } })
    made.memory.gate.open()
    expect(await peer.next()).toMatchObject({ id: 1, result: { size: 512 } })
    await peer.closed
    await stopped
  })

  it('cancels what does not end in time, and every caller is answered', async () => {
    configure({ stop_seconds: 0 })
    await start()
    made.memory.gate = createGate()
    const peers = await Promise.all(Array.from({ length: 8 }, async () => rawPeer(socket())))
    for (const peer of peers) {
      peer.send(...Array.from({ length: 10 }, (_, id) => request(id, id % 2 === 0 ? 'SR.scan' : 'VDI.create', { sr_uuid: srUuid, ...(id % 2 === 0 ? {} : { size: 512 }) })), request('read', 'Host.status'))
      expect(await peer.next()).toMatchObject({ id: 'read' })
    }
    await until(() => made.memory.gate?.inside === 1, 'one of them is in the driver')
    await daemon.stop()
    for (const peer of peers) {
      await peer.closed
      expect(peer.messages).toHaveLength(10)
      for (const message of peer.messages) expect(['cancelled', 'unreachable']).toContain((message as { readonly error: { readonly data: { readonly kind: string } } }).error.data.kind)
    }
  })

  it('keeps secrets out of its log and its answers', async () => {
    const { pino } = await import('pino')
    const lines: string[] = []
    await start(pinoLog(pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) })))
    const peer = await rawPeer(socket())
    const other = 'another-secret-of-mine'
    const config = (password: string): object => ({ type: 'memory', device_config: { location: '/other', password } })
    peer.send(
      request(1, 'SR.list'), request(2, 'SR.create', { ...config(other), sr_uuid: 'c3a8f0b2-1d4e-4f6a-9b7c-2e5d8f1a0b3c' }),
      request(3, 'SR.attach', { sr_uuid: 'c3a8f0b2-1d4e-4f6a-9b7c-2e5d8f1a0b3c', ...config(other) }),
      request(4, 'SR.create', config(`${other}${'x'.repeat(100)}`)), request(5, 'SR.create', { type: 'memory', device_config: { location: 'no', pasword: other } }),
      request(6, 'SR.stat', { sr_uuid: srUuid }, { place: { type: 'memory', device_config: { location: '/memory', password: other } } }),
      request(7, 'Host.status', {}, { place: other }), `{"jsonrpc":"2.0","id":8,"method":"SR.create","params":{"password":"${other}"`,
    )
    const answers: unknown[] = []
    while (answers.length < 8) answers.push(await peer.next())
    const text = JSON.stringify(answers)
    for (const value of [secret, other]) {
      expect(text).not.toContain(value)
      expect(lines.join('')).not.toContain(value)
    }
    expect(lines.join('')).toContain('attaching with ***')
  })
})

describe('the daemon as a process', () => {
  const children: ChildProcess[] = []
  const run = (args: readonly string[], options: { readonly env?: Readonly<Record<string, string>>; readonly fd3?: number } = {}) => {
    const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'smd-main.ts'), '--state-directory', directory.path, ...args], {
      stdio: ['ignore', 'ignore', 'pipe', ...(options.fd3 === undefined ? [] : [options.fd3])],
      env: { PATH: process.env['PATH'], ...options.env },
    })
    children.push(child)
    let stderr = ''
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')))
    const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
    return { child, exited, stderr: () => stderr }
  }
  const started = async (daemon: ReturnType<typeof run>): Promise<void> => until(() => daemon.stderr().includes('daemon started'), `it has started: ${daemon.stderr()}`)
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })

  it('serves its socket, ends cleanly on SIGTERM and removes the socket', async () => {
    const daemon = run([])
    await started(daemon)
    expect(statSync(socket()).mode & 0o777).toBe(0o600)
    const client = await connectUnix(socket())
    expect(await client.call('Host.status', {})).toMatchObject({ pid: daemon.child.pid, state_directory: directory.path })
    await client.close()
    daemon.child.kill('SIGTERM')
    expect(await daemon.exited).toBe(0)
    expect(existsSync(socket())).toBe(false)
    expect(daemon.stderr()).toContain('daemon stopped')
  })

  it('serves real disks, tells a second client what the first one does, and collects what is left over', async () => {
    configure({ collector: { idle_seconds: 0 } })
    const daemon = run([])
    await started(daemon)
    const [client, watcher] = [await connectUnix(socket()), await connectUnix(socket())]
    const events: string[] = []
    await watcher.subscribe((event) => event.event === 'changed' && events.push(event.method), { events: ['changed'] })
    const location = join(directory.path, 'disks')
    mkdirSync(location)
    const { sr_uuid: sr } = await client.call('SR.create', { type: 'file', device_config: { location } })
    await client.call('SR.attach', { sr_uuid: sr })
    const vdi = await client.call('VDI.create', { sr_uuid: sr, size: 8 * 1024 ** 2, name: 'a disk' })
    const snapshot = await client.call('VDI.snapshot', { sr_uuid: sr, vdi_uuid: vdi.uuid })
    await client.call('VDI.delete', { sr_uuid: sr, vdi_uuid: snapshot.uuid })
    await client.call('VDI.delete', { sr_uuid: sr, vdi_uuid: vdi.uuid })
    await until(async () => (await client.call('SR.scan', { sr_uuid: sr })).vdis.length === 0, 'the collector has removed what they shared')
    expect(events).toContain('SR.collect')
    const expected = ['SR.create', 'SR.attach', 'VDI.create', 'VDI.snapshot', 'VDI.delete', 'VDI.delete']
    expect(events.filter((method) => method !== 'SR.collect')).toEqual(expected)
    await client.call('SR.delete', { sr_uuid: sr })
    expect(readdirSync(location)).toEqual([])
    await client.close()
    await watcher.close()
  })

  it('serves the caller that started it on standard input and output, also beside a daemon, and ends with it', async () => {
    const daemon = run([])
    await started(daemon)
    const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'smd-main.ts'), '--state-directory', directory.path, '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: process.env['PATH'] } })
    children.push(child)
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
    const client = connectStreams(child.stdout, child.stdin, 'the child')
    expect(await client.call('Host.status', {})).toMatchObject({ pid: child.pid })
    const last = client.call('Driver.list', {})
    child.stdin.end()
    expect((await last).drivers.map((driver) => driver.type)).toContain('file')
    expect(await exited).toBe(0)
    const other = await connectUnix(socket())
    expect(await other.call('Host.status', {})).toMatchObject({ pid: daemon.child.pid })
    await other.close()
  })

  it('ends at once on a second signal, whoever still holds it up', async () => {
    const daemon = run([])
    await started(daemon)
    const lingering = connect({ path: socket(), allowHalfOpen: true })
    await new Promise((resolve) => lingering.once('connect', resolve))
    lingering.write(`${JSON.stringify(request(1, 'Host.status'))}\n`)
    await new Promise((resolve) => lingering.once('data', resolve))
    daemon.child.kill('SIGTERM')
    await until(() => daemon.stderr().includes('"stopping"'), 'it stops')
    daemon.child.kill('SIGTERM')
    expect(await daemon.exited).toBe(1)
    expect(daemon.stderr()).not.toContain('daemon stopped')
    lingering.destroy()
  })

  it('starts again over the socket that a killed one has left', async () => {
    const killed = run([])
    await started(killed)
    killed.child.kill('SIGKILL')
    await killed.exited
    expect(existsSync(socket())).toBe(true)
    const next = run([])
    await started(next)
    const client = await connectUnix(socket())
    expect(await client.call('Host.status', {})).toMatchObject({ pid: next.child.pid })
    await client.close()
    next.child.kill('SIGINT')
    expect(await next.exited).toBe(0)
  })

  it('refuses to start twice on one state directory, with the errno of the table and a remedy', async () => {
    await started(run([]))
    const second = run([])
    expect(await second.exited).toBe(16)
    expect(second.stderr()).toMatch(/^smd: Another daemon runs on .*\n.*smctl host status/)
  })

  it('checks its configuration without starting, and names what is wrong', async () => {
    configure({ log_level: 'loud' })
    const wrong = run(['--check'])
    expect(await wrong.exited).toBe(22)
    expect(wrong.stderr()).toContain('config.log_level')
    configure({ log_level: 'debug' })
    expect(await run(['--check']).exited).toBe(0)
    const flag = run(['--nonsense'])
    expect(await flag.exited).toBe(22)
    expect(flag.stderr()).toContain('--nonsense')
  })

  it('takes the socket that a service manager has opened, and leaves it in place', async () => {
    const given = createServer().listen(join(directory.path, 'bound.sock'))
    await new Promise((resolve) => given.once('listening', resolve))
    const { fd } = (given as unknown as { readonly _handle: { readonly fd: number } })._handle
    const daemon = run([], { env: { TEST_ACTIVATED: '1' }, fd3: fd })
    // Closing our copy removes the name it was bound to; the socket itself now is the daemon's alone.
    const path = join(directory.path, 'given.sock')
    renameSync(join(directory.path, 'bound.sock'), path)
    given.close()
    await started(daemon)
    const client = await connectUnix(path)
    expect(await client.call('Host.status', {})).toMatchObject({ pid: daemon.child.pid })
    expect(existsSync(socket())).toBe(false)
    await client.close()
    daemon.child.kill('SIGTERM')
    expect(await daemon.exited).toBe(0)
    expect(existsSync(path)).toBe(true)
  })
})
