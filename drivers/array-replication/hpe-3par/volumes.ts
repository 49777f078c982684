/** Volumes as the contract has them, out of what the array tells; making, growing and removing them. The id of a volume is its name on the array. */
import type { ArrayCtx, CreateVolume, Health, Outcome, Volume } from '../../../core/array/types.ts'
import { parseWwid } from '../../../core/array/wwid.ts'
import { StorageError } from '../../../core/errors.ts'
import { formatSize, MiB, roundUp, TiB } from '../../../core/units.ts'
import type { Near } from './near.ts'
import { findQosOf, leaveQosSets, putIntoQosSet } from './qos.ts'
import { withGroupStopped } from './replication/regroup.ts'
import { build, copyType, health, provisioning } from './wsapi/enums.ts'
import { isCode, unless } from './wsapi/errors.ts'
import { layer } from './wsapi/layer.ts'
import { anyOf, equals } from './wsapi/query.ts'
import type { Vlun, Volume as Raw } from './wsapi/schemas.ts'
import { listVluns } from './wsapi/vluns.ts'
import { createVolume, findVolume, growVolume, listVolumes, removeVolume, type NewVolume } from './wsapi/volumes.ts'

const sizeStep = 256 * MiB
export const sizeLimits = { minVolumeSize: 256 * MiB, maxVolumeSize: 16 * TiB, sizeStep, maxNameLength: 31 } as const

const healths: Readonly<Record<number, Health>> = { [health.normal]: 'ok', [health.degraded]: 'degraded', [health.failed]: 'error' }

/** The group that exports go to, in the spelling of the array: a host, or `set:` and a host set. */
export const groupOf = (vlun: Vlun): string => vlun.hostname ?? `port ${vlun.portPos === undefined ? '?' : `${vlun.portPos.node}:${vlun.portPos.slot}:${vlun.portPos.cardPort}`}`

const isTemplate = (vlun: Vlun): boolean => !vlun.active

/** Snapshots share the collection with volumes and are none. */
export const isSnapshot = (raw: Raw): boolean => raw.copyType === copyType.virtual || raw.provisioningType === provisioning.snapshot

export const replicatedIn = (raw: Raw): string | undefined => (raw.rcopyGroup === undefined || raw.rcopyGroup === '' ? undefined : raw.rcopyGroup)

export const volumeOf = (raw: Raw, vluns: readonly Vlun[], qos?: string): Volume => {
  const wwid = parseWwid(raw.wwn)
  const unit = replicatedIn(raw)
  const used = raw.totalUsedMiB ?? raw.userSpace?.usedMiB
  const odd = [...(raw.failedStates ?? []), ...(raw.degradedStates ?? []), ...(raw.additionalStates ?? [])]
  return {
    id: raw.name, name: raw.name, pool: raw.userCPG ?? '', size: raw.sizeMiB * MiB,
    ...(wwid === undefined ? {} : { wwid }), ...(used === undefined ? {} : { allocated: used * MiB }),
    provisioning: raw.provisioningType === provisioning.full ? 'full' : [provisioning.thin, provisioning.dedup, provisioning.dds].some((type) => type === raw.provisioningType) ? 'thin' : 'unknown',
    online: raw.state !== health.failed, writable: raw.readOnly !== true,
    health: healths[raw.state ?? health.unknown] ?? 'unknown', says: `state ${raw.state ?? 'not told'}${odd.length === 0 ? '' : `, detailed states ${odd.join(', ')}`}`,
    ...(raw.copyType === copyType.physical && raw.copyOf !== undefined ? { parent: raw.copyOf } : {}),
    ...(qos === undefined ? {} : { qos }), presentedTo: [...new Set(vluns.filter((vlun) => isTemplate(vlun) && vlun.volumeName === raw.name).map(groupOf))],
    ...(unit === undefined ? {} : { replicationUnit: unit }),
  }
}

export const gone = (what: 'volume' | 'snapshot', name: string): StorageError =>
  new StorageError('notFound', `There is no ${what} ${name} on the array`, { layer, field: what, remedy: 'List what is there: smctl array list' })

export const needVolume = async (ctx: ArrayCtx, near: Near, name: string): Promise<Raw> => {
  const raw = await findVolume(near.api, name, ctx.signal)
  if (raw === undefined || isSnapshot(raw)) throw gone('volume', name)
  return raw
}

/** A volume, or the part of a snapshot. */
export const needPresentable = async (ctx: ArrayCtx, near: Near, name: string): Promise<Raw> => {
  const raw = await findVolume(near.api, name, ctx.signal)
  if (raw === undefined) throw gone('volume', name)
  return raw
}

export const presentedVolume = async (ctx: ArrayCtx, near: Near, name: string): Promise<Volume> => {
  const [raw, vluns] = await Promise.all([needPresentable(ctx, near, name), exportsOf(ctx, near, [name])])
  return isSnapshot(raw) ? volumeOf(raw, vluns) : needWhole(ctx, near, name)
}

/** Templates of the exports of these volumes: one request; a longer list of names than a URL should be is filtered here. */
export const exportsOf = async (ctx: ArrayCtx, near: Near, names: readonly string[]): Promise<readonly Vlun[]> => {
  if (names.length === 0) return []
  const wanted = new Set(names)
  const query = names.length > 40 ? undefined : anyOf(...names.map((name) => equals('volumeName', name)))
  return (await listVluns(near.api, query, ctx.signal)).filter((vlun) => isTemplate(vlun) && wanted.has(vlun.volumeName))
}

/** Two requests, however many volumes there are; four with their QoS. */
export const listAll = async (ctx: ArrayCtx, near: Near, filter: readonly string[] | undefined): Promise<readonly Volume[]> => {
  const query = filter === undefined || filter.length > 40 ? undefined : anyOf(...filter.map((name) => equals('name', name)))
  if (filter?.length === 0) return []
  const [raws, vluns, qos] = await Promise.all([listVolumes(near.api, query, ctx.signal), filter === undefined ? listVluns(near.api, undefined, ctx.signal) : exportsOf(ctx, near, filter), findQosOf(ctx, near)])
  return raws.filter((raw) => !isSnapshot(raw) && (filter === undefined || filter.includes(raw.name))).map((raw) => volumeOf(raw, vluns, qos(raw.name)))
}

export const readVolume = async (ctx: ArrayCtx, near: Near, name: string): Promise<Volume | undefined> => {
  const raw = await findVolume(near.api, name, ctx.signal)
  if (raw === undefined || isSnapshot(raw)) return undefined
  const [vluns, qos] = await Promise.all([exportsOf(ctx, near, [name]), findQosOf(ctx, near)])
  return volumeOf(raw, vluns, qos(name))
}

export const needWhole = async (ctx: ArrayCtx, near: Near, name: string): Promise<Volume> => {
  const volume = await readVolume(ctx, near, name)
  if (volume === undefined) throw gone('volume', name)
  return volume
}

/** Newer releases have no CPG for snapshots. */
export const snapCpgMember = (near: Near): { readonly snapCPG?: string } => (near.api.build >= build.noSnapCpg ? {} : { snapCPG: near.settings.snapCpg })

const named = (name: string): void => {
  if (/^[A-Za-z][A-Za-z0-9._-]{0,30}$/.test(name)) return
  throw new StorageError('invalidArgument', `name: ${JSON.stringify(name.slice(0, 60))} cannot be the name of a volume`, { layer, field: 'name', remedy: 'Begin with a letter; up to 31 letters, digits, dots, dashes and underscores' })
}

const sized = (size: number): number => {
  const rounded = roundUp(size, sizeStep)
  if (size > 0 && rounded <= sizeLimits.maxVolumeSize) return rounded
  throw new StorageError('sizeOutOfRange', `size: ${formatSize(size)} is not between ${formatSize(sizeLimits.minVolumeSize)} and ${formatSize(sizeLimits.maxVolumeSize)}`, { layer, field: 'size', remedy: 'Ask for another size' })
}

const asWanted = (found: Volume, want: CreateVolume, size: number): boolean =>
  found.size === size && (found.provisioning === want.provisioning || found.provisioning === 'unknown') && (want.pool === undefined || found.pool === want.pool)

/** Step 1 makes the volume, step 2 gives it its QoS. A crash in between leaves a volume without QoS; a repeat goes on with step 2. */
export const create = async (ctx: ArrayCtx, near: Near, want: CreateVolume): Promise<Outcome<Volume>> => {
  named(want.name)
  const size = sized(want.size)
  if (want.provisioning === 'full' && near.api.build >= build.reduce) {
    throw new StorageError('notSupported', 'provisioning: this array makes thin volumes only', { layer, field: 'provisioning', remedy: 'Ask for a thin volume' })
  }
  const request: NewVolume = {
    name: want.name, cpg: want.pool ?? near.settings.cpg, sizeMiB: size / MiB, ...snapCpgMember(near), ...(want.provisioning === 'thin' ? { tpvv: true } : {}),
  }
  const there = async (): Promise<Volume | undefined> => {
    const found = await readVolume(ctx, near, want.name)
    if (found === undefined) return undefined
    if (asWanted(found, want, size)) return found
    throw new StorageError('alreadyExists', `Volume ${want.name} exists with ${formatSize(found.size)}, ${found.provisioning}, in ${found.pool}`, { layer, field: 'name', remedy: 'Take another name, or ask for what is there' })
  }
  const warnings: string[] = []
  let changed = true
  try {
    await createVolume(near.api, request, ctx.signal)
  } catch (error) {
    // Taken already, or made by a request whose answer was lost: what is there decides.
    if (!isCode(error, 22) && !(error instanceof StorageError && error.kind === 'outcomeUnknown')) throw error
    if ((await there()) === undefined) throw error
    changed = isCode(error, 22) ? false : true
  }
  if (want.qos !== undefined) {
    try {
      await putIntoQosSet(ctx, near, want.name, want.qos)
    } catch (error) {
      if (!(error instanceof StorageError) || !['notSupported', 'notLicensed', 'invalidArgument'].includes(error.kind)) throw error
      warnings.push(error.message)
    }
  }
  return { kind: 'done', value: await needWhole(ctx, near, want.name), changed, warnings }
}

/** Grows by whole steps. A volume of a started group is grown with its group stopped meanwhile. */
export const resize = async (ctx: ArrayCtx, near: Near, name: string, size: number, shrink: boolean): Promise<Outcome<Volume>> => {
  const raw = await needVolume(ctx, near, name)
  const now = raw.sizeMiB * MiB
  if (size < now) {
    if (!shrink) throw new StorageError('wouldLoseData', `Volume ${name} has ${formatSize(now)}; ${formatSize(size)} would cut it`, { layer, field: 'size', remedy: 'Ask for at least its present size' })
    throw new StorageError('notSupported', 'Volumes of this array cannot be made smaller', { layer, field: 'size', remedy: 'Make a smaller volume and copy what is needed' })
  }
  const wanted = sized(size)
  if (wanted === now) return { kind: 'done', value: await needWhole(ctx, near, name), changed: false, warnings: [] }
  const grow = async (): Promise<void> => {
    try {
      await growVolume(near.api, name, (wanted - now) / MiB, ctx.signal)
    } catch (error) {
      // The answer was lost: the size tells whether it happened. Never asked twice, for each request adds.
      if (!(error instanceof StorageError) || error.kind !== 'outcomeUnknown' || (await needVolume(ctx, near, name)).sizeMiB * MiB < wanted) throw error
    }
  }
  const group = replicatedIn(raw)
  if (group === undefined) await grow()
  else await withGroupStopped(ctx, near, group, `grow volume ${name}`, grow)
  return { kind: 'done', value: await needWhole(ctx, near, name), changed: true, warnings: group === undefined ? [] : [`Replication of ${group} was stopped meanwhile`] }
}

const names = (list: readonly string[]): string => `${list.slice(0, 5).join(', ')}${list.length > 5 ? ` and ${list.length - 5} more` : ''}`

/** Refuses, naming what is in the way; takes it out of QoS sets only, which this driver put it into. */
export const remove = async (ctx: ArrayCtx, near: Near, name: string): Promise<void> => {
  const raw = await findVolume(near.api, name, ctx.signal)
  if (raw === undefined) return
  if (isSnapshot(raw)) throw gone('volume', name)
  const unit = replicatedIn(raw)
  if (unit !== undefined) throw new StorageError('busy', `Volume ${name} is replicated in ${unit}`, { layer, field: 'volume', remedy: `Take it out of ${unit} first`, details: { unit } })
  const [vluns, copies] = await Promise.all([exportsOf(ctx, near, [name]), listVolumes(near.api, equals('copyOf', name), ctx.signal)])
  const groups = [...new Set(vluns.map(groupOf))]
  if (groups.length > 0) throw new StorageError('stillPresented', `Volume ${name} is presented to ${names(groups)}`, { layer, field: 'volume', remedy: `Unpresent it from ${names(groups)} first`, details: { groups: groups.join(',') } })
  const children = copies.filter((copy) => copy.copyOf === name && isSnapshot(copy)).map((copy) => copy.name)
  if (children.length > 0) throw new StorageError('hasDependents', `Volume ${name} has the snapshots ${names(children)}`, { layer, field: 'volume', remedy: `Remove ${names(children)} first`, details: { dependents: children.join(',') } })
  try {
    await unless('notFound', removeVolume(near.api, name, ctx.signal))
  } catch (error) {
    if (!isCode(error, 34) || !(await leaveQosSets(ctx, near, name))) throw error
    await unless('notFound', removeVolume(near.api, name, ctx.signal))
  }
}
