/** A host of its own for an end-to-end test: state directory, a driver from outside, and the built executables as processes. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '../..')

export interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string>>
  /** For tests that want to do something to it while it runs. */
  readonly onStart?: (child: ChildProcess) => void
}

export interface Machine {
  readonly directory: string
  readonly stateDirectory: string
  /** A new empty directory. */
  place(name?: string): string
  /** Runs `bin/<name>`, or `DemoSR` of the driver from outside. */
  run(name: string, args: readonly string[], options?: RunOptions): Promise<Ended>
  startDaemon(): Promise<{ stop(): Promise<void>; log(): string }>
  remove(): Promise<void>
}

/** The demo driver as its author would ship it: one file that imports `storage-manager/driver` and nothing else of ours. */
const bundleDriver = async (directory: string): Promise<string> => {
  const folder = join(directory, 'driver')
  mkdirSync(join(folder, 'node_modules'), { recursive: true, mode: 0o755 })
  symlinkSync(root, join(folder, 'node_modules', 'storage-manager'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  await build({
    entryPoints: [join(import.meta.dirname, 'fixtures', 'demo-driver.ts')],
    outfile: join(folder, 'driver.js'), bundle: true, format: 'esm', platform: 'node', target: 'node20', logLevel: 'warning',
    plugins: [{
      name: 'from-outside',
      setup(bundler) {
        bundler.onResolve({ filter: /\/core\/[\w-]+\.ts$/ }, () => ({ path: 'storage-manager/driver', external: true }))
      },
    }],
  })
  return folder
}

const collect = (child: ChildProcess): { text: () => { stdout: string; stderr: string } } => {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  return { text: () => ({ stdout, stderr }) }
}

export const waitUntil = async (what: string, reached: () => boolean, ceilingMs = 30_000): Promise<void> => {
  for (const deadline = performance.now() + ceilingMs; !reached(); await sleep(10)) {
    if (performance.now() > deadline) throw new Error(`Not within ${ceilingMs} ms: ${what}`)
  }
}

export const createMachine = async (): Promise<Machine> => {
  const directory = mkdtempSync(join(tmpdir(), 'storage-manager-e2e-'))
  chmodSync(directory, 0o755)
  const stateDirectory = join(directory, 'state')
  mkdirSync(stateDirectory, { mode: 0o700 })
  writeFileSync(join(stateDirectory, 'config.json'), JSON.stringify({ drivers: [await bundleDriver(directory)] }), { mode: 0o600 })
  const bin = join(directory, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'DemoSR'), `#!/usr/bin/env node\nrequire(${JSON.stringify(join(root, 'bin', 'launch.js'))})('xe', ['demo'])\n`, { mode: 0o755 })
  const env = { PATH: process.env['PATH'] ?? '', HOME: directory, STORAGE_MANAGER_STATE: stateDirectory }
  const children = new Set<ChildProcess>()
  let places = 0

  const start = (name: string, args: readonly string[], options: RunOptions = {}): ChildProcess => {
    const path = existsSync(join(bin, name)) ? join(bin, name) : join(root, 'bin', name)
    const child = spawn(process.execPath, [path, ...args], { env: { ...env, ...options.env }, stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] })
    children.add(child)
    child.on('exit', () => children.delete(child))
    if (options.stdin !== undefined) child.stdin?.end(options.stdin)
    options.onStart?.(child)
    return child
  }

  return {
    directory,
    stateDirectory,
    place(name = `place-${(places += 1)}`) {
      const path = join(directory, name)
      mkdirSync(path)
      return path
    },
    async run(name, args, options) {
      const child = start(name, args, options)
      const output = collect(child)
      const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
      return { status, signal, ...output.text() }
    },
    async startDaemon() {
      const child = start('smd', ['--log-level', 'debug'])
      const output = collect(child)
      const ended = once(child, 'close')
      await waitUntil(`the daemon listens: ${output.text().stderr}`, () => existsSync(join(stateDirectory, 'run', 'smd.sock')) || child.exitCode !== null)
      if (child.exitCode !== null) throw new Error(`The daemon ended: ${output.text().stderr}`)
      return {
        log: () => output.text().stderr,
        async stop() {
          child.kill('SIGTERM')
          await ended
        },
      }
    },
    async remove() {
      for (const child of children) child.kill('SIGKILL')
      await Promise.all([...children].map(async (child) => once(child, 'close')))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Every command line on this host, as any user can see them. */
export const commandLines = (pids: readonly string[]): string =>
  pids.map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    } catch {
      return ''
    }
  }).join('\n')
