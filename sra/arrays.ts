/** The array that a command is for: reached for its length, with the units that it may know of. */
import type { ArrayDriver, OpenArray } from '../core/array/contract.ts'
import type { PeerArray, ReplicationTraits, ReplicationUnit } from '../core/array/replication.ts'
import type { ArrayInfo } from '../core/array/types.ts'
import { StorageError, toStorageError } from '../core/errors.ts'
import { boundArray } from '../core/replication/index.ts'
import { replicationOf } from '../core/replication/site.ts'
import { connectionOf, filterOf } from './connections.ts'
import { shown } from './log/log.ts'
import type { Connections } from './schema/index.ts'
import type { ArrayWorld } from './world.ts'

/** Milliseconds: half of SRM's usual time limit for a whole command. */
const callDeadlineMs = 120_000

export interface Reached {
  readonly array: OpenArray
  readonly info: ArrayInfo
  /** Names that do not begin so are unknown to this command. */
  readonly filter: string | undefined
}

const closed = async (world: ArrayWorld, array: OpenArray): Promise<void> =>
  array.close().catch((error: unknown) => world.log.write('trivia', `The session of the array was not closed: ${toStorageError(error, 'sra').message}`))

const reach = async (entered: Connections[number], driver: ArrayDriver, world: ArrayWorld): Promise<Reached> => {
  const connection = connectionOf(entered, driver, world.arrays.records)
  const array = boundArray(await driver.connect(world.ctx, connection).catch((error: unknown) => {
    throw toStorageError(error, `array:${driver.type}`)
  }), callDeadlineMs)
  try {
    return { array, info: await array.info(world.ctx), filter: filterOf(entered) }
  } catch (error) {
    await closed(world, array)
    throw toStorageError(error, `array:${driver.type}`)
  }
}

/** The driver of the adapter's type; notSupported when arrays of it do not replicate. */
const driverOf = async ({ arrays, adapter: { arrayType } }: ArrayWorld): Promise<{ readonly driver: ArrayDriver; readonly traits: ReplicationTraits }> => {
  const driver = await arrays.registry.load(arrayType)
  if (driver.replication !== undefined) return { driver, traits: driver.replication }
  throw new StorageError('notSupported', `Arrays of type ${arrayType} do not replicate`, { field: 'array_type', layer: 'sra', remedy: 'Name a type that does in the settings of the adapter: smctl array types' })
}

/** All arrays of the connections, or the first failure. They are closed when `work` has ended. */
export const withArrays = async <T>(connections: Connections, world: ArrayWorld, work: (reached: readonly Reached[], driver: ArrayDriver, traits: ReplicationTraits) => Promise<T>): Promise<T> => {
  const { driver, traits } = await driverOf(world)
  const outcomes = await Promise.allSettled(connections.map(async (entered) => reach(entered, driver, world)))
  const reached = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  try {
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw toStorageError(failed.reason, 'sra')
    return await work(reached, driver, traits)
  } finally {
    await Promise.all(reached.map(async ({ array }) => closed(world, array)))
  }
}

export interface Here extends Reached {
  readonly world: ArrayWorld
  readonly driver: ArrayDriver
  readonly traits: ReplicationTraits
  /** As one consistent view, without what the filter or the peer leaves out. */
  readonly units: readonly ReplicationUnit[]
}

const noArray = (id: string, reached: readonly Reached[]): StorageError => new StorageError('notFound', `There is no array ${JSON.stringify(id.slice(0, 80))} behind these connections`, {
  field: 'ArrayId', layer: 'sra', remedy: `The arrays there are: ${reached.map(({ info }) => info.id).join(', ')}; discover the arrays again`,
})

/** Which units belong to the pair. While its peer is silent an array may not know whom it replicates with: with one peer only, it is that one. */
const peerTest = (peers: readonly PeerArray[], peerArrayId: string): ((unit: ReplicationUnit) => boolean) => {
  const [only, ...others] = peers
  const named = peers.some(({ id }) => id === peerArrayId)
  const certainly = only !== undefined && others.length === 0 && (named || only.link !== 'up')
  if (!named && !certainly) {
    throw new StorageError('notFound', `The array replicates with no array ${JSON.stringify(peerArrayId.slice(0, 80))}`, {
      field: 'PeerArrayId', layer: 'sra', remedy: `Its peers are: ${peers.map(({ id }) => id).join(', ')}; discover the arrays again`,
    })
  }
  return certainly ? () => true : ({ peer }) => peer === peerArrayId
}

/** The array of `arrayId` with its units; those of another pair, and those that the filter leaves out, are unknown to the command. */
export const withArray = async <T>(request: { readonly connections: Connections; readonly parameters: { readonly arrayId: string; readonly peerArrayId?: string | undefined } }, world: ArrayWorld, work: (here: Here) => Promise<T>): Promise<T> =>
  withArrays(request.connections, world, async (all, driver, traits) => {
    const { arrayId, peerArrayId } = request.parameters
    const reached = all.find(({ info }) => info.id === arrayId)
    if (reached === undefined) throw noArray(arrayId, all)
    const replication = replicationOf(reached.array)
    const [found, peers] = await Promise.all([replication.units(world.ctx), peerArrayId === undefined ? undefined : replication.peers(world.ctx)])
    const ofPair = peers === undefined || peerArrayId === undefined ? () => true : peerTest(peers, peerArrayId)
    const { filter } = reached
    const leftOut = (unit: ReplicationUnit): string | undefined => {
      if (!ofPair(unit)) return `it is replicated with array ${shown(unit.peer)}`
      if (filter !== undefined && !unit.name.startsWith(filter)) return `its name does not begin with ${shown(filter)}, the filter of the connection`
      return undefined
    }
    world.log.write('verbose', `Array ${shown(arrayId)}${peerArrayId === undefined ? '' : `, peer array ${shown(peerArrayId)}`}, filter by name: ${filter === undefined ? 'none' : shown(filter)}`)
    const units = found.filter((unit) => {
      const reason = leftOut(unit)
      if (reason !== undefined) world.log.write('verbose', `Excluded: ${unit.kind} ${shown(unit.name)} (${shown(unit.id)}): ${reason}`)
      return reason === undefined
    })
    return work({ ...reached, world, driver, traits, units })
  })
