/**
 * How bytes get to the other side. A transfer takes time on the clock; its bytes arrive at its end, all volumes of the group at
 * once. In periodic mode they are what the volumes held when the period began (snapshots `rcpy.*` keep that), in synchronous
 * mode what they hold when the transfer ends, and every later write goes to both sides before it is acknowledged.
 *
 * Steps of an arrival: 1. bytes of all volumes; 2. the records of both sides, in one line of the journal. Killed before 2: the
 * transfer is still under way for the next start, which first catches up, so that 1 is repeated from the same source before
 * anybody looks.
 */
import { bytesKey, nextId, type Group, type SimArray, type Volume, type World } from '../model.ts'
import { addSnapshot, childrenOf, dropVolume, volumeById } from '../volume-records.ts'
import { isPeriodic, linked, mapVolumes, otherSide, pairsOf, peerOf, put, replace, without, type Side } from './find.ts'

const usualPeriodSeconds = 900

const point = (world: World, array: SimArray, volume: Volume, groupId: number): string => {
  const name = `rcpy.${groupId}.${volume.id}.${nextId(array.tables, 'point')}`
  addSnapshot(world, array, volume, name, { readOnly: true })
  return name
}

const dropPoint = (world: World, array: SimArray, name: string | undefined): void => {
  const snapshot = name === undefined ? undefined : array.tables.volumes.get(name)
  if (snapshot !== undefined && childrenOf(array, snapshot).length === 0) dropVolume(world, array, snapshot)
}

/** Snapshots that the array made for itself. */
export const dropPoints = (world: World, side: Side, which: readonly ('syncSnapshot' | 'resyncSnapshot')[]): Side => {
  for (const volume of side.group.volumes) for (const name of which) dropPoint(world, side.array, volume[name])
  return mapVolumes(side, (volume) => ({ ...without(volume, ...which) }))
}

/** A point from which a later start could send only what changed; kept as a snapshot that is seen. */
export const keepResyncPoints = (world: World, side: Side): Side => {
  const fresh = dropPoints(world, side, ['resyncSnapshot'])
  return mapVolumes(fresh, (member) => {
    const volume = volumeById(side.array, member.local)
    const possible = volume !== undefined && (!side.array.profile.needsSnapCpg || volume.snapCpg !== undefined)
    return possible ? { ...member, resyncSnapshot: point(world, side.array, volume, side.group.id) } : member
  })
}

/** Begins to send; `side` is the one whose bytes count. The statuses of both sides say so. `now` may lie back: nothing was written since. */
export const beginTransfer = (world: World, side: Side, now = world.now()): Side => {
  const frozen = isPeriodic(side.group)
    ? mapVolumes(dropPoints(world, side, ['syncSnapshot']), (member) => {
        const volume = volumeById(side.array, member.local)
        return volume === undefined ? member : { ...member, syncSnapshot: point(world, side.array, volume, side.group.id) }
      })
    : side
  const other = otherSide(world, side.group)
  if (other !== undefined) mapVolumes(other, (volume) => ({ ...volume, syncStatus: 2 }))
  return put(mapVolumes(frozen, (volume) => ({ ...volume, syncStatus: 2 })), { transfer: { pointMs: now, endMs: now + world.durations.syncMs }, ...nextCycle(side.group, now) })
}

const periodMs = ({ syncPeriod }: Group): number => (syncPeriod ?? usualPeriodSeconds) * 1000
const nextCycle = (group: Group, from: number): Partial<Group> => (isPeriodic(group) ? { nextCycleMs: from + periodMs(group) } : {})

/** Everything of the group at once; a repeat does the same again. */
const deliver = (world: World, side: Side): void => {
  for (const { volume, here, there } of pairsOf(world, side)) {
    const frozen = volume.syncSnapshot === undefined ? undefined : side.array.tables.volumes.get(volume.syncSnapshot)
    world.blocks.copy(frozen === undefined ? here : bytesKey(side.array, frozen.id), there)
  }
}

const synced = (side: Side, atMs: number): Side =>
  put(mapVolumes(side, (volume) => ({ ...volume, syncStatus: 3, lastSyncMs: atMs })), { lastSyncMs: atMs })

/** Marks both sides as equal at a point in time. */
export const markSynced = (world: World, side: Side, atMs: number): Side => {
  const other = otherSide(world, side.group)
  if (other !== undefined) synced(other, atMs)
  return synced(side, atMs)
}

/** Newer arrays forget at the first synchronisation which side was the natural one. */
const settleRoles = (world: World, side: Side): Side => {
  if (!side.array.profile.mirrorsFailover || !side.group.reversed) return side
  const other = otherSide(world, side.group)
  if (other !== undefined) put(other, { reversed: false })
  return put(side, { reversed: false })
}

const arrive = (world: World, side: Side, transfer: NonNullable<Group['transfer']>): void => {
  deliver(world, side)
  const atMs = isPeriodic(side.group) ? transfer.pointMs : transfer.endMs
  const ended = markSynced(world, replace(side, { ...without(side.group, 'transfer') }), atMs)
  settleRoles(world, dropPoints(world, ended, ['syncSnapshot', 'resyncSnapshot']))
}

/** What was under way never arrives: the other side keeps its last complete point. */
export const abandonTransfer = (world: World, side: Side): Side => {
  const wasRunning = side.group.transfer !== undefined
  const ended = dropPoints(world, replace(side, { ...without(side.group, 'transfer', 'nextCycleMs') }), ['syncSnapshot'])
  return wasRunning ? mapVolumes(ended, (volume) => ({ ...volume, syncStatus: volume.lastSyncMs === undefined ? 1 : 4 })) : ended
}

export interface Event {
  readonly atMs: number
  readonly happen: () => void
}

/** The next thing that a started group does by itself. Missed periods are one: nothing was written in between. */
export const nextGroupEvents = (world: World, array: SimArray): readonly Event[] =>
  array.tables.groups.all().filter(({ role, state }) => role === 1 && state === 3).flatMap((group): readonly Event[] => {
    const side = { array, group }
    const { transfer, nextCycleMs } = group
    if (!linked(world, array, peerOf(world, group))) return []
    if (transfer !== undefined) return [{ atMs: transfer.endMs, happen: () => arrive(world, side, transfer) }]
    const missed = nextCycleMs === undefined ? 0 : Math.max(0, Math.floor((world.now() - nextCycleMs) / periodMs(group)))
    return nextCycleMs === undefined ? [] : [{ atMs: nextCycleMs, happen: () => void beginTransfer(world, side, nextCycleMs + missed * periodMs(group)) }]
  })

/** Where a host's write must also go before it is acknowledged. */
export const mirrorOf = (world: World, array: SimArray, volume: Volume): { readonly array: SimArray; readonly volume: Volume } | undefined => {
  const group = array.tables.groups.all().find(({ volumes }) => volumes.some(({ local }) => local === volume.id))
  const member = group?.volumes.find(({ local }) => local === volume.id)
  if (group === undefined || member === undefined || group.role !== 1 || group.state !== 3 || isPeriodic(group) || member.syncStatus !== 3) return undefined
  const peer = peerOf(world, group)
  const remote = volumeById(peer, member.remote)
  return remote === undefined || !linked(world, array, peer) ? undefined : { array: peer, volume: remote }
}
