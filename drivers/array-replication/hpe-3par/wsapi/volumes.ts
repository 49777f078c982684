/** `/volumes`: base volumes, snapshots (virtual copies) and clones (physical copies) share this collection. Sizes are MiB. */
import { volumeAction } from './enums.ts'
import type { Wsapi } from './client.ts'
import { segment, withQuery } from './query.ts'
import { listOf, Started, Volume } from './schemas.ts'
import { unless } from './errors.ts'
import { understand } from './client.ts'

export const listVolumes = async (api: Wsapi, query: string | undefined, signal: AbortSignal): Promise<readonly Volume[]> =>
  (await api.get(withQuery('/volumes', query), listOf(Volume), 'list the volumes', signal)).members

export const findVolume = async (api: Wsapi, name: string, signal: AbortSignal): Promise<Volume | undefined> =>
  unless('notFound', api.get(`/volumes/${segment(name)}`, Volume, `read volume ${name}`, signal))

export interface NewVolume {
  readonly name: string
  readonly cpg: string
  readonly sizeMiB: number
  readonly snapCPG?: string
  readonly tpvv?: boolean
  readonly tdvv?: boolean
  readonly reduce?: boolean
  readonly compression?: boolean
  readonly comment?: string
}

export const createVolume = async (api: Wsapi, want: NewVolume, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'POST', path: '/volumes', body: want, what: `create volume ${want.name}` }, signal)
}

export const modifyVolume = async (api: Wsapi, name: string, change: { readonly newName?: string; readonly comment?: string; readonly snapCPG?: string }, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'PUT', path: `/volumes/${segment(name)}`, body: change, what: `change volume ${name}`, repeatable: change.newName === undefined }, signal)
}

/** Adds to the size; the array rounds the increment up to 256 MiB. Never repeated: each one adds. */
export const growVolume = async (api: Wsapi, name: string, byMiB: number, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'PUT', path: `/volumes/${segment(name)}`, body: { action: volumeAction.grow, sizeMiB: byMiB }, what: `grow volume ${name}` }, signal)
}

export const removeVolume = async (api: Wsapi, name: string, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'DELETE', path: `/volumes/${segment(name)}`, what: `remove volume ${name}` }, signal)
}

export interface NewSnapshot {
  readonly name: string
  readonly readOnly: boolean
  readonly comment?: string
}

export const createSnapshot = async (api: Wsapi, parent: string, want: NewSnapshot, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'POST', path: `/volumes/${segment(parent)}`, body: { action: 'createSnapshot', parameters: want }, what: `snapshot volume ${parent}` }, signal)
}

/** One point in time for all members of a volume set; `@count@` in the name becomes the number of the member. */
export const createSetSnapshot = async (api: Wsapi, set: string, want: NewSnapshot, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'POST', path: `/volumesets/${segment(set)}`, body: { action: 'createSnapshot', parameters: want }, what: `snapshot the volumes of set ${set}` }, signal)
}

/** Copies the snapshot's content onto its base; answers the id of the task. */
export const promoteSnapshot = async (api: Wsapi, name: string, options: { readonly online?: true; readonly allowRemoteCopyParent?: true }, signal: AbortSignal): Promise<number> => {
  const what = `restore from snapshot ${name}`
  const { body } = await api.write({ method: 'PUT', path: `/volumes/${segment(name)}`, body: { action: volumeAction.promote, ...options }, what }, signal)
  return understand(Started, body, what).taskid
}

export interface NewCopy {
  readonly destVolume: string
  readonly destCPG: string
  readonly snapCPG?: string
  readonly tpvv?: boolean
  readonly tdvv?: boolean
  readonly reduce?: boolean
  readonly compression?: boolean
}

/** A clone that is usable at once while its data is copied behind; answers the id of the task. */
export const createOnlineCopy = async (api: Wsapi, source: string, want: NewCopy, signal: AbortSignal): Promise<number> => {
  const what = `clone volume ${source} to ${want.destVolume}`
  const { body } = await api.write({ method: 'POST', path: `/volumes/${segment(source)}`, body: { action: 'createPhysicalCopy', parameters: { online: true, ...want } }, what }, signal)
  return understand(Started, body, what).taskid
}
