/**
 * The conformance kit as cases of a lab suite: the same suite that drivers pass on models, on real storage. The whole of it takes an
 * emulated machine up to half an hour a driver, so a usual run draws some sentences by lot; whoever names the suite gets all of them.
 */
import type { Case, Harness } from '../kit/case.ts'
import { topics } from '../kit/cases/index.ts'
import { lots } from '../kit/crash/fates.ts'
import { missingFor, runCase } from '../kit/run.ts'
import type { LabCase } from './suite.ts'

export interface ConformanceOptions {
  /** Of one case, in milliseconds; as for all cases when absent. */
  readonly timeoutMs?: number
  /** Names of topics, where not all of them are to run: those that a real kernel decides. */
  readonly only?: readonly string[]
  /** How many sentences a usual run draws; all when absent. */
  readonly draw?: number
}

interface Sentence {
  readonly topic: string
  readonly one: Case
  readonly skip: string | undefined
}

const sentencesOf = (harness: Harness, only: readonly string[]): readonly Sentence[] =>
  only.flatMap((name) => {
    const found = topics.find(({ topic }) => topic === name)
    if (found === undefined) throw new Error(`the kit has no topic ${name}`)
    return found.cases.map((one) => ({ topic: name, one, skip: missingFor(harness, one) ?? (one.decidedBy === 'engine' ? 'the engine decides it, on models' : undefined) }))
  })

/** The seed of a usual run (LAB_SEED, else by lot); undefined: everything is to run. */
export const drawSeed = (env: NodeJS.ProcessEnv): number | undefined => {
  if (env['LAB_KIT'] === 'all') return undefined
  const given = Number(env['LAB_SEED'] ?? '')
  return Number.isSafeInteger(given) && given > 0 ? given : Math.floor(Math.random() * 1_000_000) + 1
}

/** Every sentence has the same chance, whatever its topic; the order stays. */
export const drawn = <T>(from: readonly T[], count: number, seed: number): ReadonlySet<T> => {
  const lot = lots(seed)
  return new Set(from.map((one) => ({ one, at: lot() })).toSorted((a, b) => a.at - b.at).slice(0, count).map(({ one }) => one))
}

/** `cases: async () => conformanceCases(harness)`; what is not run is shown as skipped, with the reason. */
export const conformanceCases = (harness: Harness, { timeoutMs, only = topics.map(({ topic }) => topic), draw }: ConformanceOptions = {}): readonly LabCase[] => {
  const sentences = sentencesOf(harness, only)
  const able = sentences.filter(({ skip }) => skip === undefined)
  const seed = drawSeed(process.env)
  const chosen = draw === undefined || seed === undefined ? undefined : drawn(able, draw, seed)
  return sentences.map((sentence): LabCase => {
    const skip = sentence.skip ?? (chosen?.has(sentence) === false ? `not among the ${draw ?? 0} of ${able.length} that LAB_SEED=${seed ?? 0} draws` : undefined)
    return {
      name: `${sentence.topic}: ${sentence.one.name}`,
      async run() {
        await runCase(harness, sentence.one)
      },
      ...(skip === undefined ? {} : { skip }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    }
  })
}
