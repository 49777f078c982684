/**
 * The worker's side: serves the file port, the scanner and the locks of one place to the storage manager at the other end of
 * the pipe. It may hang at any call and be killed at any time; it knows nothing that is not on the storage.
 */
import type { Duplex } from 'node:stream'
import { StorageError } from '../../core/errors.ts'
import type { Files, OpenFile, Scanner } from '../../core/ports.ts'
import { lockBytes, type HeldLocks } from '../lock-file.ts'
import { traits, type CallName, type Calls } from './calls.ts'
import { errorToWire } from '../error-wire.ts'
import { createFrameReader, createFrameSender } from './frames.ts'

interface Served {
  readonly files: Files
  readonly scanner: Scanner
}

/**
 * How long locks are believed in without asking the storage, in milliseconds. A server forgets a client that it has not heard
 * of for one lease (NFSv4: 90 s usually, never under 10 s), and then others may hold what we held.
 */
const believeMs = 5000

interface Answer<V> {
  readonly value?: V
  readonly bytes?: Uint8Array
}
type Operations = { readonly [C in CallName]: (args: Calls[C]['args'], bytes: Uint8Array, id: number) => Promise<Answer<Calls[C]['value']>> }

const noBytes = new Uint8Array(0)

const createOperations = ({ files, scanner }: Served) => {
  const open = new Map<number, OpenFile>()
  const held = new Map<number, HeldLocks>()
  const stops = new Map<number, AbortController>()
  let provenAt = 0

  const file = (handle: number): OpenFile => {
    const found = open.get(handle)
    if (found === undefined) throw new Error(`there is no open file ${handle}`)
    return found
  }
  const keep = (id: number, opened: OpenFile): Answer<number> => {
    open.set(id, opened)
    return { value: id }
  }
  const stoppable = async <T>(id: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const controller = new AbortController()
    stops.set(id, controller)
    try {
      return await work(controller.signal)
    } finally {
      stops.delete(id)
    }
  }

  const done = async (work: Promise<void>): Promise<Answer<undefined>> => {
    await work
    return {}
  }

  const operations: Operations = {
    list: async ([directory]) => ({ value: await files.list(directory) }),
    stat: async ([path]) => ({ value: await files.stat(path) }),
    space: async ([directory]) => ({ value: await files.space(directory) }),
    readText: async ([path, limit]) => ({ value: await files.readText(path, limit) }),
    open: async ([path, mode], _, id) => keep(id, await files.open(path, mode)),
    create: async ([path, mode], _, id) => keep(id, await files.create(path, mode ?? undefined)),
    rename: async ([from, to]) => done(files.rename(from, to)),
    link: async ([from, to]) => done(files.link(from, to)),
    unlink: async ([path]) => ({ value: await files.unlink(path) }),
    mkdir: async ([path]) => ({ value: await files.mkdir(path) }),
    rmdir: async ([path]) => ({ value: await files.rmdir(path) }),
    syncDirectory: async ([path]) => done(files.syncDirectory(path)),

    read: async ([handle, position, length]) => ({ bytes: await file(handle).read(position, length) }),
    write: async ([handle, position], bytes) => done(file(handle).write(position, bytes)),
    truncate: async ([handle, length]) => done(file(handle).truncate(length)),
    length: async ([handle]) => ({ value: await file(handle).length() }),
    sync: async ([handle]) => done(file(handle).sync()),
    close: async ([handle]) => {
      const opened = file(handle)
      open.delete(handle)
      return done(opened.close())
    },

    images: async ([directory, format], _, id) => ({ value: await stoppable(id, async (signal) => scanner.images(directory, format, signal)) }),
    texts: async ([directory, suffix, limit], _, id) => {
      const found = await stoppable(id, async (signal) => scanner.texts(directory, suffix, limit, signal))
      return { value: found === undefined ? undefined : [...found].map(([name, text]) => [name, text ?? null] as const) }
    },

    guard: async ([path, request, waitMs], _, id) => {
      const wait = { waitMs, deadline: performance.now() + waitMs, pauseMs: 200, holder: `process ${process.ppid}` }
      held.set(id, await stoppable(id, async (signal) => lockBytes(path, request, wait, signal)))
      provenAt = performance.now()
      return {}
    },
    release: async ([guard]) => {
      held.get(guard)?.close()
      held.delete(guard)
      return {}
    },
    cancel: async ([call]) => {
      stops.get(call)?.abort()
      return {}
    },
  }

  /** Asks the storage whether it still holds our locks, unless it has said so a moment ago. */
  const proveLocks = (): void => {
    if (held.size === 0 || performance.now() - provenAt < believeMs) return
    try {
      for (const locks of held.values()) locks.renew()
    } catch (error) {
      throw new StorageError('unreachable', `The locks of this host on the storage cannot be confirmed: ${(error as Error).message}`, {
        layer: 'host:locks', cause: error, remedy: 'Nothing was changed; try again when the storage answers steadily',
      })
    }
    provenAt = performance.now()
  }

  return async <C extends CallName>(operation: C, args: Calls[C]['args'], bytes: Uint8Array, id: number): Promise<Answer<Calls[C]['value']>> => {
    if (traits[operation].guarded === true) proveLocks()
    return operations[operation](args, bytes, id)
  }
}

/** Serves until the other end closes the pipe; that is the end of this process, whatever may hang in it. */
export const serveIsolatedFiles = (channel: Duplex, served: Served): void => {
  const perform = createOperations(served)
  const send = createFrameSender(channel)
  const read = createFrameReader(({ head, bytes }) => {
    const [id, operation, args] = head as readonly [number, CallName, Calls[CallName]['args']]
    perform(operation, args, bytes ?? noBytes, id).then(
      (answer) => send([id, 'ok', answer.value], answer.bytes),
      (error: unknown) => send([id, 'failed', errorToWire(error)]),
    )
  })
  // An orderly exit would wait for threads that may hang.
  const end = (): void => void process.kill(process.pid, 'SIGKILL')
  channel.on('data', read)
  channel.once('end', end)
  channel.once('error', end)
  send([0, 'running'])
}
