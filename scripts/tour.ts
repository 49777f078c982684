/**
 * `npm run tour`: plays the five-minute tour of README.md in a temporary directory, each command with its output, and fails when
 * one of them fails. The README is the script: what it shows is what runs.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureBuilt } from './build.ts'
import { root } from './outputs.ts'

const heading = '## Five-minute tour'

const readTour = (): readonly string[] => {
  const section = readFileSync(join(root, 'README.md'), 'utf8').split(/^(?=## )/m).find((part) => part.startsWith(heading))
  const block = /^```sh\n([^]*?)^```$/m.exec(section ?? '')?.[1]
  if (block === undefined) throw new Error(`README.md has no section "${heading}" with a block of shell commands`)
  return block.split('\n')
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** Comments are said, commands are shown and then done. bash stops at the first one that fails. */
const scriptOf = (lines: readonly string[]): string =>
  ['set -euo pipefail', ...lines.map((line) => {
    if (line === '') return 'echo'
    return line.startsWith('#') ? `printf '%s\\n' ${quote(line)}` : `printf '$ %s\\n' ${quote(line)}\n${line}`
  }), "echo; echo 'The tour is over.'"].join('\n')

await ensureBuilt()
const scratch = mkdtempSync(join(tmpdir(), 'storage-manager-tour-'))
const bash = spawn('bash', ['--norc', '-c', scriptOf(readTour())], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], detached: true, env: { PATH: process.env['PATH'], TMPDIR: scratch, HOME: scratch } })
const stop = (): void => {
  try {
    process.kill(-(bash.pid ?? 0), 'SIGKILL')
  } catch {
    // All of it has ended.
  }
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop)
const [code] = (await once(bash, 'close')) as [number | null]
// A daemon that a failed tour left behind.
stop()
rmSync(scratch, { recursive: true, force: true })
if (code !== 0) console.error('The tour failed at the command above.')
process.exitCode = code === 0 ? 0 : 1
