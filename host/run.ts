/**
 * The only place of the project that starts a process. Arguments are a vector; the locale is C; a tool that outlives its
 * time is killed with its whole process group, because a grandchild that holds a pipe would otherwise hold us.
 */
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { StorageError } from '../core/errors.ts'
import type { Command, Log, Run, RunResult } from '../core/ports.ts'

/** Output beyond this is cut: an error message needs no more, and a report has its own limits. */
const maxOutput = 16 * 1024 * 1024
const shown = 2000

const tail = (text: string): string => (text.length > shown ? `...${text.slice(-shown)}` : text).trim()

const killGroup = (pid: number | undefined): void => {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group has ended by itself.
  }
}

/**
 * `packageOf` names the Debian package of a tool, for the error that says it is missing. Failures: toolMissing,
 * toolFailed (with argv, exit status, both streams), outcomeUnknown at the time limit, cancelled.
 */
export const createRun = (log: Log, packageOf: (tool: string) => string | undefined = () => undefined): Run =>
  async (command: Command, signal: AbortSignal): Promise<RunResult> => {
    const [tool, ...args] = command.argv
    const { execa } = await import('execa')
    const started = performance.now()
    const child = execa(tool, args, {
      ...(command.stdin === undefined ? { stdin: 'ignore' } : { input: command.stdin }),
      env: { LC_ALL: 'C', LANG: 'C', ...command.env },
      detached: true,
      reject: false,
      maxBuffer: maxOutput,
      stripFinalNewline: false,
    })
    let ended: 'time-limit' | 'cancelled' | undefined
    let giveUp: () => void = () => undefined
    const gaveUp = new Promise<undefined>((resolve) => {
      giveUp = () => resolve(undefined)
    })
    const stop = (why: 'time-limit' | 'cancelled') => (): void => {
      ended = why
      killGroup(child.pid)
      // A process in uninterruptible sleep survives SIGKILL; the caller is not made to wait for it.
      setTimeout(giveUp, 500).unref()
    }
    const timer = setTimeout(stop('time-limit'), command.timeoutMs)
    const onAbort = stop('cancelled')
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    const result = await Promise.race([child, gaveUp]).finally(() => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    })
    const durationMs = Math.round(performance.now() - started)
    const stdout = typeof result?.stdout === 'string' ? result.stdout : ''
    const stderr = typeof result?.stderr === 'string' ? result.stderr : ''
    const facts = { tool, exit_code: result?.exitCode ?? null, duration_ms: durationMs, stdout: tail(stdout), stderr: tail(stderr) }
    log.debug({ argv: command.argv, ...facts }, 'ran a tool')

    if (result?.code === 'ENOENT' || result?.code === 'EACCES') {
      const debianPackage = packageOf(tool)
      throw new StorageError('toolMissing', `The host tool ${tool} cannot be started: it is not installed or not executable`, {
        layer: `host:${tool}`,
        remedy: debianPackage === undefined ? 'smctl doctor names the missing packages' : `Install it: apt-get install ${debianPackage}`,
        details: { tool },
      })
    }
    if (ended === 'time-limit') {
      throw new StorageError('outcomeUnknown', `${tool} did not end within ${command.timeoutMs / 1000} s and was killed`, {
        layer: `host:${tool}`, mayHaveChanged: command.effect === 'write', details: facts,
        remedy: 'Look at the kernel log and at the device or server it waited for',
      })
    }
    if (ended === 'cancelled') throw signal.reason as Error
    const exitCode = result?.exitCode
    if (exitCode === undefined || !(command.accept ?? [0]).includes(exitCode)) {
      throw new StorageError('toolFailed', `${command.argv.slice(0, 3).join(' ')} failed${exitCode === undefined ? ` (signal ${result?.signal ?? 'unknown'})` : ` with status ${exitCode}`}: ${tail(stderr) || tail(stdout) || 'it said nothing'}`, {
        layer: `host:${tool}`, mayHaveChanged: command.effect === 'write', details: facts,
      })
    }
    return { exitCode, stdout, stderr, durationMs }
  }

/** A Node process of this project that serves this one through a pipe and ends with it. */
export interface WorkerProcess {
  readonly pid: number
  /** Its end of the pipe is descriptor 3. */
  readonly channel: Duplex
  /** Told once, when the process has really ended; one in uninterruptible sleep ends only when its storage answers. */
  readonly ended: Promise<{ readonly exitCode: number | null; readonly signal: string | null; readonly stderr: string }>
  kill(): void
}

export type StartWorker = (purpose: string) => WorkerProcess

/**
 * `entry` is the absolute path of its program: of the bundle in use, TypeScript through tsx in development and tests. `purpose`
 * is its only argument, for whoever reads the process list.
 */
export const workerStarter = (entry: string): StartWorker => (purpose) => {
  const { spawn } = process.getBuiltinModule('node:child_process')
  const loader = entry.endsWith('.ts') ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href] : []
  const child = spawn(process.execPath, [...loader, entry, purpose], {
    // Neither the directory nor a descriptor of this process may keep a place busy that the worker outlives.
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    // Each hung call holds one thread; sixteen leave room for those that are answered.
    env: { PATH: process.env['PATH'], LC_ALL: 'C', UV_THREADPOOL_SIZE: '16' },
    detached: true,
  })
  let stderr = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-shown)
  })
  const channel = child.stdio[3] as Duplex
  const ended = new Promise<Awaited<WorkerProcess['ended']>>((resolve) => {
    child.once('error', (error) => resolve({ exitCode: null, signal: null, stderr: error.message }))
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal, stderr: stderr.trim() }))
  })
  child.unref()
  for (const stream of [child.stderr, channel]) (stream as Socket | null)?.unref()
  return { pid: child.pid ?? 0, channel, ended, kill: () => killGroup(child.pid) }
}
