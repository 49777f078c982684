/**
 * Reading whole directories, synchronously: in a worker thread this is five times as fast as the asynchronous calls. What
 * did not change since the last time is not read again; a file that was changed a moment ago may change once more within
 * the same tick of its time stamp, so such a one is not remembered.
 */
import * as fs from 'node:fs'
import { StorageError } from '../../../core/errors.ts'
import type { FileFacts, ScannedImage } from '../../../core/ports.ts'
import type { ImageFormat, ImageSummary } from '../../../formats/format.ts'
import { systemClock } from '../../../host/clock.ts'
import { factsOf } from '../../../host/files/files.ts'

/** Time stamps of any file system are finer than this. */
const settledMs = 2000

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants

interface Remembered<T> {
  readonly version: string
  readonly value: T
}

export type ImageRow = ScannedImage<ImageSummary>

interface Found {
  readonly facts: FileFacts
  readonly settled: boolean
}

const look = (path: string): Found | undefined => {
  const stats = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return stats === undefined ? undefined : { facts: factsOf(stats), settled: systemClock.now() - Number(stats.ctimeMs) > settledMs }
}

const readAt = (fd: number, buffer: Buffer, position: number): number => {
  let done = 0
  while (done < buffer.length) {
    const count = fs.readSync(fd, buffer, done, buffer.length - done, position + done)
    if (count === 0) break
    done += count
  }
  return done
}

const problemOf = (error: unknown): NonNullable<ImageRow['problem']> => ({
  message: error instanceof Error ? error.message : String(error),
  ...(error instanceof StorageError && error.facts.remedy !== undefined ? { remedy: error.facts.remedy } : {}),
})

/** One reader remembers what it has read. A directory that cannot be listed fails: it is not empty. */
export const createDirectoryReader = () => {
  const images = new Map<string, Remembered<Pick<ImageRow, 'summary' | 'problem'>>>()
  const texts = new Map<string, Remembered<string | undefined>>()

  const readImage = (path: string, format: ImageFormat, facts: FileFacts, head: Buffer, tail: Buffer): Pick<ImageRow, 'summary' | 'problem'> => {
    if (facts.kind !== 'file') return { problem: { message: `It is a ${facts.kind}, not a file`, remedy: 'Remove it, or put the image itself in its place' } }
    let fd: number | undefined
    try {
      fd = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
      const headLength = readAt(fd, head, 0)
      const tailStart = Math.max(0, facts.size - tail.length)
      const tailLength = readAt(fd, tail, tailStart)
      return { summary: format.summarize(head.subarray(0, headLength), tail.subarray(0, tailLength), facts.size) }
    } catch (error) {
      return { problem: problemOf(error) }
    } finally {
      if (fd !== undefined) fs.closeSync(fd)
    }
  }

  return {
    /** Yields rows in batches, so that whoever runs this can look up in between. */
    * images(directory: string, format: ImageFormat, batch: number): Generator<readonly ImageRow[]> {
      const suffix = `.${format.extension}`
      const head = Buffer.alloc(format.headLength)
      const tail = Buffer.alloc(format.tailLength)
      let rows: ImageRow[] = []
      for (const fileName of fs.readdirSync(directory)) {
        if (!fileName.endsWith(suffix)) continue
        const path = `${directory}/${fileName}`
        const found = look(path)
        // Removed since the listing.
        if (found === undefined) continue
        const { facts, settled } = found
        const known = images.get(path)
        const read = known?.version === facts.version ? known.value : readImage(path, format, facts, head, tail)
        if (known?.version !== facts.version) {
          if (settled) images.set(path, { version: facts.version, value: read })
          else images.delete(path)
        }
        rows.push({ fileName, facts, ...read })
        if (rows.length === batch) {
          yield rows
          rows = []
        }
      }
      yield rows
    },
    texts(directory: string, suffix: string, limit: number): ReadonlyMap<string, string | undefined> | undefined {
      let names: readonly string[]
      try {
        names = fs.readdirSync(directory)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw error
      }
      const answer = new Map<string, string | undefined>()
      for (const name of names) {
        if (!name.endsWith(suffix)) continue
        const path = `${directory}/${name}`
        const found = look(path)
        if (found === undefined) continue
        const { facts, settled } = found
        const known = texts.get(path)
        if (known?.version === facts.version) {
          answer.set(name, known.value)
          continue
        }
        const text = facts.kind === 'file' && facts.size <= limit ? fs.readFileSync(path, 'utf8') : undefined
        if (settled) texts.set(path, { version: facts.version, value: text })
        answer.set(name, text)
      }
      return answer
    },
  }
}
