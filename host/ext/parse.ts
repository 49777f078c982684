/** Reads what dumpe2fs says of a superblock (e2fsprogs 1.47; Debian 12). */
import { StorageError } from '../../core/errors.ts'

export interface Superblock {
  readonly uuid: string
  readonly features: readonly string[]
  /** Bytes. */
  readonly size: number
  /** `clean`, `not clean`, `clean with errors` ... */
  readonly state: string
  /** The kernel met errors in it since it was last checked. */
  readonly errors: number
}

export const parseSuperblock = (text: string): Superblock => {
  const values = new Map(text.split('\n').flatMap((line) => {
    const colon = line.indexOf(':')
    return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()] as const]
  }))
  const need = (name: string): string => {
    const value = values.get(name)
    if (value !== undefined) return value
    throw new StorageError('toolFailed', `dumpe2fs does not tell the ${name}: ${JSON.stringify(text.slice(0, 200))}`, {
      layer: 'host:dumpe2fs', remedy: 'Report this with the version of e2fsprogs on this host',
    })
  }
  const count = (name: string): number => {
    const number = Number(need(name))
    return Number.isSafeInteger(number) ? number : Number.NaN
  }
  return {
    uuid: need('Filesystem UUID'),
    features: need('Filesystem features').split(' '),
    size: count('Block count') * count('Block size'),
    state: need('Filesystem state'),
    errors: values.has('FS Error count') ? count('FS Error count') : 0,
  }
}
