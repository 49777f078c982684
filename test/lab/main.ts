/** `npm run lab -- <command>`: the lab's command line. */
import { writeFileSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import { loadSuite, suiteNames } from './bundle.ts'
import type { Channel, ExecOptions } from './channel.ts'
import { exitStatus, isLabFailure, labFailure } from './failure.ts'
import { boot, defaults } from './guest.ts'
import { ensureKernel } from './kernel.ts'
import { tailOf } from './machine.ts'
import { ensurePackages } from './packages.ts'
import { passed, renderTable, type Summary } from './report.ts'
import { runSuites } from './run-suites.ts'
import { checkout, settings } from './settings.ts'
import { down, up, warmNames, withWarm } from './warm.ts'

const say = (line: string): void => console.error(`lab: ${line}`)

const units: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }
const size = (text: string): number => {
  const match = /^(\d+)([KMG]?)$/.exec(text)
  if (match === null) throw new InvalidArgumentError('a number of bytes, or one with K, M or G')
  return Number(match[1]) * (units[match[2] ?? ''] ?? 1)
}
const addSize = (text: string, before: readonly number[] | undefined): readonly number[] => [...before ?? [], size(text)]
const count = (text: string): number => {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('a whole number above zero')
  return Number(text)
}

interface MachineFlags {
  readonly disk?: readonly number[]
  readonly cpus: number
  readonly memory: number
}
const machineFlags = (command: Command): Command => command
  .option('--disk <size>', 'a scratch disk of this size; can be repeated (four of 2G when absent)', addSize)
  .option('--cpus <n>', 'vCPUs', count, defaults.cpus)
  .option('--memory <MiB>', 'memory', count, defaults.memoryMiB)
const machineOf = (flags: MachineFlags, name: string) =>
  ({ name, cpus: flags.cpus, memoryMiB: flags.memory, disks: flags.disk ?? Array.from({ length: 4 }, () => size('2G')) })

interface ExecFlags {
  readonly timeout?: number
  readonly cwd?: string
}
const execFlags = (command: Command): Command => command
  .option('--timeout <s>', 'seconds after which the command is killed (status 124)', count)
  .option('--cwd <folder>', 'where it runs', checkout)

const passThrough = (flags: ExecFlags): ExecOptions => ({
  timeoutMs: flags.timeout === undefined ? Infinity : flags.timeout * 1000,
  cwd: flags.cwd ?? checkout,
  discard: true,
  onOutput: (stream, chunk) => process[stream].write(chunk),
  ...(process.stdin.isTTY ? {} : { stdin: process.stdin }),
})

type Argv = readonly [string, ...string[]]
const argvOf = (words: readonly string[]): Argv => {
  const [tool = 'true', ...args] = words
  return [tool, ...args]
}

/** A terminal in the guest: script(1) makes the pseudo terminal there, ours is raw meanwhile. */
const shell = async (channel: Channel): Promise<number> => {
  if (!process.stdin.isTTY || !process.stdout.isTTY) throw labFailure('A shell needs a terminal. For one command: npm run lab -- exec -- <command>')
  const { columns, rows } = process.stdout
  process.stdin.setRawMode(true)
  try {
    const { code } = await channel.exec(['script', '-qefc', `stty rows ${rows} cols ${columns}; exec bash -i`, '/dev/null'], {
      ...passThrough({}), stdin: process.stdin, env: { TERM: process.env['TERM'] ?? 'linux', PS1: '\\h:\\w# ' },
    })
    return code
  } finally {
    process.stdin.setRawMode(false)
  }
}

const prepare = async (fresh: boolean): Promise<void> => {
  await ensurePackages(say)
  await ensureKernel(say, fresh)
}

const test = async (names: readonly string[], flags: { readonly jobs: number; readonly filter?: string; readonly jsonSummary?: string }): Promise<number> => {
  const report = (summary: Summary): number => {
    if (flags.jsonSummary !== undefined) writeFileSync(flags.jsonSummary, `${JSON.stringify(summary, undefined, 2)}\n`)
    return summary.ok ? 0 : summary.skipped === undefined ? 1 : exitStatus.labFailed
  }
  try {
    await prepare(false)
  } catch (error) {
    const skipped = error instanceof Error ? error.message : String(error)
    say(`the lab suites could not run: ${skipped}`)
    return report({ ok: process.env['CI'] !== 'true', suites: [], skipped })
  }
  const found = await Promise.all((names.length === 0 ? suiteNames() : names).map(loadSuite))
  const suites = found.filter(({ onlyByName }) => names.length > 0 || onlyByName === undefined)
  for (const { name, onlyByName } of found) if (names.length === 0 && onlyByName !== undefined) say(`not run: ${name}, since ${onlyByName}; npm run lab -- test ${name}`)
  const started = performance.now()
  const results = await runSuites(suites, { jobs: flags.jobs, whole: names.length > 0 && process.env['LAB_SEED'] === undefined, say: console.log, ...(flags.filter === undefined ? {} : { filter: flags.filter }) })
  console.log(`${renderTable(results)}\n${((performance.now() - started) / 1000).toFixed(0)} s in all`)
  return report({ ok: results.every(passed), suites: results })
}

const program = new Command('lab').description('A Debian machine in QEMU, over the root of this one, to try storage on').enablePositionalOptions()
let status = 0
const action = <Args extends readonly unknown[]>(run: (...args: Args) => Promise<number | void>) => async (...args: Args): Promise<void> => {
  status = await run(...args) ?? 0
}
const name = ['--name <name>', 'which warm guest', 'warm'] as const

program.command('prepare').description('install packages (as root), fetch the kernel').option('--update', 'fetch the newest kernel')
  .action(action(async (flags: { readonly update?: boolean }) => prepare(flags.update === true)))
execFlags(machineFlags(program.command('run').description('boot, run one command, stop').argument('[command...]').passThroughOptions()))
  .action(action(async (words: readonly string[], flags: MachineFlags & ExecFlags) => {
    await prepare(false)
    const guest = await boot({ ...machineOf(flags, 'lab-a'), say })
    try {
      return (await guest.exec(argvOf(words), passThrough(flags))).code
    } finally {
      await guest.stop()
    }
  }))
machineFlags(program.command('up').description('start a guest that stays').option(...name))
  .action(action(async (flags: MachineFlags & { readonly name: string }) => {
    await prepare(false)
    const files = await up(machineOf(flags, flags.name), say)
    say(`${flags.name} is up; ${files.share} is its /lab`)
  }))
execFlags(program.command('exec').description('run a command in a warm guest').option(...name).argument('[command...]').passThroughOptions())
  .action(action((words: readonly string[], flags: ExecFlags & { readonly name: string }) =>
    withWarm(flags.name, async (channel) => (await channel.exec(argvOf(words), passThrough(flags))).code)))
program.command('shell').description('a shell in the warm guest, which is started when there is none').option(...name)
  .action(action(async (flags: { readonly name: string }) => {
    if (!warmNames().includes(flags.name)) {
      await prepare(false)
      await up(machineOf(defaultFlags, flags.name), say)
    }
    return withWarm(flags.name, shell)
  }))
program.command('down').description('stop a warm guest').option(...name).option('--all', 'every one of this checkout')
  .action(action(async (flags: { readonly name: string; readonly all?: boolean }) => {
    for (const one of flags.all === true ? warmNames() : [flags.name]) await down(one)
  }))
program.command('logs').description('console and kernel log of a warm guest').option(...name)
  .action(action((flags: { readonly name: string }) => withWarm(flags.name, async (channel, files) => {
    console.log(tailOf(files.console, 200))
    return (await channel.exec(['dmesg'], passThrough({}))).code
  })))
program.command('list').description('the suites').action(action(async () => {
  for (const one of suiteNames()) console.log(one)
}))
program.command('test').description('run lab suites; when none is named, all but those that want to be named').argument('[suite...]')
  .option('--jobs <n>', 'guests at a time, within the cores; as many as there are cores when absent', count, settings.cores).option('--filter <text>', 'only cases whose name holds it')
  .option('--json-summary <file>', 'write the results there, too')
  .action(action(test))

const defaultFlags: MachineFlags = { cpus: defaults.cpus, memory: defaults.memoryMiB }

try {
  await program.parseAsync()
} catch (error) {
  if (!isLabFailure(error)) throw error
  say(error.message)
  if (error.cause instanceof Error) say(error.cause.message)
  status = exitStatus.labFailed
}
// Standard input may still be open.
process.exit(status)
