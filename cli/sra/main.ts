/**
 * sra: one command of Site Recovery Manager a process. A request on standard input, the response in the file that it names, the log on
 * standard output. Exit status 0 when a response was written, whatever it says: SRM reads it there.
 */
import { randomBytes } from 'node:crypto'
import { openSync, readSync, closeSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { StorageError, toStorageError } from '../../core/errors.ts'
import { refusalText } from '../../sra/refusal.ts'
import { maxDocumentBytes } from '../../sra/tree.ts'
import { catchSignals } from '../interrupt.ts'
import { exitStatus, writeOut } from '../output.ts'
import { version } from '../version.ts'
import { createProgress, createSink, writeResponseFile } from './files.ts'
import { readSettings } from './settings.ts'

/** One byte more than a document may have, so that a longer one is seen and nothing beyond it is kept. */
const readAll = (path: string | undefined): string => {
  const file = path === undefined ? 0 : openSync(path, 'r')
  const parts: Buffer[] = []
  let size = 0
  try {
    while (size <= maxDocumentBytes) {
      const part = Buffer.allocUnsafe(64 * 1024)
      const count = readSync(file, part, 0, part.length, null)
      if (count === 0) break
      parts.push(part.subarray(0, count))
      size += count
    }
  } finally {
    if (path !== undefined) closeSync(file)
  }
  // TextDecoder also takes a byte order mark away.
  return new TextDecoder().decode(Buffer.concat(parts))
}

/** When what runs was made: the file of the program itself. */
const buildDate = (): string => new Date(statSync(fileURLToPath(import.meta.url)).mtimeMs).toISOString().slice(0, 10)

const timeUp = (seconds: number): StorageError =>
  new StorageError('cancelled', `The command was not done within SRM's time limit of ${seconds} s`, { layer: 'sra', mayHaveChanged: true, remedy: 'Run it again: it goes on where it stopped. Or raise the limit in SRM (storage.commandTimeout) and in the adapter' })

const run = async (argv: readonly string[]): Promise<void> => {
  const settings = readSettings(argv)
  const { readRequest } = await import('../../sra/request.ts')
  const document = readAll(settings.request)
  const read = await readRequest(document)
  const { outputFile, statusFile, logDirectory } = read.envelope
  const line = createSink(logDirectory)
  const progress = createProgress(statusFile)
  const interrupt = catchSignals()
  // A tenth is left for writing the response and for whoever waits for it.
  const timer = setTimeout(() => interrupt.cancel(timeUp(settings.timeLimitSeconds)), settings.timeLimitSeconds * 900)
  try {
    const { respond } = await import('./respond.ts')
    const xml = await respond(read, document, settings, { runId: randomBytes(4).toString('hex'), signal: interrupt.signal, builtOn: buildDate(), version }, { line, progress })
    writeResponseFile(outputFile, xml)
  } finally {
    clearTimeout(timer)
    interrupt.settle()
  }
}

export const main = async (argv: readonly string[]): Promise<number> => {
  try {
    await run(argv)
    return 0
  } catch (thrown) {
    const error = toStorageError(thrown, 'sra')
    writeOut(`${new Date().toISOString()} [error] ${refusalText(error)}\n`)
    return exitStatus(error)
  }
}
