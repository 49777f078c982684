/** `smctl sra validate <file>`: what is wrong with a request or a response of the Storage Replication Adapter interface. Changes nothing. */
import { createReadStream } from 'node:fs'
import { StorageError, toStorageError } from '../../core/errors.ts'
import { maxDocumentBytes } from '../../sra/tree.ts'
import { isSound, validate, type Finding, type Verdict } from '../../sra/validate.ts'
import { oneLine, writeOut } from '../output.ts'

/** No more than a document may have; `-` is standard input. */
const read = async (file: string, signal: AbortSignal): Promise<string> => {
  const chunks: Buffer[] = []
  let size = 0
  const source = file === '-' ? process.stdin : createReadStream(file, { signal })
  for await (const chunk of source as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (size > maxDocumentBytes) throw new StorageError('invalidArgument', `the document is larger than ${maxDocumentBytes} bytes`, { field: 'file', layer: 'sra', remedy: 'Give one request or one response' })
  }
  return Buffer.concat(chunks).toString('utf8')
}

const textOf = ({ weight, path, line, found, wanted, chapter }: Finding): string =>
  `${weight === 'wrong' ? 'wrong' : 'note '} line ${line}: ${oneLine(path)}\n  found: ${oneLine(found)}\n  wanted: ${oneLine(wanted)}\n  asked for by: chapter ${chapter}\n`

const headline = ({ document, command, findings }: Verdict): string => {
  const wrong = findings.filter(({ weight }) => weight === 'wrong').length
  const notes = findings.length - wrong
  return `${document}${command === undefined ? '' : ` of ${command}`}: ${wrong === 0 ? 'valid' : `${wrong} wrong`}${notes === 0 ? '' : `, ${notes} to note`}\n`
}

/** True when nothing is wrong. Errors: those of reading the file, and invalidArgument when it is no document of the interface. */
export const validateFile = async (file: string, json: boolean, signal: AbortSignal): Promise<boolean> => {
  let xml: string
  try {
    xml = await read(file, signal)
  } catch (error) {
    throw toStorageError(error, 'cli')
  }
  const verdict = await validate(xml)
  writeOut(json ? `${JSON.stringify(verdict, undefined, 2)}\n` : headline(verdict) + verdict.findings.map(textOf).join(''))
  return isSound(verdict)
}
