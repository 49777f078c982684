/**
 * Persistent VDI locks, as texts on the array: the one with the highest epoch counts. Taking a lock means making the text of the next epoch,
 * which the array lets one of several hosts do; whoever loses looks again. The last one stays after an unlock, so that no epoch comes twice.
 */
import type { Ctx, VdiLock } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { keys, readKey } from './names.ts'
import { layer, parseLock, vdiLock, type Lock, type LockNote } from './notes.ts'
import { onBoth, textsOf } from './place.ts'
import type { Sides } from './sides.ts'

const attempts = 8

const readTop = async (ctx: Ctx, sides: Sides, vdi: VdiUuid): Promise<{ readonly top: Lock | undefined; readonly old: readonly string[] }> => {
  const all = [...(await textsOf(sides.active).list(ctx, keys.locks(ctx.sr, vdi)))].flatMap(([key, text]) => {
    const read = readKey(key)
    return read?.kind === 'lock' ? [{ key, text, epoch: read.epoch }] : []
  }).sort((a, b) => b.epoch - a.epoch)
  const [first, ...rest] = all
  return { top: first === undefined ? undefined : { ...parseLock(first.key, first.text), epoch: first.epoch }, old: rest.map(({ key }) => key) }
}

export const readLock = async (ctx: Ctx, sides: Sides, vdi: VdiUuid): Promise<VdiLock | undefined> => vdiLock((await readTop(ctx, sides, vdi)).top)

const refused = (vdi: VdiUuid, lock: VdiLock): StorageError =>
  new StorageError('lockUnavailable', `VDI ${vdi} is locked by ${lock.owner} on host ${lock.host}`, {
    layer, remedy: 'Let the owner unlock it; when it is known to be dead, lock it with force', details: { owner: lock.owner, host: lock.host },
  })

const isHeld = (ctx: Ctx, lock: VdiLock | undefined): lock is VdiLock => lock !== undefined && (lock.expiresMs === undefined || lock.expiresMs > ctx.clock.now())

/**
 * Steps: 1. read the newest; 2. one's own is written anew in its epoch, else the next epoch is made; 3. older ones go; 4. the other array is told.
 * Recovery: a death after 2 has taken the lock; older ones go with the next change.
 */
export const takeLock = async (ctx: Ctx, sides: Sides, vdi: VdiUuid, want: { readonly owner: string; readonly force: boolean; readonly ttlMs?: number }): Promise<VdiLock> => {
  const texts = textsOf(sides.active)
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const { top, old } = await readTop(ctx, sides, vdi)
    const held = vdiLock(top)
    const own = isHeld(ctx, held) && held.owner === want.owner ? held : undefined
    if (isHeld(ctx, held) && own === undefined && !want.force) throw refused(vdi, held)
    const now = ctx.clock.now()
    const note: LockNote = { format: 1, owner: want.owner, host: ctx.host.id, sinceMs: own?.sinceMs ?? now, ...(want.ttlMs === undefined ? {} : { expiresMs: now + want.ttlMs }) }
    const epoch = own?.epoch ?? (top?.epoch ?? 0) + 1
    const key = keys.lock(ctx.sr, vdi, epoch)
    if (own !== undefined) await texts.put(ctx, key, JSON.stringify(note))
    else if (!(await texts.create(ctx, key, JSON.stringify(note)))) continue
    const gone = [...old, ...(own !== undefined || top === undefined ? [] : [keys.lock(ctx.sr, vdi, top.epoch)])]
    for (const one of gone) await texts.remove(ctx, one)
    await tellOther(ctx, sides, key, note, gone)
    return { owner: note.owner, host: note.host, epoch, sinceMs: note.sinceMs, ...(note.expiresMs === undefined ? {} : { expiresMs: note.expiresMs }) }
  }
  throw new StorageError('lockUnavailable', `The lock of VDI ${vdi} changes hands faster than it can be taken`, { layer, remedy: 'Try again' })
}

const tellOther = async (ctx: Ctx, { active, other }: Sides, key: string, note: LockNote, gone: readonly string[]): Promise<void> => {
  if (other === undefined) return
  await onBoth(ctx, { active: other, other: undefined, silent: undefined }, async (texts) => {
    await texts.put(ctx, key, JSON.stringify(note))
    for (const one of gone) await texts.remove(ctx, one)
  }).catch((error: unknown) => {
    ctx.signal.throwIfAborted()
    ctx.log.warn({ array: other.name, active: active.name, left: (error as Error).message }, 'the other array was not told of a lock; it is when the SR is attached again')
  })
}

/** True when a lock was released. */
export const releaseLock = async (ctx: Ctx, sides: Sides, vdi: VdiUuid, owner: string): Promise<boolean> => {
  const { top } = await readTop(ctx, sides, vdi)
  const held = vdiLock(top)
  if (top === undefined || !isHeld(ctx, held)) return false
  if (held.owner !== owner) throw refused(vdi, held)
  const { epoch, ...note } = top
  await onBoth(ctx, sides, async (texts) => texts.put(ctx, keys.lock(ctx.sr, vdi, epoch), JSON.stringify({ ...note, free: true })))
  return true
}

/** With its VDI. */
export const dropLocks = async (ctx: Ctx, sides: Sides, vdi: VdiUuid): Promise<void> =>
  onBoth(ctx, sides, async (texts) => {
    for (const key of (await texts.list(ctx, keys.locks(ctx.sr, vdi))).keys()) await texts.remove(ctx, key)
  })
