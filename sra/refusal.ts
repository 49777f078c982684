/** What to say when there is no place for a response. */
import type { StorageError } from '../core/errors.ts'

export const refusalText = ({ message, facts: { remedy } }: StorageError): string => `${message}${remedy === undefined ? '' : `. ${remedy}`}`
