/**
 * Durable words about a group on this side of it. Groups have no place for text, and members' metadata would have to be asked for one by one:
 * each mark is a text on the array (metadata.ts), read with all others in one list.
 */
import type { ArrayCtx } from '../../../../core/array/types.ts'
import { StorageError } from '../../../../core/errors.ts'
import { putText, readTexts, removeText } from '../metadata.ts'
import type { Near } from '../near.ts'
import { digest } from '../tags.ts'
import type { Wsapi } from '../wsapi/client.ts'
import { layer } from '../wsapi/layer.ts'

export type Marks = Readonly<Record<string, string>>

/** The driver's own marks begin with a dot; the engine never sees them. */
export const own = { demoted: '.demoted', promoted: '.promoted', source: '.source', adopted: '.adopted', paused: '.paused' } as const

/** Bytes; the contract of the engine. */
const limit = 240

const beginning = 'mark.'
const keyOf = (group: string, key: string): string => `${beginning}${digest(32, group, key)}`

/** Group, key and value; undefined for a text that is none of ours. */
const read = (text: string): readonly [group: string, key: string, value: string] | undefined => {
  try {
    const found: unknown = JSON.parse(text)
    return Array.isArray(found) && found.length === 3 && found.every((one) => typeof one === 'string') ? (found as [string, string, string]) : undefined
  } catch {
    return undefined
  }
}

/** All marks of all groups. */
export const readMarks = async (ctx: ArrayCtx, api: Wsapi): Promise<ReadonlyMap<string, Marks>> => {
  const all = new Map<string, Record<string, string>>()
  for (const [name, text] of await readTexts(ctx, api)) {
    const [group, key, value] = name.startsWith(beginning) ? (read(text) ?? []) : []
    if (group === undefined || key === undefined || value === undefined || name !== keyOf(group, key)) continue
    all.set(group, { ...all.get(group), [key]: value })
  }
  return all
}

/** undefined removes it. Works without the other array. */
export const writeMark = async (ctx: ArrayCtx, near: Near, group: string, key: string, value: string | undefined): Promise<void> => {
  if (value === undefined) return removeText(ctx, near.api, keyOf(group, key))
  if (Buffer.byteLength(value) > limit) throw new StorageError('invalidArgument', `mark ${key}: has ${Buffer.byteLength(value)} bytes; at most ${limit} fit`, { layer, field: 'value', remedy: 'Shorten it' })
  await putText(ctx, near.api, keyOf(group, key), JSON.stringify([group, key, value]))
}

/** With the group its marks go. */
export const dropMarks = async (ctx: ArrayCtx, near: Near, group: string): Promise<void> => {
  for (const key of Object.keys((await readMarks(ctx, near.api)).get(group) ?? {})) await writeMark(ctx, near, group, key, undefined)
}
