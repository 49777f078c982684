/** Runs the rules of intents.ts over what dead processes left. */
import type { Ctx, Recovery } from '../../core/contract.ts'
import { StorageError, type ErrorKind } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { recoverClone, recoverSnapshot } from './copy.ts'
import { recoverCreate } from './create.ts'
import { recoverRemove } from './destroy.ts'
import { endIntent, isTemporary, isWellFormed, listIntents, type Intent, type RecoveryRule } from './intents.ts'
import { recoverGrow } from './resize.ts'
import { recoverRevert } from './revert.ts'
import { recoverSwap } from './coalesce.ts'
import { layer, type Store } from './store.ts'

const rules: Readonly<Record<string, RecoveryRule>> = {
  swap: recoverSwap,
  grow: recoverGrow,
  snapshot: recoverSnapshot,
  clone: recoverClone,
  revert: recoverRevert,
  create: recoverCreate,
  remove: recoverRemove,
}

const order = Object.keys(rules)

/** Intents whose content says what to write. */
const records = ['grow', 'reparent', 'swap']

/**
 * A dead process may have left names and records that a power cut still takes away. The rules decide by what they see, and
 * remove what is then no longer needed: what they see must stay first.
 */
const settle = async ({ place, paths }: Store, intents: readonly Intent[]): Promise<void> => {
  const { files } = place
  for (const { kind, name } of intents) {
    if (!records.includes(kind)) continue
    const file = await files.open(paths.intent(name), 'write')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  }
  for (const directory of [paths.intents, paths.images, paths.facts, paths.locks]) await files.syncDirectory(directory)
}

/** What a rule answers to an intent that is torn, foreign, or does not fit what is there; all else is a failure of the storage. */
const unfit: ReadonlySet<ErrorKind> = new Set(['imageCorrupt', 'staleGeneration', 'identityMismatch', 'limitExceeded'])

/** Nothing was changed by it, and nothing is guessed: an operator decides. */
const stick = (store: Store, ctx: Ctx, { kind, name, vdis }: Intent, why: string, remedy: string, cause?: unknown): StorageError => {
  const file = store.paths.intent(name)
  const problem = new StorageError('imageCorrupt', `An unfinished change (${kind}) of VDI ${vdis.join(', ')} can be neither finished nor taken back: ${why}`, {
    layer, remedy: `${remedy}. The record is ${file}; move it away to give the change up`, cause, details: { file, vdi_uuid: vdis[0] ?? '' },
  })
  store.stuck.set(name, { vdis, problem })
  ctx.log.warn({ file, why }, 'an unfinished change stands in the way of its VDI')
  return problem
}

/** Links, directories and the like are not ours. Of what is not there any more its rule takes care. */
const fileOf = async ({ place, paths }: Store, { name }: Intent): Promise<string | undefined> => {
  const facts = await place.files.stat(paths.intent(name))
  return facts === undefined || facts.kind === 'file' ? undefined : `it is a ${facts.kind}, not a file`
}

/** Intents that can be obeyed were; the first that cannot is told by `problem`, and stands in the way of its own VDIs alone. */
const obey = async (store: Store, ctx: Ctx, intents: readonly Intent[]): Promise<{ readonly replayed: readonly string[]; readonly problem?: StorageError }> => {
  const replayed: string[] = []
  const problems: StorageError[] = []
  const sound: Intent[] = []
  for (const intent of intents) {
    store.stuck.delete(intent.name)
    const foreign = await fileOf(store, intent)
    if (foreign === undefined) sound.push(intent)
    else problems.push(stick(store, ctx, intent, foreign, 'Nobody but the storage manager writes there'))
  }
  await settle(store, sound)
  for (const intent of sound.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))) {
    ctx.signal.throwIfAborted()
    try {
      const said = await rules[intent.kind]?.(store, intent)
      if (said !== undefined) replayed.push(said)
    } catch (error) {
      if (!(error instanceof StorageError) || !unfit.has(error.kind)) throw error
      problems.push(stick(store, ctx, intent, error.message, error.facts.remedy ?? 'Verify the image', error))
    }
  }
  const [problem] = problems
  return { replayed, ...(problem === undefined ? {} : { problem }) }
}

/** Whether `vdi` reads through the image that a swap replaces. Names are followed, not identities: those are apart just then. */
const readsThrough = async (store: Store, vdi: VdiUuid, { vdis }: Intent): Promise<boolean> => {
  const seen = new Set<VdiUuid>()
  for (let at: VdiUuid | undefined = vdi; at !== undefined && !seen.has(at); at = (await store.catalog.one(at))?.parent) {
    if (vdis.includes(at)) return true
    seen.add(at)
  }
  return false
}

/**
 * With `vdi`: only what keeps that VDI from being used, which whoever holds it alone may finish; throws imageCorrupt when that cannot
 * be. Without: everything; what cannot be finished makes its own VDIs unusable (`Store.stuck`) and no other.
 */
export const recover = async (store: Store, ctx: Ctx, vdi: VdiUuid | undefined): Promise<Recovery> => {
  const listed = await listIntents(store)
  // What is neither is not ours, and stays for an operator to look at.
  const intents = listed.filter((intent) => isTemporary(intent) || isWellFormed(intent))
  for (const name of store.stuck.keys()) if (!intents.some((intent) => intent.name === name)) store.stuck.delete(name)
  if (intents.length === 0) return { replayed: [] }
  if (vdi !== undefined) {
    const mine: Intent[] = []
    for (const intent of intents) {
      if (intent.kind === 'grow' && intent.vdis[0] === vdi) mine.push(intent)
      if (intent.kind === 'swap' && (await readsThrough(store, vdi, intent))) mine.push(intent)
    }
    if (mine.length === 0) return { replayed: [] }
    const { replayed, problem } = await obey(store, ctx, mine)
    if (problem !== undefined) throw problem
    return { replayed }
  }
  // Also for temporary files alone: the twin of a clone may be all that is left of an intent whose rename is not durable yet.
  const { replayed } = await obey(store, ctx, intents.filter((intent) => Object.hasOwn(rules, intent.kind)))
  // Nobody refers to these any more, whoever wrote them is dead.
  for (const intent of intents.filter(isTemporary)) if ((await fileOf(store, intent)) === undefined) await endIntent(store, intent.name)
  return { replayed }
}
