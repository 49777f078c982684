/** The command line of smctl, made from the table of calls: nouns, verbs, arguments, options, help. */
import { Command as Program, Option } from 'commander'
import { commands } from '../commands.gen.ts'
import type { Command, Parameter } from '../commands.ts'
import { optionName } from './values.ts'

export interface GlobalOptions {
  readonly json?: true
  readonly quiet?: true
  readonly verbose?: true
  readonly inProcess?: true
  readonly socket?: string
  readonly stateDirectory?: string
  readonly timeout?: string
}

/** What was asked for, with everything still as text. */
export interface Asked {
  readonly command: Command
  readonly given: ReadonlyMap<string, unknown>
  readonly config: readonly string[]
  readonly options: GlobalOptions
}

/** Commands that are no calls; their code is loaded when they run. */
export interface Extra {
  readonly name: string
  /** Beside the calls about it. */
  readonly noun?: string
  readonly argument?: string
  readonly says: string
  readonly run: (words: readonly string[], options: GlobalOptions) => Promise<void>
}

const nounSays: Readonly<Record<string, string>> = {
  sr: 'Storage repositories',
  vdi: 'Virtual disks',
  array: 'Storage arrays: volumes, access groups, snapshots, clones',
  replication: 'Replicated units of arrays, and disaster recovery',
  task: 'Calls that run in the background',
  driver: 'SR types and what they can do',
  host: 'This host and the storage manager on it',
  sra: 'Documents of the Storage Replication Adapter interface',
}

export const nouns: readonly string[] = [...new Set(commands.map(({ noun }) => noun))]

/** Options of every command. */
export const globalOptions: readonly { readonly flags: string; readonly says: string }[] = [
  { flags: '--json', says: 'print the answer, or the error, as JSON' },
  { flags: '-q, --quiet', says: 'print only uuids and paths' },
  { flags: '-v, --verbose', says: 'say how the call was made, and all facts of an error' },
  { flags: '--timeout <seconds>', says: 'cancel the call after so long' },
  { flags: '--in-process', says: 'do not ask the daemon' },
  { flags: '--socket <path>', says: 'socket of the daemon (else STORAGE_MANAGER_SOCKET)' },
  { flags: '--state-directory <path>', says: 'where this host keeps its state (else STORAGE_MANAGER_STATE)' },
]

const placeholder: Readonly<Record<Parameter['kind'], string>> = {
  text: '<text>', size: '<size>', integer: '<number>', number: '<number>', flag: '', choice: '<word>', list: '<text>', config: '<key=value>', json: '<json>',
}

/** Of an option that may be repeated: all its texts. */
const collect = (text: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), text]

const optionOf = (parameter: Parameter): Option => {
  const value = placeholder[parameter.kind]
  const option = new Option(`${optionName(parameter.name)}${value === '' ? '' : ` ${value}`}`, `${parameter.says}${parameter.fallback === undefined ? '' : ` (default: ${parameter.fallback})`}`)
  if (parameter.choices !== undefined) option.choices([...parameter.choices])
  if (parameter.kind === 'list') option.argParser(collect)
  return parameter.required ? option.makeOptionMandatory() : option
}

const camel = (name: string): string => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())

const help = (command: Command): string => `
${command.repeat === 'no-op' ? 'Repeating it changes nothing.' : 'Repeating it fails.'}${command.errors.length === 0 ? '' : `
May answer, besides what every call may: ${command.errors.join(', ')}`}

Examples:
${command.examples.map((example) => `  ${example}`).join('\n')}`

const addCall = (noun: Program, command: Command, onAsked: (asked: Asked) => Promise<void>): void => {
  const takesConfig = command.parameters.some(({ kind }) => kind === 'config')
  const program = noun.command(command.verb).description(command.says)
  const find = (name: string): Parameter | undefined => command.parameters.find((parameter) => parameter.name === name)
  for (const name of command.positionals) {
    const shown = name.replaceAll('_', '-')
    program.argument(find(name)?.required === false ? `[${shown}]` : `<${shown}>`, find(name)?.says)
  }
  if (takesConfig) {
    program.argument('[key=value...]', 'dconf: how this host reaches the SR; key=@file and key=- keep secrets off the command line')
    program.addOption(new Option('--config <key=value>', 'the same, as an option').argParser(collect))
  }
  const options = command.parameters.filter(({ name, kind }) => kind !== 'config' && !command.positionals.includes(name))
  for (const parameter of options) program.addOption(optionOf(parameter))
  program.addHelpText('after', help(command))
  program.action(async () => {
    const words = program.processedArgs as readonly unknown[]
    const values = program.opts<Readonly<Record<string, unknown>>>()
    await onAsked({
      command,
      given: new Map([
        ...command.positionals.map((name, index) => [name, words[index]] as const),
        ...options.map(({ name }) => [name, values[camel(name)]] as const),
      ]),
      config: takesConfig ? [...(words[command.positionals.length] as readonly string[] | undefined ?? []), ...(values['config'] as readonly string[] | undefined ?? [])] : [],
      options: program.optsWithGlobals<GlobalOptions>(),
    })
  })
}

/** The nouns that may be asked for, so that one call does not build the commands of all others. */
const wanted = (words: readonly string[]): readonly string[] => {
  const found = nouns.filter((noun) => words.includes(noun))
  return found.length === 0 ? nouns : found
}

export const createProgram = (words: readonly string[], extras: readonly Extra[], onAsked: (asked: Asked) => Promise<void>): Program => {
  const program = new Program('smctl')
    .description('Manages storage repositories and virtual disks.')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .showHelpAfterError(false)
    .addHelpText('after', `
Examples:
  smctl sr probe file location=/srv/disks
  smctl sr create file location=/srv/disks --name "First disks"
  smctl vdi create <sr-uuid> 10G --name "root disk"
  smctl help vdi create

Exit status: 0, or the errno of the error: EPERM 1, EIO 5, EBUSY 16, EEXIST 17, ENODEV 19, EINVAL 22, ENOSPC 28, ENOLCK 37, ENOSYS 38.`)
  for (const { flags, says } of globalOptions) program.addOption(new Option(flags, says))
  const needed = wanted(words)
  for (const name of nouns) {
    const noun = program.command(name).description(nounSays[name] ?? `Calls about ${name}`).helpCommand(false)
    if (!needed.includes(name)) continue
    for (const command of commands.filter((candidate) => candidate.noun === name)) addCall(noun, command, onAsked)
  }
  for (const { name, noun, argument, says, run } of extras) {
    const about = noun === undefined ? program : program.commands.find((command) => command.name() === noun) ?? program.command(noun).description(nounSays[noun] ?? '').helpCommand(false)
    const extra = about.command(name).description(says)
    if (argument !== undefined) extra.arguments(argument)
    extra.action(async () => run(extra.args, extra.optsWithGlobals<GlobalOptions>()))
  }
  return program
}
