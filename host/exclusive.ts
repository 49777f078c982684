/** Locks of this host by name, between all its processes and all calls of one process: a file each, held for a moment. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { StorageError } from '../core/errors.ts'
import type { Exclusive } from '../core/ports.ts'
import { holdFile } from './lock-file.ts'

const longestPauseMs = 20

/** `directory` must be private to the user: whoever can open the files can hold up every caller. */
export const createExclusive = (directory: string): Exclusive => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  return async (name, purpose, waitMs, signal) => {
    if (!/^[a-z][a-z0-9-]*$/.test(name)) throw new Error(`${JSON.stringify(name)} cannot name a lock`)
    const path = join(directory, `${name}.lock`)
    const deadline = performance.now() + waitMs
    for (let pause = 1; ; pause = Math.min(pause * 2, longestPauseMs)) {
      signal.throwIfAborted()
      const held = holdFile(path)
      if (held !== undefined) {
        // For the next one in the queue, who sees it as the holder.
        writeFileSync(path, `${purpose}, process ${process.pid}`)
        return held
      }
      if (performance.now() >= deadline) {
        const holder = readFileSync(path, 'utf8')
        throw new StorageError('inProgress', `${holder === '' ? 'Another process' : holder} holds the ${name} lock of this host; gave up after ${Math.round(waitMs / 100) / 10} s`, {
          layer: 'host:locks', remedy: 'Try again when it has ended', details: { lock: name, holder },
        })
      }
      await sleep(pause, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  }
}
