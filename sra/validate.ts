/**
 * Says what is wrong with a request or a response: by the tables of schema/, and by the rules that tie parts of a response together.
 * SRM checks responses against a schema, so these are held strictly; of a request it is told what a reader overlooks.
 */
import { StorageError } from '../core/errors.ts'
import { pathOf, readDocument, type Problem } from './read.ts'
import { commandNamed, requestValue } from './request.ts'
import { rules } from './rules.ts'
import { commandNames, commandRow, commandTable, isCommand, responseShape, type CommandName } from './schema/index.ts'
import { readTree, sraNamespace, type XmlElement } from './tree.ts'
import { shown } from './values.ts'

export interface Finding {
  /** wrong: SRM may refuse the document. note: it is read all the same. */
  readonly weight: 'wrong' | 'note'
  readonly path: string
  readonly line: number
  readonly found: string
  readonly wanted: string
  /** Of the interface. */
  readonly chapter: string
}

export interface Verdict {
  readonly document: 'request' | 'response'
  /** Absent when the document does not tell, as a response that is nothing but an Error. */
  readonly command?: CommandName
  readonly findings: readonly Finding[]
}

const here = (element: XmlElement, found: string, wanted: string, chapter: string): Finding => ({ weight: 'wrong', path: element.name, line: element.line, found, wanted, chapter })
const findingOf = (chapter: string, strict: boolean) => ({ tolerated, path, line, found, wanted }: Problem): Finding => ({ weight: tolerated && !strict ? 'note' : 'wrong', path, line, found, wanted, chapter })

const childNames = (root: XmlElement): readonly string[] => root.children.filter(({ namespace }) => namespace === sraNamespace).map(({ name }) => name)

const validateRequest = (root: XmlElement): Verdict => {
  const name = root.children.find((child) => child.namespace === sraNamespace && child.name === 'Name')?.text.trim()
  const command = name === undefined ? undefined : commandNamed(name)
  if (command === undefined) {
    return { document: 'request', findings: [here(root, name === undefined ? 'no Name' : `the command ${shown(name)}`, `Name with one of ${commandNames.join(', ')}; case sensitive`, 'Commands Syntax')] }
  }
  const misnamed = isCommand(name ?? '') ? [] : [here(root, `the command ${shown(name ?? '')}`, command, commandRow(command).chapter)]
  return { document: 'request', command, findings: [...misnamed, ...requestValue(root, command).problems.map(findingOf(commandRow(command).chapter, false))] }
}

/** First element of the answer -> command. */
const answers: ReadonlyMap<string, CommandName> = new Map(commandNames.map((command) => [Object.keys(commandTable[command].answer)[0] ?? '', command]))

const validateResponse = (root: XmlElement, asked: CommandName | undefined): Verdict => {
  const names = childNames(root)
  const told = names.map((name) => answers.get(name)).find((command) => command !== undefined)
  const command = asked ?? told
  if (command === undefined) {
    if (!names.includes('Error')) return { document: 'response', findings: [here(root, names.length === 0 ? 'nothing inside' : names.slice(0, 5).join(', '), `Error, or one of ${[...answers.keys()].join(', ')}`, 'Commands Syntax')] }
    // Any command will do: what stands around an Error is the same for all.
    return { document: 'response', findings: readDocument(root, responseShape('queryInfo')).problems.map(findingOf('Error Reporting', true)) }
  }
  const { chapter } = commandRow(command)
  const { problems } = readDocument(root, responseShape(command))
  return {
    document: 'response', command,
    findings: [
      ...problems.map(findingOf(chapter, true)),
      ...rules.filter(({ commands }) => commands.includes(command)).flatMap((rule) => rule.check({ element: root }).slice(0, 20).map(({ place, found }): Finding =>
        ({ weight: 'wrong', path: pathOf(place), line: place.element.line, found, wanted: rule.wanted, chapter: rule.chapter }))),
    ],
  }
}

/**
 * Looks at one document. `asked` names the command of a response; else its first element tells. Throws invalidArgument when the
 * document is no XML of the interface at all.
 */
export const validate = async (xml: string, asked?: CommandName): Promise<Verdict> => {
  const root = await readTree(xml)
  if (root.name === 'Command') return validateRequest(root)
  if (root.name === 'Response') return validateResponse(root, asked)
  throw new StorageError('invalidArgument', `the document begins with ${shown(root.name)}`, { field: 'document', layer: 'sra', remedy: 'Give a request (Command) or a response (Response)' })
}

export const isSound = ({ findings }: Verdict): boolean => findings.every(({ weight }) => weight === 'note')
