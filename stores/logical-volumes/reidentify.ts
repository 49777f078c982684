/** Makes an SR of its own out of a block copy: a clone, a snapshot or a replica that an array presents beside the original. */
import type { CopiedVdi, Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { asVdiUuid, copiedVdiUuid, isUuid, type SrUuid, type VdiUuid } from '../../core/ids.ts'
import { usersOf } from '../../host/blkid/inspect.ts'
import { changeGroupTags, changeVolumeTags, importClone, renameVolume, type VgPlace } from '../../host/lvm/build.ts'
import { explainLvm } from '../../host/lvm/errors.ts'
import { tagChange } from '../../host/lvm/tags.ts'
import { createChanges, makeChange } from './change.ts'
import { sortOut, volumeName, type VdiVolume } from './contents.ts'
import { recoverReverts } from './copies.ts'
import { forgetHeads, keepHeads, restoreHeads } from './heads.ts'
import { vgOf, vgPlaceOf, type VolumePlace } from './place.ts'
import { groupTags, readReport, srOfGroup, type Report } from './report.ts'
import type { Store } from './store.ts'
import { groupOn, survey, type Survey } from './survey.ts'

const layer = 'store:logical-volumes'

const notACopy = (ctx: Ctx, original: SrUuid, says: string): StorageError =>
  new StorageError('identityMismatch', `The devices do not carry a copy of SR ${original}: ${says}`, {
    layer, field: 'device_config.device', remedy: 'Name the devices of the copy; smctl sr probe shows what is on them', details: { sr_uuid: ctx.sr },
  })

const runNow = async (ctx: Ctx, command: Parameters<Ctx['host']['run']>[0]): Promise<void> => {
  await ctx.host.run(command, ctx.signal).catch((error: unknown) => {
    throw explainLvm(error)
  })
}

/** The volumes of the original may be active on this host. Maps of the copy's own devices may not. */
const refuseInUse = ({ own }: Survey): void => {
  const used = own.find(({ device }) => usersOf(device) !== undefined)
  if (used === undefined) return
  throw new StorageError('busy', `${used.name} is in use, it may be the original itself: ${usersOf(used.device) ?? ''}`, {
    layer, field: 'device_config.device', remedy: 'Name the devices of the copy, with nothing active on them', details: { device: used.name },
  })
}

/** Whether all devices carry the group that vgimportclone was to make of them. */
const isImported = ({ own, physical }: Pick<Survey, 'own' | 'physical'>, vg: string): boolean =>
  physical.length === own.length && physical.every((pv) => !pv.missing && pv.group?.name === vg)

/**
 * With the header of one device LVM has the whole group, and later changes leave the others as they are: a device that was not
 * reached would carry the original for ever.
 */
const refuseHalfImported = async (ctx: Ctx, place: VolumePlace, vg: string): Promise<void> => {
  const { own, physical } = await survey(ctx, place.devices)
  if (isImported({ own, physical }, vg)) return
  const others = [...new Set(physical.flatMap((pv) => pv.group?.name ?? []))].filter((name) => name !== vg)
  throw new StorageError('ioError', `vgimportclone did not reach every one of ${place.devices.join(', ')}: beside volume group ${vg} they carry ${others.join(', ') || 'devices without one'}`, {
    layer, field: 'device_config.device', mayHaveChanged: true, remedy: 'Look at the kernel log and at the health of the devices, then repeat the call: it begins anew with what the devices were', details: { vg },
  })
}

/** The devices as they are, or, when vgimportclone was interrupted, as they were before it. */
const surveyCopy = async (ctx: Ctx, place: VolumePlace, original: SrUuid): Promise<Survey> => {
  const seen = await survey(ctx, place.devices)
  if (isImported(seen, vgOf(ctx.sr)) || isImported(seen, vgOf(original))) return seen
  // Nothing is written to devices that may be in use.
  refuseInUse(seen)
  if (!(await restoreHeads(ctx, seen.own))) return seen
  ctx.log.warn({ devices: place.devices }, 'gave the devices of an interrupted copy back what they were')
  return survey(ctx, place.devices)
}

/** Where the copy stands: its group still has the name of the original, or ours already. */
const findCopyGroup = async (ctx: Ctx, place: VolumePlace, original: SrUuid): Promise<{ readonly seen: Survey; readonly named: 'original' | 'own' }> => {
  const seen = await surveyCopy(ctx, place, original)
  const names = [...new Set(seen.physical.flatMap((pv) => pv.group?.name ?? []))]
  const [name, ...rest] = names
  if (name === undefined || rest.length > 0) {
    throw notACopy(ctx, original, name === undefined ? 'they carry no volume group' : `they carry several volume groups: ${names.join(', ')}`)
  }
  if (name === vgOf(ctx.sr)) {
    const { group } = await groupOn(ctx, seen, { vg: name, devices: place.devices })
    if (groupTags(group).copyOf !== original) throw notACopy(ctx, original, `they carry SR ${ctx.sr} already, which is no copy of it`)
    return { seen, named: 'own' }
  }
  if (name !== vgOf(original)) throw notACopy(ctx, original, srOfGroup(name) === undefined ? `they carry volume group ${name}` : `they carry SR ${srOfGroup(name) ?? ''}`)
  refuseInUse(seen)
  await groupOn(ctx, seen, { vg: name, devices: place.devices })
  return { seen, named: 'original' }
}

/** What a volume is to become; undefined: it is done. */
interface Step {
  readonly vdi: VdiUuid
  readonly original: VdiUuid
  readonly volume: string
  readonly name: string
  readonly add: readonly string[]
  readonly remove: readonly string[]
}

/** The VDI of the original that a volume stands for: the one in its tag when it was renamed already, else its own name. */
const originalOf = (ctx: Ctx, { vdi, tags }: VdiVolume): VdiUuid => {
  const noted = tags['copy-of']
  return noted !== undefined && isUuid(noted) && copiedVdiUuid(ctx.sr, asVdiUuid(noted)) === vdi ? asVdiUuid(noted) : vdi
}

const stepFor = (ctx: Ctx, found: VdiVolume): Step => {
  const original = originalOf(ctx, found)
  const vdi = copiedVdiUuid(ctx.sr, original)
  const { of } = found.tags
  // `of` is changed together with the tag that notes it: one that is noted already must not be mapped twice.
  const mapped = of === undefined || !isUuid(of) || found.tags['copy-of'] === original ? of : copiedVdiUuid(ctx.sr, asVdiUuid(of))
  // A lock is held on the original; the copy begins without one.
  const { add, remove } = tagChange(found.volume.tags, { 'copy-of': original, of: mapped, lock: undefined })
  return { vdi, original, volume: found.volume.name, name: volumeName('vdi', vdi), add, remove }
}

/**
 * Every command is bound to the devices of the copy: the original is neither read nor written, also when it is active on
 * this very host.
 *
 * 1. The group of the copy, still under the name of the original, notes that it is a copy and of what; no attach takes it
 *    for the original from here on.                                            [repeat: goes on with 2]
 * 2. Each device keeps its label and header beside them (heads.ts).            [repeat: done again]
 * 3. vgimportclone: new uuids and our name, on every device.                   [inside: all devices get back what they kept; then 2]
 * 4. What the devices kept is erased.                                          [repeat: the rest is erased]
 * 5. Interrupted reverts that were copied along are finished or undone.
 * 6. Each VDI's volume: the tags that name the original, then the new name.    [repeat: what is renamed is done]
 * 7. The group notes its own uuid: it is an SR.
 */
export const reidentifyGroup = async (ctx: Ctx, place: VolumePlace, original: SrUuid): Promise<readonly CopiedVdi[]> => {
  const at = vgPlaceOf(ctx.sr, place)
  const { seen, named } = await findCopyGroup(ctx, place, original)
  if (named === 'original') {
    const before: VgPlace = { vg: vgOf(original), devices: place.devices }
    const { group } = await readReport(ctx, before)
    const { add, remove } = tagChange(group.tags, { 'copy-of': original, vg: undefined })
    if (add.length + remove.length > 0) {
      await makeChange(ctx, { command: changeGroupTags(before, add, remove), what: 'note that the group is a copy', done: (report) => groupTags(report.group).copyOf === original }, async () => readReport(ctx, before))
    }
    await keepHeads(ctx, seen.own)
    await makeChange(ctx, { command: importClone(place.devices, at.vg), what: `give the group the name ${at.vg}`, done: (report) => report.group.uuid !== group.uuid }, async () => readReport(ctx, at))
    await refuseHalfImported(ctx, place, at.vg)
  }
  await forgetHeads(ctx, seen.own)
  const read = async (): Promise<Report> => readReport(ctx, at)
  const reports = { of: read, again: read, adopt: () => undefined, forget: () => undefined }
  const store: Store = { place, at, reports, change: createChanges(reports) }
  await recoverReverts(store, ctx, undefined)

  const steps = [...sortOut(await read()).vdis.values()].map((found) => stepFor(ctx, found)).sort((a, b) => (a.original < b.original ? -1 : 1))
  for (const [index, { volume, name, add, remove }] of steps.entries()) {
    ctx.signal.throwIfAborted()
    if (add.length + remove.length > 0) await runNow(ctx, changeVolumeTags(at, [volume], add, remove))
    if (volume !== name) await runNow(ctx, renameVolume(at, volume, name))
    ctx.progress(index + 1, steps.length)
  }
  // One look for all of them.
  const after = await read()
  const { vdis } = sortOut(after)
  const lost = steps.find((step) => vdis.get(step.vdi)?.tags['copy-of'] !== step.original)
  if (lost !== undefined) {
    throw new StorageError('ioError', `Volume ${lost.volume} was renamed to ${lost.name}, and the devices do not show it`, { layer, mayHaveChanged: true, remedy: 'Look at the kernel log, then repeat the call: it goes on where it stopped' })
  }
  const { add, remove } = tagChange(after.group.tags, { vg: after.group.uuid })
  if (add.length + remove.length > 0) {
    await makeChange(ctx, { command: changeGroupTags(at, add, remove), what: 'finish the copy', done: ({ group }) => groupTags(group).vg === group.uuid }, read)
  }
  return steps.map(({ vdi, original: of }) => ({ vdi, original: of }))
}
