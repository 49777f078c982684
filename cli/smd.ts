/** The daemon: the composed engine behind its listeners, with the collector, until it is told to stop. */
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Engine } from '../core/caller.ts'
import { errnoNumbers, errorTable, StorageError, toStorageError } from '../core/errors.ts'
import type { Log } from '../core/ports.ts'
import { holdFile } from '../host/lock-file.ts'
import { createPinoLog } from '../host/log.ts'
import type { Listener } from '../rpc/listener.ts'
import { createRpcServer } from '../rpc/server.ts'
import { listenUnix } from '../rpc/unix.ts'
import { startCollector } from './collector.ts'
import { composeEngine, type ComposeOptions } from './compose.ts'
import { logLevels, readSettings, type Settings } from './config.ts'
import { createScanner } from './scan.ts'
import { stateDirectory } from './state-directory.ts'
import { activatedSockets, forgetActivation } from './systemd.ts'
import { version } from './version.ts'

export interface DaemonOptions {
  readonly settings: Settings
  readonly log: Log
  /** Descriptors of sockets that a service manager has opened; they take the place of the configured unix socket. */
  readonly activated?: readonly number[]
  /** For tests: another way to make the engine. */
  readonly compose?: (options: ComposeOptions) => Promise<Engine>
}

export interface Daemon {
  readonly engine: Engine
  /** Where it listens: `unix:<path>` or URLs. */
  readonly addresses: readonly string[]
  /** Accepts nobody any more, lets running calls end or cancels them after `stop_seconds`, closes everything. */
  stop(): Promise<void>
}

const claimStateDirectory = (directory: string): { release(): void } => {
  const run = join(directory, 'run')
  mkdirSync(run, { recursive: true, mode: 0o700 })
  const held = holdFile(join(run, 'smd.lock'))
  if (held === undefined) {
    throw new StorageError('busy', `Another daemon runs on ${directory}`, { field: 'state-directory', layer: 'cli', remedy: 'smctl host status tells its process; stop it, or use another state directory' })
  }
  return held
}

let described: Readonly<Record<string, unknown>> | undefined
const discover = async (): Promise<Readonly<Record<string, unknown>>> => (described ??= (await import('../rpc/openrpc.ts')).openrpcDocument(version))

/** Starts everything, or throws and leaves nothing open. */
export const startDaemon = async (options: DaemonOptions): Promise<Daemon> => {
  const { settings, log, activated = [] } = options
  const { stateDirectory: directory } = settings
  const listeners: Listener[] = []
  /** What undoes each step so far, in reverse. */
  const undo: (() => void | Promise<void>)[] = []
  const closeAll = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
  }
  try {
    const claim = claimStateDirectory(directory)
    undo.push(() => claim.release())
    const scan = createScanner()
    undo.push(async () => scan.close())
    const metrics = settings.http.length === 0 ? undefined : (await import('../rpc/metrics.ts')).createMetrics(version)
    const engine = await (options.compose ?? composeEngine)({
      stateDirectory: directory, log, scanner: scan.scanner, externalDrivers: settings.drivers,
      ...(metrics === undefined ? {} : { onTrace: (trace) => metrics.trace(trace) }),
    })
    undo.push(async () => engine.close())
    const server = createRpcServer({ engine, log, limits: settings.limits, discover })
    metrics?.watchRunning(() => server.runningCalls())

    // From here on somebody may be connected: the end of a daemon is always the same, in this order.
    undo.push(async () => {
      for (const listener of listeners) listener.stop()
      await server.drain(settings.stop_seconds * 1000)
      await Promise.all(listeners.map(async (listener) => listener.end()))
    })
    for (const fd of activated) listeners.push(await listenUnix(server, { fd }))
    if (activated.length === 0 && settings.socket !== undefined) {
      mkdirSync(dirname(settings.socket), { recursive: true, mode: 0o700 })
      listeners.push(await listenUnix(server, { path: settings.socket }))
    }
    if (metrics !== undefined) await (await import('./http-listeners.ts')).openHttpListeners(server, settings, metrics, discover, listeners)
    if (settings.collector.enabled) {
      const collector = startCollector({
        engine, log, idleMs: settings.collector.idle_seconds * 1000,
        ...(metrics === undefined ? {} : { onBacklog: (sr, backlog) => metrics.backlog(sr, backlog) }),
      })
      undo.push(async () => collector.close())
    }
    const addresses = listeners.map((listener) => listener.address)
    if (addresses.length === 0) {
      throw new StorageError('invalidArgument', 'The daemon would listen nowhere', { field: 'config.socket', layer: 'cli', remedy: 'Leave socket out of the configuration, or give an http listener' })
    }
    log.info({ addresses, state_directory: directory }, 'daemon started')
    let stopping: Promise<void> | undefined
    return {
      engine,
      addresses,
      async stop() {
        stopping ??= closeAll().then(() => log.info({}, 'daemon stopped'))
        return stopping
      },
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}

/**
 * The same for one caller that has started us: JSON-RPC on its two streams, no other listener, no collector, and no claim on
 * the state directory, since this is one of its users like any short command. Ends when the caller has closed its end.
 */
const serveCaller = async (settings: Settings, log: Log, told: Promise<void>): Promise<void> => {
  const { serveStdio } = await import('../rpc/stdio.ts')
  const scan = createScanner()
  const engine = await composeEngine({ stateDirectory: settings.stateDirectory, log, scanner: scan.scanner, externalDrivers: settings.drivers })
  const server = createRpcServer({ engine, log, limits: settings.limits, discover })
  const { peer, closed } = serveStdio(server, process.stdin, process.stdout)
  await Promise.race([closed, told])
  await server.drain(settings.stop_seconds * 1000)
  peer.end()
  await engine.close()
  await scan.close()
}

const usage = `smd: the storage manager daemon

  smd [--state-directory DIR] [--config FILE] [--log-level debug|info|warn|error] [--check | --stdio]

  --state-directory  where this host keeps its state (else STORAGE_MANAGER_STATE)
  --config           configuration file (else config.json in the state directory, if there is one)
  --check            only check the configuration
  --stdio            serve the caller on standard input and output, one JSON-RPC message a line, and nobody else
`

const parseArguments = (argv: readonly string[]) => {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        'state-directory': { type: 'string' }, config: { type: 'string' }, 'log-level': { type: 'string' },
        check: { type: 'boolean' }, stdio: { type: 'boolean' }, help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (error) {
    throw new StorageError('invalidArgument', (error as Error).message, { layer: 'cli', remedy: 'smd --help shows what there is' })
  }
}

/** Fulfilled by the first SIGTERM or SIGINT; a second one ends the process at once. */
const toldToStop = async (log: Log): Promise<void> =>
  new Promise((resolve) => {
    let signals = 0
    const onSignal = (signal: NodeJS.Signals): void => {
      signals += 1
      log.info({ signal }, signals === 1 ? 'stopping' : 'stopping at once')
      if (signals > 1) process.exit(1)
      resolve()
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })

/** The whole life of the daemon process; answers its exit status, which for a failed start is the errno of the table. */
export const runDaemon = async (argv: readonly string[]): Promise<number> => {
  // Read when the pool is first used: as many files as a slow scan has under way, and room for a disk that does not answer.
  process.env['UV_THREADPOOL_SIZE'] ??= '16'
  try {
    const flags = parseArguments(argv)
    if (flags.help === true) {
      process.stdout.write(usage)
      return 0
    }
    const settings = readSettings(stateDirectory(flags['state-directory']), flags.config)
    if (flags.check === true) return 0
    const level = flags['log-level'] ?? settings.log_level
    if (!(logLevels as readonly string[]).includes(level)) {
      throw new StorageError('invalidArgument', `There is no log level ${JSON.stringify(level)}`, { field: 'log-level', layer: 'cli', remedy: `One of: ${logLevels.join(', ')}` })
    }
    const log = await createPinoLog(level)
    const activated = activatedSockets(process.env, process.pid)
    forgetActivation(process.env)
    const told = toldToStop(log)
    if (flags.stdio === true) {
      await serveCaller(settings, log, told)
      return 0
    }
    const daemon = await startDaemon({ settings, log, activated })
    await told
    await daemon.stop()
    return 0
  } catch (thrown) {
    const error = toStorageError(thrown, 'cli')
    process.stderr.write(`smd: ${error.message}\n${error.facts.remedy === undefined ? '' : `${error.facts.remedy}\n`}`)
    return errnoNumbers[errorTable[error.kind].errno]
  }
}
