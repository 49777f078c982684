/** From the words of a command line to the parameters of a call. */
import { closeSync, openSync, readSync } from 'node:fs'
import type { Command, Parameter } from '../commands.ts'
import { StorageError } from '../../core/errors.ts'
import { parseSize } from '../../core/units.ts'

const wrong = (field: string, found: string, remedy: string): StorageError =>
  new StorageError('invalidArgument', `${field}: ${found}`, { field, layer: 'cli', remedy })

/** How an option is spelt: `--vdi-uuid` for vdi_uuid. */
export const optionName = (name: string): string => `--${name.replaceAll('_', '-')}`

const maxSecretBytes = 64 * 1024

/** Whole text of a file or, for `-`, of standard input, without the line break at its end. */
const readSecret = (key: string, source: string): string => {
  let fd = 0
  try {
    fd = source === '-' ? 0 : openSync(source, 'r')
    const buffer = Buffer.alloc(maxSecretBytes)
    let size = 0
    for (let count = -1; count !== 0 && size < maxSecretBytes; size += count) count = readSync(fd, buffer, size, maxSecretBytes - size, null)
    return buffer.toString('utf8', 0, size).replace(/\r?\n$/, '')
  } catch (error) {
    throw wrong(`device_config.${key}`, `${source === '-' ? 'standard input' : source} cannot be read: ${(error as Error).message}`, `Write ${key}=@<file>, or ${key}=- for standard input`)
  } finally {
    if (fd > 0) closeSync(fd)
  }
}

export interface Secrets {
  /** Whether standard input is a terminal, where one can ask. */
  readonly interactive: () => boolean
  /** Asks there without showing what is typed. */
  readonly ask: (key: string) => Promise<string>
  readonly warn: (sentence: string) => void
}

const looksSecret = /pass|secret|token/i

/** `key=value` words; `key=@file` and `key=-` keep secrets off the command line, `key=@@x` means the text `@x`. */
const readConfig = async (words: readonly string[], secrets: Secrets): Promise<Readonly<Record<string, string>>> => {
  const values = new Map<string, string>()
  const remedy = 'Write each parameter as key=value, like location=/srv/disks'
  if (words.filter((word) => word.endsWith('=-')).length > 1 && !secrets.interactive()) {
    throw wrong('device_config', 'only one value can come from standard input', 'Use key=@<file> for the others')
  }
  for (const word of words) {
    const at = word.indexOf('=')
    const key = word.slice(0, at)
    if (at < 1 || !/^[A-Za-z][\w.-]*$/.test(key)) throw wrong('device_config', `${JSON.stringify(at < 0 ? word : key)} is not of the form key=value`, remedy)
    if (values.has(key)) throw wrong(`device_config.${key}`, 'is given twice', 'Give each parameter once; several devices are separated by commas')
    const text = word.slice(at + 1)
    if (text === '-') values.set(key, secrets.interactive() ? await secrets.ask(key) : readSecret(key, '-'))
    else if (text.startsWith('@@')) values.set(key, text.slice(1))
    else if (text.startsWith('@')) values.set(key, readSecret(key, text.slice(1)))
    else {
      if (text !== '' && looksSecret.test(key)) secrets.warn(`${key} can be seen by every user of this host; write ${key}=@<file> or ${key}=-`)
      values.set(key, text)
    }
  }
  return Object.fromEntries(values)
}

const readNumber = (parameter: Parameter, text: string): number => {
  const whole = parameter.kind === 'integer'
  const value = (whole ? /^-?\d{1,16}$/ : /^-?\d{1,16}(\.\d{1,9})?$/).test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(value)) throw wrong(parameter.name, `must be a ${whole ? 'whole ' : ''}number, found ${JSON.stringify(text.slice(0, 64))}`, `${optionName(parameter.name)} takes a number`)
  return value
}

const readSize = (parameter: Parameter, text: string): number => {
  const bytes = parseSize(text)
  if (bytes === undefined) throw wrong(parameter.name, `must be a size, found ${JSON.stringify(text.slice(0, 64))}`, 'Write bytes, or a number with a unit: 10G, 512MiB, 1.5T')
  return bytes
}

const readJson = (parameter: Parameter, text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw wrong(parameter.name, `must be JSON: ${(error as Error).message}`, `For instance: ${optionName(parameter.name)} '{"sr_uuid":"..."}'`)
  }
}

const valueOf = (parameter: Parameter, given: unknown): unknown => {
  if (typeof given !== 'string') return given
  if (parameter.kind === 'size') return readSize(parameter, given)
  if (parameter.kind === 'integer' || parameter.kind === 'number') return readNumber(parameter, given)
  return parameter.kind === 'json' ? readJson(parameter, given) : given
}

/** Given: parameter name -> text, true for a flag, or texts of a list; `config`: the `key=value` words. */
export const readValues = async (command: Command, given: ReadonlyMap<string, unknown>, config: readonly string[], secrets: Secrets): Promise<Readonly<Record<string, unknown>>> => {
  const entries = command.parameters.flatMap((parameter) => {
    const value = given.get(parameter.name)
    return value === undefined ? [] : [[parameter.name, valueOf(parameter, value)] as const]
  })
  if (config.length === 0) return Object.fromEntries(entries)
  return { ...Object.fromEntries(entries), device_config: await readConfig(config, secrets) }
}
