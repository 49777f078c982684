/**
 * Reading and writing volumes as a host does: by WWN, through a VLUN, with what the array refuses a host. Everything that
 * writes comes through here (the command line, tests, the iSCSI target), so that snapshots keep their content and synchronous
 * groups have a write on both sides before it is acknowledged.
 */
import { StorageError } from '../../../../core/errors.ts'
import { needRoomFor } from './cpgs.ts'
import { bytesKey, type SimArray, type Volume, type World } from './model.ts'
import { isRefused } from './refusals.ts'
import { mirrorOf } from './remote-copy/transfers.ts'
import { catchUp } from './time.ts'
import { activeTask } from './tasks.ts'
import { bytesPerMiB, groupOf } from './volume-records.ts'
import { presentedTo } from './vluns.ts'

const layer = 'simulator'

/** Why a host cannot write to the volume now, in the words of the array; nothing when it can. */
export const writeRefusal = (array: SimArray, volume: Volume): string | undefined => {
  if (volume.readOnly) return 'it is a read-only snapshot'
  const group = groupOf(array, volume)
  if (group?.role === 2) return `it is a secondary volume of remote copy group ${group.name}`
  if (group?.state === 7) return `remote copy group ${group.name} is in fail-safe state`
  if (activeTask(array, volume, ['promote', 'copy', 'resync'])?.destination === volume.id && volume.copyType === 2) return 'it is the destination of a copy'
  return undefined
}

const needRange = (volume: Volume, offset: number, length: number): void => {
  if (!Number.isSafeInteger(offset) || offset < 0 || length < 0 || offset + length > volume.sizeMiB * bytesPerMiB) {
    throw new StorageError('invalidArgument', `Bytes ${offset} to ${offset + length} are not all in volume ${volume.name} of ${volume.sizeMiB} MiB`, { field: 'offset', layer, remedy: 'Give an offset and a length within the volume' })
  }
}

/** Reads what a host would read. The volume must be one that the array has. */
export const readVolume = (world: World, array: SimArray, volume: Volume, offset: number, length: number): Buffer => {
  needRange(volume, offset, length)
  return world.blocks.read(bytesKey(array, volume.id), offset, length)
}

/**
 * Writes as a host does; when it returns the write is acknowledged. Steps: 1. the other side of a synchronous group;
 * 2. this side. Killed between: the write was not acknowledged; the next start makes the sides equal again.
 */
export const writeVolume = (world: World, array: SimArray, volume: Volume, offset: number, data: Buffer): void => {
  catchUp(world)
  needRange(volume, offset, data.length)
  const why = writeRefusal(array, volume)
  if (why !== undefined) throw new StorageError(volume.readOnly ? 'readOnly' : 'wrongRole', `Volume ${volume.name} of ${array.name} takes no writes: ${why}`, { layer, remedy: 'Write to the side that is active: smctl replication status, or GET /remotecopygroups on both arrays' })
  const key = bytesKey(array, volume.id)
  const mirror = mirrorOf(world, array, volume)
  try {
    needRoomFor(world, array, volume, world.blocks.growth(key, offset, data.length))
    if (mirror !== undefined) needRoomFor(world, mirror.array, mirror.volume, world.blocks.growth(bytesKey(mirror.array, mirror.volume.id), offset, data.length))
  } catch (error) {
    throw isRefused(error) ? new StorageError('noSpace', `${array.name} has no room for the write: ${error.message}`, { layer, remedy: 'Raise the growth limit of the CPG, or free space on the array' }) : error
  }
  if (mirror !== undefined) world.blocks.write(bytesKey(mirror.array, mirror.volume.id), offset, data)
  world.blocks.write(key, offset, data)
}

/** The volume with this WWN that the host sees; throws when the array is dead or the volume is not exported to the host. */
export const seenVolume = (world: World, array: SimArray, host: string, wwn: string): Volume => {
  if (!array.powered) throw new StorageError('unreachable', `Array ${array.name} does not answer`, { layer, remedy: `sim-arrays power --array ${array.name} --on` })
  catchUp(world)
  const name = array.tables.hosts.get(host)?.name ?? array.tables.hosts.all().find(({ iscsi, fc }) => iscsi.includes(host) || fc.includes(host))?.name
  const found = name === undefined ? undefined : presentedTo(array, name).find(({ volume }) => volume.wwn === wwn.toUpperCase())
  if (found === undefined) throw new StorageError('notFound', `Host ${host} sees no volume ${wwn} on ${array.name}`, { field: 'wwn', layer, remedy: 'Export it: POST /vluns' })
  return found.volume
}
