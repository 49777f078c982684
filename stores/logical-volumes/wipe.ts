/**
 * wipe=full: the volume of a deleted VDI is overwritten with zeros, slice by slice, and removed then. How far it came is a
 * tag, written after each slice: a crash repeats one slice at most.
 */
import type { CollectorStep, Ctx } from '../../core/contract.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { GiB, MiB, roundDown } from '../../core/units.ts'
import { zeroCommand } from '../../host/blkid/build.ts'
import { activate, deactivate } from './activate.ts'
import { contentsOf, type Store } from './store.ts'
import { dropVolume, setVdiTags } from './volumes.ts'

/** Short enough for a disk that writes 20 MB/s to be done in seconds: whoever waits for the SR waits for one slice. */
const sliceBytes = 256 * MiB
const sliceMs = 300_000
/** So much is overwritten by vdi_delete itself, so that the space is free at once; the rest is the collector's. */
const atOnceBytes = GiB

export const wipeBacklog = async (store: Store, ctx: Ctx): Promise<readonly CollectorStep[]> => {
  const { toWipe } = await contentsOf(store, ctx)
  return toWipe
    .map(({ id, volume, wiped }) => ({ action: 'remove' as const, vdi: id, needs: [], bytes: Math.max(0, volume.size - wiped) }))
    .sort((a, b) => a.bytes - b.bytes)
}

/** One slice: 1. active; 2. zeros; 3. the tag. After the last one: 4. inactive; 5. removed. True when it is gone. */
export const wipeSlice = async (store: Store, ctx: Ctx, id: VdiUuid): Promise<boolean> => {
  // A slice begins with what is there now: between two of them no lock may have been held.
  store.reports.forget(ctx)
  const found = (await contentsOf(store, ctx)).toWipe.find((one) => one.id === id)
  if (found === undefined) return true
  const { name, size } = found.volume
  const from = Number.isSafeInteger(found.wiped) && found.wiped > 0 ? roundDown(Math.min(found.wiped, size), MiB) : 0
  const length = Math.min(sliceBytes, size - from)
  if (length > 0) {
    const path = await activate(store, ctx, name)
    await ctx.host.run(zeroCommand(path, from, length, sliceMs), ctx.signal)
    ctx.progress(from + length, size)
    // Of the last slice no note is needed: the volume goes.
    if (from + length < size) await setVdiTags(store, ctx, name, { wiped: String(from + length) }, `note how far volume ${name} is overwritten`)
  }
  if (from + length < size) return false
  await deactivate(store, ctx, name)
  await dropVolume(store, ctx, name)
  return true
}

/** What vdi_delete does of it: a small volume whole, of a large one nothing. */
export const wipeAtOnce = async (store: Store, ctx: Ctx, id: VdiUuid): Promise<void> => {
  const found = (await contentsOf(store, ctx)).toWipe.find((one) => one.id === id)
  if (found === undefined || found.volume.size > atOnceBytes) return
  while (!(await wipeSlice(store, ctx, id))) ctx.signal.throwIfAborted()
}
