/** Responses: written strictly, and read for whoever plays SRM. */
import { StorageError } from '../core/errors.ts'
import { readDocument, sentence } from './read.ts'
import { responseShape, type CommandName, type ResponseOf } from './schema/index.ts'
import { readTree } from './tree.ts'
import { writeDocument } from './write.ts'

/** driverBug when the value is not what the tables allow; nothing is written then. */
export const writeResponse = <C extends CommandName>(command: C, value: ResponseOf<C>): string => writeDocument('Response', responseShape(command), value)

/** invalidArgument, with every reason, unless the document is a response of that command. */
export const readResponse = async <C extends CommandName>(command: C, xml: string): Promise<ResponseOf<C>> => {
  const root = await readTree(xml)
  const { value, problems } = readDocument(root, responseShape(command))
  const fatal = root.name === 'Response' ? problems.filter((problem) => !problem.tolerated).map(sentence) : ['the document does not begin with Response']
  if (fatal.length > 0) throw new StorageError('invalidArgument', fatal.join('; '), { field: 'Response', layer: 'sra', remedy: `smctl sra validate explains a response of ${command}` })
  return value as ResponseOf<C>
}
