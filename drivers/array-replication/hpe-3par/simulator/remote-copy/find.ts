/** Groups and the two sides they have: what all parts of remote copy look up. */
import { bytesKey, type Group, type GroupVolume, type SimArray, type World } from '../model.ts'
import { refuse } from '../refusals.ts'
import { volumeById } from '../volume-records.ts'

export interface Side {
  readonly array: SimArray
  readonly group: Group
}

/** Whether the two arrays can talk to each other. */
export const linked = (world: World, one: SimArray, other: SimArray): boolean => !world.linkCut && one.powered && other.powered

export const needGroup = (array: SimArray, name: string): Group => {
  const group = array.tables.groups.get(name)
  if (group === undefined) throw refuse('groupMissing', name)
  return group
}

export const peerOf = (world: World, { peer, targetName }: Pick<Group, 'peer' | 'targetName'>): SimArray => {
  const found = world.arrays[peer]
  if (found === undefined) throw refuse('targetMissing', targetName)
  return found
}

/** The other side, whether it can be reached or not; nothing when it has no such group any more. */
export const otherSide = (world: World, group: Group): Side | undefined => {
  const array = peerOf(world, group)
  const counterpart = array.tables.groups.get(group.remoteName)
  return counterpart === undefined ? undefined : { array, group: counterpart }
}

/** The other side as the array reaches it over the link. */
export const reached = (world: World, { array, group }: Side): Side | undefined => (linked(world, array, peerOf(world, group)) ? otherSide(world, group) : undefined)

export const needReached = (world: World, side: Side): Side => {
  const other = reached(world, side)
  if (other === undefined) throw refuse('targetNotReady', side.group.targetName)
  return other
}

export const put = ({ array, group }: Side, change: Partial<Group>): Side => {
  const changed = { ...group, ...change }
  array.tables.groups.put(changed.name, changed)
  return { array, group: changed }
}

/** Members without `names`: optional ones are taken away, not set to nothing. */
export const without = <T extends object, K extends keyof T>(record: T, ...names: readonly K[]): Omit<T, K> =>
  Object.fromEntries(Object.entries(record).filter(([name]) => !(names as readonly PropertyKey[]).includes(name))) as unknown as Omit<T, K>

/** Replaces the record, so that members can also go. */
export const replace = ({ array }: Side, group: Group): Side => {
  array.tables.groups.put(group.name, group)
  return { array, group }
}

export const mapVolumes = (side: Side, change: (volume: GroupVolume) => GroupVolume): Side => put(side, { volumes: side.group.volumes.map(change) })

/** Keys of the bytes on this side and on the other, of every volume. */
export const pairsOf = (world: World, { array, group }: Side): readonly { readonly volume: GroupVolume; readonly here: string; readonly there: string }[] => {
  const peer = peerOf(world, group)
  return group.volumes
    .filter(({ local, remote }) => volumeById(array, local) !== undefined && volumeById(peer, remote) !== undefined)
    .map((volume) => ({ volume, here: bytesKey(array, volume.local), there: bytesKey(peer, volume.remote) }))
}

export const isPeriodic = ({ mode }: Pick<Group, 'mode'>): boolean => mode === 2 || mode === 3
