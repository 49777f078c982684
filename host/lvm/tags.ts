/**
 * Text in LVM tags. A tag may hold A-Z a-z 0-9 _ + . - / = ! : & # only and at most 1023 characters (lvm(8), "VALID
 * NAMES"; 1024 were taken by 2.03.16, too). Ours look like `sm.name=Disk=20one`: a key, and the text with every other byte
 * of its UTF-8 as =XX. Text beyond one tag goes on in `sm.name.1=...`, `sm.name.2=...`.
 */

const prefix = 'sm.'
const maxTag = 1023
const plain = /[A-Za-z0-9_.-]/
const keyPattern = /^[a-z][a-z-]*$/

const escape = (text: string): readonly string[] =>
  [...new TextEncoder().encode(text)].map((byte) => {
    const character = String.fromCharCode(byte)
    return byte < 128 && plain.test(character) ? character : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
  })

/** The tags that carry `value` under `key`; an empty text needs none. */
export const encodeTag = (key: string, value: string): readonly string[] => {
  if (!keyPattern.test(key)) throw new RangeError(`not a tag key: ${key}`)
  const tags: string[] = []
  let chunk = ''
  const head = (): string => `${prefix}${key}${tags.length === 0 ? '' : `.${tags.length}`}=`
  // A byte is never cut in two: each escape is one piece.
  for (const piece of escape(value)) {
    if (head().length + chunk.length + piece.length > maxTag) {
      tags.push(`${head()}${chunk}`)
      chunk = ''
    }
    chunk += piece
  }
  if (chunk !== '') tags.push(`${head()}${chunk}`)
  return tags
}

/** All tags of a set of values. */
export const encodeTags = (values: Readonly<Record<string, string | undefined>>): readonly string[] =>
  Object.entries(values).flatMap(([key, value]) => (value === undefined ? [] : encodeTag(key, value)))

const unescape = (text: string): string | undefined => {
  const bytes: number[] = []
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] !== '=') {
      bytes.push(text.charCodeAt(at))
      continue
    }
    const digits = text.slice(at + 1, at + 3)
    if (!/^[0-9A-F]{2}$/.test(digits)) return undefined
    bytes.push(Number.parseInt(digits, 16))
    at += 2
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes))
  } catch {
    return undefined
  }
}

export interface DecodedTags {
  readonly values: Readonly<Record<string, string>>
  /** Ours by their prefix, and not readable: somebody else's hand, or a chunk that is missing. */
  readonly unreadable: readonly string[]
}

/** Reads back what `encodeTag` wrote; tags of others are passed over. */
export const decodeTags = (tags: readonly string[]): DecodedTags => {
  const chunks = new Map<string, Map<number, string>>()
  const unreadable: string[] = []
  for (const tag of tags) {
    if (!tag.startsWith(prefix)) continue
    const match = /^sm\.([a-z][a-z-]*)(?:\.(\d{1,4}))?=(.*)$/.exec(tag)
    const [, key = '', index = '0', text = ''] = match ?? []
    const known = chunks.get(key) ?? new Map<number, string>()
    if (match === null || known.has(Number(index))) {
      unreadable.push(tag)
      continue
    }
    chunks.set(key, known.set(Number(index), text))
  }
  const values: Record<string, string> = {}
  for (const [key, parts] of chunks) {
    const ordered = Array.from({ length: parts.size }, (_, index) => parts.get(index))
    const value = ordered.includes(undefined) ? undefined : unescape(ordered.join(''))
    if (value === undefined) unreadable.push(...[...parts].map(([index, text]) => `${prefix}${key}${index === 0 ? '' : `.${index}`}=${text}`))
    else values[key] = value
  }
  return { values, unreadable }
}

/** Whether a tag belongs to a key, readable or not. */
export const isUnder = (tag: string, key: string): boolean => {
  const start = `${prefix}${key}`
  return tag === start || tag.startsWith(`${start}=`) || tag.startsWith(`${start}.`)
}

/** The tags to add and to delete so that the values under the given keys become these; undefined takes a key away. */
export const tagChange = (
  present: readonly string[],
  wanted: Readonly<Record<string, string | undefined>>,
): { readonly add: readonly string[]; readonly remove: readonly string[] } => {
  const keys = Object.keys(wanted)
  const old = present.filter((tag) => keys.some((key) => isUnder(tag, key)))
  const next = encodeTags(wanted)
  return { add: next.filter((tag) => !old.includes(tag)), remove: old.filter((tag) => !next.includes(tag)) }
}
