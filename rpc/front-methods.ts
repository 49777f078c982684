/** Calls of this front end itself: they concern the connection, not the storage. Rows like those of core/methods. */
import * as z from 'zod'

const eventNames = ['changed', 'task'] as const

export const frontMethods = {
  'rpc.discover': {
    doc: 'Answers the OpenRPC document of everything that can be called here.',
    params: z.strictObject({}),
    result: z.record(z.string(), z.unknown()).meta({ description: 'An OpenRPC document' }),
    needsStream: false,
  },
  'rpc.cancel': {
    doc: 'Cancels a call that runs on the same connection; it then answers cancelled, or its result when it was too late.',
    params: z.strictObject({ id: z.union([z.string(), z.number()]).meta({ description: 'The id of the request to cancel' }) }),
    result: z.strictObject({ changed: z.boolean().meta({ description: 'False when no such call runs' }) }),
    needsStream: true,
  },
  'events.subscribe': {
    doc: 'Sends event notifications to this connection from now on; a repeat replaces the filter.',
    params: z.strictObject({
      events: z.array(z.enum(eventNames)).min(1).max(eventNames.length).optional().meta({ description: 'Only these kinds; absent: all' }),
      sr_uuid: z.string().max(64).toLowerCase().optional().meta({ description: 'Only changes of this SR; absent: of all' }),
    }),
    result: z.strictObject({ changed: z.boolean().meta({ description: 'False when it was subscribed already' }) }),
    needsStream: true,
  },
  'events.unsubscribe': {
    doc: 'Sends no more event notifications to this connection.',
    params: z.strictObject({}),
    result: z.strictObject({ changed: z.boolean().meta({ description: 'False when it was not subscribed' }) }),
    needsStream: true,
  },
} as const

export type FrontMethodName = keyof typeof frontMethods
export type FrontParams<M extends FrontMethodName> = z.output<(typeof frontMethods)[M]['params']>
export type FrontResult<M extends FrontMethodName> = z.output<(typeof frontMethods)[M]['result']>

export const frontMethodNames = Object.keys(frontMethods) as FrontMethodName[]
