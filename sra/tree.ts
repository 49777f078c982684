/**
 * XML of the Storage Replication Adapter interface 2.0 as a tree of elements: prefixes resolved, every element in the
 * interface's namespace. Elements of other namespaces are left out, as later callers may send more than the interface names.
 */
import { StorageError } from '../core/errors.ts'

export const sraNamespace = 'http://www.vmware.com/srm/sra/v2'
const maxBytes = 64 * 1024 * 1024
const maxDepth = 32

export interface SraElement {
  readonly name: string
  /** Without prototype names: a map, as names come from outside. */
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly SraElement[]
  /** Not trimmed: ids and keys may begin or end with a blank. */
  readonly text: string
}

const refuse = (found: string, remedy: string): never => {
  throw new StorageError('invalidArgument', `the document ${found}`, { field: 'document', layer: 'sra', remedy })
}

const predefined: ReadonlyMap<string, string> = new Map([['amp', '&'], ['lt', '<'], ['gt', '>'], ['quot', '"'], ['apos', "'"]])

const decodeReference = (name: string): string => {
  const known = predefined.get(name)
  if (known !== undefined) return known
  const digits = /^#(?:x([0-9a-f]{1,6})|(\d{1,7}))$/i.exec(name)
  const code = digits === null ? 0 : Number.parseInt(digits[1] ?? digits[2] ?? '', digits[1] === undefined ? 10 : 16)
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    return refuse('refers to an entity other than the five of XML', 'Use &amp; &lt; &gt; &quot; &apos; or the characters themselves')
  }
  return String.fromCodePoint(code)
}

const decode = (text: string): string => text.replace(/&([^;&\s]{0,16});?/g, (_, name: string) => decodeReference(name))

type Node = Readonly<Record<string, unknown>>
type Prefixes = ReadonlyMap<string, string>

const nameOf = (node: Node): string => Object.keys(node).find((key) => key !== ':@') ?? ''
const childrenOf = (node: Node): readonly Node[] => {
  const children = node[nameOf(node)]
  return Array.isArray(children) ? children as readonly Node[] : []
}

const textOf = (nodes: readonly Node[]): string => nodes.map((node) => {
  const name = nameOf(node)
  if (name === '#text') return decode(String(node['#text']))
  return name === '#cdata' ? childrenOf(node).map((part) => String(part['#text'])).join('') : ''
}).join('')

const elementOf = (node: Node, outer: Prefixes, depth: number): SraElement | undefined => {
  if (depth > maxDepth) refuse(`is nested deeper than ${maxDepth} elements`, 'Send the document as the interface describes it')
  const prefixes = new Map(outer)
  const attributes = new Map<string, string>()
  for (const [name, value] of Object.entries((node[':@'] ?? {}) as Node)) {
    if (name === 'xmlns') prefixes.set('', decode(String(value)))
    else if (name.startsWith('xmlns:')) prefixes.set(name.slice(6), decode(String(value)))
    else attributes.set(name, decode(String(value)))
  }
  const [prefix, local] = nameOf(node).includes(':') ? nameOf(node).split(':', 2) : ['', nameOf(node)]
  if (prefixes.get(prefix ?? '') !== sraNamespace || local === undefined) return undefined
  const children = childrenOf(node).filter((child) => !nameOf(child).startsWith('#')).map((child) => elementOf(child, prefixes, depth + 1))
  return { name: local, attributes, children: children.filter((child) => child !== undefined), text: textOf(childrenOf(node)) }
}

/** Reads one document. Every refusal is `invalidArgument` and repeats nothing of the document: it may hold a password. */
export const readTree = async (xml: string): Promise<SraElement> => {
  if (Buffer.byteLength(xml) > maxBytes) refuse(`is larger than ${maxBytes} bytes`, 'Send fewer groups and devices at a time')
  if (/<!(DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)/i.test(xml)) refuse('holds a document type or entity declaration', 'Leave it out; entities are not expanded')
  if (xml.trim() === '') refuse('is empty', 'Send one Command or Response')
  const { XMLParser, XMLValidator } = await import('fast-xml-parser')
  const text = xml.replace(/^\ufeff/, '')
  const valid = XMLValidator.validate(text)
  if (valid !== true) refuse(`is not well-formed XML (line ${valid.err.line}, column ${valid.err.col})`, 'Send one well-formed document')
  const parser = new XMLParser({
    preserveOrder: true, ignoreAttributes: false, attributeNamePrefix: '', parseTagValue: false, parseAttributeValue: false, trimValues: false,
    processEntities: false, ignoreDeclaration: true, ignorePiTags: true, cdataPropName: '#cdata',
  })
  const parse = (): readonly Node[] => {
    try {
      return parser.parse(text) as readonly Node[]
    } catch {
      return refuse('has elements that the interface does not know', 'Send the document as the interface describes it')
    }
  }
  const [root, ...more] = parse().filter((node) => !nameOf(node).startsWith('#'))
  if (root === undefined || more.length > 0) return refuse('must have exactly one root element', 'Send one Command or Response')
  return elementOf(root, new Map(), 1) ?? refuse('is not in the namespace of the interface', `Declare xmlns="${sraNamespace}" on its root element`)
}
