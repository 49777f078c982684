/** `/volumes/<v>/objectKeyValues`: short texts that the array keeps with a volume. Keys up to 31 characters; not replicated; gone with the volume. */
import { isCode, unless } from './errors.ts'
import type { Wsapi } from './client.ts'
import { segment } from './query.ts'
import { KeyValue, listOf, StampedKeyValue } from './schemas.ts'

const pathOf = (volume: string, key?: string): string => `/volumes/${segment(volume)}/objectKeyValues${key === undefined ? '' : `/${segment(key)}`}`

export const listKeyValues = async (api: Wsapi, volume: string, signal: AbortSignal): Promise<Readonly<Record<string, string>>> =>
  Object.fromEntries((await api.get(pathOf(volume), listOf(KeyValue), `read the metadata of volume ${volume}`, signal)).members.map(({ key, value }) => [key, value]))

export const readKeyValue = async (api: Wsapi, volume: string, key: string, signal: AbortSignal): Promise<string | undefined> =>
  (await unless('notFound', api.get(pathOf(volume, key), KeyValue, `read metadata ${key} of volume ${volume}`, signal)))?.value

/** Only when it is not there yet (alreadyExists else): the array decides between two who try at once. */
export const addKeyValue = async (api: Wsapi, volume: string, key: string, value: string, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'POST', path: pathOf(volume), body: { key, value }, what: `write metadata ${key} of volume ${volume}` }, signal)
}

export const putKeyValue = async (api: Wsapi, volume: string, key: string, value: string, signal: AbortSignal): Promise<void> => {
  try {
    await api.write({ method: 'PUT', path: pathOf(volume, key), body: { value }, what: `write metadata ${key} of volume ${volume}`, repeatable: true }, signal)
  } catch (error) {
    if (!isCode(error, 180)) throw error
    await addKeyValue(api, volume, key, value, signal)
  }
}

export const removeKeyValue = async (api: Wsapi, volume: string, key: string, signal: AbortSignal): Promise<void> => {
  await unless('notFound', api.write({ method: 'DELETE', path: pathOf(volume, key), what: `remove metadata ${key} of volume ${volume}`, repeatable: true }, signal))
}

/** When it was made, in seconds of the array's clock. */
export const readCreationSec = async (api: Wsapi, volume: string, key: string, signal: AbortSignal): Promise<number> =>
  (await api.get(pathOf(volume, key), StampedKeyValue, `read metadata ${key} of volume ${volume}`, signal)).creationTimeSec
