/** Standard output and error of the short executables: whole texts, written before the process ends, failures as sentences. */
import { writeSync } from 'node:fs'
import { errnoNumbers, errorTable, type StorageError } from '../core/errors.ts'

const outFd = 1
const errFd = 2

/**
 * Written synchronously: `process.stdout` would load the stream modules for one text. A reader that went away (EPIPE) is no
 * failure of ours; a full non-blocking pipe is tried again.
 */
const write = (fd: number, text: string): void => {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') return
      if (code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

export const writeOut = (text: string): void => write(outFd, text)
export const writeErr = (text: string): void => write(errFd, text)

/** Text from tools and storage on one line, without anything a terminal would act on. */
export const oneLine = (text: string): string => text.replace(/\s*[\r\n]+\s*/g, ' | ').replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ').trim()

/** The exit status of every executable: the errno number of the error's kind. */
export const exitStatus = (error: StorageError): number => errnoNumbers[errorTable[error.kind].errno]

/** One line that says what failed and which layer says so, and one with the remedy. */
export const failureText = (who: string, error: StorageError): string => {
  const { layer, remedy, mayHaveChanged } = error.facts
  const tags = [errorTable[error.kind].errno, error.kind, ...(layer === undefined ? [] : [layer])].join(', ')
  const changed = mayHaveChanged === true ? '; something may have been changed' : ''
  return `${who}: ${oneLine(error.message)}${changed} [${tags}]\n${remedy === undefined ? '' : `  remedy: ${oneLine(remedy)}\n`}`
}
