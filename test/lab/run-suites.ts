/** Runs lab suites from the host: one guest a suite, or one for several that get along; results as they come. */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bundleSuite } from './bundle.ts'
import { boot, bootPair, defaults, type Guest } from './guest.ts'
import { createLabHost } from './host-cases.ts'
import { lineSplitter, parseFrame } from './protocol.ts'
import { passed, renderCase, type SuiteResult } from './report.ts'
import { settings } from './settings.ts'
import { isWanted, type CaseResult, type LabSuite } from './suite.ts'

export interface RunOptions {
  /** Guests at a time, at most; the sum of their vCPUs stays within the machine's cores. */
  readonly jobs: number
  /** Only cases whose name holds this, or one of several texts with bars between them. */
  readonly filter?: string
  /** Conformance suites leave nothing to lot. */
  readonly whole?: boolean
  readonly say: (line: string) => void
}

/** A whole suite may take this long inside its guest (ms). */
const suiteCeilingMs = 3_600_000

/** vCPUs of all guests of a suite. */
const needs = ({ guests = 1, cpus = 1 }: LabSuite): number => Math.min(settings.cores, guests * cpus)

/** What fills the machine comes first, then the longest: so the last minutes are not one suite's alone. */
export const inOrder = (waiting: readonly (readonly [LabSuite, ...LabSuite[]])[]): readonly (readonly [LabSuite, ...LabSuite[]])[] => {
  const seconds = (batch: readonly LabSuite[]): number => batch.reduce((sum, suite) => sum + (suite.seconds ?? 0), 0)
  return waiting.toSorted((a, b) => needs(b[0]) - needs(a[0]) || seconds(b) - seconds(a))
}

const shareable = (suite: LabSuite): boolean => suite.shared === true && (suite.guests ?? 1) === 1 && suite.host === undefined

/** Suites that get along go into one guest, in the order given, with disks as large as the largest of them wants. */
export const batches = (suites: readonly LabSuite[]): readonly (readonly [LabSuite, ...LabSuite[]])[] => {
  const [first, ...rest] = suites.filter(shareable)
  const alone = suites.filter((suite) => !shareable(suite)).map((suite) => [suite] as const)
  return first === undefined ? alone : [[first, ...rest], ...alone]
}

export const disksOf = (batch: readonly LabSuite[]): readonly number[] =>
  Array.from({ length: Math.max(...batch.map(({ disks = [] }) => disks.length)) }, (_, index) => Math.max(...batch.map(({ disks = [] }) => disks[index] ?? 0)))

const saveLogs = async (suite: LabSuite, guests: readonly Guest[], results: readonly CaseResult[]): Promise<string> => {
  const folder = join(settings.failures, suite.name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'results.json'), JSON.stringify(results, undefined, 2))
  for (const guest of guests) {
    const to = join(folder, guest.name)
    mkdirSync(to)
    for (const file of [guest.files.console, guest.files.qemuLog]) cpSync(file, join(to, file.slice(guest.files.folder.length)), { force: true })
    cpSync(guest.share, join(to, 'share'), { recursive: true, filter: (path) => !path.endsWith('/node_modules') && !path.endsWith('.mjs') })
    // A guest that is off or hangs has no more to tell.
    const facts = await guest.exec(['sh', '-c', 'dmesg; for f in /proc/mounts /proc/partitions; do echo "== $f"; cat $f; done; dmsetup ls --tree; ps axfo pid,stat,wchan:24,args'], { timeoutMs: 60_000 }).catch(() => undefined)
    if (facts !== undefined) writeFileSync(join(to, 'kernel-and-processes.log'), facts.stdout + facts.stderr)
  }
  return folder
}

const guestEnvironment = ({ whole = false }: RunOptions): Readonly<Record<string, string>> => {
  const seed = process.env['LAB_SEED']
  return { ...(whole || process.env['LAB_KIT'] === 'all' ? { LAB_KIT: 'all' } : {}), ...(seed === undefined ? {} : { LAB_SEED: seed }) }
}

const runGuestCases = async (suite: LabSuite, guest: Guest, options: RunOptions, onResult: (result: CaseResult) => void): Promise<string | undefined> => {
  const path = await bundleSuite(suite.name, guest.share)
  const log: Buffer[] = []
  const split = lineSplitter((line) => {
    const result = parseFrame<CaseResult>(line)
    if (result?.name === undefined) log.push(Buffer.from(`${line}\n`))
    else onResult(result)
  })
  let reported = 0
  const { code, timedOut } = await guest.exec([process.execPath, '--enable-source-maps', path, 'cases', ...(options.filter === undefined ? [] : [options.filter])], {
    timeoutMs: suiteCeilingMs,
    env: guestEnvironment(options),
    discard: true,
    onOutput: (stream, chunk) => {
      if (stream === 'stdout') split(chunk)
      else {
        reported += chunk.length
        if (reported < 4 * 1024 * 1024) log.push(chunk)
      }
    },
  })
  writeFileSync(join(guest.share, `${suite.name}.log`), Buffer.concat(log))
  if (code === 0 || code === 1) return undefined
  return timedOut ? `It did not end within ${suiteCeilingMs / 1000} s` : `Its process in the guest ended with status ${code}:\n${Buffer.concat(log).toString('utf8').slice(-2000)}`
}

const textOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

const runSuite = async (suite: LabSuite, guests: readonly [Guest, ...Guest[]], options: RunOptions, startedMs: number): Promise<SuiteResult> => {
  const cases: CaseResult[] = []
  const onResult = (result: CaseResult): void => {
    cases.push(result)
    options.say(renderCase(suite.name, result))
  }
  let broken: string | undefined
  try {
    if (suite.cases !== undefined) broken = await runGuestCases(suite, guests[0], options, onResult)
    const lab = createLabHost(suite, guests, (line) => options.say(`       ${suite.name}: ${line}`))
    for (const one of (suite.host ?? []).filter(({ name }) => options.filter === undefined || isWanted(name, options.filter))) {
      const started = performance.now()
      const error = await one.run(lab).then(() => undefined, textOf)
      const ms = Math.round(performance.now() - started)
      onResult(error === undefined ? { name: one.name, ok: true, ms } : { name: one.name, ok: false, ms, error })
    }
  } catch (error) {
    broken = textOf(error)
  }
  const result: SuiteResult = { suite: suite.name, driver: suite.driver, cases, ms: Math.round(performance.now() - startedMs), ...(broken === undefined ? {} : { broken }) }
  if (passed(result)) return result
  const logs = await saveLogs(suite, guests, cases)
  if (broken !== undefined) options.say(`BROKEN ${suite.name}: ${broken}`)
  options.say(`       logs of ${suite.name} are in ${logs}`)
  return { ...result, logs }
}

/** Blank disks for the next suite: discarded, they read as zeroes again. */
const wipeDisks = async (guest: Guest, count: number): Promise<void> => {
  for (let index = 0; index < count; index++) await guest.ok(['blkdiscard', '-f', `/dev/disk/by-id/virtio-labdisk${index}`])
}

const bootFor = async (batch: readonly [LabSuite, ...LabSuite[]], say: (line: string) => void): Promise<{ readonly guests: readonly [Guest, ...Guest[]]; stop(): Promise<unknown> }> => {
  const [suite] = batch
  const want = {
    say, disks: disksOf(batch), memoryMiB: Math.max(...batch.map(({ memoryMiB = defaults.memoryMiB }) => memoryMiB)),
    cpus: Math.min(settings.cores, suite.cpus ?? 1),
  }
  if (suite.guests === 2) return bootPair(want)
  const guest = await boot(want)
  return { guests: [guest], stop: () => guest.stop() }
}

const runBatch = async (batch: readonly [LabSuite, ...LabSuite[]], options: RunOptions): Promise<readonly SuiteResult[]> => {
  const results: SuiteResult[] = []
  let machine: Awaited<ReturnType<typeof bootFor>> | undefined
  try {
    for (const suite of batch) {
      const started = performance.now()
      try {
        if (machine === undefined) machine = await bootFor(batch, options.say)
        else await wipeDisks(machine.guests[0], disksOf(batch).length)
      } catch (error) {
        options.say(`BROKEN ${suite.name}: ${textOf(error)}`)
        results.push({ suite: suite.name, driver: suite.driver, cases: [], ms: Math.round(performance.now() - started), broken: textOf(error) })
        continue
      }
      const result = await runSuite(suite, machine.guests, options, started)
      results.push(result)
      if (!passed(result)) {
        // Whatever it left must not fail the next one.
        await machine.stop()
        machine = undefined
      }
    }
  } finally {
    await machine?.stop()
  }
  return results
}

export const runSuites = async (suites: readonly LabSuite[], options: RunOptions): Promise<readonly SuiteResult[]> => {
  const waiting = [...inOrder(batches(suites))]
  const results: SuiteResult[] = []
  const running = new Set<Promise<void>>()
  let cpus = 0
  while (waiting.length > 0 || running.size > 0) {
    const index = waiting.findIndex(([suite]) => running.size === 0 || (running.size < options.jobs && cpus + needs(suite) <= settings.cores))
    const next = waiting[index]
    if (next !== undefined) {
      waiting.splice(index, 1)
      const need = needs(next[0])
      cpus += need
      const job = runBatch(next, options).then((done) => {
        results.push(...done)
        cpus -= need
        running.delete(job)
      })
      running.add(job)
    } else await Promise.race(running)
  }
  const order = suites.map(({ name }) => name)
  return results.toSorted((a, b) => order.indexOf(a.suite) - order.indexOf(b.suite))
}
