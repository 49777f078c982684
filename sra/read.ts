/**
 * From a tree of elements to a typed value, by the tables of schema/. Tolerant: order and unknown elements are told, not
 * refused. What is found is told with its path and line, never with a secret.
 */
import { propertyOf, type Attributes, type Children, type ChoiceShape, type ListShape, type Message, type RecordShape, type Shape } from './schema/shape.ts'
import { sraNamespace, type XmlElement } from './tree.ts'
import { readValue, shown, wanted } from './values.ts'

export interface Problem {
  /** As `Response/Arrays/Array[id="a"]/Name`. */
  readonly path: string
  readonly line: number
  /** A reader goes on in spite of it. */
  readonly tolerated: boolean
  readonly found: string
  readonly wanted: string
}

/** Where an element stands. Steps are strung together only when there is something to tell. */
export interface Place {
  readonly element: XmlElement
  readonly outer?: Place
}

const maxProblems = 100

const stepOf = ({ attributes, name }: XmlElement): string => {
  const named = ['key', 'id', 'name', 'code'].find((attribute) => attributes.has(attribute))
  return named === undefined ? name : `${name}[${named}=${shown(attributes.get(named) ?? '')}]`
}
export const pathOf = (place: Place): string => `${place.outer === undefined ? '' : `${pathOf(place.outer)}/`}${stepOf(place.element)}`

interface Reading {
  readonly problems: Problem[]
}

const tell = ({ problems }: Reading, place: Place, tolerated: boolean, found: string, wants: string): void => {
  // A hopeless document is told about in its first hundred sentences, and stays refused.
  if (problems.length < maxProblems) problems.push({ path: pathOf(place), line: place.element.line, tolerated, found, wanted: wants })
  else if (!tolerated && problems.every((problem) => problem.tolerated)) problems[0] = { path: pathOf(place), line: place.element.line, tolerated, found, wanted: wants }
}

interface Index { readonly names: readonly string[]; readonly at: ReadonlyMap<string, number> }
const indices = new WeakMap<Children, Index>()
const indexOf = (children: Children): Index => {
  const known = indices.get(children)
  if (known !== undefined) return known
  const names = Object.keys(children)
  const index = { names, at: new Map(names.map((name, at) => [name, at])) }
  indices.set(children, index)
  return index
}

const readAttributes = (reading: Reading, place: Place, attributes: Attributes, into: Record<string, unknown>): void => {
  for (const name in attributes) {
    const value = attributes[name]
    if (value === undefined) continue
    const raw = place.element.attributes.get(name)
    if (raw === undefined) {
      if (value.optional !== true) tell(reading, place, false, `no attribute ${name}`, `${name}="${wanted(value)}"`)
      continue
    }
    const read = readValue(value, raw)
    if (read === undefined) tell(reading, place, false, `${name}=${shown(raw)}`, `${name} as ${wanted(value)}`)
    else into[name] = read
  }
}

const strangeAttributes = (reading: Reading, place: Place, one: Attributes = {}, other: Attributes = {}): void => {
  if (place.element.attributes.size === 0) return
  for (const name of place.element.attributes.keys()) {
    if (!Object.hasOwn(one, name) && !Object.hasOwn(other, name)) tell(reading, place, true, `attribute ${shown(name)}`, 'only attributes that the interface names')
  }
}

const readChildren = (reading: Reading, place: Place, children: Children, anyOrder: boolean, into: Record<string, unknown>): void => {
  const index = indexOf(children)
  let last = -1
  let ordered = true
  for (const child of place.element.children) {
    const at = child.namespace === sraNamespace ? index.at.get(child.name) : undefined
    const shape = at === undefined ? undefined : children[child.name]
    const inner = { element: child, outer: place }
    if (at === undefined || shape === undefined) {
      tell(reading, inner, true, child.namespace === sraNamespace ? 'an element that does not belong here' : 'an element of another namespace', `${index.names.length === 0 ? 'nothing' : index.names.join(', ')}`)
      continue
    }
    if (at < last && ordered && !anyOrder) {
      ordered = false
      tell(reading, inner, true, `it stands behind ${index.names[last] ?? ''}`, `the order ${index.names.join(', ')}`)
    }
    last = Math.max(last, at)
    const property = propertyOf(child.name)
    if (shape.occurs === '+') (into[property] ??= [] as unknown[]) as unknown[]
    else if (Object.hasOwn(into, property)) {
      tell(reading, inner, false, `more than one ${child.name}`, 'one')
      continue
    }
    const value = readShape(reading, inner, shape)
    if (shape.occurs === '+') (into[property] as unknown[]).push(value)
    else into[property] = value
  }
  for (const name of index.names) {
    if (children[name]?.occurs !== '?' && !Object.hasOwn(into, propertyOf(name))) tell(reading, place, false, `no ${name}`, children[name]?.says ?? name)
  }
}

const excluded = (reading: Reading, place: Place, { exclusive = [] }: RecordShape, into: Readonly<Record<string, unknown>>): void => {
  const present = exclusive.filter((names) => names.some((name) => Object.hasOwn(into, propertyOf(name))))
  if (present.length > 1) tell(reading, place, false, present.map((names) => names.filter((name) => Object.hasOwn(into, propertyOf(name))).join(', ')).join(' together with '), `either ${exclusive.map((names) => names.join(' and ')).join(', or ')}`)
}

const readRecord = (reading: Reading, place: Place, shape: RecordShape): unknown => {
  const into: Record<string, unknown> = {}
  readAttributes(reading, place, shape.attributes ?? {}, into)
  strangeAttributes(reading, place, shape.attributes)
  readChildren(reading, place, shape.children, shape.anyOrder === true, into)
  excluded(reading, place, shape, into)
  return into
}

/** By which child a choice is told from the others. */
export const markOf = (children: Children): string => Object.keys(children).find((name) => children[name]?.occurs !== '?') ?? ''

const readChoice = (reading: Reading, place: Place, shape: ChoiceShape): unknown => {
  const here = new Set(place.element.children.filter((child) => child.namespace === sraNamespace).map((child) => child.name))
  const fitting = shape.choices.filter((choice) => here.has(markOf(choice.children)))
  const [choice] = fitting
  const into: Record<string, unknown> = {}
  readAttributes(reading, place, shape.attributes ?? {}, into)
  if (choice === undefined) {
    tell(reading, place, false, here.size === 0 ? 'nothing inside' : `${[...here].slice(0, 5).map(shown).join(', ')}`, shape.choices.map(({ children }) => markOf(children)).join(' or '))
    return into
  }
  if (fitting.length > 1) tell(reading, place, false, fitting.map(({ children }) => markOf(children)).join(' together with '), 'one of them')
  readAttributes(reading, place, choice.attributes ?? {}, into)
  strangeAttributes(reading, place, shape.attributes, choice.attributes)
  readChildren(reading, place, choice.children, false, into)
  return into
}

const readList = (reading: Reading, place: Place, shape: ListShape): readonly unknown[] => {
  const items: unknown[] = []
  const seen = new Set<string>()
  strangeAttributes(reading, place)
  for (const child of place.element.children) {
    const inner = { element: child, outer: place }
    if (child.namespace !== sraNamespace || child.name !== shape.item) {
      tell(reading, inner, true, child.namespace === sraNamespace ? 'an element that does not belong here' : 'an element of another namespace', `${shape.item}`)
      continue
    }
    const unique = shape.unique === undefined ? undefined : child.attributes.get(shape.unique)
    if (unique !== undefined && seen.has(unique)) tell(reading, inner, false, `a second ${shape.item} of that ${shape.unique ?? ''}`, 'each once')
    if (unique !== undefined) seen.add(unique)
    items.push(readShape(reading, inner, shape.of))
  }
  if (items.length < shape.atLeast) tell(reading, place, true, `no ${shape.item}`, `at least one, or no ${place.element.name} at all`)
  return items
}

const readMessage = (reading: Reading, place: Place): Message => {
  const { attributes, children } = place.element
  const raw = attributes.get('code')
  const code = raw === undefined ? undefined : readValue({ type: 'integer', min: 0 }, raw)
  if (raw !== undefined && code === undefined) tell(reading, place, false, `code=${shown(raw)}`, 'a whole number')
  const textOf = (name: string): string | undefined => children.find((child) => child.namespace === sraNamespace && child.name === name)?.text
  const placeholders = children.filter(({ name, namespace }) => namespace !== sraNamespace || (name !== 'Description' && name !== 'FixHint'))
  for (const element of placeholders.filter(({ namespace }) => namespace === sraNamespace)) {
    tell(reading, { element, outer: place }, true, 'a placeholder in the namespace of the interface', 'a namespace of the adapter')
  }
  if (typeof code === 'number') return { code, ...(placeholders.length === 0 ? {} : { placeholders: Object.fromEntries(placeholders.map(({ name, text }) => [name, text])) }) }
  const description = textOf('Description')
  const fixHint = textOf('FixHint')
  if (description === undefined || fixHint === undefined) tell(reading, place, false, `no code and no ${description === undefined ? 'Description' : 'FixHint'}`, 'the code of a predefined message, or Description and FixHint')
  return { description: description ?? '', fixHint: fixHint ?? '' }
}

const readShape = (reading: Reading, place: Place, shape: Shape): unknown => {
  switch (shape.kind) {
    case 'flag': return true
    case 'free': return place.element
    case 'message': return readMessage(reading, place)
    case 'list': return readList(reading, place, shape)
    case 'record': return readRecord(reading, place, shape)
    case 'choice': return readChoice(reading, place, shape)
    case 'text': {
      const into: Record<string, unknown> = {}
      if (shape.attributes !== undefined) readAttributes(reading, place, shape.attributes, into)
      strangeAttributes(reading, place, shape.attributes)
      const value = readValue(shape.value, place.element.text)
      if (value === undefined) tell(reading, place, false, shape.value.type === 'text' && shape.value.secret === true ? 'a value that is kept secret' : shown(place.element.text), wanted(shape.value))
      return shape.attributes === undefined ? value : { ...into, text: value }
    }
  }
}

/** The value of the document and everything that is not as the tables say. The value is of the shape's type when no problem is untolerated. */
export const readDocument = (element: XmlElement, shape: Shape): { readonly value: unknown; readonly problems: readonly Problem[] } => {
  const reading: Reading = { problems: [] }
  const value = readShape(reading, { element }, shape)
  return { value, problems: reading.problems }
}

export const sentence = ({ path, line, found, wanted: wants }: Problem): string => `${path} (line ${line}): found ${found}; wanted: ${wants}`
