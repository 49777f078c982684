/** Runs the rules of intents.ts over what dead processes left. */
import type { Ctx, Recovery } from '../../core/contract.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { recoverClone, recoverSnapshot } from './copy.ts'
import { recoverCreate } from './create.ts'
import { recoverRemove } from './destroy.ts'
import { endIntent, isTemporary, listIntents, type Intent, type RecoveryRule } from './intents.ts'
import { recoverGrow } from './resize.ts'
import { recoverRevert } from './revert.ts'
import { recoverSwap } from './coalesce.ts'
import type { Store } from './store.ts'

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

const obey = async (store: Store, ctx: Ctx, intents: readonly Intent[]): Promise<readonly string[]> => {
  const replayed: string[] = []
  for (const intent of [...intents].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))) {
    ctx.signal.throwIfAborted()
    const said = await rules[intent.kind]?.(store, intent)
    if (said !== undefined) replayed.push(said)
  }
  return replayed
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

/** With `vdi`: only what keeps that VDI from being used, which whoever holds it alone may finish. */
export const recover = async (store: Store, ctx: Ctx, vdi: VdiUuid | undefined): Promise<Recovery> => {
  const intents = await listIntents(store)
  if (intents.length === 0) return { replayed: [] }
  if (vdi !== undefined) {
    const mine: Intent[] = []
    for (const intent of intents) {
      if (intent.kind === 'grow' && intent.vdis[0] === vdi) mine.push(intent)
      if (intent.kind === 'swap' && (await readsThrough(store, vdi, intent))) mine.push(intent)
    }
    if (mine.length > 0) await settle(store, mine)
    return { replayed: await obey(store, ctx, mine) }
  }
  // Also for temporary files alone: the twin of a clone may be all that is left of an intent whose rename is not durable yet.
  await settle(store, intents)
  const replayed = await obey(store, ctx, intents.filter((intent) => Object.hasOwn(rules, intent.kind)))
  // Nobody refers to these any more, whoever wrote them is dead.
  for (const intent of intents.filter(isTemporary)) await endIntent(store, intent.name)
  return { replayed }
}
