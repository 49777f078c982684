/** Requests: read as tolerantly as can be without guessing, and written for whoever plays SRM. */
import { StorageError } from '../core/errors.ts'
import { errorMessage, unknownCommand } from './messages.ts'
import { readDocument, sentence, type Problem } from './read.ts'
import { isCommand, parametersElement, parametersProperty, requestShape, type AnyRequest, type CommandName, type LogLevel, type RequestOf } from './schema/index.ts'
import type { Message } from './schema/shape.ts'
import { readTree, sraNamespace, type XmlElement } from './tree.ts'
import { writeDocument } from './write.ts'

/** What is known of every request that can be answered at all. */
export interface Envelope {
  /** As it came, trimmed, and cut when it is too long to be a command. */
  readonly name: string
  readonly outputFile: string
  readonly statusFile?: string
  readonly logLevel: LogLevel
  readonly logDirectory?: string
}

export type RequestRead = { readonly envelope: Envelope; /** For a copy in the log, which must leave secrets out. */ readonly element: XmlElement; readonly problems: readonly Problem[] } & (
  | { readonly request: AnyRequest; readonly refusal?: undefined }
  /** The response is this error. */
  | { readonly request?: undefined; readonly refusal: Message }
)

/** Names that a misprint of the interface, or an earlier release, gives to the same thing. */
const sameCommand: ReadonlyMap<string, CommandName> = new Map([['replicationSettings', 'queryReplicationSettings']])
const sameParameters: ReadonlyMap<CommandName, CommandName> = new Map([
  ['prepareReverseReplication', 'reverseReplication'], ['reverseReplication', 'prepareReverseReplication'],
  ['prepareRestoreReplication', 'restoreReplication'], ['restoreReplication', 'prepareRestoreReplication'],
])

const named = (element: XmlElement, name: string): readonly XmlElement[] => element.children.filter((child) => child.namespace === sraNamespace && child.name === name)
const renamed = (element: XmlElement, from: string, to: string): XmlElement => (element.name === from && element.namespace === sraNamespace ? { ...element, name: to } : element)

/** `SourceDevices/SourceDevice` for `Devices/Device`, in the four commands that have the latter. */
const withDevices = (parameters: XmlElement): XmlElement => ({
  ...parameters,
  children: parameters.children.map((child) => (child.name === 'SourceDevices' ? { ...renamed(child, 'SourceDevices', 'Devices'), children: child.children.map((item) => renamed(item, 'SourceDevice', 'Device')) } : child)),
})

/** The request as the tables have it. */
const normal = (root: XmlElement, command: CommandName): XmlElement => {
  const loose = named(root, 'Connection')
  const other = sameParameters.get(command)
  const own = parametersElement(command)
  const children = root.children.filter((child) => !loose.includes(child)).map((child) => {
    if (other === undefined) return child
    const parameters = renamed(child, parametersElement(other), own)
    return parameters.name === own ? withDevices(parameters) : parameters
  })
  const [first] = loose
  return { ...root, children: first === undefined ? children : [...children, { ...first, name: 'Connections', attributes: new Map(), text: '', children: loose }] }
}

const unanswerable = (found: string, remedy: string): StorageError => new StorageError('invalidArgument', `the request ${found}`, { field: 'OutputFile', layer: 'sra', remedy })

const trimmed = (root: XmlElement, name: string): string | undefined => {
  const text = named(root, name)[0]?.text.trim()
  return text === '' ? undefined : text
}

/** What is longer is no command: it is told and logged no further than this. */
const maxName = 200

const envelopeOf = (root: XmlElement): Envelope => {
  if (root.name !== 'Command') throw unanswerable('does not begin with Command', 'Send one Command')
  const [output, ...more] = named(root, 'OutputFile')
  if (output === undefined || more.length > 0 || output.text.trim() === '') throw unanswerable('does not say once where its response goes', 'Send one OutputFile with the path of a local file')
  const statusFile = named(root, 'StatusFile')[0]?.text
  const logDirectory = named(root, 'LogDirectory')[0]?.text
  const level = trimmed(root, 'LogLevel')
  return {
    name: (trimmed(root, 'Name') ?? '').slice(0, maxName), outputFile: output.text,
    logLevel: level === 'trivia' || level === 'info' || level === 'warning' || level === 'error' ? level : 'verbose',
    ...(statusFile === undefined || statusFile.trim() === '' ? {} : { statusFile }), ...(logDirectory === undefined || logDirectory.trim() === '' ? {} : { logDirectory }),
  }
}

/** The whole of a request, read by the tables: for the reader below and for the validator. */
export const requestValue = (root: XmlElement, command: CommandName): { readonly value: unknown; readonly problems: readonly Problem[] } => readDocument(normal(root, command), requestShape(command))

/** The command that a request names, by any of its names. */
export const commandNamed = (name: string): CommandName | undefined => (isCommand(name) ? name : sameCommand.get(name))

/**
 * Reads a request. Throws invalidArgument, the only error, when there is no place for a response: the document is not XML of
 * the interface, or names no OutputFile. Everything else that is wrong is a `refusal`, ready to be the response's Error.
 */
export const readRequest = async (xml: string): Promise<RequestRead> => {
  const element = await readTree(xml)
  const envelope = envelopeOf(element)
  if (envelope.name === '') return { envelope, element, problems: [], refusal: errorMessage(new StorageError('invalidArgument', 'Command: no Name', { field: 'Name', layer: 'sra', remedy: 'Send the name of a command' })) }
  const command = commandNamed(envelope.name)
  if (command === undefined) return { envelope, element, problems: [], refusal: unknownCommand(envelope.name) }
  const { value, problems } = requestValue(element, command)
  const fatal = problems.filter((problem) => !problem.tolerated)
  if (fatal.length > 0) {
    const message = `The request is not as ${command} needs it: ${fatal.slice(0, 3).map(sentence).join('; ')}${fatal.length > 3 ? ` (and ${fatal.length - 3} more)` : ''}`
    return { envelope, element, problems, refusal: errorMessage(new StorageError('invalidArgument', message, { field: fatal[0]?.path ?? '', layer: 'sra', remedy: 'smctl sra validate explains a request' })) }
  }
  const fields = value as Readonly<Record<string, unknown>>
  const { name: _name, ...rest } = envelope
  return { envelope, element, problems, request: { command, ...rest, connections: fields['connections'] ?? [], parameters: fields[parametersProperty(command)] } as AnyRequest }
}

/** What SRM would send. */
export const writeRequest = <C extends CommandName>(request: RequestOf<C> | AnyRequest): string => {
  const { command, parameters, ...envelope } = request
  return writeDocument('Command', requestShape(command), { ...envelope, name: command, [parametersProperty(command)]: parameters })
}
