/** The files of one SRA command: its response, written whole or not at all, progress that is appended, and a log that is rotated. */
import { appendFileSync, closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { StorageError } from '../../core/errors.ts'
import { sraNamespace } from '../../sra/tree.ts'
import { writeOut } from '../output.ts'

const modeOf = (path: string): number => {
  const facts = statSync(path, { throwIfNoEntry: false })
  return facts === undefined ? 0o600 : facts.mode & 0o777
}

/**
 * 1 a new file beside it, flushed  - a kill leaves the old file, or none, and a file that nobody reads
 * 2 renamed over it                - the response is there
 * ioError when it cannot be written: the only thing that makes a command fail without a response.
 */
export const writeResponseFile = (path: string, xml: string): void => {
  const fresh = join(dirname(path), `.${basename(path)}.${process.pid}`)
  try {
    const file = openSync(fresh, 'wx', modeOf(path))
    try {
      const bytes = Buffer.from(xml)
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(fresh, path)
  } catch (error) {
    rmSync(fresh, { force: true })
    throw new StorageError('ioError', `The response could not be written to ${path}: ${(error as Error).message}`, { field: 'OutputFile', layer: 'sra', remedy: 'Name a file in a folder that this user can write to', cause: error })
  }
}

/** Percent to StatusFile; each only once. A file that cannot be written to is no reason to stop. */
export const createProgress = (path: string | undefined): ((percent: number) => void) => {
  let told: number | undefined
  return (percent) => {
    if (path === undefined || percent === told) return
    told = percent
    try {
      appendFileSync(path, `<?xml version="1.0" encoding="UTF-8"?>\n<ProgressUpdate xmlns="${sraNamespace}">${percent}</ProgressUpdate>\n`)
    } catch {
      // SRM has taken it away, or never made it: progress is a courtesy.
    }
  }
}

const logName = 'storage-manager-sra.log'
const maxLogBytes = 16 * 1024 * 1024
const keptLogs = 5

/** Two processes may both do it at a time: then one log more is moved on. */
const rotate = (path: string): void => {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) < maxLogBytes) return
  for (let number = keptLogs; number > 0; number -= 1) {
    try {
      renameSync(number === 1 ? path : `${path}.${number - 1}`, `${path}.${number}`)
    } catch {
      // There are not so many yet.
    }
  }
}

/** To standard output, and to a file below LogDirectory, which is made when it is missing. A log that cannot be written stops nothing. */
export const createSink = (directory: string | undefined): ((text: string) => void) => {
  let path: string | undefined
  if (directory !== undefined) {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      path = join(directory, logName)
      rotate(path)
    } catch (error) {
      path = undefined
      writeOut(`${new Date().toISOString()} [warning] The log directory cannot be used: ${(error as Error).message}\n`)
    }
  }
  return (text) => {
    writeOut(`${text}\n`)
    if (path === undefined) return
    try {
      appendFileSync(path, `${text}\n`, { mode: 0o600 })
    } catch {
      // Standard output has it.
    }
  }
}
