/**
 * From a typed value to a document, by the tables of schema/. Strict: what the tables do not allow is a bug of the caller and
 * is not written. An optional list without items is left out.
 */
import { StorageError } from '../core/errors.ts'
import { markOf } from './read.ts'
import { propertyOf, type Attributes, type Children, type ListShape, type Message, type Shape, type Value } from './schema/shape.ts'
import { sraNamespace, type XmlElement } from './tree.ts'
import { carried, readValue, shown, wanted } from './values.ts'

/** Placeholders of predefined messages stand in a namespace of the adapter, as the interface asks. */
const placeholderNamespace = 'urn:storage-manager:sra'

const inText: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#13;' }
const inAttribute: Readonly<Record<string, string>> = { ...inText, '"': '&quot;', '\n': '&#10;', '\t': '&#9;' }
/** Anything that cannot stand as it is: most texts have none of it. */
const special = /[&<>"\u0000-\u001f\ufffe\uffff\ud800-\udfff]/
const textOf = (text: string): string => (special.test(text) ? carried(text).replace(/[&<>\r]/g, (character) => inText[character] ?? character) : text)
const attributeOf = (name: string, text: string): string => ` ${name}="${special.test(text) ? carried(text).replace(/[&<>\r"\n\t]/g, (character) => inAttribute[character] ?? character) : text}"`

type Fields = Readonly<Record<string, unknown>>

interface Writing {
  readonly out: string[]
  /** The elements that are open. */
  readonly path: string[]
}

const wrong = ({ path }: Writing, found: string, wants: string): never => {
  throw new StorageError('driverBug', `${path.join('/')}: cannot be written with ${found}; wanted: ${wants}`, { layer: 'sra', field: path.at(-1) ?? '', remedy: 'Report this: a document of the SRA would not be what the interface asks for' })
}

const fieldsOf = (writing: Writing, value: unknown): Fields => (typeof value === 'object' && value !== null ? value as Fields : wrong(writing, typeof value, 'an object'))

const written = (writing: Writing, value: Value, given: unknown): string => {
  if (typeof given !== 'string' && typeof given !== 'number' && typeof given !== 'boolean') return wrong(writing, typeof given, wanted(value))
  const text = String(given)
  const secret = value.type === 'text' && value.secret === true
  const read = readValue(value.type === 'word' ? { type: 'word', words: value.words } : value, text)
  return read === undefined ? wrong(writing, secret ? 'a value that is kept secret' : shown(text), wanted(value)) : text
}

const attributesOf = (writing: Writing, attributes: Attributes | undefined, fields: Fields): string => {
  let text = ''
  for (const name in attributes) {
    const value = attributes[name]
    if (value === undefined) continue
    const given = fields[name]
    if (given !== undefined) text += attributeOf(name, written(writing, value, given))
    else if (value.optional !== true) wrong(writing, `no ${name}`, wanted(value))
  }
  return text
}

const writeChildren = (writing: Writing, children: Children, fields: Fields, indent: string): void => {
  for (const [name, shape] of Object.entries(children)) {
    const given = fields[propertyOf(name)]
    if (shape.occurs === '+') {
      if (!Array.isArray(given) || given.length === 0) wrong(writing, `no ${name}`, 'at least one')
      else for (const one of given as readonly unknown[]) writeShape(writing, name, shape, one, indent)
    } else if (given !== undefined && !(shape.occurs === '?' && shape.kind === 'list' && Array.isArray(given) && given.length === 0)) {
      writeShape(writing, name, shape, given, indent)
    } else if (shape.occurs !== '?') wrong(writing, `no ${name}`, shape.says ?? name)
  }
}

const around = (writing: Writing, name: string, attributes: string, indent: string, inside: () => void): void => {
  const at = writing.out.length
  writing.out.push(`${indent}<${name}${attributes}>\n`)
  inside()
  if (writing.out.length === at + 1) writing.out[at] = `${indent}<${name}${attributes}/>\n`
  else writing.out.push(`${indent}</${name}>\n`)
}

const writeList = (writing: Writing, name: string, shape: ListShape, given: unknown, indent: string): void => {
  const items = Array.isArray(given) ? given as readonly unknown[] : wrong(writing, typeof given, 'a list')
  if (items.length < shape.atLeast) wrong(writing, `no ${shape.item}`, 'at least one')
  const seen = new Set<unknown>()
  around(writing, name, '', indent, () => {
    for (const item of items) {
      const unique = shape.unique === undefined ? undefined : fieldsOf(writing, item)[shape.unique]
      if (unique !== undefined && seen.has(unique)) wrong(writing, `two of ${shape.unique ?? ''} ${JSON.stringify(unique)}`, 'each once')
      seen.add(unique)
      writeShape(writing, shape.item, shape.of, item, `${indent}  `)
    }
  })
}

const writeMessage = (writing: Writing, name: string, given: Message, indent: string): void => {
  if (!('code' in given)) {
    writing.out.push(`${indent}<${name}>\n${indent}  <Description>${textOf(given.description)}</Description>\n${indent}  <FixHint>${textOf(given.fixHint)}</FixHint>\n${indent}</${name}>\n`)
    return
  }
  const code = attributeOf('code', written(writing, { type: 'integer', min: 0 }, given.code))
  around(writing, name, code, indent, () => {
    for (const [placeholder, text] of Object.entries(given.placeholders ?? {})) {
      if (!/^[A-Za-z][A-Za-z0-9]*$/.test(placeholder)) wrong(writing, shown(placeholder), 'the name of a placeholder')
      writing.out.push(`${indent}  <${placeholder} xmlns="${placeholderNamespace}">${textOf(text)}</${placeholder}>\n`)
    }
  })
}

/** Content that only the adapter understands, under the element's name in the table. */
const writeFree = (writing: Writing, name: string, element: XmlElement, outer: string, indent: string): void => {
  const attributes = [...element.attributes].map(([attribute, text]) => attributeOf(attribute, text)).join('')
  const space = element.namespace === outer ? '' : attributeOf('xmlns', element.namespace)
  if (element.children.length === 0) {
    writing.out.push(`${indent}<${name}${space}${attributes}${element.text === '' ? '/>' : `>${textOf(element.text)}</${name}>`}\n`)
    return
  }
  around(writing, name, `${space}${attributes}`, indent, () => {
    for (const child of element.children) writeFree(writing, child.name, child, element.namespace, `${indent}  `)
  })
}

const writeShape = (writing: Writing, name: string, shape: Shape, given: unknown, indent: string): void => {
  writing.path.push(name)
  const inner = `${indent}  `
  switch (shape.kind) {
    case 'flag':
      if (given !== true) wrong(writing, String(given), 'true, or nothing')
      writing.out.push(`${indent}<${name}/>\n`)
      break
    case 'text': {
      const fields = shape.attributes === undefined ? { text: given } : fieldsOf(writing, given)
      writing.out.push(`${indent}<${name}${attributesOf(writing, shape.attributes, fields)}>${textOf(written(writing, shape.value, fields['text']))}</${name}>\n`)
      break
    }
    case 'message': writeMessage(writing, name, given as Message, indent); break
    case 'free': writeFree(writing, name, { ...(given as XmlElement), namespace: sraNamespace }, sraNamespace, indent); break
    case 'list': writeList(writing, name, shape, given, indent); break
    case 'record': {
      const fields = fieldsOf(writing, given)
      const present = (shape.exclusive ?? []).filter((names) => names.some((one) => Array.isArray(fields[propertyOf(one)]) && (fields[propertyOf(one)] as readonly unknown[]).length > 0))
      if (present.length > 1) wrong(writing, present.flat().join(', '), 'one side only')
      around(writing, name, attributesOf(writing, shape.attributes, fields), indent, () => writeChildren(writing, shape.children, fields, inner))
      break
    }
    case 'choice': {
      const fields = fieldsOf(writing, given)
      const [choice, ...more] = shape.choices.filter(({ children }) => fields[propertyOf(markOf(children))] !== undefined)
      if (choice === undefined || more.length > 0) return wrong(writing, choice === undefined ? 'none of them' : 'more than one', shape.choices.map(({ children }) => markOf(children)).join(' or '))
      around(writing, name, attributesOf(writing, shape.attributes, fields) + attributesOf(writing, choice.attributes, fields), indent, () => writeChildren(writing, choice.children, fields, inner))
      break
    }
  }
  writing.path.pop()
}

/** The document, with declaration and namespace; driverBug when the value is not what the tables allow. */
export const writeDocument = (root: 'Command' | 'Response', shape: Shape, value: unknown): string => {
  const writing: Writing = { out: [], path: [] }
  writeShape(writing, root, shape, value, '')
  writing.out[0] = (writing.out[0] ?? '').replace(`<${root}`, `<${root} xmlns="${sraNamespace}"`)
  return `<?xml version="1.0" encoding="UTF-8"?>\n${writing.out.join('')}`
}
