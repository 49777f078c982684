/** The host's end of an agent port: many commands at once over one connection. */
import { randomUUID } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { labFailure } from './failure.ts'
import { lineSplitter, parseFrame, type ToGuest, type ToHost } from './protocol.ts'

export interface ExecOptions {
  /** Milliseconds after which the command's process group is killed and the result says so; 300 s when absent. */
  readonly timeoutMs?: number
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly stdin?: string | Buffer | NodeJS.ReadableStream
  /** Sees output as it comes. */
  readonly onOutput?: (stream: 'stdout' | 'stderr', chunk: Buffer) => void
  /** Output is not collected (for streams of unknown length): stdout and stderr of the result are empty. */
  readonly discard?: boolean
  /** Aborting sends SIGINT to the command's process group. */
  readonly interrupt?: AbortSignal
}

export interface ExecResult {
  /** The command's own status; 128 + n after signal n; 124 after the time limit. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  readonly timedOut: boolean
}

export interface Channel {
  exec(argv: readonly [string, ...string[]], options?: ExecOptions): Promise<ExecResult>
  /** Everything that still waits fails with `why`. */
  close(why: string): void
}

const signalNumbers: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGPIPE: 13, SIGTERM: 15 }

interface Waiter {
  onFrame(frame: ToHost): void
  fail(error: Error): void
}

const connectTo = async (path: string, alive: () => string | undefined, deadline: number): Promise<Socket> => {
  for (;;) {
    const socket = await new Promise<Socket | undefined>((resolve) => {
      const attempt = connect(path, () => resolve(attempt))
      attempt.once('error', () => resolve(undefined))
    })
    if (socket !== undefined) return socket
    const dead = alive()
    if (dead !== undefined) throw labFailure(dead)
    if (performance.now() > deadline) throw labFailure(`Nothing listens at ${path}`)
    await sleep(20)
  }
}

/**
 * Connects and waits until the agent says that the guest has settled. `alive` answers why waiting is of no use any more.
 */
export const openChannel = async (path: string, alive: () => string | undefined, ceilingMs: number): Promise<Channel> => {
  const deadline = performance.now() + ceilingMs
  const socket = await connectTo(path, alive, deadline)
  const waiters = new Map<string, Waiter>()
  const session = randomUUID().slice(0, 8)
  let closed: string | undefined
  let count = 0

  const say = (frame: ToGuest): boolean => socket.write(`${JSON.stringify(frame)}\n`)
  const close = (why: string): void => {
    if (closed !== undefined) return
    closed = why
    socket.destroy()
    for (const waiter of waiters.values()) waiter.fail(labFailure(why))
    waiters.clear()
  }
  socket.on('data', lineSplitter((line) => {
    const frame = parseFrame<ToHost>(line)
    // Frames of an earlier client have ids that nobody here waits for.
    if (frame !== undefined) waiters.get(frame.id)?.onFrame(frame)
  }))
  socket.on('error', () => undefined)
  // The news that QEMU has ended comes a moment after the end of its sockets.
  socket.on('close', () => setTimeout(() => close(alive() ?? 'The connection to the guest was closed'), 200))

  await new Promise<void>((resolve, reject) => {
    const id = `${session}-hello`
    const timer = setInterval(() => {
      const why = alive() ?? (performance.now() > deadline ? `The guest did not settle within ${ceilingMs / 1000} s` : undefined)
      if (why !== undefined) close(why)
    }, 250)
    const end = (): void => {
      clearInterval(timer)
      waiters.delete(id)
    }
    waiters.set(id, {
      onFrame: () => {
        end()
        resolve()
      },
      fail: (error) => {
        end()
        reject(error)
      },
    })
    // The empty line ends what an earlier client may have left half said.
    socket.write('\n')
    say({ t: 'hello', id })
  })

  const feedStdin = async (id: string, stdin: ExecOptions['stdin']): Promise<void> => {
    const send = async (data: Buffer): Promise<void> => {
      for (let from = 0; from < data.length; from += 32 * 1024) {
        if (!say({ t: 'in', id, data: data.subarray(from, from + 32 * 1024).toString('base64') })) {
          await new Promise<void>((resolve) => {
            const go = (): void => {
              socket.off('drain', go)
              socket.off('close', go)
              resolve()
            }
            socket.once('drain', go)
            socket.once('close', go)
          })
        }
      }
    }
    if (typeof stdin === 'string' || Buffer.isBuffer(stdin)) await send(Buffer.from(stdin as Buffer))
    else if (stdin !== undefined) for await (const chunk of stdin) await send(Buffer.from(chunk as Buffer))
    if (closed === undefined) say({ t: 'eof', id })
  }

  return {
    close,
    exec: (argv, options = {}) => new Promise((resolve, reject) => {
      if (closed !== undefined) {
        reject(labFailure(closed))
        return
      }
      const id = `${session}-${count++}`
      const timeoutMs = options.timeoutMs ?? 300_000
      const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
      let timedOut = false
      let stuck: NodeJS.Timeout | undefined
      const onInterrupt = (): void => void say({ t: 'kill', id, signal: 'SIGINT' })
      const timer = timeoutMs === Infinity ? undefined : setTimeout(() => {
        timedOut = true
        say({ t: 'kill', id, signal: 'SIGKILL' })
        // A process in uninterruptible sleep does not die: report and go on.
        stuck = setTimeout(() => end(124), 5000)
      }, timeoutMs)
      const release = (): void => {
        clearTimeout(timer)
        clearTimeout(stuck)
        options.interrupt?.removeEventListener('abort', onInterrupt)
        waiters.delete(id)
      }
      const end = (code: number): void => {
        release()
        resolve({ code, timedOut, stdout: Buffer.concat(output.stdout).toString('utf8'), stderr: Buffer.concat(output.stderr).toString('utf8') })
      }
      waiters.set(id, {
        fail: (error) => {
          release()
          reject(error)
        },
        onFrame: (frame) => {
          if (frame.t === 'out' || frame.t === 'err') {
            const stream = frame.t === 'out' ? 'stdout' : 'stderr'
            const chunk = Buffer.from(frame.data, 'base64')
            if (options.discard !== true) output[stream].push(chunk)
            options.onOutput?.(stream, chunk)
          } else if (frame.t === 'exit') end(timedOut ? 124 : frame.code ?? 128 + (signalNumbers[frame.signal ?? ''] ?? 0))
          else if (frame.t === 'failed') {
            // What a shell says of a command that cannot be started.
            const message = Buffer.from(`${argv[0]}: ${frame.message}\n`)
            output.stderr.push(message)
            options.onOutput?.('stderr', message)
            end(127)
          }
        },
      })
      say({ t: 'run', id, argv, ...(options.cwd === undefined ? {} : { cwd: options.cwd }), ...(options.env === undefined ? {} : { env: options.env }) })
      options.interrupt?.addEventListener('abort', onInterrupt, { once: true })
      feedStdin(id, options.stdin).catch((error: unknown) => {
        release()
        reject(error instanceof Error ? error : new Error(String(error)))
      })
    }),
  }
}
