/** Hiding values that nobody may see again: what a dconf marks as secret may come back in a tool's words or a driver's sentence. */
import { StorageError } from './errors.ts'

const masked = '***'

/** Replaces the secrets in any string of a value, however deep; errors become plain objects. */
export const hideSecrets = (value: unknown, secrets: readonly string[], depth = 0): unknown => {
  if (secrets.length === 0) return value
  if (typeof value === 'string') return secrets.reduce((text, secret) => text.replaceAll(secret, masked), value)
  if (depth > 6 || value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((item) => hideSecrets(item, secrets, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, hideSecrets(item, secrets, depth + 1)]))
}

/** The same failure without them. */
export const hideInError = (error: StorageError, secrets: readonly string[]): StorageError => {
  if (secrets.length === 0) return error
  const { cause: _cause, ...facts } = error.facts
  const hidden = new StorageError(error.kind, hideSecrets(error.message, secrets) as string, hideSecrets(facts, secrets) as typeof facts)
  hidden.stack = hideSecrets(error.stack, secrets) as string
  return hidden
}
