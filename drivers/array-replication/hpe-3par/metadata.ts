/**
 * Texts by key, each as the comment of a volume set without members: written by one request, read with all others in one list. A text that is
 * too long for one comment goes on in sets of its own, which are there before the first one names them:
 *   `smn-<digest of the key>`               `sm1 note <key> <version> <how many in all> <text>`
 *   `smn-<digest of key, version, number>`  `sm1 more <text>`
 */
import type { ArrayMetadata } from '../../../core/array/contract.ts'
import type { ArrayCtx } from '../../../core/array/types.ts'
import { StorageError } from '../../../core/errors.ts'
import type { Near } from './near.ts'
import { digest, prefixes, readTag, writeTag } from './tags.ts'
import type { Wsapi } from './wsapi/client.ts'
import { isCode, unless } from './wsapi/errors.ts'
import { createSet, listSets, modifySet, removeSet } from './wsapi/hosts.ts'
import { layer } from './wsapi/layer.ts'
import type { MemberSet } from './wsapi/schemas.ts'

const maxValue = 16 * 1024
/** Characters of a set's comment. */
const commentLength = 255
/** Bytes whose base64url fits beside the words before it. */
const roomIn = (...words: readonly string[]): number => Math.floor(((commentLength - writeTag(...words).length - 2) * 3) / 4)

const firstSet = (key: string): string => `${prefixes.note}${digest(22, key)}`
const furtherSet = (key: string, version: string, number: number): string => `${prefixes.note}${digest(22, key, version, String(number))}`

const checked = (key: string): void => {
  if (!/^[a-z0-9.-]{1,100}$/.test(key)) throw new StorageError('invalidArgument', `key: ${JSON.stringify(key.slice(0, 60))} cannot be a key`, { layer, field: 'key', remedy: 'Up to 100 of a-z, 0-9, dot and dash' })
}

/** The comments that hold a value, the first one first. Parts are of bytes: a character may be split between two. */
const commentsFor = (key: string, version: string, value: string): readonly string[] => {
  const bytes = Buffer.from(value, 'utf8')
  if (bytes.length > maxValue) throw new StorageError('invalidArgument', `value: has ${bytes.length} bytes; at most ${maxValue} fit`, { layer, field: 'value', remedy: 'Shorten it' })
  const [first, each] = [roomIn('note', key, version, '999'), roomIn('more')]
  const rest: Buffer[] = []
  for (let at = first; at < bytes.length; at += each) rest.push(bytes.subarray(at, at + each))
  const text = (part: Buffer): string => part.toString('base64url') || '-'
  return [`${writeTag('note', key, version, String(rest.length + 1))} ${text(bytes.subarray(0, first))}`, ...rest.map((part) => `${writeTag('more')} ${text(part)}`)]
}

interface Note {
  readonly key: string
  readonly version: string
  readonly count: number
  readonly value: string | undefined
}

const bytesOf = (comment: string | undefined): Buffer => {
  const last = comment?.split(' ').at(-1) ?? ''
  return last === '-' ? Buffer.alloc(0) : Buffer.from(last, 'base64url')
}

/** `value` is undefined while parts are missing: the list was read in the middle of a change. */
const notesIn = (sets: readonly MemberSet[]): readonly Note[] => {
  const comments = new Map(sets.filter(({ name }) => name.startsWith(prefixes.note)).map(({ name, comment }) => [name, comment]))
  return [...comments].flatMap(([name, comment]) => {
    const [kind, key, version, count] = readTag(comment) ?? []
    if (kind !== 'note' || key === undefined || version === undefined || name !== firstSet(key)) return []
    const further = Array.from({ length: Number(count) - 1 }, (_, index) => comments.get(furtherSet(key, version, index + 1)))
    const whole = further.every((part) => part !== undefined)
    return [{ key, version, count: Number(count), value: whole ? Buffer.concat([bytesOf(comment), ...further.map(bytesOf)]).toString('utf8') : undefined }]
  })
}

const readNotes = async (ctx: ArrayCtx, api: Wsapi): Promise<readonly (Note & { readonly value: string })[]> => {
  for (let attempt = 0; ; attempt += 1) {
    const notes = notesIn(await listSets(api, 'volumesets', ctx.signal))
    const torn = notes.find(({ value }) => value === undefined)
    if (torn === undefined) return notes.map((note) => ({ ...note, value: note.value ?? '' }))
    if (attempt >= 3) {
      throw new StorageError('arrayFault', `The text ${torn.key} on the array is not whole: volume sets of it are missing`, { layer, remedy: `Look who removes volume sets that begin with ${prefixes.note}; what is left of it: ${firstSet(torn.key)}` })
    }
  }
}

const dropParts = async (ctx: ArrayCtx, api: Wsapi, { key, version, count }: Note): Promise<void> => {
  for (let number = 1; number < count; number += 1) await unless('notFound', removeSet(api, 'volumesets', furtherSet(key, version, number), ctx.signal))
}

const newVersion = (): string => crypto.randomUUID().slice(0, 8)

/** Parts that a death left before they were named. Only this key's: others may be in the middle of a change. */
const find = async (ctx: ArrayCtx, api: Wsapi, key: string): Promise<Note | undefined> => (await readNotes(ctx, api)).find((note) => note.key === key)

const putParts = async (ctx: ArrayCtx, api: Wsapi, key: string, version: string, comments: readonly string[]): Promise<void> => {
  for (const [index, comment] of comments.entries()) if (index > 0) await createSet(api, 'volumesets', { name: furtherSet(key, version, index), comment }, ctx.signal)
}

/** Every text on an array, by key. One request. */
export const readTexts = async (ctx: ArrayCtx, api: Wsapi): Promise<ReadonlyMap<string, string>> => new Map((await readNotes(ctx, api)).map(({ key, value }) => [key, value]))

/** Steps: 1. further parts of the new text; 2. the first set, which makes it the one that counts; 3. the parts of the old one go. Three requests for a short one. */
export const putText = async (ctx: ArrayCtx, api: Wsapi, key: string, value: string): Promise<void> => {
  checked(key)
  const version = newVersion()
  const comments = commentsFor(key, version, value)
  const old = await find(ctx, api, key)
  await putParts(ctx, api, key, version, comments)
  const [first = ''] = comments
  try {
    await modifySet(api, 'volumesets', firstSet(key), { comment: first }, ctx.signal)
  } catch (error) {
    if (!isCode(error, 102)) throw error
    await createSet(api, 'volumesets', { name: firstSet(key), comment: first }, ctx.signal)
  }
  if (old !== undefined) await dropParts(ctx, api, old)
}

/** Steps: 1. the first set; 2. the parts, which are nobody's then. */
export const removeText = async (ctx: ArrayCtx, api: Wsapi, key: string): Promise<void> => {
  checked(key)
  const old = await find(ctx, api, key)
  if (old === undefined) return
  await unless('notFound', removeSet(api, 'volumesets', firstSet(key), ctx.signal))
  await dropParts(ctx, api, old)
}

export const metadataSection = ({ api }: Near): ArrayMetadata => ({
  maxValue,
  async list(ctx, prefix) {
    return new Map([...(await readTexts(ctx, api))].filter(([key]) => key.startsWith(prefix)))
  },
  /** Steps: 1. further parts; 2. the first set, which the array makes for one caller only. Whoever comes second, or a death in between: the parts of 1 go, or stay unnamed. */
  async create(ctx, key, value) {
    checked(key)
    const version = newVersion()
    const comments = commentsFor(key, version, value)
    const taken = async (): Promise<boolean> => {
      await dropParts(ctx, api, { key, version, count: comments.length, value: undefined })
      return false
    }
    await putParts(ctx, api, key, version, comments)
    try {
      await createSet(api, 'volumesets', { name: firstSet(key), comment: comments[0] ?? '' }, ctx.signal)
      return true
    } catch (error) {
      if (isCode(error, 101)) return taken()
      if (!(error instanceof StorageError) || error.kind !== 'outcomeUnknown') throw error
      // The version tells ours from another's.
      const found = await find(ctx, api, key)
      if (found === undefined) throw error
      return found.version === version ? true : taken()
    }
  },
  put: async (ctx, key, value) => putText(ctx, api, key, value),
  remove: async (ctx, key) => removeText(ctx, api, key),
})
