/** Settings of an installed adapter: a small JSON file beside command.pl. Without it, what the flags say. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { StorageError } from '../../core/errors.ts'

export interface SraSettings {
  /** SRM asks for capabilities before it names an array: an installed adapter is for one type. */
  readonly arrayType: string
  readonly stateDirectory?: string
  readonly socket?: string
  /** never: in this process, although a daemon runs here. */
  readonly daemon?: 'never'
  /** SRM's own (storage.commandTimeout): the command answers shortly before it. */
  readonly timeLimitSeconds: number
  /** A request to read instead of standard input. */
  readonly request?: string
}

const usage = 'sra [--adapter FILE] [--type TYPE] [--state-directory DIR] [--socket PATH] [--in-process] [--time-limit SECONDS] [REQUEST]'
const defaultLimit = 300

const wrong = (field: string, found: string, remedy: string): StorageError => new StorageError('invalidArgument', `${field}: ${found}`, { field, layer: 'cli:sra', remedy })

const keys = ['array_type', 'state_directory', 'socket', 'in_process', 'time_limit_seconds'] as const
type Keys = Partial<Record<(typeof keys)[number], unknown>>

const readFile = (path: string): Keys => {
  let raw: unknown
  try {
    raw = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw wrong('adapter', `${path} cannot be read: ${(error as Error).message}`, 'Name a readable JSON file; packaging/sra/adapter.json is an example')
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw wrong('adapter', `${path} holds no object`, `Its keys are: ${keys.join(', ')}`)
  const stranger = Object.keys(raw).find((key) => !(keys as readonly string[]).includes(key))
  if (stranger !== undefined) throw wrong('adapter', `${path} has an unknown key ${JSON.stringify(stranger.slice(0, 64))}`, `Its keys are: ${keys.join(', ')}`)
  return raw
}

const textOf = (value: unknown, field: string): string | undefined => {
  if (value === undefined) return undefined
  if (typeof value === 'string' && value !== '') return value
  throw wrong(field, 'must be a text that is not empty', `For instance "${field}": "..."`)
}

const limitOf = (value: unknown): number => {
  const seconds = value === undefined ? defaultLimit : Number(value)
  if (Number.isSafeInteger(seconds) && seconds >= 10 && seconds <= 86_400) return seconds
  throw wrong('time_limit_seconds', `must be a whole number of seconds from 10 to 86400, found ${JSON.stringify(String(value).slice(0, 40))}`, `The usual limit of SRM is ${defaultLimit} (storage.commandTimeout)`)
}

const parse = (argv: readonly string[]) => {
  const text = { type: 'string' } as const
  try {
    return parseArgs({ args: [...argv], allowPositionals: true, options: { adapter: text, type: text, 'state-directory': text, socket: text, 'time-limit': text, 'in-process': { type: 'boolean' } } })
  } catch (error) {
    throw wrong('arguments', (error as Error).message, usage)
  }
}

/** Flags count before the file. invalidArgument names what is wrong. */
export const readSettings = (argv: readonly string[]): SraSettings => {
  const { values, positionals } = parse(argv)
  const file = values.adapter === undefined ? {} : readFile(values.adapter)
  const besides = (path: string | undefined): string | undefined => (path === undefined || values.adapter === undefined ? path : resolve(dirname(values.adapter), path))
  const arrayType = values.type ?? textOf(file.array_type, 'array_type')
  if (arrayType === undefined) throw wrong('array_type', 'it is not said which arrays this adapter is for', 'Give --type, or array_type in the file that --adapter names; smctl array types shows the types')
  if (positionals.length > 1) throw wrong('arguments', 'there is more than one request', usage)
  if (file.in_process !== undefined && typeof file.in_process !== 'boolean') throw wrong('in_process', 'must be true or false', 'Leave it out to use the daemon where one runs')
  const stateDirectory = values['state-directory'] ?? besides(textOf(file.state_directory, 'state_directory'))
  const socket = values.socket ?? besides(textOf(file.socket, 'socket'))
  const [request] = positionals
  return {
    arrayType, timeLimitSeconds: limitOf(values['time-limit'] ?? file.time_limit_seconds),
    ...(stateDirectory === undefined ? {} : { stateDirectory }), ...(socket === undefined ? {} : { socket }), ...(request === undefined ? {} : { request }),
    ...(values['in-process'] === true || file.in_process === true ? { daemon: 'never' as const } : {}),
  }
}
