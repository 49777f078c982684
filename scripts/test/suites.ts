/** The suites of `npm test`, as data: what each asks, what it needs of the machine, and how its results are read. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../outputs.ts'

export interface Suite {
  readonly name: string
  /** What it answers, for the table. */
  readonly asks: string
  readonly argv: readonly [string, ...string[]]
  /** Tool -> Debian package that has it. */
  readonly tools: Readonly<Record<string, string>>
  /** The same, for single cases that skip themselves without it. */
  readonly wishes?: Readonly<Record<string, string>>
  /** How single cases are counted; a suite without counts as one. `{report}` in argv is the file it writes. */
  readonly cases?: 'vitest' | 'lab'
  /** Killed after so long. Minutes; far above what it needs on a slow machine. */
  readonly patience: number
}

const node = process.execPath
const inModules = (...path: readonly string[]): string => join(root, 'node_modules', ...path)
const tsx = inModules('tsx', 'dist', 'cli.mjs')

const project = (name: string, asks: string, patience: number, tools: Suite['tools'] = {}, wishes: Suite['tools'] = {}): Suite => ({
  name, asks, tools, wishes, patience, cases: 'vitest',
  argv: [node, inModules('vitest', 'vitest.mjs'), 'run', '--project', name, '--reporter', 'default', '--reporter', 'json', '--outputFile.json', '{report}'],
})

const generators = readdirSync(join(root, 'scripts')).filter((file) => /^gen-.+\.ts$/.test(file)).sort()

/** Quick ones first, so that a plain mistake is told within seconds; the heaviest last. */
const all: readonly Suite[] = [
  { name: 'types', asks: 'do the types hold', argv: [node, inModules('typescript', 'bin', 'tsc')], tools: {}, patience: 10 },
  { name: 'lint', asks: 'are the rules of the house kept', argv: [node, inModules('oxlint', 'bin', 'oxlint'), '--type-aware'], tools: {}, patience: 10 },
  ...generators.map((file): Suite => ({ name: file.slice(0, -3), asks: 'is what it generates up to date', argv: [node, tsx, join('scripts', file), '--check'], tools: {}, patience: 5 })),
  project('unit', 'does each part do what it says', 20, { openssl: 'openssl' }),
  project('conformance', 'does each driver keep the contract', 30),
  project('interop', 'do other programs read our images, and we theirs', 30, { '7zz': '7zip', 'qemu-img': 'qemu-utils', vhdiinfo: 'libvhdi-utils' }),
  project('crash', 'does every interrupted change end well', 60),
  project('e2e', 'do the built executables work', 60, { script: 'bsdutils' }, { zsh: 'zsh', fish: 'fish' }),
  { name: 'tour', asks: 'does the tour of the README work', argv: [node, tsx, 'scripts/tour.ts'], tools: {}, patience: 10 },
  { name: 'lab', asks: 'do the drivers work on real storage', argv: [node, tsx, 'test/lab/main.ts', 'test', '--json-summary', '{report}'], tools: {}, cases: 'lab', patience: 240 },
]

/** Suites whose tests are there. */
export const suites: readonly Suite[] = all.filter(({ name, cases }) => cases === undefined || name === 'unit' || existsSync(join(root, 'test', name)))
