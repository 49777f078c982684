/** `?query=` expressions of collections. Names go in as they are: the array's names need no quoting, and anything else is refused. */
import { StorageError } from '../../../../core/errors.ts'
import { layer } from './layer.ts'

/** Volumes, hosts and the like; sets carry `set:` before it. IQNs have colons. */
const word = /^[A-Za-z0-9._:@-]+$/

const checked = (value: string): string => {
  if (word.test(value)) return value
  throw new StorageError('invalidArgument', `${JSON.stringify(value.slice(0, 60))} cannot be the name of an object on the array`, { layer, remedy: 'Names take letters, digits, dot, dash and underscore' })
}

export const equals = (member: string, value: string): string => `${member} EQ ${checked(value)}`
export const startsWith = (member: string, prefix: string): string => `${member} LIKE ${checked(prefix)}*`
export const anyOf = (...terms: readonly string[]): string => terms.join(' OR ')
export const allOf = (...terms: readonly string[]): string => terms.join(' AND ')

/** Hosts by any of their initiators (WWNs as 16 bare hex digits, and iSCSI names). */
export const byInitiators = (wwns: readonly string[], iqns: readonly string[]): string =>
  [
    ...(wwns.length === 0 ? [] : [`FCPaths[${wwns.map((wwn) => `wwn==${checked(wwn)}`).join(' OR ')}]`]),
    ...(iqns.length === 0 ? [] : [`iSCSIPaths[${iqns.map((iqn) => `name==${checked(iqn)}`).join(' OR ')}]`]),
  ].join(' OR ')

/** A collection with its query; the quotes are encoded with the rest. */
export const withQuery = (collection: string, query: string | undefined): string =>
  query === undefined ? collection : `${collection}?query=${encodeURIComponent(`"${query}"`)}`

/** One segment of a path. */
export const segment = (name: string): string => {
  // Dots and colons are legal in names and in set references; what could leave the segment is not.
  if (name === '' || name === '.' || name === '..') checked('')
  return encodeURIComponent(checked(name)).replaceAll('%3A', ':').replaceAll('%40', '@')
}
