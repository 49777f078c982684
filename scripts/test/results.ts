/** What the suites wrote about single cases, as counts and names. */
import { readFileSync } from 'node:fs'
import type { Suite } from './suites.ts'

export interface Failure {
  readonly name: string
  readonly says: string
}

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly failures: readonly Failure[]
  /** Why nothing of it could run. */
  readonly couldNot?: string
}

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message?: string
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string; readonly failureMessages?: readonly string[] }[]
  }[]
}

interface LabReport {
  readonly suites: readonly { readonly suite: string; readonly broken?: string; readonly cases: readonly { readonly name: string; readonly ok: boolean; readonly error?: string }[] }[]
  readonly skipped?: string
}

const firstLine = (text: string | undefined): string => (text ?? '').trim().split('\n')[0] ?? ''

const fromVitest = (report: VitestReport): Counts => {
  const failures = report.testResults.flatMap((file) => {
    const cases = file.assertionResults.filter(({ status }) => status === 'failed').map((one) => ({ name: one.fullName, says: firstLine(one.failureMessages?.[0]) }))
    // A file that could not even be loaded has no cases.
    return cases.length === 0 && file.status === 'failed' ? [{ name: file.name, says: firstLine(file.message) }] : cases
  })
  return { passed: report.numPassedTests, failed: Math.max(report.numFailedTests, failures.length), skipped: report.numPendingTests + report.numTodoTests, failures }
}

const fromLab = (report: LabReport): Counts => {
  const failures = report.suites.flatMap(({ suite, broken, cases }) => [
    ...cases.filter(({ ok }) => !ok).map(({ name, error }) => ({ name: `${suite}: ${name}`, says: firstLine(error) })),
    ...(broken === undefined ? [] : [{ name: suite, says: broken }]),
    ...(cases.length === 0 && broken === undefined ? [{ name: suite, says: 'No case of it ran' }] : []),
  ])
  return {
    passed: report.suites.flatMap(({ cases }) => cases).filter(({ ok }) => ok).length, failed: failures.length, skipped: 0, failures,
    ...(report.skipped === undefined ? {} : { couldNot: report.skipped }),
  }
}

/** `succeeded`: by its exit status, which counts more than any report: what fails outside of a case has no line there. */
export const readCounts = (suite: Suite, report: string, succeeded: boolean, lastLine: string): Counts => {
  const one: Counts = succeeded ? { passed: 1, failed: 0, skipped: 0, failures: [] } : { passed: 0, failed: 1, skipped: 0, failures: [{ name: suite.name, says: lastLine }] }
  if (suite.cases === undefined) return one
  let counts: Counts
  try {
    const content: unknown = JSON.parse(readFileSync(report, 'utf8'))
    counts = suite.cases === 'vitest' ? fromVitest(content as VitestReport) : fromLab(content as LabReport)
  } catch {
    return { ...one, passed: 0, failed: 1, failures: [{ name: suite.name, says: `It wrote no report: ${lastLine}` }] }
  }
  if (succeeded || counts.failed > 0 || counts.couldNot !== undefined) {
    return succeeded && counts.passed === 0 && counts.couldNot === undefined ? { ...counts, failed: 1, failures: [{ name: suite.name, says: 'No case of it ran' }] } : counts
  }
  return { ...counts, failed: 1, failures: [{ name: suite.name, says: `It failed outside of its cases: ${lastLine}` }] }
}
