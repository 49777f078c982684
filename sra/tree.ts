/**
 * A document of the Storage Replication Adapter interface 2.0 as a tree of elements, read as a stream so that junk is refused
 * before it has cost anything: no document type, bounded size, depth and number of elements.
 */
import type { SaxesAttributeNS, SaxesParser } from 'saxes'
import { StorageError } from '../core/errors.ts'

export const sraNamespace = 'http://www.vmware.com/srm/sra/v2'
/** 20,000 devices are discovered in less than half of it. */
export const maxDocumentBytes = 16 * 1024 * 1024
const maxDepth = 32
/** 20,000 devices with their identities are not half of it. */
const maxElements = 500_000
const maxAttributes = 64
const sliceLength = 64 * 1024

export interface XmlElement {
  /** Without its prefix. */
  readonly name: string
  readonly namespace: string
  /** Those without prefix. A map, as names come from outside. */
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly XmlElement[]
  /** Not trimmed: ids and keys may begin or end with a blank. */
  readonly text: string
  readonly line: number
}

const none: ReadonlyMap<string, string> = new Map()

const refuse = (found: string, remedy: string): never => {
  throw new StorageError('invalidArgument', `the document ${found}`, { field: 'document', layer: 'sra', remedy })
}

interface Growing {
  readonly name: string
  readonly namespace: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: Growing[]
  text: string
  readonly line: number
}

/** Those without prefix: the interface's own. */
const plainOf = (attributes: readonly SaxesAttributeNS[]): ReadonlyMap<string, string> => {
  const plain = new Map<string, string>()
  for (const { prefix, local, name, value } of attributes) if (prefix === '' && name !== 'xmlns') plain.set(local, value)
  return plain
}

const watchTree = (parser: SaxesParser<{ xmlns: true }>): (() => Growing | undefined) => {
  const open: Growing[] = []
  let root: Growing | undefined
  let elements = 0
  let attributes = 0
  parser.on('doctype', () => refuse('holds a document type declaration', 'Leave it out; entities are not expanded'))
  parser.on('error', () => refuse(`is not well-formed XML (line ${parser.line}, column ${parser.column})`, 'Send one well-formed document without entities of its own'))
  parser.on('opentagstart', () => {
    attributes = 0
  })
  parser.on('attribute', () => {
    attributes += 1
    if (attributes > maxAttributes) refuse(`has an element of more than ${maxAttributes} attributes (line ${parser.line})`, 'Send the document as the interface describes it')
  })
  parser.on('opentag', (tag) => {
    elements += 1
    if (elements > maxElements) refuse(`has more than ${maxElements} elements`, 'Send fewer groups and devices at a time')
    if (open.length >= maxDepth) refuse(`is nested deeper than ${maxDepth} elements (line ${parser.line})`, 'Send the document as the interface describes it')
    const element: Growing = { name: tag.local, namespace: tag.uri, text: '', line: parser.line, children: [], attributes: attributes === 0 ? none : plainOf(Object.values(tag.attributes)) }
    const parent = open.at(-1)
    if (parent === undefined) root = element
    else parent.children.push(element)
    open.push(element)
  })
  const addText = (text: string): void => {
    const element = open.at(-1)
    if (element !== undefined) element.text += text
  }
  parser.on('text', addText)
  parser.on('cdata', addText)
  parser.on('closetag', () => {
    open.pop()
  })
  return () => root
}

/**
 * Reads one document whose root is in the interface's namespace. Every refusal is `invalidArgument` and repeats nothing of
 * the document: it may hold a password.
 */
export const readTree = async (xml: string): Promise<XmlElement> => {
  if (xml.length > maxDocumentBytes || Buffer.byteLength(xml) > maxDocumentBytes) refuse(`is larger than ${maxDocumentBytes} bytes`, 'Send fewer groups and devices at a time')
  if (xml.trim() === '') refuse('is empty', 'Send one Command or Response')
  const saxes = await import('saxes')
  const parser = new saxes.SaxesParser({ xmlns: true })
  const root = watchTree(parser)
  for (let at = 0; at < xml.length; at += sliceLength) parser.write(xml.slice(at, at + sliceLength))
  parser.close()
  const element = root() ?? refuse('has no element', 'Send one Command or Response')
  if (element.namespace !== sraNamespace) {
    refuse(`is in ${element.namespace === '' ? 'no' : 'another'} namespace, not in that of the interface`, `Declare xmlns="${sraNamespace}" on its root element`)
  }
  return element
}
