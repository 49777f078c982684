/** The conformance kit as cases of a lab suite: the same suite that drivers pass on models, on real storage. */
import type { Harness } from '../kit/case.ts'
import { topics } from '../kit/cases/index.ts'
import { missingFor, runCase } from '../kit/run.ts'
import type { LabCase } from './suite.ts'

export interface ConformanceOptions {
  /** Of one case, in milliseconds; as for all cases when absent. */
  readonly timeoutMs?: number
  /** Names of topics, where not all of them are to run: those that a real kernel decides. */
  readonly only?: readonly string[]
}

/** `cases: async () => conformanceCases(harness)`; what the harness cannot do is shown as skipped, with the reason. */
export const conformanceCases = (harness: Harness, { timeoutMs, only = topics.map(({ topic }) => topic) }: ConformanceOptions = {}): readonly LabCase[] =>
  only.flatMap((name) => {
    const found = topics.find(({ topic }) => topic === name)
    if (found === undefined) throw new Error(`the kit has no topic ${name}`)
    return found.cases.map((one): LabCase => {
      const skip = missingFor(harness, one)
      return {
        name: `${name}: ${one.name}`,
        async run() {
          await runCase(harness, one)
        },
        ...(skip === undefined ? {} : { skip }),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      }
    })
  })
