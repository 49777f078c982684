/** One clear error out of what zod found: names the field, says what was found and what is wanted, repeats no secrets. */
import type * as z from 'zod'
import { StorageError } from './errors.ts'

interface InvalidOptions {
  readonly layer: string
  /** Put before the path, as in `device_config.location`. */
  readonly prefix?: string
  /** Names that would have been right, for misspelt keys. */
  readonly known?: readonly string[]
  readonly remedy?: string
}

/** The nearest known name, when it is near enough to be a misspelling. */
const nearest = (name: string, known: readonly string[]): string | undefined => {
  const distance = (a: string, b: string): number => {
    let row = Array.from({ length: b.length + 1 }, (_, index) => index)
    for (let i = 1; i <= a.length; i += 1) {
      const next = [i]
      for (let j = 1; j <= b.length; j += 1) {
        next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)))
      }
      row = next
    }
    return row[b.length] ?? 0
  }
  if (name.length > 64) return undefined
  const ranked = known.map((candidate) => [distance(name.toLowerCase(), candidate.toLowerCase()), candidate] as const)
  ranked.sort((a, b) => a[0] - b[0])
  const best = ranked[0]
  return best !== undefined && best[0] <= Math.max(1, Math.floor(name.length / 3)) ? best[1] : undefined
}

const shorten = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}...` : text)

export const invalidFromZod = (error: z.ZodError, options: InvalidOptions): StorageError => {
  const sentences = error.issues.slice(0, 5).map((issue) => {
    const path = [...(options.prefix === undefined ? [] : [options.prefix]), ...issue.path.map(String)].join('.')
    if (issue.code === 'unrecognized_keys') {
      return issue.keys
        .slice(0, 5)
        .map((key) => {
          const guess = nearest(key, options.known ?? [])
          return `${path === '' ? '' : `${path}: `}unknown key ${JSON.stringify(shorten(key))}${guess === undefined ? '' : `, did you mean ${guess}?`}`
        })
        .join('; ')
    }
    return `${path === '' ? 'parameters' : path}: ${issue.message}`
  })
  const more = error.issues.length > 5 ? ` (and ${error.issues.length - 5} more)` : ''
  const first = error.issues[0]
  const field = [...(options.prefix === undefined ? [] : [options.prefix]), ...(first?.path ?? []).map(String),
    ...(first?.code === 'unrecognized_keys' ? [shorten(first.keys[0] ?? '')] : [])].join('.')
  return new StorageError('invalidArgument', `${sentences.join('; ')}${more}`, {
    layer: options.layer,
    ...(field === '' ? {} : { field }),
    ...(options.remedy === undefined ? {} : { remedy: options.remedy }),
  })
}
