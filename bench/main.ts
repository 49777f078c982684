/**
 * `npm run bench [-- name ...] [--json]`: our figures against a floor or a peer that ran in turn with them, as ratios.
 * Nothing here fails on time: a benchmark is read, not passed.
 */
import Table from 'cli-table3'
import type { Bench, Measured, Missing } from './row.ts'
import { calls } from './rows/calls.ts'
import { lvm } from './rows/lvm.ts'
import { operations } from './rows/operations.ts'
import { scan } from './rows/scan.ts'
import { sra } from './rows/sra.ts'
import { start } from './rows/start.ts'

const benches: readonly Bench[] = [start, calls, operations, scan, lvm, sra]

const words = process.argv.slice(2)
const json = words.includes('--json')
const wanted = words.filter((word) => !word.startsWith('-'))
const unknown = wanted.filter((name) => !benches.some((bench) => bench.name === name))
if (unknown.length > 0) {
  console.error(`there is no benchmark ${unknown.join(', ')}; there are: ${benches.map(({ name, says }) => `${name} (${says})`).join(', ')}`)
  process.exit(2)
}

const figure = (value: number): string => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2))
const verdict = ({ ours, theirs, hold, aim }: Measured): string => (ours / theirs <= aim ? 'aim' : ours / theirs <= hold ? 'hold' : 'above')

const results: (Measured | Missing)[] = []
for (const bench of benches.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  if (!json) console.error(`measuring: ${bench.says}`)
  results.push(...(await bench.run()))
}
if (json) console.log(JSON.stringify(results.map((row) => ('missing' in row ? row : { ...row, ratio: row.ours / row.theirs }))))
else {
  const table = new Table({ head: ['quantity', 'ours', 'against', 'theirs', 'ratio', 'hold', 'aim', ''], style: { head: [], border: [], compact: true } })
  for (const row of results) {
    if ('missing' in row) table.push([row.quantity, { colSpan: 7, content: row.missing }])
    else table.push([row.quantity, `${figure(row.ours)} ${row.unit}`, row.against, `${figure(row.theirs)} ${row.unit}`, figure(row.ours / row.theirs), figure(row.hold), figure(row.aim), verdict(row)])
  }
  console.log(table.toString())
}
