/**
 * What is in the volume group now: one report of LVM for a whole call, however many of its steps ask. The first step of a
 * call reads it, every change of ours throws it away. It is kept by the signal of the call and goes with it.
 */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { asSrUuid, isUuid, type SrUuid } from '../../core/ids.ts'
import { readCommand } from '../../host/blkid/build.ts'
import { listGroup, listPhysical, listVolumes, type VgPlace } from '../../host/lvm/build.ts'
import { explainLvm, saysNotFound } from '../../host/lvm/errors.ts'
import { vgPrefix } from '../../host/lvm/names.ts'
import { parseGroups, parsePhysical, parseVolumes, type LogicalVolume, type PhysicalVolume, type VolumeGroup } from '../../host/lvm/parse.ts'
import { decodeTags } from '../../host/lvm/tags.ts'

export interface Report {
  readonly group: VolumeGroup
  readonly volumes: readonly LogicalVolume[]
}

/** Keys of the tags on a group. `state`: preparing until it is complete, removing while it is taken apart. */
export type GroupState = 'preparing' | 'removing'

export const groupTags = (group: VolumeGroup): {
  readonly name: string
  readonly description: string
  readonly state?: GroupState
  /** The group's own uuid, written when it was complete: differs in a copy that somebody gave a new one. */
  readonly vg?: string
  readonly copyOf?: SrUuid
  /** The thin pool was made to take the whole group, and takes what is added to it. */
  readonly growing: boolean
} => {
  const { values } = decodeTags(group.tags)
  const { state, vg } = values
  const copyOf = values['copy-of']
  return {
    name: values['name'] ?? '',
    description: values['description'] ?? '',
    growing: values['pool'] === 'whole',
    ...(state === 'preparing' || state === 'removing' ? { state } : {}),
    ...(vg === undefined ? {} : { vg }),
    ...(copyOf === undefined || !isUuid(copyOf) ? {} : { copyOf: asSrUuid(copyOf) }),
  }
}

/** The SR that a group is, by its name. */
export const srOfGroup = (name: string): SrUuid | undefined =>
  name.startsWith(vgPrefix) && isUuid(name.slice(vgPrefix.length)) ? asSrUuid(name.slice(vgPrefix.length)) : undefined

/** The group is the SR that it says it is, and complete. */
export const verifyGroup = (sr: SrUuid, group: VolumeGroup): void => {
  const { state, vg, copyOf } = groupTags(group)
  if (vg !== undefined && vg !== group.uuid) {
    throw new StorageError('identityMismatch', `The volume group ${group.name} has the uuid ${group.uuid}, SR ${sr} was made with ${vg}: it is a copy that was renamed by hand`, {
      layer: 'store:logical-volumes', remedy: `Give it an identity of its own: smctl sr reidentify <type> ${sr} device=...`, details: { vg_uuid: group.uuid, expected: vg },
    })
  }
  if (vg === undefined && copyOf !== undefined) {
    throw new StorageError('identityMismatch', `The volume group ${group.name} is a copy of SR ${copyOf} whose re-identification was interrupted`, {
      layer: 'store:logical-volumes', remedy: `Repeat it, with the same uuid: smctl sr reidentify <type> ${copyOf} device=... --sr-uuid ${sr}`,
    })
  }
  if (state === 'preparing') {
    throw new StorageError('placeMissing', `The creation of SR ${sr} was interrupted; its volume group holds nothing yet`, {
      layer: 'store:logical-volumes', remedy: 'Create it again on the same devices: what is left of the first attempt is taken over',
    })
  }
}

export const whatIsOn = (physical: readonly PhysicalVolume[]): string =>
  physical.map((pv) => `${pv.device}: ${pv.group === undefined ? (pv.uuid === undefined ? 'no physical volume' : 'a physical volume without a group') : `volume group ${pv.group.name}`}`).join('; ') || 'no device was found'

/**
 * LVM says "not found" for a group that is gone, for a device that is gone and for one that cannot be read (lab: a disk that
 * fails every read). Only devices that answer, and do not carry it, prove that it is not there: notFound. Else placeMissing.
 */
export const explainAbsence = async (ctx: Ctx, place: VgPlace, cause?: unknown): Promise<StorageError> => {
  const facts = { layer: 'store:logical-volumes', field: 'device_config.device', cause }
  for (const device of place.devices) {
    try {
      await ctx.host.run(readCommand(device), ctx.signal)
    } catch (error) {
      ctx.signal.throwIfAborted()
      return new StorageError('placeMissing', `${device} is not there or cannot be read, so volume group ${place.vg} cannot be seen: ${(error as Error).message}`, {
        ...facts, cause: error, remedy: 'Bring the device back; lsblk and the kernel log tell more', details: { device },
      })
    }
  }
  const found = parsePhysical((await ctx.host.run(listPhysical(place.devices), ctx.signal)).stdout)
  return new StorageError('notFound', `There is no volume group ${place.vg} on ${place.devices.join(', ')} (${whatIsOn(found)})`, {
    ...facts, remedy: 'Check the devices; smctl sr probe shows what is on them', details: { vg: place.vg },
  })
}

/** One report, from the devices themselves. */
export const readReport = async (ctx: Ctx, place: VgPlace): Promise<Report> => {
  try {
    const { group, volumes } = parseVolumes((await ctx.host.run(listVolumes(place), ctx.signal)).stdout)
    if (group !== undefined) return { group, volumes }
    const [empty] = parseGroups((await ctx.host.run(listGroup(place), ctx.signal)).stdout)
    if (empty !== undefined) return { group: empty, volumes: [] }
  } catch (error) {
    if (!saysNotFound(error)) throw explainLvm(error)
    throw await explainAbsence(ctx, place, error)
  }
  throw await explainAbsence(ctx, place)
}

export interface Reports {
  /** The report of this call, read when it is first asked for; the identity of the group was verified. */
  of(ctx: Ctx): Promise<Report>
  /** Reads it again: after a change, whatever the tool said about it. */
  again(ctx: Ctx): Promise<Report>
  /** The report that another call has read for both of them. */
  adopt(ctx: Ctx, report: Report): void
  /** The next `of` reads again. */
  forget(ctx: Ctx): void
}

/**
 * Calls that ask while a report is being read share the next one: it begins after they asked, so it is not older than their
 * question. A hundred calls at once cost two reports.
 */
const createSharedReads = (place: VgPlace) => {
  let running: Promise<unknown> | undefined
  let next: Promise<Report> | undefined
  const start = (ctx: Ctx): Promise<Report> => {
    const report = readReport(ctx, place)
    const ended: Promise<unknown> = report.catch(() => undefined).then(() => {
      if (running === ended) running = undefined
    })
    running = ended
    return report
  }
  return async (ctx: Ctx): Promise<Report> => {
    if (running === undefined) return start(ctx)
    next ??= running.then(() => {
      next = undefined
      return start(ctx)
    })
    let onAbort = (): void => undefined
    const calledOff = new Promise<never>((_resolve, reject) => {
      onAbort = () => reject(ctx.signal.reason as Error)
      ctx.signal.addEventListener('abort', onAbort, { once: true })
    })
    try {
      return await Promise.race([next, calledOff])
    } catch (error) {
      ctx.signal.throwIfAborted()
      // Whoever ran it was called off, or waited too long for devices that may answer us.
      if (error instanceof StorageError && (error.kind === 'cancelled' || error.kind === 'outcomeUnknown')) return readReport(ctx, place)
      throw error
    } finally {
      ctx.signal.removeEventListener('abort', onAbort)
    }
  }
}

export const createReports = (place: VgPlace): Reports => {
  const known = new WeakMap<AbortSignal, { readonly callId: string; readonly report: Promise<Report> }>()
  const shared = createSharedReads(place)
  const read = (ctx: Ctx): Promise<Report> => {
    const report = shared(ctx).then((found) => {
      verifyGroup(ctx.sr, found.group)
      return found
    })
    known.set(ctx.signal, { callId: ctx.callId, report })
    report.catch(() => known.delete(ctx.signal))
    return report
  }
  return {
    async of(ctx) {
      const before = known.get(ctx.signal)
      return before?.callId === ctx.callId ? before.report : read(ctx)
    },
    again: async (ctx) => read(ctx),
    adopt: (ctx, report) => void known.set(ctx.signal, { callId: ctx.callId, report: Promise.resolve(report) }),
    forget: (ctx) => void known.delete(ctx.signal),
  }
}
