/** Snapshots are virtual copies. One of many volumes is taken through a volume set that lives for that one request; its parts know each other by their comments. */
import type { ArraySnapshots } from '../../../core/array/contract.ts'
import type { ArrayCtx, Outcome, RestorePlan, Snapshot } from '../../../core/array/types.ts'
import { parseWwid } from '../../../core/array/wwid.ts'
import { StorageError } from '../../../core/errors.ts'
import { jobId } from './jobs.ts'
import type { Near } from './near.ts'
import { digest, prefixes, readTag, writeTag } from './tags.ts'
import { exportsOf, gone, groupOf, isSnapshot, needVolume, replicatedIn } from './volumes.ts'
import { build } from './wsapi/enums.ts'
import { isCode, unless } from './wsapi/errors.ts'
import { changeSet, createSet, findSet, removeSet } from './wsapi/hosts.ts'
import { layer } from './wsapi/layer.ts'
import { anyOf, equals, startsWith } from './wsapi/query.ts'
import type { Volume as Raw } from './wsapi/schemas.ts'
import { createSetSnapshot, createSnapshot, findVolume, listVolumes, promoteSnapshot, removeVolume } from './wsapi/volumes.ts'

const shared = 'shared'

/**
 * One point in time of many volumes, as snapshots `<stem>-<n>`. Steps: 1. a set with exactly these members; 2. the snapshot; 3. the set goes.
 * A crash before 2 leaves a set without effect, which the next one replaces; after 2 it is there and is found by its names.
 */
export const snapshotTogether = async (ctx: ArrayCtx, near: Near, volumes: readonly string[], stem: string, readOnly: boolean, comment: string): Promise<void> => {
  const set = `${prefixes.momentary}${digest(20, stem)}`
  const left = await findSet(near.api, 'volumesets', set, ctx.signal)
  if (left === undefined) {
    await createSet(near.api, 'volumesets', { name: set, setmembers: volumes, comment: 'made for one snapshot' }, ctx.signal)
  } else {
    const [extra, missing] = [left.setmembers.filter((name) => !volumes.includes(name)), volumes.filter((name) => !left.setmembers.includes(name))]
    if (extra.length > 0) await changeSet(near.api, 'volumesets', set, 'remove', extra, ctx.signal)
    if (missing.length > 0) await changeSet(near.api, 'volumesets', set, 'add', missing, ctx.signal)
  }
  try {
    await createSetSnapshot(near.api, set, { name: `${stem}-@count@`, readOnly, comment }, ctx.signal)
  } finally {
    await removeSet(near.api, 'volumesets', set, ctx.signal).catch((error: unknown) => ctx.log.warn({ set, left: (error as Error).message }, 'a set that was made for a snapshot is left on the array'))
  }
}

/** A snapshot of many volumes bears the tag `shared <id> <name>`. */
const sharedOf = (raw: Raw): { readonly id: string; readonly name: string } | undefined => {
  const [kind, id, name] = readTag(raw.comment) ?? []
  return kind === shared && id !== undefined ? { id, name: name ?? id } : undefined
}

const snapshotsOf = (raws: readonly Raw[]): readonly Snapshot[] => {
  const groups = new Map<string, Raw[]>()
  for (const raw of raws.filter(isSnapshot)) {
    const id = sharedOf(raw)?.id ?? raw.name
    groups.set(id, [...(groups.get(id) ?? []), raw])
  }
  return [...groups].map(([id, parts]) => ({
    id, name: parts[0] === undefined ? id : sharedOf(parts[0])?.name ?? id, consistency: 'crash', createdMs: Math.min(...parts.map(({ creationTimeSec }) => creationTimeSec ?? 0)) * 1000,
    members: parts.flatMap((raw) => {
      const wwid = parseWwid(raw.wwn)
      return raw.copyOf === undefined ? [] : [{ volume: raw.copyOf, snapshot: raw.name, ...(wwid === undefined ? {} : { wwid }) }]
    }),
  }))
}

/** The parts of one snapshot; empty when there is none of that id. */
const partsOf = async (ctx: ArrayCtx, near: Near, id: string): Promise<readonly Raw[]> => {
  if (id.startsWith(prefixes.snapshot)) {
    const parts = (await listVolumes(near.api, startsWith('name', id), ctx.signal)).filter((raw) => isSnapshot(raw) && sharedOf(raw)?.id === id)
    if (parts.length > 0) return parts
  }
  const raw = await findVolume(near.api, id, ctx.signal)
  return raw !== undefined && isSnapshot(raw) ? [raw] : []
}

const create = async (ctx: ArrayCtx, near: Near, volumes: readonly string[], name: string | undefined): Promise<Outcome<Snapshot>> => {
  const [first, ...more] = volumes
  if (first === undefined) throw new StorageError('invalidArgument', 'volumes: is empty', { layer, field: 'volumes', remedy: 'Name at least one volume' })
  const id = more.length === 0 ? (name ?? `${prefixes.snapshot}${digest(20, first, crypto.randomUUID())}`) : `${prefixes.snapshot}${digest(18, name ?? crypto.randomUUID(), ...volumes.toSorted())}`
  const there = await partsOf(ctx, near, id)
  if (there.length === 0) {
    try {
      if (more.length === 0) await createSnapshot(near.api, first, { name: id, readOnly: true }, ctx.signal)
      else await snapshotTogether(ctx, near, volumes, id, true, writeTag(shared, id, name ?? id))
    } catch (error) {
      if (!(error instanceof StorageError) || error.kind !== 'outcomeUnknown' || (await partsOf(ctx, near, id)).length < volumes.length) throw error
    }
  }
  const [snapshot] = snapshotsOf(await partsOf(ctx, near, id))
  const members = new Set(snapshot?.members.map(({ volume }) => volume))
  if (snapshot === undefined || members.size !== volumes.length || !volumes.every((volume) => members.has(volume))) {
    throw new StorageError('alreadyExists', `Snapshot ${id} is there with other volumes: ${[...members].join(', ') || 'none'}`, { layer, field: 'name', remedy: 'Take another name' })
  }
  return { kind: 'done', value: snapshot, changed: there.length === 0, warnings: [] }
}

/** The parts that a restore would use: all of the snapshot, or the one of `volume`. */
const chosen = async (ctx: ArrayCtx, near: Near, id: string, volume: string | undefined): Promise<readonly Raw[]> => {
  const parts = await partsOf(ctx, near, id)
  if (parts.length === 0) throw gone('snapshot', id)
  const wanted = volume === undefined ? parts : parts.filter(({ copyOf }) => copyOf === volume)
  if (wanted.length === 0) throw new StorageError('invalidArgument', `volume: snapshot ${id} has no part of ${volume ?? ''}`, { layer, field: 'volume', remedy: `It holds: ${parts.map(({ copyOf }) => copyOf ?? '?').join(', ')}` })
  return wanted
}

/** Promoting a virtual copy changes its base alone: newer snapshots and clones keep what they hold. */
const planRestore = async (ctx: ArrayCtx, near: Near, id: string, volume: string | undefined): Promise<RestorePlan> => {
  const bases = (await chosen(ctx, near, id, volume)).flatMap(({ copyOf }) => copyOf ?? [])
  const [vluns, raws] = await Promise.all([exportsOf(ctx, near, bases), listVolumes(near.api, anyOf(...bases.map((name) => equals('name', name))), ctx.signal)])
  const unit = raws.filter(({ name }) => bases.includes(name)).flatMap((raw) => replicatedIn(raw) ?? [])[0]
  return { newerSnapshots: [], clones: [], otherVolumes: [], presentedTo: [...new Set(vluns.map(groupOf))], ...(unit === undefined ? {} : { replicationUnit: unit }) }
}

const restore = async (ctx: ArrayCtx, near: Near, id: string, volume: string | undefined): Promise<Outcome<undefined>> => {
  const plan = await planRestore(ctx, near, id, volume)
  if (plan.presentedTo.length > 0 || plan.replicationUnit !== undefined) {
    const why = plan.presentedTo.length > 0 ? `it is presented to ${plan.presentedTo.join(', ')}` : `it is replicated in ${plan.replicationUnit ?? ''}`
    throw new StorageError('restoreNotSafe', `Snapshot ${id} cannot be restored: ${why}`, { layer, field: 'snapshot', remedy: plan.presentedTo.length > 0 ? 'Unpresent the volume first' : 'Take the volume out of its replication first' })
  }
  const tasks: number[] = []
  for (const part of await chosen(ctx, near, id, volume)) tasks.push(await promoteSnapshot(near.api, part.name, {}, ctx.signal))
  return { kind: 'started', job: jobId(tasks) }
}

const remove = async (ctx: ArrayCtx, near: Near, id: string): Promise<void> => {
  const parts = await partsOf(ctx, near, id)
  const vluns = await exportsOf(ctx, near, parts.map(({ name }) => name))
  if (vluns.length > 0) throw new StorageError('busy', `Snapshot ${id} is presented to ${[...new Set(vluns.map(groupOf))].join(', ')}`, { layer, field: 'snapshot', remedy: 'Unpresent it first' })
  for (const { name } of parts) {
    try {
      await unless('notFound', removeVolume(near.api, name, ctx.signal))
    } catch (error) {
      if (!isCode(error, 25, 32, 151, 29)) throw error
      throw new StorageError('busy', `Snapshot ${name} has copies of its own, or a task works on it`, { layer, field: 'snapshot', cause: error, remedy: 'Remove its copies, or wait for the task' })
    }
  }
}

export const snapshotsSection = (near: Near): ArraySnapshots => ({
  async limit(ctx, volume) {
    if (volume !== undefined) await needVolume(ctx, near, volume)
    return -1
  },
  async snapable(ctx, volume) {
    if (volume === undefined) return true
    const raw = await needVolume(ctx, near, volume)
    // Without a CPG for them there is no room for snapshots, on releases that know one.
    return near.api.build >= build.noSnapCpg || raw.snapCPG !== undefined
  },
  create: async (ctx, volumes, name) => create(ctx, near, volumes, name),
  async current(ctx, volume) {
    if (volume !== undefined) await needVolume(ctx, near, volume)
    const raws = await listVolumes(near.api, volume === undefined ? undefined : anyOf(equals('copyOf', volume), startsWith('name', prefixes.snapshot)), ctx.signal)
    return snapshotsOf(raws).filter(({ members }) => volume === undefined || members.some((member) => member.volume === volume))
  },
  planRestore: async (ctx, snapshot, volume) => planRestore(ctx, near, snapshot, volume),
  restore: async (ctx, snapshot, volume) => restore(ctx, near, snapshot, volume),
  remove: async (ctx, snapshot) => remove(ctx, near, snapshot),
})
