/** What may stand next on a command line of smctl: from the table of calls, and for uuids and types from the storage manager. */
import type { Result } from '../../core/methods/index.ts'
import { openCaller } from '../caller.ts'
import { commands } from '../commands.gen.ts'
import type { Command } from '../commands.ts'
import { oneLine } from '../output.ts'
import { globalOptions, nouns } from './program.ts'
import { optionName } from './values.ts'

interface Candidate {
  readonly word: string
  readonly says?: string
}

/** Nobody waits longer for a completion. */
const patienceMs = 2000

const plainCommands: readonly Candidate[] = [
  { word: 'doctor', says: 'checks this host' }, { word: 'watch', says: 'shows changes as they happen' },
  { word: 'completion', says: 'prints a completion script' }, { word: 'help', says: 'explains a command' },
  { word: 'sra', says: 'documents of the Storage Replication Adapter interface' },
]

const valuedGlobals = new Set(globalOptions.filter(({ flags }) => flags.includes('<')).map(({ flags }) => flags.split(' ')[0] ?? ''))

/** The words that are no options, and the option whose value comes next. */
const readWords = (words: readonly string[], command: Command | undefined): { readonly plain: readonly string[]; readonly open: string | undefined } => {
  const takesValue = (word: string): boolean =>
    valuedGlobals.has(word) || word === '--config' || command?.parameters.some(({ name, kind }) => kind !== 'flag' && optionName(name) === word) === true
  const plain: string[] = []
  let open: string | undefined
  for (const word of words) {
    if (open !== undefined) open = undefined
    else if (takesValue(word)) open = word
    else if (!word.startsWith('-')) plain.push(word)
  }
  return { plain, open }
}

const ask = async <T>(method: string, params: object): Promise<T> => {
  const caller = await openCaller()
  try {
    return (await caller.callByName(method, params, { signal: AbortSignal.timeout(patienceMs) })) as T
  } finally {
    await caller.close()
  }
}

const srs = async (): Promise<readonly Candidate[]> =>
  (await ask<Result<'SR.list'>>('SR.list', {})).srs.map((sr) => ({ word: sr.uuid, says: `${sr.type}${sr.attached ? ', attached' : ''}` }))

const vdis = async (sr: string | undefined): Promise<readonly Candidate[]> =>
  sr === undefined ? [] : (await ask<Result<'SR.scan'>>('SR.scan', { sr_uuid: sr })).vdis.map((vdi) => ({ word: vdi.uuid, says: `${vdi.name === '' ? vdi.kind : vdi.name}` }))

const drivers = async (): Promise<Result<'Driver.list'>['drivers']> => (await ask<Result<'Driver.list'>>('Driver.list', {})).drivers

const dconfKeys = async (type: string | undefined): Promise<readonly Candidate[]> => {
  const driver = (await drivers()).find((candidate) => candidate.type === type)
  const { properties = {} } = (driver?.dconf ?? {}) as { readonly properties?: Readonly<Record<string, { readonly description?: string }>> }
  return Object.entries(properties).map(([key, { description = '' }]) => ({ word: `${key}=`, says: description }))
}

/** Values of one parameter, given the words before it. */
const valuesOf = async (command: Command, name: string, plain: readonly string[]): Promise<readonly Candidate[]> => {
  const given = (wanted: string): string | undefined => {
    const at = command.positionals.indexOf(wanted)
    return at < 0 ? undefined : plain[2 + at]
  }
  if (name === 'sr_uuid' || name === 'original_uuid') return srs()
  if (name === 'vdi_uuid' || name.endsWith('_vdi_uuid') || name === 'snapshot_uuid') return vdis(given('sr_uuid'))
  if (name === 'type') return (await drivers()).map((driver) => ({ word: driver.type, says: driver.title }))
  if (name === 'task') return (await ask<Result<'Task.list'>>('Task.list', {})).tasks.map((task) => ({ word: task.task, says: `${task.method} ${task.state}` }))
  if (name === 'method') return commands.map(({ method, says }) => ({ word: method, says }))
  if (name === 'device_config') return dconfKeys(given('type'))
  return (command.parameters.find((parameter) => parameter.name === name)?.choices ?? []).map((word) => ({ word }))
}

const optionsOf = (command: Command | undefined): readonly Candidate[] => [
  ...(command?.parameters ?? []).filter(({ name, kind }) => kind !== 'config' && !command?.positionals.includes(name)).map(({ name, says }) => ({ word: optionName(name), says })),
  ...globalOptions.map(({ flags, says }) => ({ word: /--[\w-]+/.exec(flags)?.[0] ?? flags, says })),
  { word: '--help', says: 'explains the command' },
]

const candidates = async (before: readonly string[], current: string): Promise<readonly Candidate[]> => {
  // Bash makes a word of its own of every `=`: behind one stands a value, where only file names can be offered.
  if (before.at(-1) === '=' || current === '=' || current.includes('=')) return []
  const [first, second] = readWords(before, undefined).plain
  const command = commands.find(({ noun, verb }) => noun === first && verb === second)
  const { plain, open } = readWords(before, command)
  if (open !== undefined) {
    const parameter = open === '--config' ? 'device_config' : command?.parameters.find(({ name }) => optionName(name) === open)?.name
    return command === undefined || parameter === undefined ? [] : valuesOf(command, parameter, plain)
  }
  if (current.startsWith('-')) return optionsOf(command)
  if (first === undefined) return [...nouns.map((word) => ({ word })), ...plainCommands]
  if (first === 'completion') return ['bash', 'zsh', 'fish'].map((word) => ({ word }))
  if (command === undefined) {
    if (plain.length !== 1) return []
    if (first === 'sra') return [{ word: 'validate', says: 'explains what is wrong with a request or response' }]
    const verbs = commands.filter(({ noun }) => noun === first).map(({ verb, says }) => ({ word: verb, says }))
    return first === 'driver' ? [...verbs, { word: 'new', says: 'makes a folder with a driver of your own' }] : verbs
  }
  const name = command.positionals[plain.length - 2] ?? (command.parameters.some(({ kind }) => kind === 'config') ? 'device_config' : undefined)
  return name === undefined ? [] : valuesOf(command, name, plain)
}

/** One candidate a line, `word<TAB>what it is`. A completion never fails: without an answer there is nothing to offer. */
export const complete = async (words: readonly string[]): Promise<string> => {
  const current = words.at(-1) ?? ''
  try {
    return (await candidates(words.slice(0, -1), current))
      .filter(({ word }) => word.startsWith(current))
      .map(({ word, says }) => `${word}\t${oneLine(says ?? '')}\n`)
      .join('')
  } catch {
    return ''
  }
}
