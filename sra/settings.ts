/**
 * Replication settings as SRM keeps them for us: written by queryReplicationSettings, handed back later, perhaps much later. The array keeps
 * its settings itself through every change of direction, so what comes back is compared, and a difference is told; nothing is taken from it.
 */
import type { ReplicationUnit } from '../core/array/replication.ts'
import type { AnswerOf, RequestOf } from './schema/index.ts'
import { shown } from './log/log.ts'

type Written = Extract<NonNullable<AnswerOf<'queryReplicationSettings'>['replicationSettings']['consistencyGroups']>[number], { readonly replicationSettings: unknown }>['replicationSettings']
type Kept = NonNullable<RequestOf<'reverseReplication'>['parameters']['devices']>[number]['replicationSettings']

const namespace = 'urn:storage-manager:sra'
const form = '1'

/** What a change of direction should preserve; names and values, sorted. Nothing secret is among a unit's settings. */
const valuesOf = (unit: ReplicationUnit): readonly (readonly [name: string, value: string])[] =>
  Object.entries({ mode: unit.mode, ...(unit.periodSeconds === undefined ? {} : { period_seconds: String(unit.periodSeconds) }) })

const element = (name: string, attributes: Readonly<Record<string, string>>, children: Written['children'] = []): Written =>
  ({ name, namespace, attributes: new Map(Object.entries(attributes)), children, text: '', line: 0 })

export const settingsOf = (unit: ReplicationUnit): Written =>
  element('ReplicationSettings', { form }, valuesOf(unit).map(([name, value]) => element('Setting', { name, value })))

export const spelt = (unit: ReplicationUnit): string => valuesOf(unit).map(([name, value]) => `${name}=${shown(value)}`).join(' ')

/** What to correct by hand, in a sentence; undefined when the settings that were kept are those in force. */
export const difference = (unit: ReplicationUnit, kept: Kept): string | undefined => {
  if (kept === undefined) return undefined
  const known = new Map(kept.children.flatMap((child) => { const name = child.attributes.get('name'); return name === undefined ? [] : [[name, child.attributes.get('value') ?? '']] as const }))
  if (known.size === 0) return 'The replication settings of the request cannot be read'
  const wrong = valuesOf(unit).filter(([name, value]) => known.get(name) !== value)
  return wrong.length === 0 ? undefined : `Replication runs with ${wrong.map(([name, value]) => `${name} ${value} (it was ${known.get(name) ?? 'not recorded'})`).join(', ')}`
}
