/** Ends what a dead process left: takes back what was being made, goes on with what was being removed or reverted, and makes both arrays know the same. */
import type { Ctx, Recovery } from '../../core/contract.ts'
import { toStorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { freeGroup, undoReplicatedVolume } from '../../core/replication/index.ts'
import { endDestroy, endRevert, unmake } from './change.ts'
import { keys, readKey } from './names.ts'
import { layer, parseVdi, type VdiNote } from './notes.ts'
import { readSr, textsOf } from './place.ts'
import { siteOf, type Sides } from './sides.ts'
import type { ArrayStore } from './store.ts'

/** Another host may still be at it: it is taken for dead after so long. Milliseconds. */
const foreignMs = 60 * 60_000

/** On this host nobody else is at it: the caller holds its lock. */
const isDead = (ctx: Ctx, { by }: VdiNote): boolean => by === undefined || by.host === ctx.host.id || ctx.clock.now() - by.sinceMs > foreignMs

const endOne = async (ctx: Ctx, store: ArrayStore, sides: Sides, vdi: VdiUuid, note: VdiNote): Promise<string> => {
  if (note.state === 'removing') {
    await endDestroy(ctx, store, sides, vdi, note)
    return `VDI ${vdi} was deleted to the end`
  }
  if (note.state === 'reverting') {
    await endRevert(ctx, store, sides, vdi, note)
    return `VDI ${vdi} was brought back to its snapshot to the end`
  }
  if (store.pair.pool.group !== undefined && note.kind === 'disk') await undoReplicatedVolume(siteOf(ctx, sides), note.called)
  await unmake(ctx, store, sides, vdi, note)
  return `VDI ${vdi}, which was not made to the end, was taken back`
}

export const recoverSr = async (ctx: Ctx, store: ArrayStore, vdi?: VdiUuid): Promise<Recovery> => {
  const sides = await store.pair.sides(ctx)
  const { vdis } = await readSr(ctx, store.pair.pool, sides.active)
  const replayed: string[] = []
  for (const [uuid, note] of vdis) {
    if (note.state === 'ready' || (vdi !== undefined && uuid !== vdi) || !isDead(ctx, note)) continue
    // A volume that is being made concerns nobody who asks for another one; what it needs may be more than one VDI's lock.
    if (vdi !== undefined && note.state !== 'reverting') continue
    replayed.push(await endOne(ctx, store, sides, uuid, note))
  }
  const { group } = store.pair.pool
  if (vdi === undefined && group !== undefined && sides.active.unit?.role !== 'promoted') await freeGroup(siteOf(ctx, sides), group)
  return { replayed }
}

/** Texts that belong on both arrays of a pair. */
const isShared = (key: string): boolean => ['sr', 'disk', 'lock'].includes(readKey(key)?.kind ?? '')

const withoutId = (key: string, text: string): string => {
  if (readKey(key)?.kind !== 'disk') return text
  const { id: _id, ...note } = parseVdi(key, text)
  return JSON.stringify(note)
}

/**
 * The active side is right; the other one gets what it lacks and loses what is gone. At attach, when the other one may have been away meanwhile. One
 * list a side, and one call a difference.
 */
export const levelTexts = async (ctx: Ctx, { active, other }: Sides): Promise<void> => {
  if (other === undefined) return
  try {
    const [here, there] = await Promise.all([textsOf(active).list(ctx, keys.sr(ctx.sr)), textsOf(other).list(ctx, keys.sr(ctx.sr))])
    for (const [key, text] of here) {
      const found = there.get(key)
      if (isShared(key) && (found === undefined || withoutId(key, found) !== withoutId(key, text))) await textsOf(other).put(ctx, key, withoutId(key, text))
    }
    for (const key of there.keys()) if (isShared(key) && !here.has(key)) await textsOf(other).remove(ctx, key)
  } catch (error) {
    ctx.signal.throwIfAborted()
    ctx.log.warn({ array: other.name, left: toStorageError(error, layer).message }, 'the other array does not have all texts of the SR; it gets them at the next attach')
  }
}
