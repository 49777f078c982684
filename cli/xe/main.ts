/**
 * The driver executables (FileSR, LVMSR ...): one call of the SM API a process. `'<dconf>' <command> <argument>...` in, XML on
 * standard output, the errno number as exit status. Launchers in bin/ say which SR type they stand for.
 */
import { readSync } from 'node:fs'
import { basename } from 'node:path'
import { StorageError, toStorageError } from '../../core/errors.ts'
import type { Result } from '../../core/methods/index.ts'
import { openCaller, type Caller } from '../caller.ts'
import { catchSignals } from '../interrupt.ts'
import { exitStatus, failureText, oneLine, writeErr, writeOut } from '../output.ts'
import { findXeCommand, readArguments, type XeCommand } from './arguments.ts'
import { answerXml, driverInfoXml } from './answers.ts'
import { readDconf } from './dconf.ts'

/** One byte more than a dconf may have, so that a longer one is seen. */
const readLimit = 64 * 1024 + 1

const readStandardInput = (): string => {
  const buffer = Buffer.alloc(readLimit)
  let size = 0
  while (size < readLimit) {
    const count = readSync(0, buffer, size, readLimit - size, null)
    if (count === 0) break
    size += count
  }
  return buffer.toString('utf8', 0, size)
}

/** Unique on this host, and made without loading the crypto modules. */
const shortCallId = (): string => `${process.pid}-${Date.now().toString(36)}`

type Work = (caller: Caller, signal: AbortSignal) => Promise<string>

const describeDriver = (type: string, render: (driver: Result<'Driver.list'>['drivers'][number]) => string | Promise<string>): Work => async (caller, signal) => {
  const { drivers } = (await caller.callByName('Driver.list', {}, { signal })) as Result<'Driver.list'>
  const driver = drivers.find((candidate) => candidate.type === type)
  if (driver === undefined) {
    throw new StorageError('invalidArgument', `There is no SR type ${JSON.stringify(type)}`, { layer: 'cli', remedy: `The known types are: ${drivers.map((known) => known.type).join(', ')}` })
  }
  return render(driver)
}

/** Damaged VDIs are listed like the others in the XML; that they cannot be used is said beside it. */
const warnAbout = (who: string, { vdis }: Result<'SR.scan'>): void => {
  for (const { uuid, problem } of vdis) {
    if (problem !== undefined) writeErr(`${who}: warning: VDI ${uuid} cannot be used: ${oneLine(problem.message)}\n`)
  }
}

const callOf = (who: string, type: string, command: XeCommand, dconf: string, rest: readonly string[]): Work => async (caller, signal) => {
  const deviceConfig = await readDconf(dconf === '-' ? readStandardInput() : dconf)
  const params = readArguments(command, rest, type, deviceConfig)
  const result = await caller.callByName(command.method, params, { signal, callId: shortCallId(), place: { type, deviceConfig } })
  if (command.method === 'SR.scan') warnAbout(who, result as Result<'SR.scan'>)
  return answerXml(command.method, result)
}

const workOf = async (who: string, type: string, [dconf, verb, ...rest]: readonly string[]): Promise<Work | string> => {
  if (dconf === '--version') return `${(await import('../version.ts')).version}\n`
  if (dconf === '--help' || dconf === '-h') return describeDriver(type, async (driver) => (await import('./help.ts')).helpText(who, driver))
  if (dconf === 'driver_info' || verb === 'driver_info') return describeDriver(type, driverInfoXml)
  if (dconf === undefined || verb === undefined) {
    throw new StorageError('invalidArgument', `The ${dconf === undefined ? 'dconf' : 'command'} is missing`, { field: dconf === undefined ? 'dconf' : 'command', layer: 'cli', remedy: `Usage: ${who} '<dconf>' <command> <argument>...; ${who} --help lists them` })
  }
  return callOf(who, type, findXeCommand(verb), dconf, rest)
}

export const main = async ([type = '', ...args]: readonly string[]): Promise<number> => {
  const who = basename(process.argv[1] ?? `${type}SR`)
  const interrupt = catchSignals()
  let caller: Caller | undefined
  let status = 0
  try {
    const work = await workOf(who, type, args)
    if (typeof work === 'string') {
      writeOut(work)
    } else {
      caller = await openCaller()
      writeOut(await work(caller, interrupt.signal))
    }
  } catch (thrown) {
    const error = interrupt.explain(toStorageError(thrown, 'cli'))
    writeErr(failureText(args[1] === undefined ? who : `${who}: ${oneLine(args[1]).slice(0, 64)}`, error))
    status = exitStatus(error)
  } finally {
    await caller?.close()
  }
  interrupt.settle()
  return status
}
