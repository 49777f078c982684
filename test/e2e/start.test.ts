/** `npm start` and `npm run tour`, as the README tells newcomers. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { waitUntil } from './machine.ts'

const root = join(import.meta.dirname, '../..')
const scratch = mkdtempSync(join(tmpdir(), 'storage-manager-start-'))
// A space in it: what is printed must be pasted as it stands.
const state = join(scratch, 'a state')
const started: ChildProcess[] = []
afterAll(() => {
  for (const { pid } of started) {
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL')
    } catch {
      // All of it has ended.
    }
  }
  rmSync(scratch, { recursive: true, force: true })
})

/** In a process group of its own, as a terminal has it: Ctrl-C reaches npm and everything below. */
const npmStart = async () => {
  const child = spawn('npm', ['start'], { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, STORAGE_MANAGER_STATE: state } })
  started.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const ended = once(child, 'close')
  await waitUntil(`it says what to paste: ${output}`, () => output.includes('smctl sr scan') || child.exitCode !== null, 100_000)
  return {
    output,
    lines: output.split('\n').filter((line) => /^ {2}(export|smctl) /.test(line)),
    async interrupt() {
      process.kill(-(child.pid ?? 0), 'SIGINT')
      await ended
    },
  }
}

describe('npm start', () => {
  it('makes an SR at the first start, says three lines that work as pasted, stops on Ctrl-C, and finds everything again', async () => {
    const first = await npmStart()
    expect(first.lines).toHaveLength(3)
    const pasted = spawnSync('bash', ['--norc', '-e', '-c', first.lines.join('\n')], { cwd: '/', encoding: 'utf8', env: { PATH: process.env['PATH'] } })
    expect({ status: pasted.status, stderr: pasted.stderr }).toEqual({ status: 0, stderr: '' })
    expect(pasted.stdout).toContain('first disk')
    await first.interrupt()
    expect(existsSync(join(state, 'run', 'smd.sock'))).toBe(false)

    const second = await npmStart()
    expect(second.lines).toEqual(first.lines)
    const scanned = spawnSync('bash', ['--norc', '-e', '-c', [second.lines[0], second.lines[2]].join('\n')], { cwd: '/', encoding: 'utf8', env: { PATH: process.env['PATH'] } })
    expect(scanned.stdout).toContain('first disk')
    await second.interrupt()
  })

  it('says so when another one runs already', async () => {
    const first = await npmStart()
    const second = await npmStart()
    expect(second.lines).toEqual([])
    expect(second.output).toMatch(/it runs already on .*as process \d+/)
    await first.interrupt()
  })
})

describe('the tour of the README', () => {
  it('plays to its end', () => {
    const { status, stdout, stderr } = spawnSync('npm', ['run', '-s', 'tour'], { cwd: root, encoding: 'utf8' })
    expect({ status, end: stdout.trim().split('\n').at(-1), stderr }).toMatchObject({ status: 0, end: 'The tour is over.' })
  })
})
