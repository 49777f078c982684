/**
 * Reading whole directories. What did not change since the last time is not read again; a file that was changed a moment ago
 * may change once more within the same tick of its time stamp, so such a one is not remembered.
 */
import * as fs from 'node:fs'
import { isSystemError, StorageError } from '../../../core/errors.ts'
import type { FileFacts, ScannedImage } from '../../../core/ports.ts'
import type { ImageFormat, ImageSummary } from '../../../formats/format.ts'
import { systemClock } from '../../../host/clock.ts'
import { factsOf } from '../../../host/files/files.ts'
import type { SystemCalls } from '../../../host/files/system-calls.ts'
import { readMany, systemPace, type Pace } from './pace.ts'

/** Time stamps of any file system are finer than this. */
const settledMs = 2000

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants

interface Remembered<T> {
  readonly version: string
  readonly value: T
}

export type ImageRow = ScannedImage<ImageSummary>
type Content = Pick<ImageRow, 'summary' | 'problem'>

const isGone = (error: unknown): boolean => isSystemError(error) && error.code === 'ENOENT'

/** Reads into `buffer` until it is full or the file ends; answers how far it came. */
const readAt = async (calls: SystemCalls, fd: number, buffer: Uint8Array, position: number): Promise<number> => {
  let done = 0
  while (done < buffer.length) {
    const count = await calls.read(fd, buffer, done, buffer.length - done, position + done)
    if (count === 0) break
    done += count
  }
  return done
}

const withOpen = async <T>(calls: SystemCalls, path: string, work: (fd: number) => Promise<T>): Promise<T> => {
  const fd = await calls.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    return await work(fd)
  } finally {
    await calls.close(fd)
  }
}

const problemOf = (error: unknown): NonNullable<ImageRow['problem']> => ({
  message: error instanceof Error ? error.message : String(error),
  ...(error instanceof StorageError && error.facts.remedy !== undefined ? { remedy: error.facts.remedy } : {}),
})

const readImage = async (calls: SystemCalls, path: string, format: ImageFormat, facts: FileFacts): Promise<Content> => {
  if (facts.kind !== 'file') return { problem: { message: `It is a ${facts.kind}, not a file`, remedy: 'Remove it, or put the image itself in its place' } }
  const head = Buffer.allocUnsafe(format.headLength)
  const tail = Buffer.allocUnsafe(format.tailLength)
  try {
    return await withOpen(calls, path, async (fd) => {
      const headLength = await readAt(calls, fd, head, 0)
      const tailLength = await readAt(calls, fd, tail, Math.max(0, facts.size - tail.length))
      return { summary: format.summarize(head.subarray(0, headLength), tail.subarray(0, tailLength), facts.size) }
    })
  } catch (error) {
    if (isGone(error)) throw error
    return { problem: problemOf(error) }
  }
}

const readText = async (calls: SystemCalls, path: string, facts: FileFacts, limit: number): Promise<string | undefined> => {
  if (facts.kind !== 'file' || facts.size > limit) return undefined
  const bytes = Buffer.allocUnsafe(facts.size)
  return withOpen(calls, path, async (fd) => bytes.toString('utf8', 0, await readAt(calls, fd, bytes, 0)))
}

/**
 * `known` when the file has not changed since it was remembered, else what `read` answers. Removed since the listing:
 * undefined. Answers at once, without a promise, when nothing has to be waited for: a rescan is mostly that.
 */
const remembering = <T, R>(memory: Map<string, Remembered<T>>, path: string, calls: SystemCalls, read: (facts: FileFacts) => Promise<T>, row: (facts: FileFacts, value: T) => R): R | undefined | Promise<R | undefined> => {
  const told = (stats: fs.BigIntStats): R | Promise<R> => {
    const facts = factsOf(stats)
    const known = memory.get(path)
    if (known?.version === facts.version) return row(facts, known.value)
    const settled = systemClock.now() - Number(stats.ctimeMs) > settledMs
    return read(facts).then((value) => {
      if (settled) memory.set(path, { version: facts.version, value })
      else memory.delete(path)
      return row(facts, value)
    })
  }
  const gone = (error: unknown): undefined => {
    memory.delete(path)
    if (!isGone(error)) throw error
    return undefined
  }
  try {
    const stats = calls.lstat(path)
    const found = stats instanceof Promise ? stats.then(told) : told(stats)
    return found instanceof Promise ? found.catch(gone) : found
  } catch (error) {
    return gone(error)
  }
}

/** One reader remembers what it has read. A directory that cannot be listed fails: it is not empty. */
export const createDirectoryReader = (pace: Pace = systemPace) => {
  const images = new Map<string, Remembered<Content>>()
  const texts = new Map<string, Remembered<string | undefined>>()
  return {
    /** Rows in batches, so that whoever runs this can look up in between. */
    images(directory: string, format: ImageFormat, batch: number): AsyncGenerator<readonly ImageRow[]> {
      const names = fs.readdirSync(directory).filter((name) => name.endsWith(`.${format.extension}`))
      return readMany(names, batch, (fileName, calls) => {
        const path = `${directory}/${fileName}`
        return remembering<Content, ImageRow>(images, path, calls, async (facts) => readImage(calls, path, format, facts), (facts, content) => ({ fileName, facts, ...content }))
      }, pace)
    },
    async texts(directory: string, suffix: string, limit: number): Promise<ReadonlyMap<string, string | undefined> | undefined> {
      let names: readonly string[]
      try {
        names = fs.readdirSync(directory)
      } catch (error) {
        if (isGone(error)) return undefined
        throw error
      }
      const answer = new Map<string, string | undefined>()
      const read = (name: string, calls: SystemCalls) => {
        const path = `${directory}/${name}`
        return remembering(texts, path, calls, async (facts) => readText(calls, path, facts, limit), (_, text) => [name, text] as const)
      }
      for await (const rows of readMany(names.filter((name) => name.endsWith(suffix)), 1000, read, pace)) {
        for (const [name, text] of rows) answer.set(name, text)
      }
      return answer
    },
  }
}
