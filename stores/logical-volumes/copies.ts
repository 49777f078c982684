/** Snapshots, clones and reverts of thin volumes: they share blocks in the pool and depend on nothing but it. */
import type { CopyRequest, Ctx, VdiRecord } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { renameVolume, snapshotThin } from '../../host/lvm/build.ts'
import { tagChange } from '../../host/lvm/tags.ts'
import { usedBytes, vdiTags, volumeName, type Contents, type VdiVolume } from './contents.ts'
import { contentsOf, findVdi, hasTags, volumeIn, type Store } from './store.ts'
import { dropVolume, recordIn, refuseFullPool } from './volumes.ts'

/** One command: the volume is there with all its tags, or it is not. */
export const copyVdi = async (store: Store, ctx: Ctx, want: CopyRequest, kind: 'snapshot' | 'clone'): Promise<VdiRecord> => {
  const contents = await contentsOf(store, ctx)
  const source = findVdi(contents, ctx, want.source)
  refuseFullPool(contents.report)
  const name = volumeName('vdi', want.dest)
  const used = usedBytes(source)
  const tags = vdiTags({
    name: want.name ?? source.tags['name'] ?? '',
    description: want.description ?? source.tags['description'] ?? '',
    ...(used === 0 ? {} : { used: String(used) }),
    ...(kind === 'snapshot' ? { kind: 'snapshot' as const, of: want.source, taken: String(ctx.clock.now()) } : {}),
  })
  const command = snapshotThin(store.at, source.volume.name, name, kind === 'snapshot' ? 'r' : 'rw', tags)
  return recordIn(await store.change(ctx, { command, what: `make ${kind} ${name}`, done: (after) => hasTags(after, name, tags) }), ctx, want.dest)
}

/** Whether a snapshot goes back to that VDI, directly or as a snapshot of a snapshot of it. */
const isOf = ({ vdis }: Contents, snapshot: VdiVolume, vdi: VdiUuid): boolean => {
  let at: VdiVolume | undefined = snapshot
  for (let steps = 0; at !== undefined && steps <= vdis.size; steps += 1) {
    const of: string | undefined = at.tags['of']
    if (of === vdi) return true
    at = of === undefined ? undefined : vdis.get(of as VdiUuid)
  }
  return false
}

/** Tags that describe the content go with the snapshot, all others stay with the VDI. */
const replacementTags = (vdi: VdiVolume, snapshot: VdiVolume): readonly string[] => {
  const used = usedBytes(snapshot)
  const { add, remove } = tagChange(vdi.volume.tags, { used: used === 0 ? undefined : String(used) })
  return [...vdi.volume.tags.filter((tag) => !remove.includes(tag)), ...add]
}

/**
 * The VDI gets the content of the snapshot; name, lock and everything else of it stay.
 *
 * 1. RV-<vdi>: a writable snapshot of the snapshot, with the VDI's tags.   [RV beside LV: undone, RV is removed]
 * 2. LV-<vdi> becomes OLD-<vdi>: decided.                                  [OLD and RV: finished from here]
 * 3. RV-<vdi> becomes LV-<vdi>.                                            [OLD beside LV: OLD is removed]
 * 4. OLD-<vdi> is removed.
 */
export const revertVdi = async (store: Store, ctx: Ctx, vdi: VdiUuid, snapshot: VdiUuid): Promise<VdiRecord> => {
  const contents = await contentsOf(store, ctx)
  const target = findVdi(contents, ctx, vdi)
  const source = findVdi(contents, ctx, snapshot)
  if (!isOf(contents, source, vdi)) {
    throw new StorageError('invalidArgument', `${snapshot} is no snapshot of VDI ${vdi}`, {
      layer: 'store:logical-volumes', field: 'snapshot_uuid', remedy: `smctl sr scan ${ctx.sr} shows which snapshots it has`, details: { snapshot_of: source.tags['of'] ?? null },
    })
  }
  refuseFullPool(contents.report)
  const replacement = volumeName('replacement', vdi)
  const tags = replacementTags(target, source)
  await store.change(ctx, { command: snapshotThin(store.at, source.volume.name, replacement, 'rw', tags), what: `prepare ${replacement}`, done: (after) => hasTags(after, replacement, tags) })
  await rename(store, ctx, volumeName('vdi', vdi), volumeName('old', vdi))
  await finishRevert(store, ctx, vdi)
  return recordIn(await store.reports.of(ctx), ctx, vdi)
}

const rename = async (store: Store, ctx: Ctx, from: string, to: string): Promise<void> => {
  await store.change(ctx, { command: renameVolume(store.at, from, to), what: `rename ${from} to ${to}`, done: (after) => volumeIn(after, from) === undefined && volumeIn(after, to) !== undefined })
}

const finishRevert = async (store: Store, ctx: Ctx, vdi: VdiUuid): Promise<void> => {
  await rename(store, ctx, volumeName('replacement', vdi), volumeName('vdi', vdi))
  await dropVolume(store, ctx, volumeName('old', vdi))
}

/** Finishes or undoes reverts that a dead process left; a sentence for each. */
export const recoverReverts = async (store: Store, ctx: Ctx, only: VdiUuid | undefined): Promise<readonly string[]> => {
  const { unfinished } = await contentsOf(store, ctx)
  const done: string[] = []
  for (const { vdi, present, replacement, old } of unfinished.filter((one) => only === undefined || one.vdi === only)) {
    ctx.signal.throwIfAborted()
    if (present && replacement) {
      await dropVolume(store, ctx, volumeName('replacement', vdi))
      done.push(`Undid a revert of VDI ${vdi} that had not begun to replace it`)
    }
    if (!present && old && replacement) {
      await finishRevert(store, ctx, vdi)
      done.push(`Finished the revert of VDI ${vdi}`)
    } else if (present && old) {
      await dropVolume(store, ctx, volumeName('old', vdi))
      done.push(`Removed the former content of the reverted VDI ${vdi}`)
    } else if (!present && old) {
      await rename(store, ctx, volumeName('old', vdi), volumeName('vdi', vdi))
      done.push(`Gave VDI ${vdi} its content back`)
    }
  }
  return done
}
