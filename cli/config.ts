/** Configuration of the daemon: one JSON file, checked strictly and as a whole before anything is opened. */
import { readFileSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import * as z from 'zod'
import { isSystemError, StorageError } from '../core/errors.ts'
import { invalidFromZod } from '../core/invalid.ts'
import { defaultLimits, type RpcLimits } from '../rpc/limits.ts'
import { configPath, defaultSocket } from './state-directory.ts'

export const logLevels = ['debug', 'info', 'warn', 'error'] as const

const path = z.string().min(1).max(4096)
const text = (description: string) => ({ description })

const Tls = z.strictObject({
  cert: path.meta(text('PEM file of the certificate chain')),
  key: path.meta(text('PEM file of its private key, readable for its owner alone')),
  client_ca: path.optional().meta(text('PEM file of the CAs whose client certificates are asked for; absent: none are')),
})

const Http = z.strictObject({
  host: z.string().min(1).max(253).default('127.0.0.1').meta(text('Address to listen on; others than loopback need tls')),
  port: z.int().min(0).max(65535).meta(text('Port; 0 takes a free one')),
  tls: Tls.optional(),
})

const count = (least: number, most: number, standard: number) => z.int().min(least).max(most).default(standard)

const Limits = z.strictObject({
  message_bytes: count(1024, 256 * 1024 * 1024, defaultLimits.messageBytes),
  depth: count(8, 256, defaultLimits.depth),
  batch: count(1, 10_000, defaultLimits.batch),
  calls_per_connection: count(1, 10_000, defaultLimits.callsPerConnection),
  connections: count(1, 65_536, defaultLimits.connections),
  output_bytes: count(64 * 1024, 256 * 1024 * 1024, defaultLimits.outputBytes),
  stalled_seconds: count(1, 3600, defaultLimits.stalledMs / 1000),
})

export const DaemonConfig = z.strictObject({
  socket: z.union([path, z.literal(false)]).optional().meta(text('Path of the unix socket; false: none; absent: run/smd.sock in the state directory')),
  http: z.array(Http).max(16).default([]).meta(text('HTTP listeners; none unless given here')),
  token_file: path.optional().meta(text('File with the bearer token for HTTP; absent: http-token in the state directory, made at the first start')),
  log_level: z.enum(logLevels).default('info'),
  drivers: z.array(path).max(64).default([]).meta(text('Drivers from outside: folders that hold driver.js, or names of npm packages')),
  collector: z.strictObject({
    enabled: z.boolean().default(true),
    idle_seconds: z.number().min(0).max(86_400).default(30).meta(text('So long after the last change of an SR its collector starts')),
  }).prefault({}).meta(text('Removes unused images and shortens chains in the background')),
  limits: Limits.prefault({}),
  stop_seconds: z.number().min(0).max(600).default(20).meta(text('So long a stopping daemon waits for running calls before it cancels them')),
})
export type DaemonConfig = z.output<typeof DaemonConfig>

/** With all paths absolute: relative ones of the file are meant from where the file is. */
export interface Settings extends Omit<DaemonConfig, 'socket' | 'token_file' | 'limits'> {
  readonly stateDirectory: string
  /** undefined: none. */
  readonly socket: string | undefined
  readonly tokenFile: string
  readonly limits: RpcLimits
}

const refuse = (message: string, remedy: string, cause?: unknown): StorageError =>
  new StorageError('invalidArgument', message, { field: 'config', layer: 'cli', remedy, cause })

/** The file names code that runs with all rights of the daemon: nobody else may be able to change it. */
const readOwnFile = (file: string, wanted: boolean): string | undefined => {
  try {
    const { uid, mode } = statSync(file)
    if ((uid !== 0 && uid !== process.getuid?.()) || (mode & 0o022) !== 0) {
      throw new StorageError('permissionDenied', `${file} can be changed by other users: it is not read`, { field: 'config', layer: 'cli', remedy: `chown root ${file}; chmod go-w ${file}` })
    }
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (!wanted && isSystemError(error) && error.code === 'ENOENT') return undefined
    if (error instanceof StorageError) throw error
    throw refuse(`The configuration ${file} cannot be read: ${(error as Error).message}`, 'Name a readable file with --config', error)
  }
}

const parseFile = (file: string, content: string): DaemonConfig => {
  let raw: unknown
  try {
    raw = JSON.parse(content)
  } catch (error) {
    throw refuse(`The configuration ${file} is no JSON: ${(error as Error).message}`, 'Correct it; docs/daemon.md has an example', error)
  }
  const parsed = DaemonConfig.safeParse(raw)
  if (parsed.success) return parsed.data
  throw invalidFromZod(parsed.error, { layer: `cli:${file}`, prefix: 'config', known: Object.keys(DaemonConfig.shape), remedy: `Correct ${file}; it takes: ${Object.keys(DaemonConfig.shape).join(', ')}` })
}

const limitsOf = (limits: DaemonConfig['limits']): RpcLimits => ({
  messageBytes: limits.message_bytes,
  depth: limits.depth,
  batch: limits.batch,
  callsPerConnection: limits.calls_per_connection,
  connections: limits.connections,
  outputBytes: limits.output_bytes,
  stalledMs: limits.stalled_seconds * 1000,
})

/**
 * Settings of a daemon: `<state directory>/config.json` when it is there, or the file that is named, which then must be
 * there; defaults for the rest. Throws invalidArgument that names the key.
 */
export const readSettings = (stateDirectory: string, configFile?: string): Settings => {
  const file = configFile === undefined ? configPath(stateDirectory) : resolve(configFile)
  const content = readOwnFile(file, configFile !== undefined)
  const { socket, token_file: tokenFile, limits, http, drivers, ...rest } = content === undefined ? DaemonConfig.parse({}) : parseFile(file, content)
  const absolute = (given: string): string => resolve(dirname(file), given)
  return {
    ...rest,
    stateDirectory,
    socket: socket === false ? undefined : socket === undefined ? defaultSocket(stateDirectory) : absolute(socket),
    tokenFile: tokenFile === undefined ? join(stateDirectory, 'http-token') : absolute(tokenFile),
    limits: limitsOf(limits),
    // A bare name is that of a package.
    drivers: drivers.map((driver) => (driver.startsWith('.') && !isAbsolute(driver) ? absolute(driver) : driver)),
    http: http.map(({ tls, ...listener }) => ({
      ...listener,
      ...(tls === undefined ? {} : { tls: { cert: absolute(tls.cert), key: absolute(tls.key), ...(tls.client_ca === undefined ? {} : { client_ca: absolute(tls.client_ca) }) } }),
    })),
  }
}
