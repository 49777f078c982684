/** A thin VDI that takes all its space at once: the pool hands out a block when it is written, so all of it is written. */
import type { CreateRequest, Ctx, VdiRecord } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { roundUp } from '../../core/units.ts'
import { zeroCommand } from '../../host/blkid/build.ts'
import { activate, deactivate } from './activate.ts'
import { sortOut, volumeName } from './contents.ts'
import { contentsOf, volumeIn, type Store } from './store.ts'
import { createVolumeFor, dropVolume, noSpace, recordIn, setVdiTags } from './volumes.ts'

/** The engine's deadline for vdi_create comes first. */
const fillMs = 600_000

/**
 * 1. The volume, with a tag that says that it is not finished.   [undone by recovery, from here to 4]
 * 2. It becomes active.
 * 3. Zeros, all over it.
 * 4. Inactive, and without the tag, in that order: it is a VDI.
 */
export const createFilled = async (store: Store, ctx: Ctx, want: CreateRequest): Promise<VdiRecord> => {
  const { report, pool } = await contentsOf(store, ctx)
  const size = roundUp(want.size, report.group.extentSize)
  const free = pool === undefined ? 0 : pool.size - Math.round((pool.dataUsed ?? 1) * pool.size)
  if (size > free) throw noSpace(size, free, 'the thin pool')
  const name = volumeName('vdi', want.uuid)
  await createVolumeFor(store, ctx, want, { filling: 'yes' })
  try {
    const path = await activate(store, ctx, name)
    await ctx.host.run(zeroCommand(path, 0, size, fillMs), ctx.signal)
    await deactivate(store, ctx, name)
  } catch (error) {
    const after = await store.reports.again(ctx)
    const full = sortOut(after).pool?.attributes.pool !== undefined
    if (volumeIn(after, name) !== undefined) {
      await deactivate(store, ctx, name)
      await dropVolume(store, ctx, name)
    }
    throw full && error instanceof StorageError && error.kind === 'toolFailed' ? noSpace(size, free, 'the thin pool') : error
  }
  return recordIn(await setVdiTags(store, ctx, name, { filling: undefined, used: String(size) }, `finish volume ${name}`), ctx, want.uuid)
}
