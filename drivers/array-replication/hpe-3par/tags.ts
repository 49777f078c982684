/** Names and comments of what this driver makes on an array, so that it finds its own again and never takes another's for its own. */
import { createHash } from 'node:crypto'

/** Snapshots of recovery points, of plain snapshots, of test copies; sets that live for one snapshot; hosts; sets that hold texts. */
export const prefixes = { point: 'smp-', snapshot: 'sms-', test: 'smt-', momentary: 'smx-', host: 'smh-', note: 'smn-' } as const

export const digest = (length: number, ...parts: readonly string[]): string => createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, length)

/** `sm1 word word ...`: words are base64url, so that any text survives whatever the array lets into a comment (511 characters at most). */
export const writeTag = (...words: readonly string[]): string => ['sm1', ...words.map((word) => Buffer.from(word, 'utf8').toString('base64url') || '-')].join(' ')

/** undefined: the comment is not one of ours. */
export const readTag = (comment: string | undefined): readonly string[] | undefined => {
  const [form, ...words] = comment?.split(' ') ?? []
  return form === 'sm1' ? words.map((word) => (word === '-' ? '' : Buffer.from(word, 'base64url').toString('utf8'))) : undefined
}
