/** The arrays this host was configured with: small private files (their connections hold passwords), each replaced atomically. */
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import type { ArrayRecord, ArrayRecords } from '../core/array/ports.ts'
import { StorageError } from '../core/errors.ts'
import { lazily } from '../core/lazily.ts'

const RecordFile = lazily(() => z.strictObject({ format: z.literal(1), name: z.string(), type: z.string(), connection: z.record(z.string(), z.string()) }))

export const createArrayRecords = (stateDirectory: string): ArrayRecords => {
  const directory = join(stateDirectory, 'arrays')
  const pathOf = (name: string): string => join(directory, `${name}.json`)
  const read = (path: string): ArrayRecord | undefined => {
    let text: string
    try {
      text = readFileSync(path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
    try {
      const { format: _format, ...record } = RecordFile().parse(JSON.parse(text))
      return record
    } catch (error) {
      // The message of the parser may show the content, and that holds secrets.
      throw new StorageError('ioError', `The record ${path} of a configured array is not readable`, { layer: 'host:records', remedy: `Remove ${path} and configure the array again: smctl array add`, cause: (error as Error).name })
    }
  }
  return {
    list() {
      let names: readonly string[]
      try {
        names = readdirSync(directory).filter((name) => name.endsWith('.json')).sort()
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
        throw error
      }
      return names.flatMap((name) => read(join(directory, name)) ?? [])
    },
    get: (name) => read(pathOf(name)),
    put(record) {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      const temporary = `${pathOf(record.name)}.${process.pid}.tmp`
      const fd = openSync(temporary, 'w', 0o600)
      try {
        writeSync(fd, JSON.stringify({ format: 1, ...record }))
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
      renameSync(temporary, pathOf(record.name))
    },
    remove(name) {
      if (read(pathOf(name)) === undefined) return false
      rmSync(pathOf(name))
      return true
    },
  }
}
