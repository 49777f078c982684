/**
 * The stores of volumes and files speak of devices, and name the dconf key `device`. Whoever typed a dconf of LUNs reads which of
 * its keys is meant, and commands that fit its type.
 */
import { StorageError } from '../../core/errors.ts'
import type { Wanted } from './chosen-luns.ts'

export interface Words {
  /** SR type of whoever called. */
  readonly type: string
  readonly key: Wanted['key']
}

/** On a LUN, the types of volume groups on devices go by other names. */
const typeOnLuns: Readonly<Record<string, string>> = { lvm: 'lvmoiscsi', lvmthin: 'lvmthinoiscsi', ext: 'extoiscsi' }

const phrases: readonly (readonly [RegExp, (words: Words, ...found: readonly string[]) => string])[] = [
  [/smctl sr reidentify \S+ (\S+) device=(\S+)/g, ({ type, key }, original = '', device = '') => `smctl sr reidentify ${type} ${original} ${key}=<the LUN of ${device}> and the keys that reach it`],
  [/\bsmctl sr probe ext\b/g, ({ type }) => `smctl sr probe ${type}`],
  [/\bname it in device\b/g, ({ key }) => `name it in ${key}`],
  [/\b(of type|of another type:) (lvmthin|lvm|ext)\b/g, (_words, what = '', type = '') => `${what} ${typeOnLuns[type] ?? type}`],
]

export const inWords = (words: Words, text: string): string =>
  phrases.reduce((said, [pattern, replace]) => said.replace(pattern, (_match, ...found: readonly unknown[]) => replace(words, ...found.filter((part) => typeof part === 'string'))), text)

/** The same failure, told in terms of LUNs; whatever else was thrown stays what it is. */
export const inTermsOfLuns = (words: Words, error: unknown): unknown => {
  if (!(error instanceof StorageError)) return error
  const { field, remedy } = error.facts
  return new StorageError(error.kind, inWords(words, error.message), {
    ...error.facts, cause: error,
    ...(field === 'device_config.device' ? { field: `device_config.${words.key}` } : {}),
    ...(remedy === undefined ? {} : { remedy: inWords(words, remedy) }),
  })
}
