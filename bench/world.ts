/** A daemon as users run it (from dist/), SRs full of images, and the peers to compare with. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB } from '../core/units.ts'
import { vhd } from '../formats/vhd/format.ts'
import { connectUnix, type Client } from '../rpc/client.ts'

const root = join(import.meta.dirname, '..')
export const bin = (name: string): string => join(root, 'bin', name)

export interface BenchDaemon {
  readonly client: Client
  readonly socket: string
  readonly state: string
  readonly httpUrl: string
  readonly token: string
  readonly pid: number
  /** Milliseconds from start to the first answer. */
  readonly readyMs: number
  stop(): Promise<void>
}

const freePort = async (): Promise<number> => new Promise((resolve, reject) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const address = probe.address()
    probe.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))))
  })
})

export const startDaemon = async (state: string): Promise<BenchDaemon> => {
  mkdirSync(state, { recursive: true, mode: 0o700 })
  const port = await freePort()
  const token = crypto.randomUUID()
  const tokenFile = join(state, 'token')
  writeFileSync(tokenFile, token, { mode: 0o600 })
  // The collector would run in between.
  writeFileSync(join(state, 'config.json'), JSON.stringify({ collector: { enabled: false }, token_file: tokenFile, http: [{ port }] }), { mode: 0o600 })
  const started = performance.now()
  const child: ChildProcess = spawn(process.execPath, [bin('smd'), '--state-directory', state, '--log-level', 'info'], { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  const socket = join(state, 'run', 'smd.sock')
  for (let client: Client | undefined; ;) {
    if (child.exitCode !== null) throw new Error(`the daemon ended: ${log}`)
    client = existsSync(socket) ? await connectUnix(socket).catch(() => undefined) : undefined
    if (client === undefined) {
      await sleep(2)
      continue
    }
    await client.call('Host.status', {})
    const readyMs = performance.now() - started
    const connected = client
    return {
      client: connected, socket, state, httpUrl: `http://127.0.0.1:${port}`, token, pid: child.pid ?? 0, readyMs,
      async stop() {
        await connected.close()
        const ended = new Promise((resolve) => child.once('exit', resolve))
        child.kill('SIGTERM')
        await ended
      },
    }
  }
}

/** See floor/bare-server.ts. `ask` answers the path of the disk. */
export const startBareServer = async (directory: string): Promise<{ ask(operation: string, disk?: string): Promise<string>; stop(): Promise<void> }> => {
  mkdirSync(directory, { recursive: true })
  const path = join(directory, 'floor.sock')
  const child = spawn(process.execPath, ['--import', 'tsx', join(root, 'bench', 'floor', 'bare-server.ts'), path, directory], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve)
    child.once('exit', () => reject(new Error('the bare server ended')))
  })
  const socket = connect(path)
  return {
    ask: async (operation, disk = '') => new Promise((resolve) => {
      socket.once('data', (chunk: Buffer) => resolve((JSON.parse(chunk.toString()) as { readonly disk: string }).disk))
      socket.write(JSON.stringify({ operation, disk }))
    }),
    async stop() {
      socket.destroy()
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** A connection that sends calls and reads each answer to its end without looking at it. */
export const connectRaw = async (socketPath: string): Promise<{ call(method: string, params: unknown): Promise<void>; close(): void }> => {
  const socket = connect(socketPath)
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve).once('error', reject)
  })
  return {
    call: async (method, params) => new Promise((resolve, reject) => {
      const onData = (chunk: Buffer): void => {
        if (chunk.at(-1) !== 10) return
        socket.off('data', onData)
        resolve()
      }
      socket.on('data', onData).once('error', reject)
      socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })}\n`)
    }),
    close: () => socket.destroy(),
  }
}

export const scratch = (): { readonly path: string; remove(): void } => {
  const path = mkdtempSync(join(tmpdir(), 'sm-bench-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Empty dynamic images of 64 MiB, by our own writer, under uuids as names. */
const fillWithImages = (directory: string, count: number): readonly string[] => {
  mkdirSync(directory, { recursive: true })
  return Array.from({ length: count }, () => {
    const uuid = crypto.randomUUID()
    writeFileSync(join(directory, `${uuid}.vhd`), vhd.create({ size: 64 * MiB, id: uuid.replaceAll('-', ''), createdMs: 1_700_000_000_000 }))
    return uuid
  })
}

/** An attached SR over a directory of `count` images. */
export const adopted = async (daemon: BenchDaemon, directory: string, count: number): Promise<{ readonly sr: string; readonly vdis: readonly string[] }> => {
  const vdis = fillWithImages(directory, count)
  const { sr_uuid } = await daemon.client.call('SR.introduce', { type: 'file', device_config: { location: directory } })
  await daemon.client.call('SR.attach', { sr_uuid })
  return { sr: sr_uuid, vdis }
}

/** Compiles a C floor; undefined without a compiler. */
export const compiled = (name: string, directory: string): string | undefined => {
  const out = join(directory, name)
  const done = spawnSync('cc', ['-O2', '-o', out, join(root, 'bench', 'floor', `${name}.c`)])
  return done.status === 0 ? out : undefined
}

export interface Libvirt {
  /** Asks the helper one thing; answers its JSON. */
  ask(words: readonly string[]): Promise<Record<string, number>>
  stop(): Promise<void>
}

/** A libvirtd of our own and a Python process that keeps one connection to it; a sentence when it cannot be had. */
export const startLibvirt = async (): Promise<Libvirt | string> => {
  const packages = 'libvirt-daemon-system libvirt-clients python3-libvirt'
  if (process.getuid?.() !== 0 || !existsSync('/usr/sbin/libvirtd') || spawnSync('/usr/bin/python3', ['-c', 'import libvirt']).status !== 0) {
    return `needs root and the Debian packages ${packages}`
  }
  const daemon = spawn('/usr/sbin/libvirtd', ['--timeout', '600'], { stdio: 'ignore' })
  const helper = spawn('/usr/bin/python3', [join(root, 'bench', 'peers', 'libvirt_peer.py')], { stdio: ['pipe', 'pipe', 'inherit'] })
  let buffered = ''
  const waiting: ((line: string) => void)[] = []
  helper.stdout.on('data', (chunk: Buffer) => {
    buffered += chunk.toString()
    for (let end = buffered.indexOf('\n'); end >= 0; end = buffered.indexOf('\n')) {
      waiting.shift()?.(buffered.slice(0, end))
      buffered = buffered.slice(end + 1)
    }
  })
  const ended = new Promise<never>((_, reject) => {
    helper.once('exit', () => reject(new Error('the libvirt helper ended')))
  })
  ended.catch(() => undefined)
  const ask: Libvirt['ask'] = async (words) => {
    const answer = new Promise<string>((resolve) => {
      waiting.push(resolve)
    })
    helper.stdin.write(`${JSON.stringify(words)}\n`)
    return JSON.parse(await Promise.race([answer, ended])) as Record<string, number>
  }
  const stop = async (): Promise<void> => {
    helper.stdin.end()
    daemon.kill('SIGTERM')
    await sleep(200)
  }
  try {
    await ask(['connect', String(daemon.pid)])
  } catch (error) {
    await stop()
    return `libvirtd did not start: ${(error as Error).message}`
  }
  return { ask, stop }
}
