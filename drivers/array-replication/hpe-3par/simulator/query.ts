/**
 * `?query="..."` of collections (facts 5): comparisons joined by AND and OR, names with `*`, and lists of paths in brackets.
 * A query that is not understood is an error, never everything.
 */
import { refuse } from './refusals.ts'

type Item = Readonly<Record<string, unknown>>
type Test = (item: Item) => boolean

const token = /\s*(?:(\(|\)|\[|\]|==)|"([^"]*)"|([^\s()[\]"=]+))/gy

const tokensOf = (text: string): readonly string[] => {
  const found: string[] = []
  token.lastIndex = 0
  while (token.lastIndex < text.trimEnd().length) {
    const match = token.exec(text)
    if (match === null) throw refuse('unknownMember', 'query')
    found.push(match[1] ?? match[2] ?? match[3] ?? '')
  }
  return found
}

const textOf = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '')

const like = (pattern: string): RegExp => new RegExp(`^${pattern.split('*').map((part) => part.replace(/[.\\^$+?(){}|[\]]/g, '\\$&')).join('.*')}$`)

const comparison = (operator: string, wanted: string): ((value: unknown) => boolean) | undefined => {
  switch (operator.toUpperCase()) {
    case 'EQ': case '==': return (value) => textOf(value).toUpperCase() === wanted.toUpperCase() && textOf(value) !== ''
    case 'NE': return (value) => textOf(value).toUpperCase() !== wanted.toUpperCase()
    case 'LIKE': return (value) => like(wanted).test(textOf(value))
    default: return undefined
  }
}

/** The test that a query describes; throws 400/12 with ref `query` when it cannot be read. */
export const parseQuery = (query: string): Test => {
  const tokens = tokensOf(query.replace(/^\s*"([^]*)"\s*$/, '$1'))
  let at = 0
  const wrong = () => refuse('unknownMember', 'query')
  const next = (): string => {
    const found = tokens[at]
    if (found === undefined) throw wrong()
    at += 1
    return found
  }
  const joined = (word: 'AND' | 'OR', part: () => Test): Test => {
    const tests = [part()]
    while (tokens[at]?.toUpperCase() === word) {
      at += 1
      tests.push(part())
    }
    return word === 'AND' ? (item) => tests.every((test) => test(item)) : (item) => tests.some((test) => test(item))
  }
  const single = (): Test => {
    const name = next()
    if (name === '(') {
      const inner = either()
      if (next() !== ')') throw wrong()
      return inner
    }
    if (tokens[at] === '[') {
      at += 1
      const inner = either()
      if (next() !== ']') throw wrong()
      return (item) => Array.isArray(item[name]) && (item[name] as readonly Item[]).some(inner)
    }
    const holds = comparison(next(), next())
    if (holds === undefined) throw wrong()
    return (item) => holds(item[name])
  }
  const both = (): Test => joined('AND', single)
  function either(): Test {
    return joined('OR', both)
  }
  const test = either()
  if (at !== tokens.length) throw wrong()
  return test
}
