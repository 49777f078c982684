import { describe, expect, it } from 'vitest'
import { commands } from '../../cli/commands.gen.ts'
import { globalOptions } from '../../cli/smctl/program.ts'
import { optionName } from '../../cli/smctl/values.ts'
import { xeCommands } from '../../cli/xe/arguments.ts'

describe.each(commands.map((command) => [command.method, command] as const))('the command line of %s', (_, command) => {
  const names = command.parameters.map(({ name }) => name)

  it('names only parameters that the call has', () => {
    expect([...command.positionals, ...(command.xe?.args ?? [])].filter((name) => !names.includes(name))).toEqual([])
  })

  it('has no option that means something else everywhere', () => {
    const taken = globalOptions.flatMap(({ flags }) => flags.match(/--[\w-]+/g) ?? [])
    expect(names.filter((name) => !command.positionals.includes(name)).map(optionName).filter((option) => taken.includes(option))).toEqual([])
  })

  it('shows examples of itself', () => {
    expect(command.examples.length).toBeGreaterThan(0)
    expect(command.examples.filter((example) => !example.startsWith(`smctl ${command.noun} ${command.verb}`))).toEqual([])
  })
})

describe('the table of commands', () => {
  it('gives each noun and verb to one call', () => {
    expect(new Set(commands.map(({ noun, verb }) => `${noun} ${verb}`)).size).toBe(commands.length)
  })

  it('has every command of the SM API', () => {
    expect(xeCommands.map(({ xe }) => xe.verb)).toEqual(expect.arrayContaining([
      'sr_create', 'sr_delete', 'sr_attach', 'sr_detach', 'sr_scan', 'sr_content_type',
      'vdi_create', 'vdi_delete', 'vdi_attach', 'vdi_detach', 'vdi_clone', 'vdi_snapshot', 'vdi_resize', 'vdi_lock', 'vdi_unlock',
    ]))
  })
})
