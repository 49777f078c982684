/** Results of lab suites as a table for people and as a summary for programs. */
import Table from 'cli-table3'
import type { CaseResult } from './suite.ts'

export interface SuiteResult {
  readonly suite: string
  readonly driver: string
  readonly cases: readonly CaseResult[]
  /** Boot included; milliseconds. */
  readonly ms: number
  /** Why the suite could not be run to its end; its cases are then those that were. */
  readonly broken?: string
  /** Where console and logs are, when it failed. */
  readonly logs?: string
}

export interface Summary {
  readonly ok: boolean
  readonly suites: readonly SuiteResult[]
  /** Why nothing could run at all; `ok` is then false under CI=true only. */
  readonly skipped?: string
}

/** A suite without a single case that ran is no success. */
export const passed = (result: SuiteResult): boolean =>
  result.broken === undefined && result.cases.some(({ skipped }) => skipped === undefined) && result.cases.every(({ ok }) => ok)

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

export const renderTable = (results: readonly SuiteResult[]): string => {
  const table = new Table({ head: ['driver', 'suite', 'passed', 'time', 'result'], style: { head: [], border: [] } })
  for (const result of results) {
    const ran = result.cases.filter(({ skipped }) => skipped === undefined)
    const skips = result.cases.length - ran.length
    const good = `${ran.filter(({ ok }) => ok).length}/${ran.length}${skips === 0 ? '' : `, ${skips} skipped`}`
    table.push([result.driver, result.suite, good, seconds(result.ms), passed(result) ? 'ok' : result.broken === undefined ? 'FAILED' : 'BROKEN'])
  }
  return table.toString()
}

export const renderCase = (suite: string, { name, ok, ms, error, skipped }: CaseResult): string => skipped !== undefined
  ? `skip   ${suite}: ${name} (${skipped})`
  : `${ok ? 'ok    ' : 'FAILED'} ${suite}: ${name} (${seconds(ms)})${error === undefined ? '' : `\n${error.replaceAll(/^/gm, '       ')}`}`
