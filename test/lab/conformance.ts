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
  /** Names of topics, where not all of them are to run. */
  readonly only?: readonly string[]
  /** What a usual run draws; everything when absent. Only from topics that a real kernel decides, and that have passed here as a whole. */
  readonly usual?: { readonly draw: number; readonly topics: readonly string[] }
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

/** Why a usual run leaves a sentence out; undefined: it runs. */
const leftOut = (able: readonly Sentence[], usual: ConformanceOptions['usual']): ((sentence: Sentence) => string | undefined) => {
  const seed = drawSeed(process.env)
  if (usual === undefined || seed === undefined) return () => undefined
  const among = able.filter(({ topic }) => usual.topics.includes(topic))
  const chosen = drawn(among, usual.draw, seed)
  return (sentence) => {
    if (chosen.has(sentence)) return undefined
    return among.includes(sentence) ? `not among the ${chosen.size} of ${among.length} that LAB_SEED=${seed} draws` : 'by name or with LAB_KIT=all only'
  }
}

/** `cases: async () => conformanceCases(harness)`; what is not run is shown as skipped, with the reason. */
export const conformanceCases = (harness: Harness, { timeoutMs, only = topics.map(({ topic }) => topic), usual }: ConformanceOptions = {}): readonly LabCase[] => {
  const sentences = sentencesOf(harness, only)
  const why = leftOut(sentences.filter(({ skip }) => skip === undefined), usual)
  return sentences.map((sentence): LabCase => {
    const skip = sentence.skip ?? why(sentence)
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
