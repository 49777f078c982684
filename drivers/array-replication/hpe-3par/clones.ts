/** Clones are online physical copies: usable at once, independent when their task has ended. */
import type { ArrayClones } from '../../../core/array/contract.ts'
import type { ArrayCtx, CopyVolume, Outcome, Volume } from '../../../core/array/types.ts'
import { StorageError } from '../../../core/errors.ts'
import { jobId } from './jobs.ts'
import type { Near } from './near.ts'
import { putIntoQosSet } from './qos.ts'
import { digest } from './tags.ts'
import { gone, isSnapshot, needVolume, needWhole, snapCpgMember, volumeOf } from './volumes.ts'
import { copyType, health } from './wsapi/enums.ts'
import { layer } from './wsapi/layer.ts'
import { createOnlineCopy, findVolume, listVolumes } from './wsapi/volumes.ts'

const copy = async (ctx: ArrayCtx, near: Near, source: string, cpg: string | undefined, want: CopyVolume): Promise<Outcome<Volume>> => {
  const name = want.name ?? `smc-${digest(20, source, crypto.randomUUID())}`
  if ((await findVolume(near.api, name, ctx.signal)) !== undefined) throw new StorageError('alreadyExists', `There is a volume ${name} already`, { layer, field: 'name', remedy: 'Take another name' })
  const task = await createOnlineCopy(near.api, source, { destVolume: name, destCPG: cpg ?? near.settings.cpg, tpvv: true, ...snapCpgMember(near) }, ctx.signal)
  if (want.qos !== undefined) await putIntoQosSet(ctx, near, name, want.qos)
  return { kind: 'started', job: jobId([task], name) }
}

export const clonesSection = (near: Near): ArrayClones => ({
  async limit(ctx, volume) {
    if (volume !== undefined) await needVolume(ctx, near, volume)
    return -1
  },
  async cloneable(ctx, volume) {
    const raw = await needVolume(ctx, near, volume)
    return raw.state !== health.failed && raw.copyType !== copyType.physical
  },
  async clone(ctx, volume, want) {
    const raw = await needVolume(ctx, near, volume)
    return copy(ctx, near, volume, raw.userCPG, want)
  },
  async cloneFromSnapshot(ctx, volume, snapshot, want) {
    const raw = await needVolume(ctx, near, volume)
    const found = (await listVolumes(near.api, undefined, ctx.signal)).filter((one) => isSnapshot(one) && one.copyOf === volume && (one.name === snapshot || one.name.startsWith(`${snapshot}-`)))
    const [part] = found
    if (part === undefined) throw gone('snapshot', snapshot)
    return copy(ctx, near, part.name, raw.userCPG, want)
  },
  splittable: async (ctx, clone) => {
    await needVolume(ctx, near, clone)
    return false
  },
  async split(ctx, clone) {
    await needWhole(ctx, near, clone)
    throw new StorageError('notSupported', 'Clones of this array become independent by themselves', { layer, field: 'clone', remedy: 'Wait until the job of the clone has ended' })
  },
  async current(ctx, volume) {
    const raws = await listVolumes(near.api, undefined, ctx.signal)
    return raws.filter((raw) => raw.copyType === copyType.physical && (volume === undefined || raw.copyOf === volume)).map((raw) => volumeOf(raw, []))
  },
})
