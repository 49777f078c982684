/** Runs cases without a test framework: a plain loop that a bare guest can run, and that tests of the kit itself use. */
import type { Case, Harness, Topic } from './case.ts'
import { topics } from './cases/index.ts'
import { createStage } from './stage.ts'

export type Outcome = 'passed' | 'failed' | 'skipped'

export interface CaseResult {
  readonly topic: string
  readonly name: string
  readonly outcome: Outcome
  /** Why it was skipped, or how it failed. */
  readonly why?: string
  readonly error?: unknown
  readonly calls: number
  readonly ms: number
}

export interface RunOptions {
  /** Which cases; all when absent. */
  readonly filter?: (topic: string, name: string) => boolean
  readonly onResult?: (result: CaseResult) => void
  /** Instead of the whole suite. */
  readonly topics?: readonly Topic[]
}

/** What is missing for a case, in words; undefined when it can run. Nothing but declared facts decides. */
export const missingFor = (harness: Harness, one: Case): string | undefined => {
  const { driver } = harness
  const features = harness.features ?? driver.features
  const feature = one.needs?.find((need) => !features.includes(need))
  if (feature !== undefined) return `no feature ${feature}`
  const operation = one.needsSr?.find((need) => !driver.srOperations.includes(need))
  if (operation !== undefined) return `no SR operation ${operation}`
  const option = one.needsWorld?.find((need) => !harness.options.includes(need))
  if (option !== undefined) return `the harness has no ${option}`
  const lack = one.reliesOn?.find((what) => harness.lacks?.includes(what))
  if (lack !== undefined) return `the storage keeps no ${lack}`
  if (one.needsChainLimit === true && (driver.limits.maxChain === undefined || driver.limits.maxChain > 64)) return 'no chain limit to reach'
  return undefined
}

/** One case in a world of its own, with the check that nothing is left of it. Throws what failed. */
export const runCase = async (harness: Harness, one: Case): Promise<number> => {
  const world = await harness.world()
  try {
    const stage = await createStage(harness, world)
    try {
      await one.run(stage)
      if (one.leavesDamage !== true) await stage.finish()
      return stage.calls()
    } finally {
      await stage.closeSessions()
    }
  } finally {
    await world.dispose()
  }
}

export const runCases = async (harness: Harness, options: RunOptions = {}): Promise<readonly CaseResult[]> => {
  const results: CaseResult[] = []
  for (const { topic, cases } of options.topics ?? topics) {
    for (const one of cases) {
      if (options.filter?.(topic, one.name) === false) continue
      const missing = missingFor(harness, one)
      const started = performance.now()
      const outcome = missing !== undefined
        ? { outcome: 'skipped' as const, why: missing, calls: 0 }
        : await runCase(harness, one).then(
            (calls) => ({ outcome: 'passed' as const, calls }),
            (error: unknown) => ({ outcome: 'failed' as const, why: error instanceof Error ? error.message : String(error), error, calls: 0 }),
          )
      const result: CaseResult = { topic, name: one.name, ...outcome, ms: Math.round(performance.now() - started) }
      results.push(result)
      options.onResult?.(result)
    }
  }
  return results
}

/** `40 passed, 0 failed, 3 skipped (no feature revert: 2; the harness has no reboot: 1)` */
export const summarize = (results: readonly CaseResult[]): string => {
  const count = (outcome: Outcome): number => results.filter((result) => result.outcome === outcome).length
  const reasons = new Map<string, number>()
  for (const { outcome, why } of results) if (outcome === 'skipped' && why !== undefined) reasons.set(why, (reasons.get(why) ?? 0) + 1)
  const told = [...reasons].map(([why, times]) => `${why}: ${times}`).join('; ')
  return `${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped${told === '' ? '' : ` (${told})`}`
}
