/** `smctl doctor`: what this host lacks, for whom, and what to type. Changes nothing. */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { toStorageError } from '../../core/errors.ts'
import type { Result } from '../../core/methods/index.ts'
import { holdFile } from '../../host/lock-file.ts'
import { silentLog } from '../../host/log.ts'
import { createRun } from '../../host/run.ts'
import { openCaller, type Caller, type CallerOptions } from '../caller.ts'
import { writeOut } from '../output.ts'
import { socketPath, stateDirectory } from '../state-directory.ts'
import { render, wantsColour } from './render.ts'
import type { Block } from './views.ts'

interface Check {
  readonly what: string
  /** ok; note: worth knowing, nothing is broken by it; problem: something in use here does not work. */
  readonly state: 'ok' | 'note' | 'problem'
  readonly says: string
  readonly remedy?: string
}

const ok = (what: string, says: string): Check => ({ what, state: 'ok', says })
const note = (what: string, says: string, remedy?: string): Check => ({ what, state: 'note', says, ...(remedy === undefined ? {} : { remedy }) })
const problem = (what: string, says: string, remedy?: string): Check => ({ what, state: 'problem', says, ...(remedy === undefined ? {} : { remedy }) })

const oldestNode = [20, 19] as const

const nodeCheck = (): Check => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const fits = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])
  return fits ? ok('Node.js', process.versions.node) : problem('Node.js', `${process.versions.node} is too old`, `Install ${oldestNode.join('.')} or newer`)
}

const mayWrite = (path: string): boolean => {
  try {
    accessSync(path, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

const stateCheck = (directory: string): Check => {
  const what = 'state directory'
  const facts = statSync(directory, { throwIfNoEntry: false })
  if (facts === undefined) {
    let parent = dirname(directory)
    while (!existsSync(parent)) parent = dirname(parent)
    return mayWrite(parent)
      ? note(what, `${directory} is not there yet; it is made when it is first needed`)
      : problem(what, `${directory} is not there and ${parent} is not writable for this user`, 'Use another one: --state-directory or STORAGE_MANAGER_STATE')
  }
  if (!facts.isDirectory()) return problem(what, `${directory} is no directory`, 'Move it away, or use another one: --state-directory or STORAGE_MANAGER_STATE')
  if (!mayWrite(directory)) return problem(what, `${directory} is not writable for this user`, 'Run as the user that owns it, or use another one: --state-directory or STORAGE_MANAGER_STATE')
  if ((facts.mode & 0o077) !== 0) return problem(what, `${directory} is open to other users (mode ${(facts.mode & 0o777).toString(8)}); it may hold secrets`, `chmod 700 ${directory}`)
  return ok(what, directory)
}

/** Two open files of one process must keep each other off: that is what all locking here rests on. */
const lockCheck = (directory: string): Check => {
  const what = 'kernel locks'
  const run = join(directory, 'run')
  if (!existsSync(run)) return note(what, 'not tried: there is no state directory yet')
  try {
    const path = join(run, 'doctor.lock')
    const held = holdFile(path)
    const second = held === undefined ? undefined : holdFile(path)
    held?.release()
    if (second === undefined) return ok(what, 'work in the state directory')
    second.release()
    return problem(what, `do not keep two processes apart in ${run}`, 'Put the state directory on a local file system: --state-directory or STORAGE_MANAGER_STATE')
  } catch (error) {
    return problem(what, `do not work: ${(error as Error).message}`, 'Install the packages of this project again: npm ci')
  }
}

const daemonCheck = async (caller: Caller, options: CallerOptions, signal: AbortSignal): Promise<Check> => {
  const what = 'daemon'
  const socket = socketPath(options.socket, stateDirectory(options.stateDirectory))
  if (caller.daemon === undefined) return note(what, `none listens on ${socket}; each command does its call itself`, 'smd starts it; see docs/daemon.md')
  const status = (await caller.callByName('Host.status', {}, { signal })) as Result<'Host.status'>
  return ok(what, `version ${status.version}, process ${status.pid}, ${status.attached_srs} of ${status.srs} SRs attached`)
}

const findTool = (name: string): string | undefined =>
  (process.env['PATH'] ?? '').split(delimiter).map((directory) => join(directory, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return statSync(path).isFile()
    } catch {
      return false
    }
  })

/** Installed version by package, as Debian tells it; nothing on other systems. */
const packageVersions = async (packages: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, string>> => {
  if (packages.length === 0 || findTool('dpkg-query') === undefined) return new Map()
  const { stdout } = await createRun(silentLog)({
    argv: ['dpkg-query', '-W', '-f', '${Package}\\t${db:Status-Status}\\t${Version}\\n', ...packages],
    // 1: some of them are not known.
    accept: [0, 1], effect: 'read', timeoutMs: 20_000,
  }, signal)
  return new Map(stdout.split('\n').flatMap((line) => {
    const [name = '', status, version = ''] = line.split('\t')
    return status === 'installed' ? [[name, version] as const] : []
  }))
}

const toolChecks = async (caller: Caller, signal: AbortSignal): Promise<readonly Check[]> => {
  const { drivers } = (await caller.callByName('Driver.list', {}, { signal })) as Result<'Driver.list'>
  const { srs } = (await caller.callByName('SR.list', {}, { signal })) as Result<'SR.list'>
  const used = new Set(srs.map((sr) => sr.type))
  const versions = await packageVersions([...new Set(drivers.flatMap(({ tools }) => tools.map((tool) => tool.debian_package)))], signal)
  return drivers.flatMap((driver) => {
    const what = `SR type ${driver.type}`
    if (driver.tools.length === 0) return [ok(what, 'needs no tools')]
    return driver.tools.map((tool) => {
      const path = findTool(tool.name)
      if (path !== undefined) return ok(what, `${tool.name}: ${path}, ${tool.debian_package} ${versions.get(tool.debian_package) ?? '(version not known)'}`)
      const says = `${tool.name} is missing; needed for ${tool.needed_for}`
      return (used.has(driver.type) ? problem : note)(what, says, `apt-get install ${tool.debian_package}`)
    })
  })
}

/** A part that cannot be looked into is a problem of its own; the others are still looked at. */
const guarded = async (what: string, look: () => Promise<readonly Check[]>): Promise<readonly Check[]> => {
  try {
    return await look()
  } catch (thrown) {
    const error = toStorageError(thrown, 'cli')
    return [problem(what, error.message, error.facts.remedy)]
  }
}

const throughCaller = async (options: CallerOptions, signal: AbortSignal): Promise<readonly Check[]> => {
  const caller = await openCaller(options)
  try {
    return [
      ...(await guarded('daemon', async () => [await daemonCheck(caller, options, signal)])),
      ...(await guarded('drivers', async () => toolChecks(caller, signal))),
    ]
  } finally {
    await caller.close()
  }
}

/** Exit status 0 when nothing is wrong for the SR types in use on this host, else 1. */
export const runDoctor = async (options: CallerOptions, json: boolean, signal: AbortSignal): Promise<number> => {
  const directory = stateDirectory(options.stateDirectory)
  const checks = [nodeCheck(), stateCheck(directory), ...(await guarded('storage manager', async () => throughCaller(options, signal))), lockCheck(directory)]
  const problems = checks.filter(({ state }) => state === 'problem').length
  if (json) {
    writeOut(`${JSON.stringify({ checks, problems }, undefined, 2)}\n`)
  } else {
    const blocks: readonly Block[] = [
      { kind: 'table', head: ['STATE', 'WHAT', 'FOUND', 'REMEDY'], rows: checks.map(({ state, what, says, remedy }) => [state, what, says, remedy ?? '']), empty: '' },
      { kind: 'line', text: problems === 0 ? 'Nothing is wrong.' : `${problems} problem${problems === 1 ? '' : 's'}.` },
    ]
    writeOut(await render(blocks, wantsColour(process.env)))
  }
  return problems === 0 ? 0 : 1
}
