/**
 * What is under way. Every change of more than one step leaves a file in `intents/` first, whose name says what is done
 * to whom; its recovery rule finishes the change when it was decided already, and takes it back otherwise. A rule may be
 * run any number of times, also after a crash inside itself. Holding the SR exclusively means that whoever wrote an
 * intent is dead; a rule that needs less says so (`vdiRules`).
 *
 *   create.<V>               the image of V, before it has its name                      create.ts
 *   remove.<V>               the image of V, which is deleted                            destroy.ts
 *   snapshot.<S>.<D>         S's new child, before it takes S's place                    copy.ts
 *   clone.<S>.<D>.<B>        the same, with base B; `twin.<D>` is the clone's own image  copy.ts
 *   revert.<V>               V's new image, before it takes V's place                    revert.ts
 *   grow.<V>                 redo record of an enlargement                               resize.ts
 *   swap.<C>.<B>             B holds all of C's data and is taking its place             coalesce.ts
 *   tmp.<random>             a file that nobody refers to yet
 */
import { asVdiUuid, isUuid, type VdiUuid } from '../../core/ids.ts'
import type { Store } from './store.ts'
import { temporaryPrefix } from './durable.ts'

export interface Intent {
  readonly kind: string
  readonly name: string
  readonly vdis: readonly VdiUuid[]
}

/** Returns a sentence when it did something. */
export type RecoveryRule = (store: Store, intent: Intent) => Promise<string | undefined>

export const intentName = (kind: string, ...vdis: readonly VdiUuid[]): string => [kind, ...vdis].join('.')

export const listIntents = async (store: Store): Promise<readonly Intent[]> => {
  const names = (await store.place.files.list(store.paths.intents)) ?? []
  return names.map((name) => {
    const [kind = '', ...rest] = name.split('.')
    return { kind, name, vdis: rest.filter(isUuid).map(asVdiUuid) }
  })
}

/** Kind -> how many VDIs it names. */
const named: Readonly<Record<string, number>> = { create: 1, remove: 1, snapshot: 2, clone: 3, revert: 1, grow: 1, reparent: 1, swap: 2 }

/** Whether its name is one that we write. A rule that is given one VDI in two parts would take it for both. */
export const isWellFormed = ({ kind, name, vdis }: Intent): boolean =>
  Object.hasOwn(named, kind) && vdis.length === named[kind] && new Set(vdis).size === vdis.length && name === intentName(kind, ...vdis)

/** Removes the intent itself, which ends a change. Its directory is synced where a late reappearance would do harm. */
export const endIntent = async (store: Store, name: string): Promise<void> => {
  await store.place.files.unlink(store.paths.intent(name))
}

export const isTemporary = (intent: Intent): boolean => intent.kind === temporaryPrefix || intent.kind === 'twin'

/** Same file behind both names. */
export const sameFile = async (store: Store, a: string, b: string): Promise<boolean> => {
  const [first, second] = await Promise.all([store.place.files.stat(a), store.place.files.stat(b)])
  return first !== undefined && second !== undefined && first.identity === second.identity
}
