/**
 * The dconf string of the SM API: XML, on every call the first argument. A root of any name holds one element a parameter
 * with text in it. Whatever could mean more than that is refused instead of guessed at.
 */
import type { DeviceConfig } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'

const maxBytes = 64 * 1024
/** As much as device_config takes anywhere else (core/methods/wire.ts). */
const maxValue = 4096
const maxKey = 64

const refuse = (found: string, remedy = 'Write it as <dconf><location>/srv/disks</location></dconf>, one element a parameter'): never => {
  throw new StorageError('invalidArgument', `dconf ${found}`, { field: 'dconf', layer: 'cli', remedy })
}

/** Line feed, tab and carriage return may lay the document out; nothing else of the control characters is XML at all. */
const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffe\uffff]/
const controlInValue = /[\u0000-\u001f\u007f\ufffe\uffff]/

const refuseByText = (xml: string): void => {
  if (xml.trim() === '') refuse('is empty')
  const bytes = Buffer.byteLength(xml)
  if (bytes > maxBytes) refuse(`has ${bytes} bytes, more than ${maxBytes}`)
  if (control.test(xml)) refuse('holds a control character')
  if (/<!DOCTYPE/i.test(xml)) refuse('holds a document type declaration (<!DOCTYPE>)', 'Leave the declaration out; entities are not expanded')
  if (/<!(ENTITY|ELEMENT|ATTLIST|NOTATION)/i.test(xml)) refuse('declares entities or elements', 'Leave the declarations out; entities are not expanded')
  const declaration = /^\s*<\?xml\s[^?]*\?>/.exec(xml)?.[0] ?? ''
  if (xml.slice(declaration.length).includes('<?')) refuse('holds a processing instruction', 'Leave it out, or write &lt;? for the text <?')
}

const predefined: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

const decodeReference = (name: string): string => {
  const known = predefined[name]
  if (known !== undefined) return known
  const digits = /^#(?:x([0-9a-f]{1,6})|(\d{1,7}))$/i.exec(name)
  const code = digits === null ? Number.NaN : Number.parseInt(digits[1] ?? digits[2] ?? '', digits[1] === undefined ? 10 : 16)
  if (Number.isNaN(code) || code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    return refuse('refers to an entity other than the five of XML', 'Use &amp; &lt; &gt; &quot; &apos; or the characters themselves')
  }
  return String.fromCodePoint(code)
}

const decode = (text: string): string => text.replace(/&([^;&\s]{0,16});?/g, (_, name: string) => decodeReference(name))

/** fast-xml-parser with order kept: each node is one key with its children, or text under `#text`. */
type Node = Readonly<Record<string, readonly Node[] | string>>

const nameOf = (node: Node): string => Object.keys(node).find((key) => key !== ':@') ?? ''
const childrenOf = (node: Node): readonly Node[] => node[nameOf(node)] as readonly Node[]
const plainText = (node: Node): string => String(node['#text'] as string | undefined ?? '')

const textOf = (key: string, nodes: readonly Node[]): string => {
  const parts = nodes.map((node) => {
    const name = nameOf(node)
    if (name === '#text') return decode(plainText(node))
    if (name === '#cdata') return childrenOf(node).map(plainText).join('')
    return refuse(`holds an element inside <${key}>: values are plain text`)
  })
  const value = parts.join('').trim()
  if (controlInValue.test(value)) refuse(`has a control character or a line break in the value of <${key}>`)
  if (value.length > maxValue) refuse(`has ${value.length} characters in <${key}>, more than ${maxValue}`)
  return value
}

const isLayout = (node: Node): boolean => nameOf(node) === '#text' && plainText(node).trim() === ''

/**
 * Reads a dconf string into its parameters, values trimmed. Every refusal is `invalidArgument` (EINVAL) and names what was
 * found, never a value: it may be a secret.
 */
export const readDconf = async (xml: string): Promise<DeviceConfig> => {
  refuseByText(xml)
  const { XMLParser, XMLValidator } = await import('fast-xml-parser')
  const valid = XMLValidator.validate(xml)
  // The validator's own sentence may repeat a piece of the text.
  if (valid !== true) refuse(`is not well-formed XML (line ${valid.err.line}, column ${valid.err.col})`)
  const parser = new XMLParser({
    preserveOrder: true, ignoreAttributes: false, parseTagValue: false, trimValues: false, processEntities: false,
    ignoreDeclaration: true, ignorePiTags: true, cdataPropName: '#cdata',
  })
  const parse = (): readonly Node[] => {
    try {
      return parser.parse(xml) as readonly Node[]
    } catch {
      // Its limits: names that JavaScript gives a meaning to, nesting without end.
      return refuse('has elements that are no parameters')
    }
  }
  const roots = parse().filter((node) => !isLayout(node))
  const root = roots[0]
  if (root === undefined || roots.length > 1 || nameOf(root).startsWith('#')) return refuse('must have exactly one root element')
  if (root[':@'] !== undefined) refuse('has attributes on its root element: only elements are read', 'Write each parameter as an element')
  const values = new Map<string, string>()
  for (const node of childrenOf(root).filter((child) => !isLayout(child))) {
    const key = nameOf(node)
    if (key.startsWith('#')) refuse('has text beside its elements')
    if (key.length > maxKey || !/^[A-Za-z_][\w.-]*$/.test(key)) refuse(`has an element whose name is no parameter: <${key.slice(0, maxKey)}>`)
    if (node[':@'] !== undefined) refuse(`has attributes on <${key}>: only its text is read`, 'Write each parameter as an element of its own')
    if (values.has(key)) refuse(`has <${key}> twice`, 'Give each parameter once; several devices are separated by commas')
    values.set(key, textOf(key, childrenOf(node)))
  }
  return Object.fromEntries(values)
}
