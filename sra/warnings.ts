/** What is worth telling although it succeeded. In English: it is for the one item, in the engine's own words. */
import type { Message } from './schema/shape.ts'

const look = 'No action is needed for this item unless you did not expect it; the log of the adapter has the details'

export const warning = (description: string, fixHint = look): Message => ({ description, fixHint })
