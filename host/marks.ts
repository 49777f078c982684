/**
 * Marks in the run directory: small private files that tell all processes of this host who uses what, in which boot. A mark is
 * there whole or not at all. They are no database: what is lost with them is a hint, never a disk.
 */
import * as z from 'zod'
import { StorageError, isSystemError } from '../core/errors.ts'
import type { Host } from '../core/ports.ts'

type Needs = Pick<Host, 'files' | 'runDirectory' | 'bootId'>

const maxLength = 64 * 1024

export interface Mark<T> {
  readonly name: string
  /** Of an earlier boot: whatever it speaks of is no more. */
  readonly stale: boolean
  readonly value: T
}

export interface Marks<T> {
  list(): Promise<readonly Mark<T>[]>
  read(name: string): Promise<Mark<T> | undefined>
  /** Makes or replaces a mark. */
  put(name: string, value: T): Promise<void>
  /** Makes a mark that nobody has; answers the one that is there otherwise. One of an earlier boot is replaced. */
  claim(name: string, value: T): Promise<Mark<T> | undefined>
  /** True when something was removed. */
  remove(name: string): Promise<boolean>
  /** Removes what dead processes left half made, if it is older than that (Unix milliseconds). */
  sweep(olderThanMs: number): Promise<void>
}

const isTaken = (error: unknown): boolean =>
  (error instanceof StorageError && error.kind === 'alreadyExists') || (isSystemError(error) && error.code === 'EEXIST')

/** Marks called `<prefix>-<name>.json`. `durable` ones survive a power cut. */
export const createMarks = <T>({ files, runDirectory, bootId }: Needs, prefix: string, schema: z.ZodType<T>, durable = false): Marks<T> => {
  const envelope = z.strictObject({ format: z.literal(1), bootId: z.string(), value: schema })
  const pathOf = (name: string): string => {
    if (!/^[A-Za-z0-9-]+$/.test(name)) throw new Error(`${JSON.stringify(name)} cannot name a mark`)
    return `${runDirectory}/${prefix}-${name}.json`
  }

  const read = async (name: string): Promise<Mark<T> | undefined> => {
    const path = pathOf(name)
    const text = await files.readText(path, maxLength)
    if (text === undefined) return undefined
    try {
      const mark = envelope.parse(JSON.parse(text))
      return { name, stale: mark.bootId !== bootId, value: mark.value as T }
    } catch (error) {
      throw new StorageError('ioError', `The mark ${path} of this host is not readable: ${(error as Error).message.slice(0, 200)}`, {
        layer: 'host:marks', cause: error, remedy: `Move ${path} away; no disk is affected`,
      })
    }
  }

  const writeBeside = async (name: string, value: T): Promise<string> => {
    const temporary = `${pathOf(name)}.${crypto.randomUUID()}.tmp`
    const file = await files.create(temporary)
    try {
      await file.write(0, new TextEncoder().encode(JSON.stringify({ format: 1, bootId, value })))
      // Also of a mark that may get lost: a power cut must not leave its name with half a content.
      await file.sync()
    } finally {
      await file.close()
    }
    return temporary
  }
  const settle = async (): Promise<void> => {
    if (durable) await files.syncDirectory(runDirectory)
  }

  return {
    read,
    async list() {
      const entries = (await files.list(runDirectory)) ?? []
      const names = entries.filter((entry) => entry.startsWith(`${prefix}-`) && entry.endsWith('.json')).map((entry) => entry.slice(prefix.length + 1, -'.json'.length))
      const marks = await Promise.all(names.sort().map(read))
      return marks.filter((mark) => mark !== undefined)
    },
    async put(name, value) {
      await files.rename(await writeBeside(name, value), pathOf(name))
      await settle()
    },
    async claim(name, value) {
      const temporary = await writeBeside(name, value)
      try {
        for (;;) {
          try {
            await files.link(temporary, pathOf(name))
            await settle()
            return undefined
          } catch (error) {
            if (!isTaken(error)) throw error
          }
          const there = await read(name)
          if (there !== undefined && !there.stale) return there
          await files.unlink(pathOf(name))
        }
      } finally {
        await files.unlink(temporary)
      }
    },
    async remove(name) {
      const removed = await files.unlink(pathOf(name))
      if (removed) await settle()
      return removed
    },
    async sweep(olderThanMs) {
      for (const entry of (await files.list(runDirectory)) ?? []) {
        if (!entry.startsWith(`${prefix}-`) || !entry.endsWith('.tmp')) continue
        const facts = await files.stat(`${runDirectory}/${entry}`)
        if (facts !== undefined && facts.modifiedMs < olderThanMs) await files.unlink(`${runDirectory}/${entry}`)
      }
    },
  }
}
