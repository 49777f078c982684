/** The executables as callers of the conformance kit: a call becomes a command line, its output an answer or an error again. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { XMLParser } from 'fast-xml-parser'
import { commands } from '../../cli/commands.gen.ts'
import type { Command } from '../../cli/commands.ts'
import { optionName } from '../../cli/smctl/values.ts'
import { errorTable, StorageError, errnoNumbers, type ErrorKind } from '../../core/errors.ts'
import type { Session } from '../kit/case.ts'
import type { FrontEnd } from '../kit/file-harness.ts'

const root = join(import.meta.dirname, '../..')

interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

const runBin = async (name: string, args: readonly string[], stateDirectory: string): Promise<Ran> => {
  const child = spawn(process.execPath, [join(root, 'bin', name), ...args], { env: { PATH: process.env['PATH'] ?? '', STORAGE_MANAGER_STATE: stateDirectory }, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, stdout, stderr }
}

const commandOf = (method: string): Command => {
  const found = commands.find((command) => command.method === method)
  if (found === undefined) throw new StorageError('notSupported', `There is no call ${method} on a command line`)
  return found
}

/** Whatever told it, the exit status must say the same. */
const failure = (kind: string, message: string, status: number | null, field?: string): StorageError => {
  if (!Object.hasOwn(errorTable, kind)) throw new Error(`the error tells no kind: ${message}`)
  const wanted = errnoNumbers[errorTable[kind as ErrorKind].errno]
  if (status !== wanted) throw new Error(`${kind} must end with status ${wanted}, found ${String(status)}: ${message}`)
  return new StorageError(kind as ErrorKind, message, field === undefined ? {} : { field })
}

/** Words of smctl for a call; text as a user would type it. */
const smctlWords = (method: string, params: Readonly<Record<string, unknown>>): readonly string[] => {
  const { noun, verb, positionals, parameters } = commandOf(method)
  const config = Object.entries((params['device_config'] ?? {}) as Readonly<Record<string, string>>).map(([key, value]) => `${key}=${value}`)
  const options = Object.entries(params).flatMap(([name, value]) => {
    if (name === 'device_config' || positionals.includes(name) || value === undefined) return []
    const kind = parameters.find((parameter) => parameter.name === name)?.kind
    if (kind === 'flag') return value === true ? [optionName(name)] : []
    if (kind === 'list') return (value as readonly string[]).map((text) => `${optionName(name)}=${text}`)
    return [`${optionName(name)}=${typeof value === 'string' ? value : JSON.stringify(value)}`]
  })
  const words = positionals.filter((name) => params[name] !== undefined).map((name) => String(params[name]))
  return [noun, verb, '--json', '--in-process', ...options, '--', ...words, ...config]
}

export const smctl: FrontEnd = async (engine, _directory, stateDirectory) => {
  await engine.close()
  return {
    async call(method, params) {
      const { status, stdout, stderr } = await runBin('smctl', smctlWords(method, params as Readonly<Record<string, unknown>>), stateDirectory)
      if (status === 0) return JSON.parse(stdout)
      const { kind, message, field } = JSON.parse(stderr) as { readonly kind: string; readonly message: string; readonly field?: string }
      throw failure(kind, message, status, field)
    },
    close: async () => undefined,
  }
}

const parser = new XMLParser({ parseTagValue: false, isArray: (name) => name === 'vdi' })

/** What sr_scan prints, as the call answers it, as far as the SM API tells it. */
export const readScan = (xml: string): { readonly sr: Readonly<Record<string, string>>; readonly vdis: readonly Readonly<Record<string, string>>[] } => {
  const { sr: { vdi = [], ...sr } } = parser.parse(xml) as { readonly sr: Readonly<Record<string, string>> & { readonly vdi?: readonly Readonly<Record<string, string>>[] } }
  return { sr, vdis: vdi }
}

/** Runs `FileSR '<dconf>' <verb> <argument>...`. */
export const runFileSr = async (location: string, method: string, params: Readonly<Record<string, unknown>>, stateDirectory: string): Promise<string> => {
  const { xe } = commandOf(method)
  if (xe === undefined) throw new Error(`FileSR has no word for ${method}`)
  const { status, stdout, stderr } = await runBin('FileSR', [`<dconf><location>${location}</location></dconf>`, xe.verb, ...xe.args.map((name) => String(params[name]))], stateDirectory)
  if (status === 0) return stdout
  throw failure(/\[\w+, (\w+)/.exec(stderr)?.[1] ?? '', stderr, status)
}

/** Whether FileSR can say a call: it has a word for it, and an argument for each parameter but those that the dconf brings. */
const canSay = (method: string, params: Readonly<Record<string, unknown>>): boolean => {
  const { xe } = commands.find((command) => command.method === method) ?? {}
  return xe !== undefined && Object.keys(params).every((name) => name === 'type' || name === 'device_config' || xe.args.includes(name))
}

/** What the call would have been told, asked for beside FileSR: it answers most calls with its exit status alone. */
const asked: Readonly<Record<string, (session: Session, params: never) => Promise<unknown>>> = {
  'SR.create': async (_, { sr_uuid }: { readonly sr_uuid: string }) => ({ sr_uuid, changed: true }),
  'SR.attach': async () => ({ changed: true, recovered: [] }),
  'VDI.create': async (session, { sr_uuid, vdi_uuid }) => session.call('VDI.stat', { sr_uuid, vdi_uuid }),
  'VDI.resize': async (session, { sr_uuid, vdi_uuid }) => session.call('VDI.stat', { sr_uuid, vdi_uuid }),
  'VDI.snapshot': async (session, { sr_uuid, dest_uuid }) => session.call('VDI.stat', { sr_uuid, vdi_uuid: dest_uuid }),
  'VDI.clone': async (session, { sr_uuid, dest_uuid }) => session.call('VDI.stat', { sr_uuid, vdi_uuid: dest_uuid }),
}

/** Uuids that callers may leave out are made up: FileSR wants them. */
const withUuids = (method: string, params: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
  ...(method === 'SR.create' ? { sr_uuid: crypto.randomUUID(), size: 0 } : {}),
  ...(method === 'VDI.create' ? { vdi_uuid: crypto.randomUUID() } : {}),
  ...(method === 'VDI.snapshot' || method === 'VDI.clone' ? { dest_uuid: crypto.randomUUID() } : {}),
  ...(method === 'VDI.lock' ? { force: false } : {}),
  ...params,
})

/** FileSR where it has a word for the call, an engine in this process for the rest: both on one state, as on a real host. */
export const fileSr: FrontEnd = async (engine, directory, stateDirectory) => {
  const beside: Session = { call: async (method, params, options) => engine.call(method, params, options), close: async () => engine.close() }
  return {
    async call(method, given, options) {
      const params = withUuids(method, given as Readonly<Record<string, unknown>>)
      const answer = asked[method]
      if (options?.signal !== undefined || !canSay(method, params)) return beside.call(method, given, options)
      if (method === 'VDI.attach' || method === 'SR.probe' || method === 'SR.content_type' || method === 'SR.scan') return beside.call(method, given, options)
      const { location = join(directory, 'disks') } = (params['device_config'] ?? {}) as { readonly location?: string }
      await runFileSr(location, method, params, stateDirectory)
      return (answer === undefined ? { changed: true } : answer(beside, params as never)) as never
    },
    close: async () => beside.close(),
  }
}
