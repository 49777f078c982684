/**
 * Replicated volumes in one call: made together with their group when there is none, and deleted together with it when they were its last.
 * What is under way is kept as a text on the source array, so that a repeat goes on, or takes back, what a death left.
 */
import * as z from 'zod'
import type { OpenArray } from '../array/contract.ts'
import type { ReplicationMode, ReplicationUnit } from '../array/replication.ts'
import type { Outcome, Volume } from '../array/types.ts'
import { StorageError, toStorageError, type ErrorKind } from '../errors.ts'
import { digest } from './digest.ts'
import { layer, replicationOf, type ReplicationSite } from './site.ts'

export interface GroupWant {
  /** Of the group, on both arrays. */
  readonly group: string
  /** Both only count when the group is made. */
  readonly mode: ReplicationMode
  readonly periodSeconds?: number
}

export interface ReplicatedVolumeWant extends GroupWant {
  readonly name: string
  readonly size: number
  readonly pool?: string
  readonly provisioning: 'thin' | 'full'
}

const Intent = z.discriminatedUnion('op', [
  z.strictObject({
    op: z.literal('create'), name: z.string(), group: z.string(),
    /** The group was missing, a volume of that name was on the far array, before it was begun. */
    newGroup: z.boolean(), farBefore: z.boolean(),
    /** Absent: the volume was there, and only joins the group. */
    newVolume: z.boolean(),
  }),
  z.strictObject({ op: z.literal('delete'), name: z.string(), group: z.string(), near: z.string(), far: z.string().optional() }),
])
type Intent = z.output<typeof Intent>

const refuse = (kind: ErrorKind, message: string, remedy: string, field = 'group'): StorageError => new StorageError(kind, message, { layer, field, remedy })

const keyOf = (name: string): string => `op.${digest(name)}`

const textsOf = (site: ReplicationSite): NonNullable<OpenArray['metadata']> => {
  if (site.local.metadata !== undefined) return site.local.metadata
  throw refuse('notSupported', `Arrays of type ${site.local.type} keep no texts, which replicated volumes need`, 'Make the volume and its group with the calls of the array', 'array')
}

const readIntent = async (site: ReplicationSite, name: string): Promise<Intent | undefined> => {
  const text = (await textsOf(site).list(site.ctx, keyOf(name))).get(keyOf(name))
  return text === undefined ? undefined : Intent.parse(JSON.parse(text))
}

const dropIntent = async (site: ReplicationSite, name: string): Promise<void> => textsOf(site).remove(site.ctx, keyOf(name))

/** Pauses between two looks at a job, in milliseconds. */
const jobPauses = { first: 20, longest: 1000 } as const

/** What a synchronous call would have answered. Fails with the job's own error. */
export const jobEnded = async <T>(array: OpenArray, ctx: ReplicationSite['ctx'], outcome: Outcome<T>): Promise<T> => {
  if (outcome.kind === 'done') return outcome.value
  for (let pause: number = jobPauses.first; ; pause = Math.min(pause * 2, jobPauses.longest)) {
    const job = await array.job(ctx, outcome.job)
    if (job.percent !== undefined) ctx.progress(job.percent, 100)
    if (job.state === 'succeeded') return job.value as T
    if (job.state === 'failed') throw new StorageError(job.error?.kind ?? 'arrayFault', job.error?.message ?? `Job ${outcome.job} failed on the array`, { layer, mayHaveChanged: true, remedy: job.error?.remedy ?? 'See the tasks of the array' })
    ctx.signal.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}

const unitOf = async (site: ReplicationSite, array: OpenArray, group: string): Promise<ReplicationUnit | undefined> => (await replicationOf(array).units(site.ctx)).find(({ name }) => name === group)

const findByName = async (site: ReplicationSite, array: OpenArray, name: string): Promise<Volume | undefined> => (await array.list(site.ctx)).find((volume) => volume.name === name)

const needSource = (unit: ReplicationUnit): void => {
  if (unit.role === 'source' && unit.peerView.role !== 'promoted') return
  throw new StorageError('wrongRole', `Group ${unit.name} is ${unit.role} here${unit.peerView.role === 'promoted' ? ' and promoted at the peer' : ''}: its volumes can only be changed at a source`, {
    layer, field: 'group', remedy: 'Reverse or restore its replication first: smctl replication status', details: { group: unit.name, role: unit.role },
  })
}

const needRemote = (site: ReplicationSite): OpenArray => {
  if (site.remote !== undefined) return site.remote
  throw refuse('unreachable', 'The peer array does not answer: replicated volumes are made and deleted on both', 'Bring the peer back, or name it: --peer NAME', 'peer')
}

/** Puts a volume into the group; the group is made when it is missing. */
const join = async (site: ReplicationSite, volume: string, want: GroupWant): Promise<void> => {
  const replication = replicationOf(site.local)
  const unit = await unitOf(site, site.local, want.group)
  if (unit?.members.some((member) => member.volume === volume) === true) return
  if (unit === undefined) {
    const remote = await needRemote(site).info(site.ctx)
    const peers = await replication.peers(site.ctx)
    const peer = peers.find(({ id }) => id === remote.id) ?? peers.find(({ name }) => name === remote.name)
    if (peer === undefined) throw refuse('notFound', `The array does not replicate to ${remote.name}`, `It replicates to: ${peers.map(({ name }) => name).join(', ') || 'none'}`, 'peer')
    if (replication.create === undefined) throw refuse('notSupported', `Arrays of type ${site.local.type} make no groups`, 'Make the group on the array itself')
    await replication.create(site.ctx, { name: want.group, kind: 'group', peer: peer.id, mode: want.mode, volumes: [volume], ...(want.periodSeconds === undefined ? {} : { periodSeconds: want.periodSeconds }) })
  } else {
    needSource(unit)
    if (replication.addVolume === undefined) throw refuse('notSupported', `Arrays of type ${site.local.type} add no volumes to a group`, 'Add it on the array itself')
    await replication.addVolume(site.ctx, unit.id, volume)
  }
  const after = await unitOf(site, site.local, want.group)
  if (after?.members.some((member) => member.volume === volume) === true) return
  throw new StorageError('arrayFault', `The array took ${volume} into group ${want.group} and does not show it there`, { layer, mayHaveChanged: true, remedy: 'Look at the group on both arrays, then repeat it' })
}

/** Out of the group; with the last one the group goes, here first and then on the far array. Gone is done. */
const leave = async (site: ReplicationSite, volume: string, group: string, dissolve: boolean): Promise<void> => {
  const replication = replicationOf(site.local)
  const unit = await unitOf(site, site.local, group)
  if (unit !== undefined) {
    const member = unit.members.some((one) => one.volume === volume)
    const last = dissolve && unit.members.every((one) => one.volume === volume)
    if (member && !last) {
      if (replication.removeVolume === undefined) throw refuse('notSupported', `Arrays of type ${site.local.type} take no volumes out of a group`, 'Take it out on the array itself')
      await replication.removeVolume(site.ctx, unit.id, volume)
    }
    if (!last) return
    await replication.remove(site.ctx, unit.id)
  }
  if (!dissolve || site.remote === undefined) return
  // A group that is gone here is of no use there; a side that was promoted is another matter.
  const far = await unitOf(site, site.remote, group)
  if (far?.role === 'target') await replicationOf(site.remote).remove(site.ctx, far.id)
}

const removeFar = async (site: ReplicationSite, name: string): Promise<void> => {
  const remote = needRemote(site)
  const volume = await findByName(site, remote, name)
  if (volume !== undefined) await remote.remove(site.ctx, volume.id)
}

/** Takes back what a create has made, last first. A repeat after a death goes through all of it again; each finds itself done. */
const undo = async (site: ReplicationSite, intent: Intent & { readonly op: 'create' }): Promise<void> => {
  const near = await findByName(site, site.local, intent.name)
  if (near !== undefined) await leave(site, near.id, intent.group, intent.newGroup)
  if (!intent.farBefore) await removeFar(site, intent.name)
  if (near !== undefined && intent.newVolume) await site.local.remove(site.ctx, near.id)
  await dropIntent(site, intent.name)
}

const Holder = z.strictObject({ host: z.string(), call: z.string(), sinceMs: z.number() })

/** Of the hosts that may change a group; milliseconds after which a holder on another host is taken for dead, and between two looks. */
const lockTimes = { deadMs: 15 * 60_000, waitMs: 60_000, pauseMs: 100 } as const

const lockKey = (group: string): string => `op.lock.${digest(group)}`

/** Whoever makes the text has the group. One of this host is a dead process's: the caller holds the lock of this host. */
const lockGroup = async (site: ReplicationSite, group: string): Promise<void> => {
  const { ctx } = site
  const texts = textsOf(site)
  const holder = JSON.stringify({ host: ctx.host.id, call: ctx.callId, sinceMs: ctx.clock.now() })
  const deadline = performance.now() + lockTimes.waitMs
  while (!(await texts.create(ctx, lockKey(group), holder))) {
    const text = (await texts.list(ctx, lockKey(group))).get(lockKey(group))
    if (text === undefined) continue
    const there = Holder.parse(JSON.parse(text))
    if (there.host === ctx.host.id || ctx.clock.now() - there.sinceMs > lockTimes.deadMs) return texts.put(ctx, lockKey(group), holder)
    if (performance.now() > deadline) throw new StorageError('inProgress', `Host ${there.host} changes group ${group} since ${new Date(there.sinceMs).toISOString()}`, { layer, field: 'group', remedy: 'Wait until it is done', details: { host: there.host, call_id: there.call } })
    await new Promise((resolve) => setTimeout(resolve, lockTimes.pauseMs))
    ctx.signal.throwIfAborted()
  }
}

const onThisHost = async <T>(site: ReplicationSite, group: string, work: () => Promise<T>): Promise<T> => {
  const held = await site.ctx.host.exclusive(`replicated-volumes-${digest(group)}`, `change of group ${group} (call ${site.ctx.callId})`, lockTimes.waitMs, site.ctx.signal)
  try {
    return await work()
  } finally {
    held.release()
  }
}

/** One change of a group at a time: on this host, and by a text on the array between hosts. */
const alone = async <T>(site: ReplicationSite, group: string, work: () => Promise<T>): Promise<T> => onThisHost(site, group, async () => {
  await lockGroup(site, group)
  try {
    return await work()
  } finally {
    await textsOf(site).remove(site.ctx, lockKey(group)).catch((error: unknown) => site.ctx.log.warn({ group, left: toStorageError(error, layer).message }, 'the lock of a group is left on the array; this host takes it over at its next change'))
  }
})

/** The lock of a process of this host that died with it. True when there was one. */
export const freeGroup = async (site: ReplicationSite, group: string): Promise<boolean> => onThisHost(site, group, async () => {
  const text = (await textsOf(site).list(site.ctx, lockKey(group))).get(lockKey(group))
  if (text === undefined || Holder.parse(JSON.parse(text)).host !== site.ctx.host.id) return false
  await textsOf(site).remove(site.ctx, lockKey(group))
  return true
})

const begun = async (site: ReplicationSite, name: string, want: GroupWant, newVolume: boolean): Promise<Intent & { readonly op: 'create' }> => {
  const there = await readIntent(site, name)
  if (there !== undefined && (there.op !== 'create' || there.group !== want.group)) {
    throw new StorageError('inProgress', `${there.op} of volume ${name} in group ${there.group} was begun and has not ended`, { layer, field: 'name', remedy: `Repeat that first: smctl replication ${there.op}-volume`, details: { group: there.group } })
  }
  if (there !== undefined) return there
  const unit = await unitOf(site, site.local, want.group)
  if (unit !== undefined) needSource(unit)
  const intent = { op: 'create', name, group: want.group, newGroup: unit === undefined, farBefore: (await findByName(site, needRemote(site), name)) !== undefined, newVolume } as const
  if (await textsOf(site).create(site.ctx, keyOf(name), JSON.stringify(intent))) return intent
  throw new StorageError('inProgress', `Another host makes volume ${name} just now`, { layer, field: 'name', remedy: 'Wait until it is done' })
}

/** Runs the steps of a create; a step that fails takes everything back. What cannot be taken back now is by a repeat or a delete. */
const orBack = async <T>(site: ReplicationSite, intent: Intent & { readonly op: 'create' }, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (thrown) {
    const error = toStorageError(thrown, layer)
    try {
      await undo(site, intent)
    } catch (left) {
      site.ctx.log.error({ volume: intent.name, group: intent.group, left: toStorageError(left, layer).message }, 'a replicated volume that could not be made was not fully taken back')
      throw new StorageError(error.kind, error.message, { ...error.facts, mayHaveChanged: true, remedy: `${error.facts.remedy ?? 'See to the arrays'}; then repeat it, or take it back: smctl replication delete-volume` })
    }
    throw error
  }
}

/**
 * Makes a volume that is replicated from the start (active/passive replication note, "Create replicated volume"). Steps:
 *   1 the intent                          - a repeat finds it and goes on
 *   2 the volume                          - repeat: it is there
 *   3 into the group, made when missing   - repeat: it is a member
 *   4 the intent goes
 * A step that fails takes 3 and 2 back, the far volume and a group that was made for it included. Errors: alreadyExists for a volume that was there before.
 */
export const createReplicatedVolume = async (site: ReplicationSite, want: ReplicatedVolumeWant): Promise<Volume> => alone(site, want.group, async () => {
  const resuming = (await readIntent(site, want.name)) !== undefined
  if (!resuming && (await findByName(site, site.local, want.name)) !== undefined) throw refuse('alreadyExists', `There is a volume ${want.name} on the array`, 'Take another name', 'name')
  const intent = await begun(site, want.name, want, true)
  return orBack(site, intent, async () => {
    const made = await jobEnded(site.local, site.ctx, await site.local.create(site.ctx, { name: want.name, size: want.size, provisioning: want.provisioning, ...(want.pool === undefined ? {} : { pool: want.pool }) }))
    await join(site, made.id, want)
    const volume = await site.local.volume(site.ctx, made.id)
    if (volume?.replicationUnit === undefined) throw new StorageError('arrayFault', `Volume ${want.name} is not replicated after all`, { layer, mayHaveChanged: true, remedy: 'Look at the group on both arrays' })
    await dropIntent(site, want.name)
    return volume
  })
})

/** As `createReplicatedVolume`, with a volume that is there (a clone): failing takes it out of the group again, and leaves it. */
export const replicateVolume = async (site: ReplicationSite, volume: Volume, want: GroupWant): Promise<void> => alone(site, want.group, async () => {
  const intent = await begun(site, volume.name, want, false)
  await orBack(site, intent, async () => {
    await join(site, volume.id, want)
    await dropIntent(site, volume.name)
  })
})

/** Takes back a create that died; true when there was one. */
export const undoReplicatedVolume = async (site: ReplicationSite, name: string): Promise<boolean> => {
  const intent = await readIntent(site, name)
  if (intent?.op !== 'create') return false
  await alone(site, intent.group, async () => undo(site, intent))
  return true
}

const beginDelete = async (site: ReplicationSite, name: string, group: string): Promise<(Intent & { readonly op: 'delete' }) | undefined> => {
  const there = await readIntent(site, name)
  if (there?.op === 'create') {
    await undo(site, there)
    // It had joined only: the volume was there before.
    if (there.newVolume) return undefined
  }
  if (there?.op === 'delete') return there
  const near = await findByName(site, site.local, name)
  if (near === undefined) return undefined
  if (near.presentedTo.length > 0) throw new StorageError('stillPresented', `Volume ${name} is presented to ${near.presentedTo.join(', ')}`, { layer, field: 'name', remedy: 'Unpresent it first', details: { groups: near.presentedTo.join(',') } })
  const remote = needRemote(site)
  const unit = await unitOf(site, site.local, group)
  const member = unit?.members.find(({ volume }) => volume === near.id)
  if (unit !== undefined && member !== undefined) needSource(unit)
  const twin = member === undefined ? undefined : (await replicationOf(remote).units(site.ctx)).find(({ key }) => key === unit?.key)?.members.find(({ key }) => key === member.key)
  const intent = { op: 'delete', name, group, near: near.id, ...(twin === undefined ? {} : { far: twin.volume }) } as const
  await textsOf(site).put(site.ctx, keyOf(name), JSON.stringify(intent))
  return intent
}

/**
 * Deletes a replicated volume on both arrays, and its group when it was the last one in it (replication note, "Delete replicated volume"). Steps:
 *   1 the intent                  - a repeat finds it and goes on
 *   2 out of the group            - repeat: it is no member
 *   3 the far volume, 4 the near  - repeat: gone
 *   5 the intent goes
 * True when there was something to delete. Refused while presented, where this side is no source, and without the peer. A create of it that died is taken back.
 */
export const deleteReplicatedVolume = async (site: ReplicationSite, name: string, group: string): Promise<boolean> => alone(site, group, async () => {
  const before = await readIntent(site, name)
  const intent = await beginDelete(site, name, group)
  if (intent === undefined) return before !== undefined
  await leave(site, intent.near, group, true)
  if (intent.far !== undefined) await needRemote(site).remove(site.ctx, intent.far)
  try {
    await site.local.remove(site.ctx, intent.near)
  } catch (error) {
    // Out of the group for good; what depends on it decides about the rest.
    if (error instanceof StorageError && error.kind === 'hasDependents') await dropIntent(site, name)
    throw error
  }
  await dropIntent(site, name)
  return true
})
