/**
 * The arrays' records on disk: tables in memory, and one file to which every request appends all it changed as one line.
 * A line is one write(): a process that is killed leaves it whole or torn, and a torn last line is a request that never was.
 * No fsync: what the process has written survives its death in the page cache, but not a power cut of the machine.
 */
import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

type Change = readonly [table: string, key: string, value?: unknown]

export interface Table<T> {
  get(key: string): T | undefined
  all(): readonly T[]
  put(key: string, value: T): void
  remove(key: string): void
}

export interface Journal {
  table<T>(name: string): Table<T>
  /** Makes the changes since the last commit durable against the death of the process. */
  commit(): void
  /** Takes the changes since the last commit back. */
  discard(): void
  close(): void
}

const parse = (line: string): readonly Change[] | undefined => {
  try {
    return JSON.parse(line) as readonly Change[]
  } catch {
    return undefined
  }
}

/** Applies lines up to the first that is torn: nothing after it can have been acknowledged. */
const replay = (path: string, tables: Map<string, Map<string, unknown>>): void => {
  if (!existsSync(path)) return
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const changes = parse(line)
    if (changes === undefined) return
    for (const [name, key, ...value] of changes) {
      const table = tables.get(name) ?? new Map<string, unknown>()
      tables.set(name, table)
      if (value.length === 0) table.delete(key)
      else table.set(key, value[0])
    }
  }
}

export const openJournal = (directory: string): Journal => {
  const path = join(directory, 'records.jsonl')
  const tables = new Map<string, Map<string, unknown>>()
  replay(path, tables)
  const records = [...tables].flatMap(([name, table]) => [...table].map(([key, value]): Change => [name, key, value]))
  // Steps: 1. all records in a new file; 2. renamed over the old one. Killed before 2: the old file still tells everything.
  writeFileSync(`${path}.new`, records.length === 0 ? '' : `${JSON.stringify(records)}\n`)
  renameSync(`${path}.new`, path)
  const file = openSync(path, 'a')
  const undo: (() => void)[] = []
  let pending: Change[] = []

  return {
    table: <T>(name: string): Table<T> => {
      const table = (tables.get(name) ?? new Map<string, unknown>()) as Map<string, T>
      tables.set(name, table as Map<string, unknown>)
      const change = (key: string, apply: () => void, record: Change): void => {
        const old = table.get(key)
        undo.push(() => void (old === undefined ? table.delete(key) : table.set(key, old)))
        apply()
        pending.push(record)
      }
      return {
        get: (key) => table.get(key),
        all: () => [...table.values()],
        put: (key, value) => change(key, () => table.set(key, value), [name, key, value]),
        remove: (key) => change(key, () => table.delete(key), [name, key]),
      }
    },
    commit: () => {
      undo.length = 0
      if (pending.length === 0) return
      writeSync(file, `${JSON.stringify(pending)}\n`)
      pending = []
    },
    discard: () => {
      for (const step of undo.splice(0).reverse()) step()
      pending = []
    },
    close: () => closeSync(file),
  }
}
