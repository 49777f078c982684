/** What is worth telling although it succeeded, in the engine's own words. */
import { warningMessage } from './messages.ts'
import type { Message } from './schema/shape.ts'

const look = 'No action is needed for this item unless you did not expect it'

export const warning = (found: string, remedy = look): Message => warningMessage('other', { Found: found, Remedy: remedy })
