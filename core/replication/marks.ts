/**
 * What the engine keeps on the arrays between commands: which operation is under way (written before each array call), the
 * generation that tells the newer of two sides, and how the last failover ended. Short strings: arrays hold them as volume metadata.
 */
import * as z from 'zod'
import type { ReplicationUnit } from '../array/replication.ts'
import { replicationOperations } from './states.ts'

const Intent = z.strictObject({
  op: z.enum(replicationOperations),
  /** Of the operation, for whoever is told that it is in progress. */
  id: z.string().max(64),
  generation: z.int().nonnegative(),
  side: z.enum(['source', 'target']),
  step: z.string().max(32),
  /** The host that works on it. */
  host: z.string().max(64),
})
export type Intent = z.output<typeof Intent>

const FailoverRecord = z.strictObject({
  generation: z.int().positive(),
  kind: z.enum(['planned', 'unplanned']),
  /** The recovery point it went to, and the time of its data by that array's clock. */
  point: z.string().max(80),
  time: z.int(),
  operator: z.string().max(40).optional(),
})
export type FailoverRecord = z.output<typeof FailoverRecord>

export const markKeys = { intent: 'sm.intent', generation: 'sm.generation', failover: 'sm.failover', caughtUp: 'sm.caught-up', fenced: 'sm.fenced', demotion: 'sm.demotion', syncAfter: 'sm.sync-after', last: 'sm.last', hosts: 'sm.hosts' } as const

type Marks = ReplicationUnit['marks']

const parse = <T>(schema: z.ZodType<T>, text: string | undefined): T | undefined => {
  if (text === undefined) return undefined
  try {
    return schema.safeParse(JSON.parse(text)).data
  } catch {
    // Not ours, or cut short by the array: an unreadable intent is reported as needsOperator by whoever needs it.
    return undefined
  }
}

export const intentOf = (marks: Marks): Intent | undefined => parse(Intent, marks[markKeys.intent])
/** An intent is there and cannot be read: nobody knows what was under way. */
export const intentUnreadable = (marks: Marks): boolean => marks[markKeys.intent] !== undefined && intentOf(marks) === undefined
export const failoverOf = (marks: Marks): FailoverRecord | undefined => parse(FailoverRecord, marks[markKeys.failover])
export const writeIntent = (intent: Intent): string => JSON.stringify(intent)
export const writeFailover = (record: FailoverRecord): string => JSON.stringify(record)

export const generationOf = (marks: Marks | undefined): number => {
  const value = Number(marks?.[markKeys.generation] ?? '0')
  return Number.isSafeInteger(value) && value >= 0 ? value : 0
}
