/** smctl: every call of the table from a command line. Parsing is program.ts, answers are views.ts; this is the way between. */
import { isatty } from 'node:tty'
import { CommanderError } from 'commander'
import { errnoNumbers, reportError, StorageError, toStorageError } from '../../core/errors.ts'
import { commands } from '../commands.gen.ts'
import { openCaller, type Caller, type CallerOptions } from '../caller.ts'
import { catchSignals, type Interrupt } from '../interrupt.ts'
import { exitStatus, failureText, oneLine, writeErr, writeOut } from '../output.ts'
import { createProgram, type Asked, type Extra, type GlobalOptions } from './program.ts'
import { readValues, type Secrets } from './values.ts'

const callerOptions = (options: GlobalOptions): CallerOptions => ({
  ...(options.socket === undefined ? {} : { socket: options.socket }),
  ...(options.stateDirectory === undefined ? {} : { stateDirectory: options.stateDirectory }),
  ...(options.inProcess === true ? { daemon: 'never' } : {}),
  ...(options.verbose === true ? { logLevel: 'debug' } : {}),
})

// isatty instead of process.stdin and its kin: making those streams costs more than the call.
const secrets: Secrets = {
  interactive: () => isatty(0),
  ask: async (key) => (await import('./prompt.ts')).askSecret(key),
  warn: (sentence) => writeErr(`smctl: warning: ${sentence}\n`),
}

const startTimer = (text: string | undefined, interrupt: Interrupt): NodeJS.Timeout | undefined => {
  if (text === undefined) return undefined
  const seconds = /^\d{1,7}(\.\d{1,3})?$/.test(text) ? Number(text) : 0
  if (seconds <= 0) throw new StorageError('invalidArgument', `timeout: must be a number of seconds, found ${JSON.stringify(text.slice(0, 64))}`, { field: 'timeout', layer: 'cli', remedy: 'For instance --timeout 30' })
  return setTimeout(() => interrupt.cancel(new StorageError('cancelled', `Not done within ${seconds} s`, { layer: 'cli', remedy: 'Look at the state before you repeat it; give it more time with --timeout' })), seconds * 1000)
}

const answer = async (method: string, result: unknown, options: GlobalOptions): Promise<string> => {
  if (options.json === true) return `${JSON.stringify(result, undefined, 2)}\n`
  const { blocksOf, identitiesOf } = await import('./views.ts')
  if (options.quiet === true) return identitiesOf(result).map((text) => `${text}\n`).join('')
  const { render, wantsColour } = await import('./render.ts')
  return render(blocksOf(method, result), wantsColour(process.env))
}

const run = async ({ command, given, config, options }: Asked, interrupt: Interrupt): Promise<void> => {
  const params = await readValues(command, given, config, secrets)
  const timer = startTimer(options.timeout, interrupt)
  const bar = command.long && isatty(2) ? (await import('./progress.ts')).createProgressBar(writeErr) : undefined
  let caller: Caller | undefined
  try {
    caller = await openCaller(callerOptions(options))
    if (options.verbose === true) writeErr(`smctl: ${command.method} ${caller.via}\n`)
    const result = await caller.callByName(command.method, params, { signal: interrupt.signal, ...(bar === undefined ? {} : { onProgress: bar.update }) })
    bar?.clear()
    writeOut(await answer(command.method, result, options))
  } finally {
    bar?.clear()
    clearTimeout(timer)
    await caller?.close()
  }
}

const extrasFor = (interrupt: Interrupt, exit: (status: number) => void): readonly Extra[] => [
  {
    name: 'doctor', says: 'checks this host: Node.js, state directory, daemon, kernel locks, tools of the drivers',
    run: async (_, options) => {
      const { runDoctor } = await import('./doctor.ts')
      exit(await runDoctor(callerOptions(options), options.json === true, interrupt.signal))
    },
  },
  {
    name: 'watch', says: 'shows changes and tasks as they happen, until Ctrl-C',
    run: async (_, options) => (await import('./watch.ts')).watch(callerOptions(options), options.json === true, interrupt.signal),
  },
  {
    name: 'completion', argument: '<shell>', says: 'prints the completion script for bash, zsh or fish',
    run: async ([shell = '']) => writeOut((await import('./completion.ts')).completionScript(shell)),
  },
  {
    name: 'validate', noun: 'sra', argument: '<file>', says: 'explains what is wrong with a request or response document; - is standard input',
    run: async ([file = '-'], options) => {
      const { validateFile } = await import('./sra-validate.ts')
      if (!await validateFile(file, options.json === true, interrupt.signal)) exit(errnoNumbers.EINVAL)
    },
  },
  {
    name: 'new', noun: 'driver', argument: '<type> [folder]', says: 'makes a folder with a driver of your own, complete and tested, to be changed',
    run: async ([type = '', folder = type]) => writeOut((await import('./new-driver.ts')).newDriver(type, folder)),
  },
]

const usageError = (error: CommanderError, words: readonly string[]): StorageError => {
  const [message = '', guess] = error.message.replace(/^error: /, '').split('\n')
  const command = commands.find(({ noun, verb }) => words.some((word, at) => word === noun && words[at + 1] === verb))
  return new StorageError('invalidArgument', message, { layer: 'cli', remedy: guess?.replace(/[()]/g, '') ?? (command === undefined ? 'smctl help shows the commands' : `smctl help ${command.noun} ${command.verb}`) })
}

const tell = (error: StorageError, words: readonly string[]): void => {
  const report = reportError(error)
  if (words.includes('--json')) {
    writeErr(`${JSON.stringify(report, undefined, 2)}\n`)
    return
  }
  writeErr(failureText('smctl', error))
  if (words.includes('--verbose') || words.includes('-v')) {
    for (const [key, value] of Object.entries({ retry: report.retry, ...report.details })) writeErr(`  ${key}: ${oneLine(String(value))}\n`)
  }
}

export const main = async (words: readonly string[]): Promise<number> => {
  // What stands on an unfinished command line is not for the parser of finished ones.
  if (words[0] === '__complete') {
    writeOut(await (await import('./complete.ts')).complete(words.slice(1)))
    return 0
  }
  const { version } = await import('../version.ts')
  const interrupt = catchSignals()
  let status = 0
  const exit = (wanted: number): void => {
    status = wanted
  }
  const program = createProgram(words, extrasFor(interrupt, exit), async (asked) => run(asked, interrupt))
  // Errors are told in one place, below; help that answers a half command comes out on standard error by itself.
  const output = { writeOut, writeErr, outputError: () => undefined }
  program.version(version, '-V, --version').helpCommand('help [command...]', 'explains a command')
  for (const command of [program, ...program.commands, ...program.commands.flatMap((noun) => noun.commands)]) command.exitOverride().configureOutput(output)
  try {
    await program.parseAsync(words[0] === 'help' ? [...words.slice(1), '--help'] : [...words], { from: 'user' })
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.code === 'commander.help') {
      status = exitStatus(new StorageError('invalidArgument', 'no command'))
    } else if (!(thrown instanceof CommanderError) || thrown.exitCode !== 0) {
      const error = thrown instanceof CommanderError ? usageError(thrown, words) : interrupt.explain(toStorageError(thrown, 'cli'))
      tell(error, words)
      status = exitStatus(error)
    }
  }
  interrupt.settle()
  return status
}
