/** The executables as callers of the conformance kit: a call becomes a command line, its output an answer or an error again. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { XMLParser } from 'fast-xml-parser'
import { commands } from '../../cli/commands.gen.ts'
import type { Command } from '../../cli/commands.ts'
import { optionName } from '../../cli/smctl/values.ts'
import { errorTable, StorageError, errnoNumbers, type ErrorKind } from '../../core/errors.ts'
import type { Result } from '../../core/methods/index.ts'
import { connectUnix } from '../../rpc/client.ts'
import type { Session } from '../kit/case.ts'
import type { FrontEnd, Place } from '../kit/file-harness.ts'
import { waitUntil } from './machine.ts'

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
const failure = (kind: string, message: string, status: number | null, facts: { readonly field?: string; readonly remedy?: string } = {}): StorageError => {
  if (!Object.hasOwn(errorTable, kind)) throw new Error(`the error tells no kind: ${message}`)
  const wanted = errnoNumbers[errorTable[kind as ErrorKind].errno]
  if (status !== wanted) throw new Error(`${kind} must end with status ${wanted}, found ${String(status)}: ${message}`)
  return new StorageError(kind as ErrorKind, message, facts)
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
  return [noun, verb, '--json', ...options, '--', ...words, ...config]
}

const viaSmctl = (stateDirectory: string, where: readonly string[]): Session => ({
  async call(method, params) {
    const { status, stdout, stderr } = await runBin('smctl', [...where, ...smctlWords(method, params as Readonly<Record<string, unknown>>)], stateDirectory)
    if (status === 0) return JSON.parse(stdout)
    const { kind, message, ...facts } = JSON.parse(stderr) as { readonly kind: string; readonly message: string; readonly field?: string; readonly remedy?: string }
    throw failure(kind, message, status, facts)
  },
  close: async () => undefined,
})

export const smctl: FrontEnd = async (_, { stateDirectory }) => viaSmctl(stateDirectory, ['--in-process'])

/** A daemon of the world's own, from its first session to its end. Answers its socket. */
const daemonOf = async ({ stateDirectory, atEnd }: Place): Promise<string> => {
  const socket = join(stateDirectory, 'run', 'smd.sock')
  if (existsSync(socket)) return socket
  const child = spawn(process.execPath, [join(root, 'bin', 'smd')], { env: { PATH: process.env['PATH'] ?? '', STORAGE_MANAGER_STATE: stateDirectory }, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const ended = once(child, 'close')
  atEnd(async () => {
    child.kill('SIGKILL')
    await ended
  })
  await waitUntil('the daemon listens', () => existsSync(socket) || child.exitCode !== null)
  if (child.exitCode !== null) throw new Error(`the daemon ended: ${said}`)
  return socket
}

export const smd: FrontEnd = async (_, place) => connectUnix(await daemonOf(place))

export const smctlAndSmd: FrontEnd = async (_, place) => viaSmctl(place.stateDirectory, ['--socket', await daemonOf(place)])

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

type Params = Readonly<Record<string, unknown>>

/** What FileSR printed says no other than what the same call answers beside it. */
const agree = (method: string, printed: unknown, answered: unknown): void => {
  if (!isDeepStrictEqual(printed, answered)) throw new Error(`FileSR printed for ${method} ${JSON.stringify(printed)}, where the call answers ${JSON.stringify(answered)}`)
}

/** Elements that are left out when there is nothing to say. */
const said = (facts: Readonly<Record<string, string | number | boolean | undefined>>): Params => Object.fromEntries(Object.entries(facts).flatMap(([name, value]) => (value === '' || value === undefined ? [] : [[name, value === true ? 'True' : value === false ? 'False' : String(value)]])))

const told: Readonly<Record<string, (xml: string, answer: never) => readonly [printed: unknown, answered: unknown]>> = {
  'SR.scan': (xml, answer: Result<'SR.scan'>) => {
    const { sr, vdis } = readScan(xml)
    return [
      { uuid: sr['uuid'], virtual_allocation: sr['virtual_allocation'], vdis: vdis.toSorted((a, b) => ((a['uuid'] ?? '') < (b['uuid'] ?? '') ? -1 : 1)) },
      {
        uuid: answer.uuid, virtual_allocation: String(answer.virtual_allocation),
        vdis: answer.vdis.toSorted((a, b) => (a.uuid < b.uuid ? -1 : 1)).map(({ uuid, size, utilisation, locked, name, description, shareable, read_only, parent }) =>
          said({ uuid, size, utilisation, locked, label: name, description, shareable, read_only, parent })),
      },
    ]
  },
  'SR.content_type': (xml, answer: Result<'SR.content_type'>) => [parser.parse(xml), { '?xml': '', sr: { type: answer.content_type } }],
  'VDI.attach': (xml, answer: Result<'VDI.attach'>) => [parser.parse(xml), { '?xml': '', sr: { path: answer.path } }],
  'SR.probe': (xml, answer: Result<'SR.probe'>) => [[...xml.matchAll(/<found>(\w+)<\/found>/g)].map(([, found]) => found), answer.candidates.map(({ found }) => found)],
}

/** Whether a call has something to do: FileSR does not tell whether it changed anything, what was before it does. */
const changes: Readonly<Record<string, (session: Session, params: never) => Promise<boolean>>> = {
  'SR.attach': async (session, { sr_uuid }: { readonly sr_uuid: string }) => (await session.call('SR.list', {})).srs.find(({ uuid }) => uuid === sr_uuid)?.attached !== true,
  'SR.detach': async (session, { sr_uuid }: { readonly sr_uuid: string }) => (await session.call('SR.list', {})).srs.find(({ uuid }) => uuid === sr_uuid)?.attached === true,
  'SR.delete': async (session, { type, device_config }) => (await session.call('SR.probe', { type, device_config })).candidates.some(({ found }) => found === 'sr'),
  'VDI.delete': async (session, { sr_uuid, vdi_uuid }) => session.call('VDI.stat', { sr_uuid, vdi_uuid }).then(() => true, () => false),
  'VDI.attach': async (session, { sr_uuid, vdi_uuid }) => session.call('VDI.stat', { sr_uuid, vdi_uuid }).then(({ attached }) => attached === undefined, () => false),
  'VDI.detach': async (session, { sr_uuid, vdi_uuid }) => session.call('VDI.stat', { sr_uuid, vdi_uuid }).then(({ attached }) => attached !== undefined, () => false),
  'VDI.unlock': async (session, { sr_uuid, vdi_uuid }) => session.call('VDI.stat', { sr_uuid, vdi_uuid }).then(({ locked }) => locked, () => false),
}

/** What the call would have been told, asked for beside FileSR: it answers most calls with its exit status alone. */
const asked: Readonly<Record<string, (session: Session, params: never) => Promise<unknown>>> = {
  'SR.create': async (_, { sr_uuid }: { readonly sr_uuid: string }) => ({ sr_uuid }),
  'VDI.create': async (session, { sr_uuid, vdi_uuid }) => session.call('VDI.stat', { sr_uuid, vdi_uuid }),
  'VDI.resize': async (session, { sr_uuid, vdi_uuid }) => session.call('VDI.stat', { sr_uuid, vdi_uuid }),
  'VDI.snapshot': async (session, { sr_uuid, dest_uuid }) => session.call('VDI.stat', { sr_uuid, vdi_uuid: dest_uuid }),
  'VDI.clone': async (session, { sr_uuid, dest_uuid }) => session.call('VDI.stat', { sr_uuid, vdi_uuid: dest_uuid }),
  'VDI.lock': async (session, { sr_uuid, vdi_uuid }) => (await session.call('VDI.stat', { sr_uuid, vdi_uuid })).lock,
}

/** Uuids that callers may leave out are made up: FileSR wants them. */
const withUuids = (method: string, params: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
  ...(method === 'SR.create' ? { sr_uuid: crypto.randomUUID(), size: 0 } : {}),
  ...(method === 'VDI.create' ? { vdi_uuid: crypto.randomUUID() } : {}),
  ...(method === 'VDI.snapshot' || method === 'VDI.clone' ? { dest_uuid: crypto.randomUUID() } : {}),
  ...(method === 'VDI.lock' ? { force: false } : {}),
  ...params,
})

/** FileSR where it has a word for the call, another caller on the same host for the rest: both on one state. */
const fileSrBeside = (beside: Session, { directory, stateDirectory }: Place): Session => ({
  async call(method, given, options) {
    const params = withUuids(method, given as Params)
    if (options?.signal !== undefined || !canSay(method, params)) return beside.call(method, given, options)
    const { location = join(directory, 'disks') } = (params['device_config'] ?? {}) as { readonly location?: string }
    const place = { type: 'file', device_config: { location } }
    const changed = await changes[method]?.(beside, { ...place, ...params } as never)
    const xml = await runFileSr(location, method, params, stateDirectory)
    const check = told[method]
    if (check !== undefined) {
      const answer = await beside.call(method, given, options)
      agree(method, ...check(xml, answer as never))
      return (changed === undefined ? answer : { ...answer, changed }) as never
    }
    const answer = asked[method]
    return (answer === undefined ? { changed: changed ?? true, ...(method === 'SR.attach' ? { recovered: [] } : {}) } : answer(beside, params as never)) as never
  },
  close: async () => beside.close(),
})

export const fileSr: FrontEnd = async (compose, place) => {
  const engine = await compose()
  return fileSrBeside({ call: async (method, params, options) => engine.call(method, params, options), close: async () => engine.close() }, place)
}

export const fileSrAndSmd: FrontEnd = async (compose, place) => fileSrBeside(await smd(compose, place), place)
