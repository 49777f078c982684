/**
 * Runs a suite inside the guest. Bundled together with the suite (bundle.ts makes the entry); speaks JSON lines on
 * stdout and moves everything that cases print to stderr.
 *   node suite.mjs cases [filter]        every case, a CaseResult a line; exit status 1 when one failed
 *   node suite.mjs entry <name> args...  one entry; its answer as a line { value }
 */
import { appendFileSync, closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { assertClean } from '../fixtures/clean.ts'
import { shareInGuest } from '../protocol.ts'
import { isWanted, type CaseResult, type LabCase, type LabSuite } from '../suite.ts'

const defaultTimeoutMs = 600_000

const say = (value: unknown): void => {
  // Straight to the descriptor: a case may end the process, and a stream would lose what it holds.
  const line = Buffer.from(`${JSON.stringify(value)}\n`)
  for (let done = 0; done < line.length;) {
    try {
      done += writeSync(1, line, done)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

const textOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const details = 'details' in error ? `\n${JSON.stringify(error.details)}` : ''
  const cause = error.cause === undefined ? '' : `\ncaused by ${textOf(error.cause)}`
  return `${error.stack ?? error.message}${details}${cause}`
}

const withinTime = async (one: LabCase): Promise<'ended' | 'hangs'> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'hangs'>((resolve) => {
    timer = setTimeout(() => resolve('hangs'), one.timeoutMs ?? defaultTimeoutMs)
  })
  try {
    return await Promise.race([one.run().then(() => 'ended' as const), late])
  } finally {
    clearTimeout(timer)
  }
}

const timed = async (name: string, run: () => Promise<string | undefined>): Promise<CaseResult> => {
  const started = performance.now()
  const error = await run().catch(textOf)
  const ms = Math.round(performance.now() - started)
  return error === undefined ? { name, ok: true, ms } : { name, ok: false, ms, error }
}

const runCases = async (suite: LabSuite, filter: string | undefined): Promise<boolean> => {
  const all = typeof suite.cases === 'function' ? await suite.cases() : suite.cases ?? []
  const wanted = filter === undefined ? all : all.filter(({ name }) => isWanted(name, filter))
  let failed = false
  const report = (result: CaseResult): void => {
    failed ||= !result.ok
    say(result)
  }
  let hung: string | undefined
  for (const one of wanted) {
    if (one.skip !== undefined) {
      report({ name: one.name, ok: true, ms: 0, skipped: one.skip })
      continue
    }
    if (hung !== undefined) {
      report({ name: one.name, ok: false, ms: 0, error: `Not run: "${hung}" hangs` })
      continue
    }
    report(await timed(one.name, async () => {
      if (await withinTime(one) === 'ended') return undefined
      hung = one.name
      return `It did not end within ${(one.timeoutMs ?? defaultTimeoutMs) / 1000} s`
    }))
  }
  if (hung === undefined && wanted.length > 0) {
    report(await timed('nothing is left behind', async () => {
      await assertClean()
      return undefined
    }))
  }
  return !failed
}

const runEntry = async (suite: LabSuite, name: string, args: readonly string[]): Promise<boolean> => {
  const entry = suite.entries?.[name]
  if (entry === undefined) throw new Error(`The suite ${suite.name} has no entry ${name}`)
  const log = `${shareInGuest}/ack.log`
  const ack = (line: string): void => {
    const fd = openSync(log, 'a')
    try {
      appendFileSync(fd, `${line}\n`)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  }
  const result = await timed(name, async () => {
    say({ value: await entry({ args, ack }) ?? null })
    return undefined
  })
  if (!result.ok) say(result)
  return result.ok
}

/** Called by the bundle's entry with the suite it was made of. */
export const runInGuest = async (suite: LabSuite): Promise<void> => {
  console.log = console.error
  console.info = console.error
  const [verb, ...rest] = process.argv.slice(2)
  const ok = verb === 'cases'
    ? await runCases(suite, rest[0])
    : await runEntry(suite, rest[0] ?? '', rest[1] === '-' ? JSON.parse(readFileSync(0, 'utf8')) as readonly string[] : rest.slice(1))
  // A hung case may keep the process alive.
  process.exit(ok ? 0 : 1)
}
