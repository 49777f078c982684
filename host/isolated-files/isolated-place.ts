/**
 * The storage manager's side of a place that may hang: the file port, served by a process of its own. A call that outlives its
 * deadline costs that process, not this one. What the kernel does not let die is left behind and counted, and beyond a few of
 * those no more are started until the storage lets one go.
 */
import { StorageError } from '../../core/errors.ts'
import type { Files, Isolate, IsolatedPlace, IsolatedPlaceOptions, Log, OpenFile } from '../../core/ports.ts'
import type { StartWorker, WorkerProcess } from '../run.ts'
import { traits, type CallName, type Calls } from './calls.ts'
import { errorFromWire } from '../error-wire.ts'
import { createFrameReader, createFrameSender, type SendFrame } from './frames.ts'

export interface IsolationOptions {
  readonly start: StartWorker
  readonly log: Log
  /**
   * Milliseconds that one call may take; 20 s when absent: a short outage is waited for, and no NFSv4 server (lease 90 s) has
   * given our locks away before the process that works under them is killed.
   */
  readonly deadlineMs?: number
}

const defaultDeadlineMs = 20_000
/** A process that has not reported by then will not: it is broken, not its storage. */
const startMs = 60_000
/** Processes of one place that may wait for a dead server at once: each holds some 40 MB. */
const maxStuck = 4

interface Waiting {
  readonly call: CallName
  /** Starts its deadline; not before the process runs, whose start is no fault of the storage. */
  readonly arm: () => void
  readonly settle: (value: never, bytes: Uint8Array | undefined) => void
  readonly fail: (error: unknown) => void
}

/** One process and the calls it has not answered yet. */
interface Worker {
  readonly process: WorkerProcess
  readonly send: SendFrame
  readonly waiting: Map<number, Waiting>
  /** Ids of the guards it holds. */
  readonly guards: Set<number>
  running: boolean
  gone: boolean
}

interface CallOptions {
  readonly bytes?: Uint8Array
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
  /** For calls on an open file: the process that has it open. */
  readonly of?: Worker
}

interface Answer<C extends CallName> {
  readonly value: Calls[C]['value']
  readonly bytes: Uint8Array | undefined
  readonly worker: Worker
  readonly id: number
}

/** `stuck`: the processes of this place, of this and earlier handles on it, that were killed and have not ended yet. */
const createCaller = (place: IsolatedPlaceOptions, options: IsolationOptions, stuck: Set<Worker>) => {
  const { log } = options
  const callDeadlineMs = options.deadlineMs ?? defaultDeadlineMs
  /** Guards that were lost with their process; see `guard` of the port. */
  const lostGuards = new Set<number>()
  let current: Worker | undefined
  let closed = false
  let lastId = 0

  const unreachable = (message: string, name?: CallName): StorageError =>
    new StorageError('unreachable', message, {
      layer: place.layer, remedy: place.remedy, ...(name !== undefined && traits[name].changes === true ? { mayHaveChanged: true } : {}),
      details: { place: place.name, waiting_processes: stuck.size },
    })

  /** Takes a process out of service. Its calls fail, its guards are lost. */
  const abandon = (worker: Worker, why: string): void => {
    if (worker.gone) return
    worker.gone = true
    if (current === worker) current = undefined
    for (const guard of worker.guards) lostGuards.add(guard)
    stuck.add(worker)
    worker.process.kill()
    worker.process.channel.destroy()
    for (const { call: name, fail } of worker.waiting.values()) fail(unreachable(why, name))
    worker.waiting.clear()
  }

  const start = (): Worker => {
    if (stuck.size >= maxStuck) {
      throw unreachable(`${place.name} does not answer: ${stuck.size} processes wait for it already and cannot even be killed`)
    }
    const process = options.start(`storage-manager-files ${place.name}`)
    const worker: Worker = { process, send: createFrameSender(process.channel), waiting: new Map(), guards: new Set(), running: false, gone: false }
    const { channel, ended } = process
    const broken = (error: unknown): void => abandon(worker, `The process that works in ${place.name} is lost: ${(error as Error).message}`)
    const starting = setTimeout(() => abandon(worker, `The process that is to work in ${place.name} did not start within ${startMs / 1000} s`), startMs)
    starting.unref()
    const read = createFrameReader(({ head, bytes }) => {
      const [id, outcome, value] = head as readonly [number, 'ok' | 'failed' | 'running', never]
      if (outcome === 'running') {
        clearTimeout(starting)
        worker.running = true
        for (const { arm } of worker.waiting.values()) arm()
        return
      }
      const waiting = worker.waiting.get(id)
      if (waiting === undefined) return
      worker.waiting.delete(id)
      if (outcome === 'ok') waiting.settle((value ?? undefined) as never, bytes)
      else waiting.fail((place.explain ?? ((error: unknown) => error))(errorFromWire(value)))
    })
    channel.on('data', (chunk: Buffer) => {
      try {
        read(chunk)
      } catch (error) {
        broken(error)
      }
    })
    channel.on('error', broken)
    void ended.then(({ exitCode, signal, stderr }) => {
      clearTimeout(starting)
      if (!worker.gone) {
        log.error({ place: place.name, exit_code: exitCode, signal, stderr }, 'a file worker ended unexpectedly')
        abandon(worker, `The process that worked in ${place.name} ended unexpectedly (${signal ?? `status ${exitCode ?? 'unknown'}`})${stderr === '' ? '' : `: ${stderr}`}`)
      }
      stuck.delete(worker)
    })
    log.debug({ place: place.name, pid: worker.process.pid }, 'started a file worker')
    return worker
  }

  const call = async <C extends CallName>(name: C, args: Calls[C]['args'], how: CallOptions = {}): Promise<Answer<C>> => {
    how.signal?.throwIfAborted()
    if (closed) throw new StorageError('srNotAttached', `${place.name} has been closed`, { layer: place.layer })
    if (lostGuards.size > 0) throw unreachable(`${place.name} did not answer, and the locks of this host there were lost with it: the calls that held them must end first`)
    if (how.of?.gone === true) throw unreachable(`The process that had the file open in ${place.name} was given up`, name)
    const worker = how.of ?? (current ??= start())
    const { channel } = worker.process
    lastId += 1
    const id = lastId
    const deadlineMs = how.deadlineMs ?? callDeadlineMs * (traits[name].patience ?? 1)
    if (worker.waiting.size === 0) (channel as { ref?: () => void }).ref?.()

    return new Promise((resolve, reject) => {
      const settled = (act: () => void): void => {
        clearTimeout(timer)
        how.signal?.removeEventListener('abort', onAbort)
        if (worker.waiting.size === 0) (channel as { unref?: () => void }).unref?.()
        act()
      }
      let timer: NodeJS.Timeout | undefined
      const expire = (): void => {
        log.warn({ place: place.name, pid: worker.process.pid, call: name, deadline_ms: deadlineMs }, 'a file worker did not answer and is given up')
        abandon(worker, `${place.name} does not answer: ${name} did not end within ${deadlineMs / 1000} s`)
      }
      const arm = (): void => {
        timer = setTimeout(expire, deadlineMs)
      }
      if (worker.running) arm()
      // The answer to a cancelled call still comes: it says that the call has really ended.
      const onAbort = (): void => worker.send([0, 'cancel', [id]])
      how.signal?.addEventListener('abort', onAbort, { once: true })
      worker.waiting.set(id, {
        call: name,
        arm,
        settle: (value, bytes) => settled(() => resolve({ value, bytes, worker, id })),
        fail: (error) => settled(() => reject((how.signal?.aborted === true ? how.signal.reason : error) as Error)),
      })
      worker.send([id, name, args], how.bytes)
    })
  }

  return {
    call,
    lostGuards,
    callDeadlineMs,
    stuck: () => stuck.size,
    close: () => {
      closed = true
      if (current !== undefined) abandon(current, `${place.name} has been closed`)
    },
  }
}

type Caller = ReturnType<typeof createCaller>

const openFile = (call: Caller['call'], of: Worker, handle: number): OpenFile => ({
  read: async (position, length) => (await call('read', [handle, position, length], { of })).bytes ?? new Uint8Array(0),
  write: async (position, bytes) => void (await call('write', [handle, position], { of, bytes })),
  truncate: async (length) => void (await call('truncate', [handle, length], { of })),
  length: async () => (await call('length', [handle], { of })).value,
  sync: async () => void (await call('sync', [handle], { of })),
  close: async () => {
    // With its process the file was closed.
    if (!of.gone) await call('close', [handle], { of })
  },
})

const createFilePort = ({ call }: Caller): Files => {
  const opened = ({ worker, value }: Answer<'open' | 'create'>): OpenFile => openFile(call, worker, value)
  return {
    list: async (directory) => (await call('list', [directory])).value,
    stat: async (path) => (await call('stat', [path])).value,
    space: async (directory) => (await call('space', [directory])).value,
    readText: async (path, limit) => (await call('readText', [path, limit])).value,
    open: async (path, mode) => opened(await call('open', [path, mode])),
    create: async (path, mode) => opened(await call('create', [path, mode ?? null])),
    rename: async (from, to) => void (await call('rename', [from, to])),
    link: async (from, to) => void (await call('link', [from, to])),
    unlink: async (path) => (await call('unlink', [path])).value,
    mkdir: async (path) => (await call('mkdir', [path])).value,
    rmdir: async (path) => (await call('rmdir', [path])).value,
    syncDirectory: async (path) => void (await call('syncDirectory', [path])),
  }
}

const createPlace = (caller: Caller): IsolatedPlace => {
  const { call, lostGuards } = caller
  return {
    files: createFilePort(caller),
    scanner: {
      images: async (directory, format, signal) => (await call('images', [directory, format], { signal })).value,
      texts: async (directory, suffix, limit, signal) => {
        const found = (await call('texts', [directory, suffix, limit], { signal })).value
        return found === undefined ? undefined : new Map(found.map(([name, text]) => [name, text ?? undefined]))
      },
    },
    async guard(lockFile, request, waitMs, signal) {
      const { worker, id } = await call('guard', [lockFile, request, waitMs], { signal, deadlineMs: waitMs + caller.callDeadlineMs })
      const guards = worker.gone ? lostGuards : worker.guards
      guards.add(id)
      let held = true
      return {
        release() {
          if (!held) return
          held = false
          worker.guards.delete(id)
          lostGuards.delete(id)
          if (!worker.gone) worker.send([0, 'release', [id]])
        },
      }
    },
    stuck: caller.stuck,
    close: caller.close,
  }
}

export const createIsolation = (options: IsolationOptions): Isolate => {
  const stuckOf = new Map<string, Set<Worker>>()
  return (place) => {
    const stuck = stuckOf.get(place.name) ?? new Set()
    stuckOf.set(place.name, stuck)
    return createPlace(createCaller(place, options, stuck))
  }
}
