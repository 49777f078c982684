/** SRs that are the LUNs of an iSCSI target: one VDI a LUN, made and deleted on the array. */
import * as z from 'zod'
import { contractVersion, type Ctx } from '../../core/contract.ts'
import { defineDriver, parseDconf } from '../../core/define-driver.ts'
import { StorageError } from '../../core/errors.ts'
import { formatSize, MiB, TiB } from '../../core/units.ts'
import { detachLun, rawContentType } from '../../stores/raw-luns/attach.ts'
import { dropClaimsOf } from '../../stores/raw-luns/claims.ts'
import { sweepLockNotes } from '../../stores/raw-luns/locks.ts'
import { openRawLuns, rawLunFeatures } from '../../stores/raw-luns/open.ts'
import { readLuns } from '../../stores/raw-luns/source.ts'
import { connect, disconnect, withTarget } from '../../stores/iscsi-targets/connect.ts'
import { iscsiTools, targetShape, type TargetDconf } from '../../stores/iscsi-targets/dconf.ts'
import { usersOfTarget } from '../../stores/iscsi-targets/marks.ts'
import { probeTarget } from '../../stores/iscsi-targets/probe.ts'
import { lunSource, userOf } from '../../stores/iscsi-targets/source.ts'
import { targetOf, type Target } from '../../stores/iscsi-targets/target.ts'

const type = 'iscsi'
const dconf = z.strictObject(targetShape)

/** A target has no identity of an SR on it: its SR is whatever uuid it was given. So that two cannot hand out the same LUNs, one host knows it as one SR. */
const refuseSecondSr = async (ctx: Ctx, target: Target): Promise<void> => {
  const other = (await usersOfTarget(ctx, target)).find((user) => user.driver === type && user.untilMs === undefined && user.name !== ctx.sr)
  if (other === undefined) return
  throw new StorageError('identityMismatch', `Target ${target.iqn} is attached to this host as SR ${other.name}: its LUNs cannot be another SR's, too`, {
    layer: `driver:${type}`, field: 'sr_uuid', remedy: `Use SR ${other.name}, or detach it first: smctl sr detach ${other.name}`, details: { sr_uuid: other.name },
  })
}

/** Nothing is written: that the target answers, lets us in and has LUNs is all that an SR of this type needs. */
const register = async (ctx: Ctx, target: Target, size: number): Promise<void> => {
  await refuseSecondSr(ctx, target)
  await withTarget(ctx, target, type, async () => {
    const { luns } = await readLuns(ctx, lunSource(target, type))
    const total = luns.reduce((sum, lun) => sum + lun.size, 0)
    if (luns.length === 0) {
      throw new StorageError('placeMissing', `Target ${target.iqn} offers no LUN to ${target.initiator}`, { layer: `driver:${type}`, field: 'device_config.targetIQN', remedy: 'Map a LUN to this initiator on the array, then try again' })
    }
    if (size > total) {
      throw new StorageError('noSpace', `The LUNs of ${target.iqn} have ${formatSize(total)} in all, not ${formatSize(size)}`, { layer: `driver:${type}`, field: 'size', remedy: 'Leave size out; LUNs are made on the array', details: { size, present: total } })
    }
  })
}

const letGo = async (ctx: Ctx, raw: TargetDconf, vdi: Parameters<typeof detachLun>[2]): Promise<void> => detachLun(ctx, lunSource(await targetOf(ctx, raw), type), vdi)

export default defineDriver({
  type,
  executable: 'ISCSI',
  title: 'LUNs of an iSCSI target',
  summary: 'Each LUN that a target offers to this host is a VDI; the array makes, grows and deletes them.',
  contract: contractVersion,
  features: rawLunFeatures,
  srOperations: ['create', 'introduce'],
  contentType: rawContentType,
  limits: { shared: true, minVdiSize: MiB, maxVdiSize: 8 * 1024 * TiB - 512, sizeStep: 512 },
  defaultVdiVisibility: false,
  tools: [...iscsiTools, { name: 'sg_persist', debianPackage: 'sg3-utils', neededFor: 'locking VDIs (persistent reservations)' }],
  example: { target: '192.0.2.10', targetIQN: 'iqn.2001-04.com.example:disks' },
  dconf,

  probe: async (ctx, partial) => probeTarget(ctx, type, partial, (raw) => parseDconf(type, dconf, raw), async (luns, target) => ({
    tried: [],
    candidates: luns.length === 0 ? [] : [{
      deviceConfig: partial, complete: true, found: 'adoptable', sr: { vdis: luns.length },
      says: `${luns.length} LUN${luns.length === 1 ? '' : 's'} of ${target.iqn}, ${formatSize(luns.reduce((sum, lun) => sum + lun.size, 0))} in all; each becomes a VDI`,
    }],
  })),
  prepare: async (ctx, raw, want) => register(ctx, await targetOf(ctx, raw), want.size),
  adopt: async (ctx, raw) => register(ctx, await targetOf(ctx, raw), 0),

  async attach(ctx, raw) {
    const target = await targetOf(ctx, raw)
    await refuseSecondSr(ctx, target)
    await connect(ctx, target, ctx.sr, userOf(target, type))
  },
  async detach(ctx, raw) {
    const target = await targetOf(ctx, raw)
    await disconnect(ctx, target, ctx.sr)
    await dropClaimsOf(ctx, ctx.sr)
    await sweepLockNotes(ctx)
  },
  open: async (ctx, raw) => openRawLuns(lunSource(await targetOf(ctx, raw), type)),
  letGo,
})
