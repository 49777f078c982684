/**
 * Durable words about a group on this side of it. Groups have no place for text, and members' metadata would have to be asked for one by one:
 * each mark is the comment of an empty volume set of its own, written by one request and read with all others in one list.
 */
import type { ArrayCtx } from '../../../../core/array/types.ts'
import { StorageError } from '../../../../core/errors.ts'
import type { Near } from '../near.ts'
import { digest, prefixes, readTag, writeTag } from '../tags.ts'
import type { Wsapi } from '../wsapi/client.ts'
import { isCode, unless } from '../wsapi/errors.ts'
import { createSet, listSets, modifySet, removeSet } from '../wsapi/hosts.ts'
import { layer } from '../wsapi/layer.ts'
import type { MemberSet } from '../wsapi/schemas.ts'

export type Marks = Readonly<Record<string, string>>

/** The driver's own marks begin with a dot; the engine never sees them. */
export const own = { demoted: '.demoted', promoted: '.promoted', source: '.source', adopted: '.adopted', paused: '.paused' } as const

const limit = 200

const setOf = (group: string, key: string): string => `${prefixes.mark}${digest(22, group, key)}`

/** All marks of all groups. */
const marksIn = (sets: readonly MemberSet[]): ReadonlyMap<string, Marks> => {
  const all = new Map<string, Record<string, string>>()
  for (const { name, comment } of sets) {
    const [group, key, value] = name.startsWith(prefixes.mark) ? (readTag(comment) ?? []) : []
    if (group === undefined || key === undefined || value === undefined || name !== setOf(group, key)) continue
    all.set(group, { ...all.get(group), [key]: value })
  }
  return all
}

export const readMarks = async (ctx: ArrayCtx, api: Wsapi): Promise<ReadonlyMap<string, Marks>> => marksIn(await listSets(api, 'volumesets', ctx.signal))

/** undefined removes it. Works without the other array. */
export const writeMark = async (ctx: ArrayCtx, near: Near, group: string, key: string, value: string | undefined): Promise<void> => {
  const name = setOf(group, key)
  if (value === undefined) {
    await unless('notFound', removeSet(near.api, 'volumesets', name, ctx.signal))
    return
  }
  if (Buffer.byteLength(value) > limit) throw new StorageError('invalidArgument', `mark ${key}: has ${Buffer.byteLength(value)} bytes; at most ${limit} fit`, { layer, field: 'value', remedy: 'Shorten it' })
  const comment = writeTag(group, key, value)
  try {
    await modifySet(near.api, 'volumesets', name, { comment }, ctx.signal)
  } catch (error) {
    if (!isCode(error, 102)) throw error
    await createSet(near.api, 'volumesets', { name, comment }, ctx.signal)
  }
}

/** With the group its marks go. */
export const dropMarks = async (ctx: ArrayCtx, near: Near, group: string): Promise<void> => {
  for (const key of Object.keys((await readMarks(ctx, near.api)).get(group) ?? {})) await writeMark(ctx, near, group, key, undefined)
}
