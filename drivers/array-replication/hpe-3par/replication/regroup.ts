/** Changing what a group holds: the array takes such changes only while the group is stopped, so it is stopped for them and started again, also when they fail. */
import type { CreateUnit, ReplicationMode } from '../../../../core/array/replication.ts'
import type { ArrayCtx } from '../../../../core/array/types.ts'
import { StorageError } from '../../../../core/errors.ts'
import { until, type Near } from '../near.ts'
import { rcRole } from '../wsapi/enums.ts'
import { isCode, unless } from '../wsapi/errors.ts'
import { layer } from '../wsapi/layer.ts'
import { admitVolume, createRcGroup, dismissVolume, findRcGroup, listRcTargets, removeRcGroup, runRcAction, setSyncPeriod } from '../wsapi/remote-copy.ts'
import type { RcGroup } from '../wsapi/schemas.ts'
import { findVolume } from '../wsapi/volumes.ts'
import { dropMarks } from './marks.ts'
import { isStarted, modeNumber, targetOf } from './roles.ts'

const tell = (group: RcGroup | undefined): string => (group === undefined ? 'the group is gone' : `role ${group.role}${targetOf(group)?.roleReversed === true ? ' reversed' : ''}, state ${targetOf(group)?.state ?? 'not told'}`)

const read = async (ctx: ArrayCtx, near: Near, name: string): Promise<RcGroup> => {
  const group = await findRcGroup(near.api, name, ctx.signal)
  if (group === undefined) throw new StorageError('notFound', `There is no remote copy group ${name} on the array`, { layer, field: 'unit', remedy: 'See which there are: smctl replication list' })
  return group
}

/** Reads until the group is as wanted. */
export const groupUntil = async (ctx: ArrayCtx, near: Near, name: string, what: string, good: (group: RcGroup) => boolean): Promise<RcGroup> =>
  until(ctx, `${what} ${name}`, async () => read(ctx, near, name), good, tell)

/** Stopped already is done, whether the array calls that an error or not. */
export const stopGroup = async (ctx: ArrayCtx, near: Near, name: string): Promise<void> => {
  if (!isStarted(await read(ctx, near, name))) return
  try {
    await runRcAction(near.api, name, 'stop', {}, ctx.signal)
  } catch (error) {
    if (isStarted(await read(ctx, near, name))) throw error
  }
  await groupUntil(ctx, near, name, 'stop', (group) => !isStarted(group))
}

export const startGroup = async (ctx: ArrayCtx, near: Near, name: string): Promise<void> => {
  if (isStarted(await read(ctx, near, name))) return
  try {
    await runRcAction(near.api, name, 'start', {}, ctx.signal)
  } catch (error) {
    if (!isCode(error, 215) && !isStarted(await read(ctx, near, name))) throw error
  }
  await groupUntil(ctx, near, name, 'start', isStarted)
}

/** Steps: 1. stop, when it is started; 2. the change; 3. start again. A crash leaves the group stopped, which its status shows as interrupted. */
export const withGroupStopped = async <T>(ctx: ArrayCtx, near: Near, name: string, what: string, change: () => Promise<T>): Promise<T> => {
  const group = await read(ctx, near, name)
  if (group.role !== rcRole.primary) {
    throw new StorageError('wrongRole', `${what}: this array is the target of ${name}`, { layer, field: 'unit', remedy: 'Do it at the source array' })
  }
  if (!isStarted(group)) return change()
  await stopGroup(ctx, near, name)
  let result: T
  try {
    result = await change()
  } catch (error) {
    await startGroup(ctx, near, name).catch((left: unknown) => ctx.log.error({ group: name, left: (left as Error).message }, 'a group that was stopped for a change could not be started again'))
    throw error
  }
  await startGroup(ctx, near, name)
  return result
}

const targetFor = async (ctx: ArrayCtx, near: Near, peer: string): Promise<string> => {
  const targets = await listRcTargets(near.api, ctx.signal)
  const [named] = targets.filter(({ name }) => name === peer || `target:${name}` === peer)
  const configured = targets.find(({ name }) => name === near.settings.peer?.target)
  const found = named ?? (peer.startsWith('hpe-3par:') ? configured : undefined)
  if (found !== undefined) return found.name
  throw new StorageError('notFound', `This array knows no remote copy target ${JSON.stringify(peer.slice(0, 60))}`, { layer, field: 'peer', remedy: `It knows: ${targets.map(({ name }) => name).join(', ') || 'none'}` })
}

/** CPGs on both sides, of which the array makes the far volumes. */
const cpgsFor = (near: Near, target: string): { readonly localUserCPG: string; readonly localSnapCPG: string; readonly remoteUserCPG: string; readonly remoteSnapCPG: string } => {
  const { peer, cpg, snapCpg } = near.settings
  const [remoteUserCPG, remoteSnapCPG] = [peer?.cpgMap.get(cpg), peer?.snapCpgMap.get(snapCpg)]
  if (peer === undefined || peer.target !== target || remoteUserCPG === undefined || remoteSnapCPG === undefined) {
    throw new StorageError('invalidArgument', `connection.replication_device: says nothing of ${target}`, { layer, field: 'connection.replication_device', remedy: `Configure it with backend_id:${target}, cpg_map and snap_cpg_map` })
  }
  return { localUserCPG: cpg, localSnapCPG: snapCpg, remoteUserCPG, remoteSnapCPG }
}

/** An equal volume that is there on the far side is used; else the array makes it. What cannot be seen is left to the array to judge. */
const admit = async (ctx: ArrayCtx, near: Near, group: string, target: string, volume: string): Promise<void> => {
  try {
    await admitVolume(near.api, group, { volume, target, secondary: volume, create: true }, ctx.signal)
  } catch (error) {
    if ((await read(ctx, near, group)).volumes.some(({ localVolumeName }) => localVolumeName === volume)) return
    throw error
  }
}

interface Undo {
  readonly what: string
  readonly run: () => Promise<unknown>
}

/** Runs what takes back what was made, last first; what fails there is told and does not hide the first failure. */
const rollBack = async (ctx: ArrayCtx, undo: readonly Undo[]): Promise<void> => {
  for (const { what, run } of undo.toReversed()) {
    await run().catch((left: unknown) => ctx.log.error({ step: what, left: (left as Error).message }, 'a step of a failed set-up could not be taken back; do it by hand'))
  }
}

const checkName = (name: string): void => {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,21}$/.test(name) && !/\.r\d+$/.test(name)) return
  throw new StorageError('invalidArgument', `name: ${JSON.stringify(name.slice(0, 60))} cannot be the name of a group`, { layer, field: 'name', remedy: 'Up to 22 letters, digits, dots, dashes and underscores; not ending in .r and a number' })
}

/**
 * Steps: 1. the group; 2. its period; 3. each volume; 4. start. A step that fails takes back what this call made: members with the far
 * volumes that the array made for them, and the group; never a near volume. A crash leaves a stopped group, which a repeat completes.
 */
export const createUnit = async (ctx: ArrayCtx, near: Near, want: CreateUnit): Promise<void> => {
  checkName(want.name)
  if (want.kind !== 'group') throw new StorageError('notSupported', 'This array replicates groups', { layer, field: 'kind', remedy: 'Ask for a group of one volume' })
  const target = await targetFor(ctx, near, want.peer)
  for (const volume of want.volumes) {
    if ((await findVolume(near.api, volume, ctx.signal)) === undefined) throw new StorageError('notFound', `There is no volume ${volume} on the array`, { layer, field: 'volumes', remedy: 'Make it first' })
  }
  const there = await findRcGroup(near.api, want.name, ctx.signal)
  if (there !== undefined) checkSame(there, want, target)
  const undo: Undo[] = []
  try {
    if (there === undefined) {
      await createRcGroup(near.api, { name: want.name, target, mode: modeNumber[want.mode], ...cpgsFor(near, target) }, ctx.signal)
      undo.push({ what: 'remove the group', run: async () => unless('notFound', removeRcGroup(near.api, want.name, ctx.signal)) })
    }
    const period = periodFor(near, want.mode, want.periodSeconds)
    if (period !== undefined && targetOf(await read(ctx, near, want.name))?.syncPeriod !== period) await setSyncPeriod(near.api, want.name, target, period, ctx.signal)
    const members = new Set(there?.volumes.map(({ localVolumeName }) => localVolumeName))
    const missing = want.volumes.filter((volume) => !members.has(volume))
    if (there !== undefined && missing.length > 0) await stopGroup(ctx, near, want.name)
    for (const volume of missing) {
      await admit(ctx, near, want.name, target, volume)
      undo.push({ what: `dismiss ${volume}`, run: async () => dismissVolume(near.api, want.name, volume, true, ctx.signal) })
    }
    if (want.volumes.length > 0) {
      // Members can only be dismissed while the group is stopped.
      undo.push({ what: 'stop the group', run: async () => stopGroup(ctx, near, want.name) })
      await startGroup(ctx, near, want.name)
    }
  } catch (error) {
    await rollBack(ctx, undo)
    throw error
  }
}

const periodFor = (near: Near, mode: ReplicationMode, asked: number | undefined): number | undefined => {
  if (mode !== 'periodic') return undefined
  const seconds = asked ?? near.settings.peer?.periodSeconds ?? 900
  if (Number.isSafeInteger(seconds) && seconds >= 300 && seconds <= 31_622_400) return seconds
  throw new StorageError('invalidArgument', `periodSeconds: ${seconds} is not between 300 and 31622400`, { layer, field: 'periodSeconds', remedy: 'Leave it out for 900' })
}

const checkSame = (there: RcGroup, want: CreateUnit, target: string): void => {
  const found = targetOf(there)
  if (there.role === rcRole.primary && found?.targetName === target && modeNumber[want.mode] === (found.mode === 2 ? 3 : found.mode)) return
  throw new StorageError('alreadyExists', `A remote copy group ${want.name} exists with another role, target or mode (${tell(there)})`, { layer, field: 'name', remedy: 'Take another name' })
}

export const addVolume = async (ctx: ArrayCtx, near: Near, name: string, volume: string): Promise<void> => {
  const group = await read(ctx, near, name)
  if (group.volumes.some(({ localVolumeName }) => localVolumeName === volume)) return
  if ((await findVolume(near.api, volume, ctx.signal)) === undefined) throw new StorageError('notFound', `There is no volume ${volume} on the array`, { layer, field: 'volume', remedy: 'Make it first' })
  const target = targetOf(group)?.targetName ?? ''
  await withGroupStopped(ctx, near, name, `add volume ${volume}`, async () => admit(ctx, near, name, target, volume))
  // A group that had no member could not be started.
  await startGroup(ctx, near, name)
}

/** The far volume stays with its data. */
export const removeVolume = async (ctx: ArrayCtx, near: Near, name: string, volume: string): Promise<void> => {
  const group = await read(ctx, near, name)
  if (!group.volumes.some(({ localVolumeName }) => localVolumeName === volume)) return
  const dismiss = async (): Promise<void> => dismissVolume(near.api, name, volume, false, ctx.signal)
  if (group.volumes.length > 1) {
    await withGroupStopped(ctx, near, name, `take volume ${volume} out`, dismiss)
    return
  }
  // The last one: an empty group cannot be started again.
  await stopGroup(ctx, near, name)
  await dismiss()
}

/** Ends replication; volumes and data of both sides stay. Steps: 1. stop; 2. remove the pair of groups; 3. its marks. Each may be done already. */
export const removeUnit = async (ctx: ArrayCtx, near: Near, name: string): Promise<void> => {
  if ((await findRcGroup(near.api, name, ctx.signal)) !== undefined) {
    await stopGroup(ctx, near, name)
    await unless('notFound', removeRcGroup(near.api, name, ctx.signal))
  }
  await dropMarks(ctx, near, name)
}
