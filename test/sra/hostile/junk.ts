/** Reads the largest documents there may be, and one of 64 MiB, in a small heap and says of each how it ended: `name<TAB>outcome`. */
import { StorageError } from '../../../core/errors.ts'
import { readRequest } from '../../../sra/request.ts'
import { maxDocumentBytes, sraNamespace } from '../../../sra/tree.ts'

const filled = (before: string, unit: string, after: string): string => before + unit.repeat(Math.floor((maxDocumentBytes - before.length - after.length) / unit.length)) + after
const open = `<Command xmlns="${sraNamespace}"><Name>queryInfo</Name><OutputFile>o</OutputFile>`

const documents: Readonly<Record<string, () => string>> = {
  'no XML': () => filled('', 'x', ''),
  'nested elements': () => filled(open, '<a>', ''),
  'elements side by side': () => filled(open, '<a/>', '</Command>'),
  'one attribute': () => filled(`${open}<a b="`, 'secret', '"/></Command>'),
  'many attributes': () => filled(`${open}<a `, 'secret="1" ', '/></Command>'),
  comments: () => filled(open, '<!--secret-->', '</Command>'),
  references: () => filled(open, '&amp;', '</Command>'),
  'an unknown command': () => filled(`<Command xmlns="${sraNamespace}"><OutputFile>o</OutputFile><Name>`, 'x', '</Name></Command>'),
  'blanks': () => filled('', ' \n', ''),
  'a document type': () => filled('<!DOCTYPE a [', '<!ENTITY b "secret">', ']><a/>'),
  'keys': () => `${open.replace('queryInfo', 'failover')}<FailoverParameters><ArrayId>a</ArrayId><TargetDevices>${Array.from({ length: 200_000 }, () => '<TargetDevice key="secret"/>').join('')}</TargetDevices></FailoverParameters></Command>`,
  '64 MiB': () => open + ' '.repeat(64 * 1024 * 1024),
}

const attempt = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    const answer = await work()
    return JSON.stringify(answer, (key, value: unknown) => (key === 'element' ? undefined : value)).slice(0, 2000)
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    return `refused: ${error.kind}: ${error.message}`
  }
}

for (const [name, make] of Object.entries(documents)) {
  const xml = make()
  process.stdout.write(`${name}\t${await attempt(async () => readRequest(xml))}\n`)
}
