/** Finding, making and removing volumes and snapshots: what requests, copies and remote copy share. */
import { randomUUID } from 'node:crypto'
import { bytesKey, nextId, type Group, type SimArray, type Volume, type World } from './model.ts'
import { refuse } from './refusals.ts'

export const bytesPerMiB = 1_048_576

export const needVolume = (array: SimArray, name: string): Volume => {
  const volume = array.tables.volumes.get(name)
  if (volume === undefined) throw refuse('volumeMissing', name)
  return volume
}

export const volumeById = (array: SimArray, id: number | undefined): Volume | undefined =>
  id === undefined ? undefined : array.tables.volumes.all().find((volume) => volume.id === id)

export const childrenOf = (array: SimArray, volume: Volume): readonly Volume[] => array.tables.volumes.all().filter(({ parent }) => parent === volume.id)

export const groupOf = (array: SimArray, volume: Volume): Group | undefined =>
  array.tables.groups.all().find(({ volumes }) => volumes.some(({ local }) => local === volume.id))

/** 16 bytes, NAA type 6: `60002AC`, zeros, the volume's id, the system's id (facts 3). */
const wwnOf = (array: SimArray, id: number): string =>
  `60002AC${'0'.repeat(9)}${id.toString(16).padStart(8, '0')}${array.id.toString(16).padStart(8, '0')}`.toUpperCase()

export const exportsOf = (array: SimArray, volume: Volume) => {
  const sets = array.tables.volumeSets.all().filter(({ members }) => members.includes(volume.name)).map(({ name }) => `set:${name}`)
  return array.tables.vluns.all().filter(({ volumeName }) => volumeName === volume.name || sets.includes(volumeName))
}

type New = Pick<Volume, 'name' | 'sizeMiB' | 'cpg' | 'provisioning'> & Partial<Omit<Volume, 'uuid' | 'createdMs'>>

/** Makes the record and the file; the name must be free. Steps: 1. the file; 2. the record, with the request. Killed between: the next start removes the file. */
export const addVolume = (world: World, array: SimArray, wanted: New): Volume => {
  const { tables } = array
  const id = wanted.id ?? nextId(tables, 'volume')
  if (wanted.id !== undefined && (tables.values.get('lastId:volume') ?? 0) < id) tables.values.put('lastId:volume', id)
  const volume: Volume = {
    wwn: wwnOf(array, id), copyType: wanted.provisioning === 3 ? 3 : 1, compression: false, readOnly: false,
    policies: {}, percents: {}, ...wanted, id, uuid: randomUUID(), createdMs: world.now(),
  }
  const key = bytesKey(array, id)
  world.blocks.create(key, volume.sizeMiB * bytesPerMiB, volume.parent === undefined ? undefined : bytesKey(array, volume.parent))
  world.onDiscard.push(() => world.blocks.remove(key))
  tables.volumes.put(volume.name, volume)
  return volume
}

/** Removes record, key-values, and after the commit the file. Whether it may go is the caller's question. */
export const dropVolume = (world: World, array: SimArray, volume: Volume): void => {
  array.tables.volumes.remove(volume.name)
  for (const { key } of array.tables.keyValues.all().filter((entry) => array.tables.keyValues.get(`${volume.id}/${entry.key}`) === entry)) array.tables.keyValues.remove(`${volume.id}/${key}`)
  world.afterCommit.push(() => world.blocks.remove(bytesKey(array, volume.id)))
}

interface SnapshotWishes {
  readonly readOnly: boolean
  readonly id?: number | undefined
  readonly comment?: string | undefined
  readonly expiresMs?: number | undefined
  readonly retainedUntilMs?: number | undefined
}

export const addSnapshot = (world: World, array: SimArray, parent: Volume, name: string, { readOnly, id, comment, expiresMs, retainedUntilMs }: SnapshotWishes): Volume =>
  addVolume(world, array, {
    name, sizeMiB: parent.sizeMiB, cpg: parent.cpg, provisioning: 3, readOnly, parent: parent.id,
    ...(parent.snapCpg === undefined ? {} : { snapCpg: parent.snapCpg }), ...(id === undefined ? {} : { id }), ...(comment === undefined ? {} : { comment }),
    ...(expiresMs === undefined ? {} : { expiresMs }), ...(retainedUntilMs === undefined ? {} : { retainedUntilMs }),
  })

/** Throws the first reason why the volume must not go; drivers depend on telling these apart (facts 5). */
export const needRemovable = (world: World, array: SimArray, volume: Volume): void => {
  const running = array.tables.tasks.all().find((task) => task.status === 2 && (task.source === volume.id || task.destination === volume.id))
  if (running?.type === 18 && running.destination === volume.id) throw refuse('other', volume.name)
  if (running !== undefined) throw refuse('busy', volume.name)
  if (groupOf(array, volume) !== undefined) throw refuse('inGroup', volume.name)
  if (array.tables.vluns.all().some(({ volumeName }) => volumeName === volume.name)) throw refuse('exportedVlun', volume.name)
  if (array.tables.volumeSets.all().some(({ members }) => members.includes(volume.name))) throw refuse('inUse', volume.name)
  const children = childrenOf(array, volume)
  if (children.some(({ readOnly }) => readOnly)) throw refuse('readOnlyChild', volume.name)
  if (children.length > 0) throw refuse('hasChild', volume.name)
  if (volume.retainedUntilMs !== undefined && volume.retainedUntilMs > world.now()) throw refuse('retained', volume.name)
}

/** All that names a volume follows it. */
export const renameVolume = (array: SimArray, volume: Volume, name: string): void => {
  const { volumes, volumeSets, vluns, groups } = array.tables
  volumes.remove(volume.name)
  volumes.put(name, { ...volume, name })
  for (const set of volumeSets.all().filter(({ members }) => members.includes(volume.name))) {
    volumeSets.put(set.name, { ...set, members: set.members.map((member) => (member === volume.name ? name : member)) })
  }
  for (const vlun of vluns.all().filter(({ volumeName }) => volumeName === volume.name)) {
    vluns.remove(vlunKey(vlun))
    vluns.put(vlunKey({ ...vlun, volumeName: name }), { ...vlun, volumeName: name })
  }
  for (const group of groups.all().filter(({ volumes: inside }) => inside.some(({ local }) => local === volume.id))) {
    groups.put(group.name, { ...group, volumes: group.volumes.map((member) => (member.local === volume.id ? { ...member, localName: name } : member)) })
  }
}

interface VlunName {
  readonly volumeName: string
  readonly lun: number
  readonly hostname?: string | undefined
  readonly portPos?: { readonly node: number; readonly slot: number; readonly cardPort: number } | undefined
}

/** How a VLUN is called in paths: `volume,lun[,host][,n:s:p]`, with an empty host for a port. */
export const vlunKey = ({ volumeName, lun, hostname, portPos }: VlunName): string => {
  const port = portPos === undefined ? undefined : `${portPos.node}:${portPos.slot}:${portPos.cardPort}`
  return [volumeName, lun, ...(hostname === undefined && port === undefined ? [] : [hostname ?? '']), ...(port === undefined ? [] : [port])].join(',')
}
