/** The conformance suite under vitest: one test a case, skipped ones with the reason in their name. */
import { describe, it } from 'vitest'
import type { Harness, Topic } from './case.ts'
import { topics as allTopics } from './cases/index.ts'
import { missingFor, runCase } from './run.ts'

export const describeConformance = (harness: Harness, topics: readonly Topic[] = allTopics): void => {
  describe(`conformance of ${harness.name ?? harness.driver.type}`, () => {
    for (const { topic, cases } of topics) {
      describe(topic, () => {
        for (const one of cases) {
          const missing = missingFor(harness, one)
          if (missing === undefined) it(one.name, async () => void (await runCase(harness, one)))
          else it.skip(`${one.name} (${missing})`)
        }
      })
    }
  })
}
