/** The scanner of a long-lived process: a worker thread reads, this thread goes on answering. */
import { Worker } from 'node:worker_threads'
import { StorageError } from '../../../core/errors.ts'
import type { Scanner } from '../../../core/ports.ts'
import { errorFromWire } from '../../../host/error-wire.ts'
import type { ScanReply, ScanRequest } from './messages.ts'
import type { ImageRow } from './read-directory.ts'

interface Waiting {
  readonly onReply: (reply: ScanReply) => void
  readonly onDeath: (error: Error) => void
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never

/** `entry` is the worker's file; it is started with the first scan and again should it have died. */
export const createWorkerScanner = (entry: URL, execArgv: readonly string[] = []): Scanner & { close(): Promise<void> } => {
  let worker: Worker | undefined
  let lastId = 0
  const waiting = new Map<number, Waiting>()

  const die = (error: Error): void => {
    worker = undefined
    for (const one of waiting.values()) one.onDeath(error)
    waiting.clear()
  }

  const running = (): Worker => {
    if (worker !== undefined) return worker
    const started = new Worker(entry, { execArgv: [...execArgv], resourceLimits: { maxYoungGenerationSizeMb: 6 } })
    started.unref()
    started.on('message', (reply: ScanReply) => waiting.get(reply.id)?.onReply(reply))
    started.on('error', die)
    started.on('exit', () => {
      if (worker === started) die(new Error('the scan worker ended'))
    })
    worker = started
    return started
  }

  const ask = async (request: WithoutId<ScanRequest>, signal: AbortSignal, onReply: (reply: ScanReply) => void): Promise<void> => {
    signal.throwIfAborted()
    const thread = running()
    lastId += 1
    const id = lastId
    await new Promise<void>((resolve, reject) => {
      const end = (act: () => void): void => {
        waiting.delete(id)
        signal.removeEventListener('abort', onAbort)
        if (waiting.size === 0) thread.unref()
        act()
      }
      const onAbort = (): void => {
        thread.postMessage({ id, want: 'cancel' } satisfies ScanRequest)
        end(() => reject(signal.reason as Error))
      }
      signal.addEventListener('abort', onAbort, { once: true })
      waiting.set(id, {
        onReply(reply) {
          if ('done' in reply) end(resolve)
          else if ('failed' in reply) {
            const { failed } = reply
            end(() => reject(errorFromWire(failed)))
          } else onReply(reply)
        },
        onDeath: (error) => end(() => reject(new StorageError('driverBug', `The scan worker failed: ${error.message}`, { layer: 'store:image-files', cause: error, remedy: 'Try again; report it when it happens again' }))),
      })
      // While somebody waits, the process must not end under the answer.
      thread.ref()
      thread.postMessage({ id, ...request })
    })
  }

  return {
    async images(directory, format, signal) {
      const rows: ImageRow[] = []
      await ask({ want: 'images', directory, format }, signal, (reply) => {
        if ('rows' in reply) rows.push(...reply.rows)
      })
      return rows
    },
    async texts(directory, suffix, limit, signal) {
      let found: ReadonlyMap<string, string | undefined> | undefined
      await ask({ want: 'texts', directory, suffix, limit }, signal, (reply) => {
        if ('texts' in reply) found = reply.texts
      })
      return found
    },
    async close() {
      await worker?.terminate()
    },
  }
}
