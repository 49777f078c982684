/** Keeping and removing points in time of a group, and test copies of it. None of it touches replication. */
import type { RecoveryPoint, StartTest, TestCopy } from '../../../../core/array/replication.ts'
import type { ArrayCtx } from '../../../../core/array/types.ts'
import { StorageError } from '../../../../core/errors.ts'
import type { Near } from '../near.ts'
import { snapshotTogether } from '../snapshots.ts'
import { endTemplates, presentTo } from './presentation.ts'
import { rcRole } from '../wsapi/enums.ts'
import { unless } from '../wsapi/errors.ts'
import { layer } from '../wsapi/layer.ts'
import { findRcGroup } from '../wsapi/remote-copy.ts'
import type { RcGroup, Volume as Raw } from '../wsapi/schemas.ts'
import { pause } from '../wsapi/sessions.ts'
import { createSnapshot, listVolumes, removeVolume } from '../wsapi/volumes.ts'
import { startsWith } from '../wsapi/query.ts'
import { keyOfMember, pointsOf, pointStem, pointTag, testCopiesOf, testMark, testStem, testTag, unitDigest } from './copies.ts'
import { readMarks, writeMark } from './marks.ts'
import { needGroup } from './read.ts'
import { isStarted, lastSyncSec, modeOf, syncOf } from './roles.ts'
import { prefixes } from '../tags.ts'

type Point = RecoveryPoint & { readonly parts: readonly Raw[] }

export const listPoints = async (ctx: ArrayCtx, near: Near, group: RcGroup): Promise<readonly Point[]> =>
  pointsOf(group, await listVolumes(near.api, startsWith('name', `${prefixes.point}${unitDigest(group.name)}`), ctx.signal))

const membersOf = (group: RcGroup): readonly string[] => group.volumes.map(({ localVolumeName }) => localVolumeName)

/** On a target of a periodic group the volumes are consistent between two cycles only. */
const isQuiet = (group: RcGroup): boolean =>
  group.role === rcRole.primary || modeOf(group) !== 'periodic' || group.volumes.every(({ remoteVolumes }) => syncOf(remoteVolumes[0]?.syncStatus) === 'synced' || !isStarted(group))

const stamp = (group: RcGroup): string => JSON.stringify([isStarted(group), ...group.volumes.map((volume) => [volume.localVolumeName, lastSyncSec(volume)])])

const removeAll = async (ctx: ArrayCtx, near: Near, raws: readonly { readonly name: string }[]): Promise<void> => {
  for (const { name } of raws) await unless('notFound', removeVolume(near.api, name, ctx.signal))
}

const quietWaitMs = 5 * 60_000

/**
 * Snapshots of all members at one moment that lies between two cycles: taken, and thrown away and taken again when a cycle went on meanwhile.
 * Answers whether it is known to be one complete point: a target that stopped in the middle of a cycle has none but what its failover brings back.
 */
const takeQuietly = async (ctx: ArrayCtx, near: Near, unit: string, stem: string, readOnly: boolean, tag: (members: number, complete: boolean) => string): Promise<void> => {
  const deadline = performance.now() + quietWaitMs
  for (;;) {
    const before = await needGroup(ctx, near, unit)
    const members = membersOf(before)
    if (members.length === 0) throw new StorageError('invalidArgument', `${unit} has no volumes`, { layer, field: 'unit', remedy: 'Add volumes to it first' })
    if (isQuiet(before)) {
      const complete = before.role === rcRole.primary || isStarted(before) || before.volumes.every(({ remoteVolumes }) => syncOf(remoteVolumes[0]?.syncStatus) !== 'syncing')
      await snapshotTogether(ctx, near, members, stem, readOnly, tag(members.length, complete))
      const after = await needGroup(ctx, near, unit)
      if (isQuiet(after) && (before.role === rcRole.primary || modeOf(before) !== 'periodic' || stamp(after) === stamp(before))) return
      await removeAll(ctx, near, await listVolumes(near.api, startsWith('name', stem), ctx.signal))
    }
    if (performance.now() > deadline) throw new StorageError('busy', `${unit}: the target was never between two cycles for ${quietWaitMs / 60_000} minutes`, { layer, field: 'unit', remedy: 'Pause replication, or make its period longer' })
    await pause(500, ctx.signal)
  }
}

/** Same name: the one that is there. Halves that a crash left are taken away first. */
export const keepPoint = async (ctx: ArrayCtx, near: Near, unit: string, name: string, purpose: RecoveryPoint['purpose']): Promise<RecoveryPoint> => {
  const find = async (): Promise<Point | undefined> => (await listPoints(ctx, near, await needGroup(ctx, near, unit))).find((point) => point.name === name)
  const there = await find()
  if (there !== undefined) return asPoint(there)
  const stem = pointStem(unit, name)
  await removeAll(ctx, near, await listVolumes(near.api, startsWith('name', stem), ctx.signal))
  try {
    await takeQuietly(ctx, near, unit, stem, true, (members, complete) => pointTag(name, purpose, members, complete))
  } catch (error) {
    if (!(error instanceof StorageError) || error.kind !== 'outcomeUnknown') throw error
    ctx.log.warn({ unit, point: name, found: error.message }, 'the answer of the array was lost; it is looked for')
  }
  const made = await find()
  if (made === undefined) throw new StorageError('outcomeUnknown', `The point ${name} of ${unit} was made and is not there`, { layer, mayHaveChanged: true, remedy: 'Look at the snapshots of its volumes, then try again' })
  return asPoint(made)
}

export const asPoint = ({ parts: _parts, ...point }: Point): RecoveryPoint => point

export const removePoint = async (ctx: ArrayCtx, near: Near, unit: string, id: string): Promise<void> => {
  const raws = await listVolumes(near.api, startsWith('name', id), ctx.signal)
  if (id.startsWith(`${prefixes.point}${unitDigest(unit)}-`)) await removeAll(ctx, near, raws.filter(({ name }) => name.startsWith(`${id}-`)))
}

const copiesNow = async (ctx: ArrayCtx, near: Near, unit: string): Promise<readonly TestCopy[]> => {
  const [group, marks, raws] = await Promise.all([needGroup(ctx, near, unit), readMarks(ctx, near.api), listVolumes(near.api, startsWith('name', `${prefixes.test}${unitDigest(unit)}`), ctx.signal)])
  const points = await listVolumes(near.api, startsWith('name', `${prefixes.point}${unitDigest(unit)}`), ctx.signal)
  return testCopiesOf(group, [...raws, ...points], marks.get(unit) ?? {})
}

const makeCopies = async (ctx: ArrayCtx, near: Near, unit: string, want: StartTest): Promise<void> => {
  const stem = testStem(unit, want.id)
  if (want.recoveryPoint === undefined) {
    const group = await needGroup(ctx, near, unit)
    const seconds = group.volumes.map((volume) => lastSyncSec(volume) ?? 0)
    const timeMs = group.role === rcRole.primary || seconds.length === 0 ? undefined : Math.min(...seconds) * 1000
    await takeQuietly(ctx, near, unit, stem, false, (members) => testTag(want.id, 'latest', timeMs, members))
    return
  }
  const point = (await listPoints(ctx, near, await needGroup(ctx, near, unit))).find(({ id }) => id === want.recoveryPoint)
  if (point === undefined) throw new StorageError('notFound', `There is no recovery point ${want.recoveryPoint} of ${unit}`, { layer, field: 'recoveryPoint', remedy: 'See which there are: smctl replication points' })
  const comment = testTag(want.id, point.id, point.timeMs, point.parts.length)
  for (const [index, { name }] of point.parts.entries()) await createSnapshot(near.api, name, { name: `${stem}-${index}`, readOnly: false, comment }, ctx.signal)
}

/**
 * Steps: 1. what an interrupted start of this id left goes; 2. the copies; 3. presentations; 4. the mark that it is complete. A crash before 4 leaves a copy
 * that says it is not complete; stopTest takes it away.
 */
export const startTest = async (ctx: ArrayCtx, near: Near, unit: string, want: StartTest): Promise<TestCopy> => {
  const there = (await copiesNow(ctx, near, unit)).find(({ id }) => id === want.id)
  if (there?.complete === true) return there
  if (there !== undefined) await stopTest(ctx, near, unit, want.id)
  await makeCopies(ctx, near, unit, want)
  const made = (await copiesNow(ctx, near, unit)).find(({ id }) => id === want.id)
  if (made === undefined) throw new StorageError('outcomeUnknown', `The test copy ${want.id} of ${unit} was made and is not there`, { layer, mayHaveChanged: true, remedy: 'Stop the test, then start it again' })
  await presentTo(ctx, near, made.members.map(({ key, copy }) => ({ key, volume: copy })), want.initiators)
  await writeMark(ctx, near, unit, testMark(want.id), 'complete')
  return { ...made, complete: true }
}

/** Steps: 1. the mark; 2. presentations; 3. the copies. Each may be done already. */
export const stopTest = async (ctx: ArrayCtx, near: Near, unit: string, id: string): Promise<void> => {
  await writeMark(ctx, near, unit, testMark(id), undefined)
  const copies = (await listVolumes(near.api, startsWith('name', testStem(unit, id)), ctx.signal)).filter(({ name }) => name.startsWith(`${testStem(unit, id)}-`))
  await endTemplates(ctx, near, copies.map(({ name }) => name))
  await removeAll(ctx, near, copies)
}

export const memberKeys = async (ctx: ArrayCtx, near: Near, unit: string): Promise<readonly { readonly key: string; readonly volume: string }[]> => {
  const group = await findRcGroup(near.api, unit, ctx.signal)
  return group === undefined ? [] : membersOf(group).map((volume) => ({ key: keyOfMember(group, volume), volume }))
}
