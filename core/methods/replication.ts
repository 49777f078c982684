/** The calls of replication: status, transfer, tests, and the role changes of disaster recovery. */
import * as z from 'zod'
import { replicationModes, transfers, unitRoles } from '../array/replication.ts'
import { lazily } from '../lazily.ts'
import { unitStates } from '../replication/states.ts'
import { arrayRef, initiators, itemOf, objectId, peerRef, VolumeInfo } from './array-wire.ts'
import { method, minutes, seconds, type MethodShape } from './define.ts'
import { Changed, Name, size, Time } from './wire.ts'

const target = { array: arrayRef, peer: peerRef }
const unit = objectId('The unit: its id on this array, or its key')
const units = z.array(unit).min(1).max(1000).meta({ description: 'Units by id or key; every one is answered' })
const group = objectId('The group, by its name on both arrays')
const plan = z.string().max(64).optional().meta({ description: 'The token of Replication.plan, where data is discarded' })
const operator = z.string().min(1).max(40).optional().meta({ description: 'Who declares the other side out of use, when it cannot be seen' })

const LastConsistent = z.union([Time, z.literal('never'), z.literal('unknown')])

const UnitInfo = lazily(() => z.strictObject({
  unit: z.string(), key: z.string(), name: z.string(), kind: z.enum(['group', 'device']), peer: z.string(), mode: z.enum(replicationModes), period_seconds: z.int().optional(),
  state: z.enum(unitStates), says: z.string(), healthy: z.boolean(), direction: z.enum(['natural', 'reversed']), role: z.enum(unitRoles),
  source_role: z.enum(unitRoles), target_role: z.enum(unitRoles), source_disposition: z.enum(['demoted', 'fenced', 'stillActive', 'unknown']),
  transfer: z.enum(transfers), link: z.enum(['up', 'down', 'unknown']), last_consistent: LastConsistent, generation: z.int(), testing: z.boolean(),
  pending: z.strictObject({ operation: z.string(), id: z.string(), step: z.string(), host: z.string() }).optional(),
  failover: z.strictObject({ kind: z.enum(['planned', 'unplanned']), point: z.string(), time: Time, operator: z.string().optional() }).optional(),
  members: z.array(z.strictObject({ volume: z.string(), key: z.string(), name: z.string(), size: z.int(), sync: z.enum(['synced', 'syncing', 'stale', 'unknown']), lag_bytes: z.int().optional(), last_consistent: LastConsistent })),
  warnings: z.array(z.string()),
}))

const Done = z.strictObject({ changed: z.boolean(), state: z.enum(unitStates), says: z.string(), role: z.enum(unitRoles) })
const Results = lazily(() => z.strictObject({ results: z.array(itemOf(Done)) }))
const Session = z.strictObject({ session: z.string(), state: z.enum(['running', 'complete', 'failed']), joined: z.boolean(), percent: z.number().optional(), remaining_seconds: z.number().optional() })

const base = { errors: ['notFound', 'notSupported', 'notReplicated', 'wrongRole', 'splitBrain', 'arrayFault', 'unauthenticated'], lock: { sr: 'none' } } as const
const read = { ...base, effect: 'read', repeat: 'no-op', deadlineMs: 60 * seconds } as const
const write = { ...base, errors: [...base.errors, 'wouldLoseData', 'peerMaybeActive', 'staleGeneration', 'forceRequired', 'busy'], effect: 'write', repeat: 'no-op', long: true, deadlineMs: 30 * minutes } as const

const cli = (verb: string, positionals: readonly string[], example: string): MethodShape['cli'] => ({ noun: 'replication', verb, positionals, examples: [`smctl replication ${verb} ${example}`] })

const change = (doc: string, verb: string, example: string) => method({ ...write, doc, params: () => z.strictObject({ ...target, units }), result: Results, cli: cli(verb, ['array'], example) })
const directed = (doc: string, verb: string, example: string) => method({ ...write, doc, params: () => z.strictObject({ ...target, units, plan, operator }), result: Results, cli: cli(verb, ['array'], example) })

export const replicationMethods = {
  'Replication.list': method({
    ...read, doc: 'Lists the replicated units of an array with their state, seen from both arrays where the peer is named.', params: () => z.strictObject(target),
    result: () => z.strictObject({ units: z.array(UnitInfo()) }), cli: cli('list', ['array'], 'left --peer right'),
  }),
  'Replication.status': method({ ...read, doc: 'Tells everything about one unit, read afresh.', params: () => z.strictObject({ ...target, unit }), result: UnitInfo, cli: cli('status', ['array', 'unit'], 'left unit-7 --peer right') }),
  'Replication.check': method({
    ...read, doc: 'Tells what would keep a failover or a test from succeeding; changes nothing.', params: () => z.strictObject({ ...target, unit }),
    result: () => z.strictObject({ ready: z.boolean(), problems: z.array(z.string()), warnings: z.array(z.string()) }), cli: cli('check', ['array', 'unit'], 'right unit-7'),
  }),
  'Replication.plan': method({
    ...read, doc: 'Tells what an operation would discard: who loses, since when, what copy is kept; the token lets it be done.',
    params: () => z.strictObject({ ...target, unit, operation: z.enum(['failover', 'reverse', 'restore']).meta({ description: 'What is planned' }) }),
    result: () => z.strictObject({ operation: z.string(), unit: z.string(), state: z.enum(unitStates), loser: z.enum(['source', 'target']), last_common_point: LastConsistent, lost: z.array(z.string()), keeps: z.string(), discards: z.boolean(), plan: z.string() }),
    cli: cli('plan', ['array', 'unit', 'operation'], 'right unit-7 failover'),
  }),
  'Replication.points': method({
    ...read, doc: 'Lists the points in time that the array holds of a unit.', params: () => z.strictObject({ ...target, unit }),
    result: () => z.strictObject({ points: z.array(z.strictObject({ id: z.string(), name: z.string(), time: Time, consistency: z.string(), purpose: z.string() })) }), cli: cli('points', ['array', 'unit'], 'right unit-7'),
  }),
  'Replication.sync': method({ ...write, doc: 'Starts a cycle, or joins the one that runs, and answers at once.', params: () => z.strictObject({ ...target, unit }), result: () => Session, cli: cli('sync', ['array', 'unit'], 'right unit-7') }),
  'Replication.sync_status': method({ ...read, doc: 'Tells how far a sync is, also long after its end.', params: () => z.strictObject({ ...target, unit, session: objectId('The session of Replication.sync') }), result: () => Session, cli: cli('sync-status', ['array', 'unit', 'session'], 'right unit-7 s1') }),
  'Replication.pause': change('Pauses replication; the target keeps its last complete copy.', 'pause', 'left --units unit-7'),
  'Replication.resume': change('Takes replication up again.', 'resume', 'left --units unit-7'),
  'Replication.prepare_failover': change('Demotes the source, so that no host can write; replication goes on. Undone by restore.', 'prepare-failover', 'left --units unit-7'),
  'Replication.failover': method({
    ...write, doc: 'Makes the target writable: planned, with the source demoted and everything on the target, or unplanned, in a disaster.',
    params: () => z.strictObject({
      ...target, units, kind: z.enum(['planned', 'unplanned']).default('planned').meta({ description: 'planned loses nothing; unplanned needs a plan and, when the source cannot be fenced, an operator' }),
      plan, operator, force: z.boolean().default(false).meta({ description: 'The array\'s own force, after it answered forceRequired' }),
      recovery_point: objectId('A point of Replication.points; the latest when absent').optional(), initiators: initiators.optional().meta({ description: 'Whom to present the volumes to, as kind:id' }),
    }), result: Results, cli: cli('failover', ['array'], 'right --peer left --units unit-7 --initiators iscsi:iqn.2026-01.org.example:host7'),
  }),
  'Replication.prepare_reverse': directed('The part of a reverse at the other site, for arrays that have one.', 'prepare-reverse', 'right --units unit-7'),
  'Replication.reverse': directed('Replicates back from the promoted side; the old source is overwritten with the changes.', 'reverse', 'left --peer right --units unit-7'),
  'Replication.prepare_restore': directed('The part of a restore at the other site, for arrays that have one.', 'prepare-restore', 'left --units unit-7'),
  'Replication.restore': directed('Goes back to the old source: undoes a preparation, or discards what was written since a failover.', 'restore', 'right --peer left --units unit-7'),
  'Replication.start_test': method({
    ...write, repeat: 'fails', doc: 'Presents a writable copy of a complete point, beside replication.', params: () => z.strictObject({ ...target, unit, recovery_point: objectId('A point of Replication.points').optional(), initiators: initiators.default([]) }),
    result: () => z.strictObject({ test: z.string(), time: Time, copies: z.array(z.strictObject({ key: z.string(), copy: z.string() })), warnings: z.array(z.string()) }),
    cli: cli('start-test', ['array', 'unit'], 'right unit-7 --initiators iscsi:iqn.2026-01.org.example:host7'),
  }),
  'Replication.stop_test': change('Takes the copies of a test away.', 'stop-test', 'right --units unit-7'),
  'Replication.adopt': change('Makes the present direction the natural one.', 'adopt', 'left --peer right --units unit-7'),
  'Replication.create_volume': method({
    ...write, errors: [...write.errors, 'alreadyExists', 'noSpace', 'sizeOutOfRange', 'inProgress', 'unreachable'],
    doc: 'Makes a volume that is replicated from the start, and its group when there is none; a step that fails takes everything back.',
    params: () => z.strictObject({
      array: arrayRef, peer: arrayRef, group, name: Name.min(1), size, pool: objectId('Where it is made').optional(),
      provisioning: z.enum(['thin', 'full']).default('thin').meta({ description: 'thin where the array can' }),
      mode: z.enum(replicationModes).default('periodic').meta({ description: 'Of a group that is made' }),
      period_seconds: z.int().min(300).max(31_622_400).optional().meta({ description: 'Of a periodic group that is made' }),
    }),
    result: VolumeInfo, cli: cli('create-volume', ['array', 'peer', 'group', 'name', 'size'], 'left right Prod_RCG disk1 10G --mode synchronous'),
  }),
  'Replication.delete_volume': method({
    ...write, errors: [...write.errors, 'stillPresented', 'hasDependents', 'inProgress', 'unreachable'],
    doc: 'Deletes a replicated volume on both arrays, and its group when it was the last in it. Refused while it is presented.',
    params: () => z.strictObject({ array: arrayRef, peer: arrayRef, group, name: Name.min(1) }), result: Changed,
    cli: cli('delete-volume', ['array', 'peer', 'group', 'name'], 'left right Prod_RCG disk1'),
  }),
  'Replication.remove': method({
    ...write, doc: 'Ends the replication of a unit; the data of both sides stays.', params: () => z.strictObject({ ...target, unit }), result: () => z.strictObject({ changed: z.boolean(), warnings: z.array(z.string()) }), cli: cli('remove', ['array', 'unit'], 'left unit-7 --peer right'),
  }),
} as const
