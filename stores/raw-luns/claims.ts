/**
 * Which SR of this host uses which LUN, as marks in the run directory. A LUN can be a VDI of one SR and hold the volume group or
 * the file system of another: whoever comes second is refused. The mark outlives the LUN, so that a vanished one is missed.
 */
import * as z from 'zod'
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { asVdiUuid, isUuid, SrUuid, type VdiUuid } from '../../core/ids.ts'
import { createMarks, type Marks } from '../../host/marks.ts'

const LunClaim = z.strictObject({
  sr: SrUuid,
  driver: z.string(),
  scsiId: z.string(),
  /** Number and size when it was claimed. */
  number: z.int(),
  size: z.int(),
  /** Set when we told the kernel to refuse writes, for an attachment that only reads. */
  madeReadOnly: z.boolean().optional(),
  /** It carries the volume group or the file system of that SR; else it is a VDI of it. */
  carries: z.boolean().optional(),
})
export type LunClaim = z.infer<typeof LunClaim>

type Needs = Pick<Ctx, 'host'>

const hour = 60 * 60_000

const marksOf = (ctx: Needs): Marks<LunClaim> => createMarks(ctx.host, 'lun', LunClaim)

/** Claims of this boot. */
export const readClaims = async (ctx: Needs): Promise<ReadonlyMap<VdiUuid, LunClaim>> =>
  new Map((await marksOf(ctx).list()).filter(({ stale, name }) => !stale && isUuid(name)).map(({ name, value }) => [asVdiUuid(name), value]))

export const readClaim = async (ctx: Needs, vdi: VdiUuid): Promise<LunClaim | undefined> => {
  const mark = await marksOf(ctx).read(vdi)
  return mark === undefined || mark.stale ? undefined : mark.value
}

/** Takes a LUN for an SR: true when it was free, false when that SR has it already; busy when another one has it. */
export const claimLun = async (ctx: Needs, vdi: VdiUuid, claim: LunClaim): Promise<boolean> => {
  const there = await marksOf(ctx).claim(vdi, claim)
  if (there === undefined) return true
  if (there.value.sr === claim.sr) return false
  throw new StorageError('busy', `The LUN ${claim.scsiId} is in use by SR ${there.value.sr} (${there.value.driver}) on this host`, {
    layer: 'store:raw-luns', remedy: `Detach it there first: smctl sr detach ${there.value.sr}`, details: { scsi_id: claim.scsiId, sr_uuid: there.value.sr },
  })
}

export const updateClaim = async (ctx: Needs, vdi: VdiUuid, claim: LunClaim): Promise<void> => marksOf(ctx).put(vdi, claim)

/** Another SR's claim is left alone; none is done. */
export const dropClaim = async (ctx: Needs, vdi: VdiUuid, sr: SrUuid): Promise<void> => {
  const marks = marksOf(ctx)
  const mark = await marks.read(vdi)
  if (mark !== undefined && (mark.stale || mark.value.sr === sr)) await marks.remove(vdi)
}

/** Everything an SR has claimed: when it is detached nothing of it is attached. */
export const dropClaimsOf = async (ctx: Pick<Ctx, 'host' | 'clock'>, sr: SrUuid): Promise<void> => {
  const marks = marksOf(ctx)
  for (const mark of await marks.list()) if (mark.stale || mark.value.sr === sr) await marks.remove(mark.name)
  await marks.sweep(ctx.clock.now() - hour)
}
