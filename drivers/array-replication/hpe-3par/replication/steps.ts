/** The steps of the replication engine as actions of the array. Each looks first, acts on what it sees, and reads back what came of it. */
import type { RecoveryPoint, SyncSession } from '../../../../core/array/replication.ts'
import type { ArrayCtx } from '../../../../core/array/types.ts'
import { StorageError } from '../../../../core/errors.ts'
import { askFar, until, type Near } from '../near.ts'
import { rcRole, taskStatus } from '../wsapi/enums.ts'
import { layer } from '../wsapi/layer.ts'
import { addKeyValue, readCreationSec, removeKeyValue } from '../wsapi/metadata.ts'
import { listRcGroups, runRcAction } from '../wsapi/remote-copy.ts'
import type { RcGroup } from '../wsapi/schemas.ts'
import { pause } from '../wsapi/sessions.ts'
import { findTask } from '../wsapi/system.ts'
import { promoteSnapshot } from '../wsapi/volumes.ts'
import { own, readMarks, writeMark } from './marks.ts'
import { needGroup, needRole } from './read.ts'
import { groupUntil, startGroup, stopGroup } from './regroup.ts'
import { isReversed, isStarted, lastSyncSec, modeOf, roleOf, syncOf } from './roles.ts'
import { listPoints } from './points.ts'

const wrongRole = (unit: string, found: string, needed: string): StorageError =>
  new StorageError('wrongRole', `${unit}: this array is ${found}, not ${needed}`, { layer, field: 'unit', remedy: 'Do it at the other array, or look at the state again: smctl replication status' })

/** The mark comes first: a stopped group without it was stopped by something else. */
export const pauseUnit = async (ctx: ArrayCtx, near: Near, unit: string): Promise<void> => {
  if (!isStarted(await needGroup(ctx, near, unit))) return
  await writeMark(ctx, near, unit, own.paused, 'yes')
  await stopGroup(ctx, near, unit)
}

export const resumeUnit = async (ctx: ArrayCtx, near: Near, unit: string): Promise<void> => {
  const { role } = await needRole(ctx, near, unit)
  if (role !== 'source' && role !== 'demoted') throw wrongRole(unit, role, 'the source')
  await startGroup(ctx, near, unit)
  await writeMark(ctx, near, unit, own.paused, undefined)
}

const isSyncing = (group: RcGroup): boolean => group.volumes.some(({ remoteVolumes }) => syncOf(remoteVolumes[0]?.syncStatus) === 'syncing')

/** Seconds of the oldest member's last complete copy; 0 when one has none. */
const lastSync = (group: RcGroup): number => (group.volumes.length === 0 ? 0 : Math.min(...group.volumes.map((volume) => lastSyncSec(volume) ?? 0)))

/** The array tells times in whole seconds: what happens after this wait has a later one. */
const nextSecond = async (ctx: ArrayCtx, near: Near): Promise<void> => pause(near.secondMs, ctx.signal)

/** `sync:<second of the last complete copy before it>`: the session is complete as soon as every member has a later one. */
export const startSync = async (ctx: ArrayCtx, near: Near, unit: string): Promise<SyncSession> => {
  const { group, role } = await needRole(ctx, near, unit)
  if (role !== 'source' && role !== 'demoted') throw wrongRole(unit, role, 'the source')
  if (!isStarted(group)) throw new StorageError('wrongRole', `${unit}: replication is stopped`, { layer, field: 'unit', remedy: 'Take it up again first: smctl replication resume' })
  if (modeOf(group) !== 'periodic') return { id: 'sync:always', state: isSyncing(group) ? 'running' : 'complete', joined: isSyncing(group) }
  const before = lastSync(group)
  if (isSyncing(group)) return { id: `sync:${before}`, state: 'running', joined: true }
  await nextSecond(ctx, near)
  try {
    await runRcAction(near.api, unit, 'synchronise', {}, ctx.signal)
  } catch (error) {
    // A cycle of the array's own may have begun meanwhile: it is joined, and promises nothing of later writes.
    if (!isSyncing(await needGroup(ctx, near, unit))) throw error
    return { id: `sync:${before}`, state: 'running', joined: true }
  }
  // A small change is through before it could be asked for.
  return { id: `sync:${before}`, state: lastSync(await needGroup(ctx, near, unit)) > before ? 'complete' : 'running', joined: false }
}

export const syncStatus = async (ctx: ArrayCtx, near: Near, unit: string, session: string): Promise<SyncSession> => {
  const [, since] = /^sync:(\d{1,12}|always)$/.exec(session) ?? []
  if (since === undefined) throw new StorageError('notFound', `${unit} never had a sync session ${JSON.stringify(session.slice(0, 40))}`, { layer, field: 'session', remedy: 'Give the id that the sync answered' })
  const group = await needGroup(ctx, near, unit)
  const complete = since === 'always' ? !isSyncing(group) : lastSync(group) > Number(since)
  return { id: session, joined: false, state: complete ? 'complete' : isStarted(group) ? 'running' : 'failed' }
}

/** Now, by the array's clock: it stamps key-values when they are made. Milliseconds. */
const arrayNow = async (ctx: ArrayCtx, near: Near, volume: string): Promise<number> => {
  const key = 'sm-clock'
  await removeKeyValue(near.api, volume, key, ctx.signal)
  await addKeyValue(near.api, volume, key, 'now', ctx.signal)
  const seconds = await readCreationSec(near.api, volume, key, ctx.signal)
  await removeKeyValue(near.api, volume, key, ctx.signal)
  return seconds * 1000
}

/**
 * After the exports are gone (the caller's and here again): 1. a cycle that was under way is waited for, since it began before; 2. the mark with
 * the array's time, rounded up. What is copied from the next second on is later than any write.
 */
export const demote = async (ctx: ArrayCtx, near: Near, unit: string, unpresent: () => Promise<void>): Promise<void> => {
  const { group, role } = await needRole(ctx, near, unit)
  if (role === 'demoted') return
  if (role !== 'source') throw wrongRole(unit, role, 'the source')
  await unpresent()
  if (modeOf(group) === 'periodic') await until(ctx, `finish the cycle of ${unit}`, async () => needGroup(ctx, near, unit), (seen) => !isStarted(seen) || !isSyncing(seen), () => 'a cycle is under way', 10 * 60_000)
  const [first] = group.volumes
  const nowMs = first === undefined ? ctx.clock.now() : await arrayNow(ctx, near, first.localVolumeName)
  await writeMark(ctx, near, unit, own.demoted, String(nowMs + 1000))
  await nextSecond(ctx, near)
}

/** What the far array says of its role, where it can be asked. */
const farRole = async (ctx: ArrayCtx, near: Near, group: RcGroup): Promise<ReturnType<typeof roleOf> | undefined> =>
  askFar(ctx, near, async (far) => {
    const [groups, marks] = await Promise.all([listRcGroups(far, ctx.signal), readMarks(ctx, far)])
    const there = groups.find(({ name }) => name === group.remoteGroupName)
    return there === undefined ? 'unknown' : roleOf(there, marks.get(there.name) ?? {})
  })

/** Without the other array nothing can be started, and nothing is waited for. Beside a promoted side that is seen, nothing becomes writable. */
const startIfPossible = async (ctx: ArrayCtx, near: Near, group: RcGroup): Promise<void> => {
  if (isStarted(group) || group.volumes.length === 0) return
  try {
    await startGroup(ctx, near, group.name)
  } catch (error) {
    if ((await farRole(ctx, near, group)) === 'promoted') throw error
    ctx.log.warn({ group: group.name, found: (error as Error).message }, 'replication cannot be started: it is to be resumed when the other array and the link are back')
  }
}

/** A group that was not paused on purpose goes on: it may have stopped for a failover that is given up by this. */
export const undemote = async (ctx: ArrayCtx, near: Near, unit: string): Promise<void> => {
  const { group, role, marks } = await needRole(ctx, near, unit)
  if (role === 'source') return
  if (role !== 'demoted') throw wrongRole(unit, role, 'the demoted source')
  if ((await farRole(ctx, near, group)) === 'promoted') throw wrongRole(unit, 'demoted and the other one promoted', 'the only side that could be writable')
  if (marks[own.paused] === undefined) await startIfPossible(ctx, near, group)
  await writeMark(ctx, near, unit, own.demoted, undefined)
}

const restorePoint = async (ctx: ArrayCtx, near: Near, group: RcGroup, id: string): Promise<void> => {
  const point: (RecoveryPoint & { readonly parts: readonly { readonly name: string }[] }) | undefined = (await listPoints(ctx, near, group)).find((one) => one.id === id)
  if (point === undefined) throw new StorageError('notFound', `There is no recovery point ${id} of ${group.name}`, { layer, field: 'recoveryPoint', remedy: 'See which there are: smctl replication points' })
  for (const { name } of point.parts) {
    const task = await promoteSnapshot(near.api, name, { allowRemoteCopyParent: true }, ctx.signal)
    const ended = await until(ctx, `restore ${name}`, async () => findTask(near.api, task, ctx.signal), (seen) => seen?.status !== taskStatus.active, (seen) => `task ${task}, status ${seen?.status ?? 'not told'}`, 24 * 3600_000)
    if (ended?.status !== taskStatus.done) throw new StorageError('arrayFault', `Task ${task}, which restores ${name}, failed on the array`, { layer, mayHaveChanged: true, remedy: `See why: showtask -d ${task}; then repeat the failover` })
  }
}

/**
 * Steps: 1. marks: promoted, and no more source or demoted (they count for nothing while the role is secondary); 2. stop, which the far array need not
 * hear; 3. the content of the recovery point, where one was chosen; 4. the role. The role comes last: a repeat after a crash goes through all again.
 */
export const promote = async (ctx: ArrayCtx, near: Near, unit: string, want: { readonly recoveryPoint?: string; readonly force: boolean }): Promise<void> => {
  const { group, role } = await needRole(ctx, near, unit)
  if (role === 'promoted') return
  if (role !== 'target') throw wrongRole(unit, role, 'the target')
  await writeMark(ctx, near, unit, own.promoted, 'yes')
  await writeMark(ctx, near, unit, own.source, undefined)
  await writeMark(ctx, near, unit, own.demoted, undefined)
  await writeMark(ctx, near, unit, own.paused, undefined)
  await stopGroup(ctx, near, unit)
  if (want.recoveryPoint !== undefined) await restorePoint(ctx, near, group, want.recoveryPoint)
  // Its own undoing of a half cycle would go over the content that was chosen. Nothing is replicated back by itself: that is reverse.
  await actAndSee(ctx, near, unit, 'failover', { skipStart: true, ...(want.recoveryPoint === undefined ? {} : { skipPromote: true }) }, (seen) => seen.role === rcRole.primary)
}

/** An action whose answer was lost, or that somebody else did meanwhile, is judged by the group. */
const actAndSee = async (ctx: ArrayCtx, near: Near, unit: string, action: 'failover' | 'recover' | 'restore' | 'reverse', options: Parameters<typeof runRcAction>[3], good: (group: RcGroup) => boolean): Promise<void> => {
  try {
    await runRcAction(near.api, unit, action, options, ctx.signal)
  } catch (error) {
    if (!good(await needGroup(ctx, near, unit))) throw error
  }
  await groupUntil(ctx, near, unit, action, good)
}

const replicatesFromHere = (group: RcGroup): boolean => group.role === rcRole.primary && isStarted(group)

/**
 * (demoted, promoted) -> (target, source), run at the promoted array. Recover makes the other side the target and starts; where the other side is
 * one already, starting is all. Steps: 1. the action; 2. marks. After a crash in between, the group is started, and only marks are left to write.
 */
export const reverse = async (ctx: ArrayCtx, near: Near, unit: string): Promise<void> => {
  const { group, role } = await needRole(ctx, near, unit)
  if (role === 'target' || role === 'unknown') throw wrongRole(unit, role, 'the promoted side')
  if (!replicatesFromHere(group)) {
    const far = isReversed(group) ? undefined : await farRole(ctx, near, group)
    if (far === 'target') await startGroup(ctx, near, unit)
    else await actAndSee(ctx, near, unit, 'recover', {}, replicatesFromHere)
  }
  await writeMark(ctx, near, unit, own.source, 'yes')
  await writeMark(ctx, near, unit, own.promoted, undefined)
}

/** At the promoted side, whose writes are given up: it becomes the target again, here alone; nothing moves yet. */
export const prepareRestore = async (ctx: ArrayCtx, near: Near, unit: string): Promise<void> => {
  const { group } = await needRole(ctx, near, unit)
  if (group.role !== rcRole.secondary) {
    await stopGroup(ctx, near, unit)
    await actAndSee(ctx, near, unit, 'reverse', { localGroupsDirection: true }, (seen) => seen.role === rcRole.secondary)
  }
  await writeMark(ctx, near, unit, own.promoted, undefined)
  await writeMark(ctx, near, unit, own.source, undefined)
}

/** At the side that gets its role back. Without the other array it is the source all the same, and replicates when that one is back. */
export const restore = async (ctx: ArrayCtx, near: Near, unit: string): Promise<void> => {
  const { group, role } = await needRole(ctx, near, unit)
  if (role === 'target' || role === 'promoted') throw wrongRole(unit, role, 'the old source')
  await startIfPossible(ctx, near, group)
  await writeMark(ctx, near, unit, own.demoted, undefined)
}

/**
 * The array's own way (reverse -natural) cannot be told from a change of direction over this interface, so nothing is asked of it: the mark
 * says which layout counts as the natural one from now on.
 */
export const adopt = async (ctx: ArrayCtx, near: Near, unit: string): Promise<void> => {
  const { group, marks } = await needRole(ctx, near, unit)
  const wanted = isReversed(group) ? 'reversed' : undefined
  if (marks[own.adopted] !== wanted) await writeMark(ctx, near, unit, own.adopted, wanted)
}
