/** The conformance kit as cases of a lab suite: the same suite that drivers pass on models, on real storage. */
import type { Harness } from '../kit/case.ts'
import { topics } from '../kit/cases/index.ts'
import { missingFor, runCase } from '../kit/run.ts'
import type { LabCase } from './suite.ts'

/** `cases: async () => conformanceCases(harness)`; what the harness cannot do is shown as skipped, with the reason. */
export const conformanceCases = (harness: Harness, timeoutMs?: number): readonly LabCase[] =>
  topics.flatMap(({ topic, cases }) => cases.map((one): LabCase => {
    const skip = missingFor(harness, one)
    return {
      name: `${topic}: ${one.name}`,
      async run() {
        await runCase(harness, one)
      },
      ...(skip === undefined ? {} : { skip }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    }
  }))
