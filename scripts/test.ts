/**
 * `npm test [-- <suite>...]`: runs all that this machine can run, installs what is missing where it may, and says in one table
 * what could not run and why. With CI=true whatever could not run is a failure. Whole outputs are in var/test-logs/.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Table from 'cli-table3'
import { root } from './outputs.ts'
import { installPackages, missingPackages } from './test/packages.ts'
import { readCounts, type Counts } from './test/results.ts'
import { suites, type Suite } from './test/suites.ts'

const logs = join(root, 'var', 'test-logs')
const strict = process.env['CI'] === 'true'

interface Outcome {
  readonly suite: Suite
  readonly counts: Counts
  readonly ms: number
}

const killGroup = (pid: number | undefined): void => {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

const couldNot = (why: string): Counts => ({ passed: 0, failed: 0, skipped: 0, failures: [], couldNot: why })

/** Runs one suite with its own process group, so that nothing it started outlives it. */
const run = async (suite: Suite): Promise<Outcome> => {
  const started = performance.now()
  const report = join(logs, `${suite.name}.json`)
  rmSync(report, { force: true })
  const log = createWriteStream(join(logs, `${suite.name}.log`))
  const [tool, ...args] = suite.argv.map((word) => word.replace('{report}', report))
  const child = spawn(tool ?? '', args, { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } })
  let tail = ''
  const keep = (chunk: Buffer): void => {
    log.write(chunk)
    tail = (tail + chunk.toString('utf8')).slice(-4000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const stop = (): void => {
    killGroup(child.pid)
    process.exit(1)
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  let late = false
  const timer = setTimeout(() => {
    late = true
    killGroup(child.pid)
  }, suite.patience * 60_000)
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(timer)
  killGroup(child.pid)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, stop)
  log.end()
  const lastLine = late ? `It was killed after ${suite.patience} minutes` : tail.trim().split('\n').at(-1) ?? ''
  return { suite, counts: readCounts(suite, report, code === 0, lastLine), ms: performance.now() - started }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`

const verdict = ({ counts }: Outcome): string => {
  if (counts.couldNot !== undefined) return strict ? 'FAILED' : 'not run'
  return counts.failed > 0 ? 'FAILED' : 'passed'
}

const table = (outcomes: readonly Outcome[]): string => {
  const made = new Table({ head: ['suite', 'asks', 'result', 'passed', 'failed', 'skipped', 'time', 'why not'], style: { head: [], border: [] }, colWidths: [null, null, null, null, null, null, null, 44], wordWrap: true })
  for (const outcome of outcomes) {
    const { suite, counts, ms } = outcome
    made.push([suite.name, suite.asks, verdict(outcome), counts.passed, counts.failed, counts.skipped, seconds(ms), counts.couldNot ?? ''])
  }
  return made.toString()
}

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !suites.some((suite) => suite.name === name))
if (unknown.length > 0) {
  console.error(`There is no suite ${unknown.join(', ')}. The suites are: ${suites.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}
const wanted = suites.filter(({ name }) => asked.length === 0 || asked.includes(name))

mkdirSync(logs, { recursive: true })
await installPackages([...new Set(wanted.flatMap(({ tools }) => missingPackages(tools)))])
await installPackages([...new Set(wanted.flatMap(({ wishes = {} }) => missingPackages(wishes)))])

const outcomes: Outcome[] = []
for (const suite of wanted) {
  const missing = missingPackages(suite.tools)
  process.stdout.write(`${suite.name.padEnd(14)} `)
  const outcome = missing.length === 0 ? await run(suite) : { suite, counts: couldNot(`missing: apt-get install --no-install-recommends ${missing.join(' ')}`), ms: 0 }
  outcomes.push(outcome)
  console.log(`${verdict(outcome).padEnd(8)} ${outcome.counts.passed} passed, ${outcome.counts.failed} failed, ${outcome.counts.skipped} skipped in ${seconds(outcome.ms)}`)
}

for (const { suite, counts } of outcomes.filter((outcome) => outcome.counts.failed > 0)) {
  console.log(`\n${suite.name}: the whole output is in var/test-logs/${suite.name}.log`)
  for (const { name, says } of counts.failures.slice(0, 20)) console.log(`  ${name}\n    ${says}`)
  if (counts.failures.length > 20) console.log(`  and ${counts.failures.length - 20} more`)
}
console.log(`\n${table(outcomes)}`)

const total = (of: (counts: Counts) => number): number => outcomes.reduce((sum, { counts }) => sum + of(counts), 0)
const notRun = outcomes.filter(({ counts }) => counts.couldNot !== undefined).length
const failed = total(({ failed: count }) => count) + (strict ? notRun : 0)
const skipped = total(({ skipped: count }) => count) + (strict ? 0 : notRun)
console.log(`${total(({ passed }) => passed)} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`)
process.exitCode = failed === 0 ? 0 : 1
