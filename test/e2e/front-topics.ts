/**
 * Which part of the suite is held by executables. Every call there is a process, so each takes the topics that it could get wrong by
 * its own doing - arguments, numbers, exit statuses, documents, what lives longer than a call - and says what it leaves out.
 */
import { describe, it } from 'vitest'
import type { Case, Topic } from '../kit/case.ts'
import { topics } from '../kit/cases/index.ts'
import { realFileHarness, type FrontEnd } from '../kit/file-harness.ts'
import { describeConformance } from '../kit/vitest.ts'

export interface Part {
  readonly name: string
  readonly front: FrontEnd
  /** By name; all others are skipped, and told. */
  readonly topics: readonly string[]
  /** Sentences that it cannot hold in its language, and why. */
  readonly cannot?: Readonly<Record<string, string>>
}

export const describePart = ({ name, front, topics: wanted, cannot = {} }: Part): void => {
  const known = topics.flatMap(({ cases }) => cases.map((one) => one.name))
  const unknown = [...wanted.filter((topic) => !topics.some((one) => one.topic === topic)), ...Object.keys(cannot).filter((sentence) => !known.includes(sentence))]
  if (unknown.length > 0) throw new Error(`the suite has no ${unknown.join(', ')}`)
  const can = ({ name: sentence }: Case): boolean => !Object.hasOwn(cannot, sentence)
  const part = topics.filter(({ topic }) => wanted.includes(topic))
  describeConformance(realFileHarness(name, front), part.map((topic): Topic => ({ ...topic, cases: topic.cases.filter(can) })))
  describe(`not ${name}`, () => {
    for (const { cases } of part) for (const { name: sentence } of cases.filter((one) => !can(one))) it.skip(`${sentence} (${cannot[sentence] ?? ''})`)
    for (const { topic, cases } of topics) if (!wanted.includes(topic)) it.skip(`${topic}: ${cases.length} sentences (the daemon holds them; a process a call adds nothing but time)`)
  })
}
