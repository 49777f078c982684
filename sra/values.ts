/** Texts of documents as values, and back. */
import type { Value } from './schema/shape.ts'

/** Characters that XML 1.0 cannot carry in any form (section 2.2, Char). */
const illegal = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

/** As it can stand in a document: a name with such a character is shown with U+FFFD instead of spoiling the whole answer. */
export const carried = (text: string): string => text.replace(illegal, '\ufffd')

const time = /^-?\d{4,}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-4]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)?$/
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

const lengthOf = (text: string): number => Array.from(text).length

/** undefined: not such a value. */
export const readValue = (value: Value, raw: string): string | number | boolean | undefined => {
  if (value.type === 'text') return (value.filled === true && raw.trim() === '') || (value.maxLength !== undefined && lengthOf(raw) > value.maxLength) ? undefined : raw
  const text = raw.trim()
  switch (value.type) {
    case 'token': return text === '' ? undefined : text
    case 'boolean': return text === 'true' ? true : text === 'false' ? false : undefined
    case 'time': return time.test(text) ? text : undefined
    case 'uuid': return uuid.test(text) ? text : undefined
    case 'word': return value.words.includes(text) ? text : value.otherwise
    case 'integer': {
      const number = /^\+?\d{1,15}$/.test(text) ? Number(text) : -1
      return number >= (value.min ?? 0) && number <= (value.max ?? Number.MAX_SAFE_INTEGER) ? number : undefined
    }
  }
}

export const wanted = (value: Value): string => {
  switch (value.type) {
    case 'text': return `${value.filled === true ? 'a text that is not empty' : 'a text'}${value.maxLength === undefined ? '' : ` of at most ${value.maxLength} characters`}`
    case 'token': return 'a word'
    case 'boolean': return 'true or false'
    case 'time': return 'a time like 2015-03-24T10:00:00.000Z'
    case 'uuid': return 'a UUID'
    case 'word': return value.words.join(', ')
    case 'integer': return value.max === undefined ? `a whole number from ${value.min ?? 0}` : `a whole number from ${value.min ?? 0} to ${value.max}`
  }
}

/** For a sentence: quoted, on one line, not too long. */
export const shown = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text)
