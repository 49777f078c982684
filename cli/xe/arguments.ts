/** The verbs of the driver executables and their arguments, from the table of calls. */
import { commands } from '../commands.gen.ts'
import type { Command, Parameter } from '../commands.ts'
import type { DeviceConfig } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'

export type XeCommand = Command & { readonly xe: NonNullable<Command['xe']> }

export const xeCommands: readonly XeCommand[] = commands.filter((command): command is XeCommand => command.xe !== undefined)

/** An argument as the SM API names it: `<sr-uuid>`, `<vdi-uuid>`, `<size>`. */
export const argumentName = (name: string): string => `<${name.replaceAll('_', '-')}>`

export const usageOf = ({ xe }: XeCommand): string => [xe.verb, ...xe.args.map(argumentName)].join(' ')

export const findXeCommand = (verb: string): XeCommand => {
  const found = xeCommands.find(({ xe }) => xe.verb === verb)
  if (found !== undefined) return found
  throw new StorageError('notSupported', `There is no command ${JSON.stringify(verb.slice(0, 64))}`, {
    field: 'command', layer: 'cli', remedy: `The commands are: ${[...xeCommands.map(({ xe }) => xe.verb), 'driver_info'].join(', ')}`,
  })
}

const flags: Readonly<Record<string, boolean>> = { true: true, false: false, 1: true, 0: false }

const valueOf = (parameter: Parameter, text: string): unknown => {
  const wrong = (wanted: string, remedy: string): never => {
    throw new StorageError('invalidArgument', `${parameter.name}: must be ${wanted}, found ${JSON.stringify(text.slice(0, 64))}`, { field: parameter.name, layer: 'cli', remedy })
  }
  if (parameter.kind === 'flag') return flags[text.toLowerCase()] ?? wrong('TRUE or FALSE', 'Write TRUE or FALSE')
  if (parameter.kind !== 'size' && parameter.kind !== 'integer') return text
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(number) ? number : wrong('a whole number of bytes in decimal digits', 'Write for instance 10737418240 for 10 GiB')
}

/**
 * Named parameters of a call out of the arguments in their order. Calls that have `type` and `device_config` among their
 * parameters get them from the dconf; the others get the place beside them.
 */
export const readArguments = (command: XeCommand, given: readonly string[], type: string, deviceConfig: DeviceConfig): Readonly<Record<string, unknown>> => {
  const { args } = command.xe
  if (given.length !== args.length) {
    const missing = args[given.length]
    throw new StorageError('invalidArgument', missing === undefined
      ? `${command.xe.verb} takes ${args.length} argument${args.length === 1 ? '' : 's'}, found ${given.length}`
      : `${command.xe.verb}: the argument ${argumentName(missing)} is missing`, {
      field: missing ?? 'arguments', layer: 'cli', remedy: `Usage: <dconf> ${usageOf(command)}`,
    })
  }
  const has = (name: string): boolean => command.parameters.some((parameter) => parameter.name === name)
  const values = args.map((name, index): readonly [string, unknown] => {
    const parameter = command.parameters.find((candidate) => candidate.name === name)
    if (parameter === undefined) throw new Error(`${command.method} has no parameter ${name}`)
    return [name, valueOf(parameter, given[index] ?? '')]
  })
  return {
    ...Object.fromEntries(values),
    ...(has('type') ? { type } : {}),
    ...(has('device_config') ? { device_config: deviceConfig } : {}),
  }
}
