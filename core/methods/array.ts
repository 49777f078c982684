/** The calls of arrays: every operation of a storage array plug-in, under the field's names. */
import * as z from 'zod'
import { method, minutes, seconds, type MethodShape } from './define.ts'
import { arrayConfig, arrayName, arrayRef, arrayType, CapabilityInfo, GroupInfo, initiators, itemOf, objectId, outcomeOf, SnapshotInfo, VolumeInfo } from './array-wire.ts'
import { Bytes, Changed, ErrorReportWire, Name, size } from './wire.ts'

const array = arrayRef
const volume = objectId('The volume, by its id on the array')
const snapshot = objectId('The snapshot, by its id on the array')
const volumes = z.array(volume).min(1).max(1000).meta({ description: 'Volumes by their ids' })
const groups = z.array(z.string().min(1).max(200)).min(1).max(1000).meta({ description: 'Access groups by name' })
const group = objectId('The access group')

const base = { errors: ['notFound', 'notSupported', 'notLicensed', 'arrayFault', 'unauthenticated'], lock: { sr: 'none' } } as const
const read = { ...base, effect: 'read', repeat: 'no-op', deadlineMs: 60 * seconds } as const
const write = { ...base, errors: [...base.errors, 'busy', 'stillPresented', 'hasDependents', 'alreadyExists', 'noSpace', 'limitExceeded', 'wouldLoseData', 'restoreNotSafe', 'offlineOnly', 'sizeOutOfRange'], effect: 'write', repeat: 'no-op', deadlineMs: 10 * minutes } as const

const cli = (verb: string, positionals: readonly string[], example: string): MethodShape['cli'] => ({ noun: 'array', verb, positionals, examples: [`smctl array ${verb} ${example}`.trim()] })

export const arrayMethods = {
  'Array.types': method({
    ...read, errors: [], doc: 'Lists the array types with what their code can do and the keys of their connection.', params: () => z.strictObject({}),
    result: () => z.strictObject({ types: z.array(z.strictObject({
      type: z.string(), title: z.string(), summary: z.string(), protocols: z.array(z.string()), features: CapabilityInfo(),
      connection: z.record(z.string(), z.unknown()).meta({ description: 'JSON Schema of the connection' }), example: z.record(z.string(), z.string()),
      replication_modes: z.array(z.string()), identification: z.string().optional(), sites: z.record(z.string(), z.string()).optional(),
    })) }), cli: cli('types', [], ''),
  }),
  'Array.add': method({
    ...write, doc: 'Configures an array under a name, after it was reached and validated; secrets stay in a private file of this host.',
    params: () => z.strictObject({ name: arrayName, type: arrayType, device_config: arrayConfig }), result: Changed,
    cli: cli('add', ['name', 'type'], 'left model directory=/srv/arrays/a'),
  }),
  'Array.forget': method({ ...write, errors: [], doc: 'Forgets a configured array; nothing on it is touched.', params: () => z.strictObject({ name: arrayName }), result: Changed, cli: cli('forget', ['name'], 'left') }),
  'Array.list': method({
    ...read, errors: [], doc: 'Lists the configured arrays, without secrets.', params: () => z.strictObject({}),
    result: () => z.strictObject({ arrays: z.array(z.strictObject({ name: z.string(), type: z.string(), device_config: z.record(z.string(), z.string()) })) }), cli: cli('list', [], ''),
  }),
  'Array.info': method({
    ...read, doc: 'Reaches an array and tells what it is, how it fares, what it can do now, its pools, its ports and, behind a concentrator, the arrays there.', params: () => z.strictObject({ array }),
    result: () => z.strictObject({
      id: z.string(), name: z.string(), vendor: z.string(), model: z.string(), serial: z.string().optional(), version: z.string(), health: z.string(), says: z.string(),
      total_size: Bytes, used_size: Bytes, free_size: Bytes, capabilities: CapabilityInfo(), storage_names: z.array(z.string()),
      pools: z.array(z.strictObject({ id: z.string(), name: z.string(), total_size: Bytes.optional(), free_size: Bytes })),
      ports: z.array(z.strictObject({ id: z.string(), kind: z.enum(['fc', 'iscsi', 'nfs']), name: z.string(), address: z.string().optional(), port: z.int().optional(), online: z.boolean() })),
    }), cli: cli('info', ['array'], 'left'),
  }),
  'Array.volumes': method({
    ...read, doc: 'Lists the volumes and clones of an array, never its snapshots.',
    params: () => z.strictObject({ array, volumes: z.array(volume).max(1000).optional().meta({ description: 'Only these' }), local_paths: z.boolean().default(false).meta({ description: 'With the device paths on this host' }) }),
    result: () => z.strictObject({ volumes: z.array(VolumeInfo()) }), cli: cli('volumes', ['array'], 'left'),
  }),
  'Array.create_volume': method({
    ...write, doc: 'Creates a volume; the same name with equal properties is done already.',
    params: () => z.strictObject({
      array, name: Name.min(1), size, pool: objectId('Where it is made').optional(), qos: objectId('A value of Array.qos; ignored where there is none').optional(),
      provisioning: z.enum(['thin', 'full']).default('thin').meta({ description: 'thin where the array can' }),
    }),
    result: () => outcomeOf(VolumeInfo()), cli: cli('create-volume', ['array', 'name', 'size'], 'left disk1 10G'),
  }),
  'Array.resize_volume': method({
    ...write, doc: 'Makes a volume larger, or smaller when that was said; answers the real size.',
    params: () => z.strictObject({ array, volume, size, shrink: z.boolean().default(false).meta({ description: 'It may become smaller: what is beyond is lost' }) }),
    result: () => outcomeOf(VolumeInfo()), cli: cli('resize-volume', ['array', 'volume', 'size'], 'left volume-1 20G'),
  }),
  'Array.remove_volume': method({ ...write, doc: 'Removes a volume that is neither presented, replicated nor depended on; never makes it so.', params: () => z.strictObject({ array, volume }), result: Changed, cli: cli('remove-volume', ['array', 'volume'], 'left volume-1') }),
  'Array.set_online': method({
    ...write, doc: 'Takes a volume online or offline; its presentation stays.', params: () => z.strictObject({ array, volume, online: z.boolean().default(true).meta({ description: 'Online; false takes it offline' }) }),
    result: VolumeInfo, cli: cli('set-online', ['array', 'volume'], 'left volume-1 --online'),
  }),
  'Array.present': method({ ...write, doc: 'Presents a volume to access groups, besides those it is presented to.', params: () => z.strictObject({ array, volume, groups }), result: VolumeInfo, cli: cli('present', ['array', 'volume'], 'left volume-1 --groups hosts') }),
  'Array.unpresent': method({ ...write, doc: 'Takes a volume away from the named access groups only.', params: () => z.strictObject({ array, volume, groups }), result: VolumeInfo, cli: cli('unpresent', ['array', 'volume'], 'left volume-1 --groups hosts') }),
  'Array.groups': method({
    ...read, doc: 'Lists access groups, all or those a volume is presented to.', params: () => z.strictObject({ array, volume: volume.optional() }),
    result: () => z.strictObject({ groups: z.array(GroupInfo()) }), cli: cli('groups', ['array'], 'left'),
  }),
  'Array.create_group': method({ ...write, doc: 'Creates an access group.', params: () => z.strictObject({ array, group, initiators }), result: GroupInfo, cli: cli('create-group', ['array', 'group'], 'left hosts --initiators iscsi:iqn.2026-01.org.example:host7') }),
  'Array.remove_groups': method({
    ...write, doc: 'Removes access groups, as many as possible; one result each.', params: () => z.strictObject({ array, groups }),
    result: () => z.strictObject({ results: z.array(itemOf(z.null())) }), cli: cli('remove-groups', ['array'], 'left --groups hosts'),
  }),
  'Array.rename_group': method({ ...write, repeat: 'fails', doc: 'Renames an access group.', params: () => z.strictObject({ array, group, name: Name.min(1) }), result: GroupInfo, cli: cli('rename-group', ['array', 'group', 'name'], 'left hosts cluster1') }),
  'Array.change_group': method({
    ...write, doc: 'Adds initiators to an access group and takes others out.',
    params: () => z.strictObject({ array, group, add: initiators.default([]), remove: initiators.default([]) }), result: GroupInfo, cli: cli('change-group', ['array', 'group'], 'left hosts --add fc:50:01:43:80:00:00:00:01'),
  }),
  'Array.snapshots': method({ ...read, doc: 'Lists snapshots, all or those of a volume.', params: () => z.strictObject({ array, volume: volume.optional() }), result: () => z.strictObject({ snapshots: z.array(SnapshotInfo()) }), cli: cli('snapshots', ['array'], 'left') }),
  'Array.snapshot': method({
    ...write, repeat: 'fails', doc: 'Takes one snapshot of one volume, or of many at one point in time.', params: () => z.strictObject({ array, volumes, name: Name.min(1).optional() }),
    result: () => outcomeOf(SnapshotInfo()), cli: cli('snapshot', ['array'], 'left --volumes volume-1'),
  }),
  'Array.plan_restore': method({
    ...read, doc: 'Tells what else a restore of a snapshot would affect.', params: () => z.strictObject({ array, snapshot, volume: volume.optional() }),
    result: () => z.strictObject({ newer_snapshots: z.array(z.string()), clones: z.array(z.string()), other_volumes: z.array(z.string()), presented_to: z.array(z.string()), replication_unit: z.string().optional() }),
    cli: cli('plan-restore', ['array', 'snapshot'], 'left snapshot-2'),
  }),
  'Array.restore': method({ ...write, doc: 'Restores a snapshot, or one volume of it; refuses when anything else would be affected.', params: () => z.strictObject({ array, snapshot, volume: volume.optional() }), result: () => outcomeOf(z.null()), cli: cli('restore', ['array', 'snapshot'], 'left snapshot-2') }),
  'Array.remove_snapshot': method({ ...write, doc: 'Removes a snapshot that nothing uses.', params: () => z.strictObject({ array, snapshot }), result: Changed, cli: cli('remove-snapshot', ['array', 'snapshot'], 'left snapshot-2') }),
  'Array.clone': method({
    ...write, repeat: 'fails', doc: 'Makes a shallow clone of a volume, or of what it was at a snapshot.',
    params: () => z.strictObject({ array, volume, snapshot: snapshot.optional(), name: Name.min(1).optional(), qos: objectId('A value of Array.qos').optional() }), result: () => outcomeOf(VolumeInfo()), cli: cli('clone', ['array', 'volume'], 'left volume-1 --name copy1'),
  }),
  'Array.clones': method({ ...read, doc: 'Lists clones, all or those of a volume.', params: () => z.strictObject({ array, volume: volume.optional() }), result: () => z.strictObject({ volumes: z.array(VolumeInfo()) }), cli: cli('clones', ['array'], 'left') }),
  'Array.split': method({ ...write, doc: 'Makes a clone independent of its parent.', params: () => z.strictObject({ array, volume }), result: () => outcomeOf(VolumeInfo()), cli: cli('split', ['array', 'volume'], 'left volume-3') }),
  'Array.limits': method({
    ...read, doc: 'Tells how many snapshots and clones are still possible (-1: no limit), and whether a clone can be split.', params: () => z.strictObject({ array, volume: volume.optional() }),
    result: () => z.strictObject({ snapshots: z.int(), snapable: z.boolean(), clones: z.int(), cloneable: z.boolean(), splittable: z.boolean() }), cli: cli('limits', ['array'], 'left'),
  }),
  'Array.qos': method({ ...read, doc: 'Lists the QoS values of an array.', params: () => z.strictObject({ array }), result: () => z.strictObject({ qos: z.array(z.strictObject({ value: z.string(), label: z.string() })) }), cli: cli('qos', ['array'], 'left') }),
  'Array.set_qos': method({ ...write, doc: 'Gives a volume a QoS value.', params: () => z.strictObject({ array, volume, qos: objectId('A value of Array.qos') }), result: Changed, cli: cli('set-qos', ['array', 'volume', 'qos'], 'left volume-1 gold') }),
  'Array.job': method({
    ...read, doc: 'Tells how far a job of the array is, also one that another process started.', params: () => z.strictObject({ array, job: objectId('The id that the starting call answered') }),
    result: () => z.strictObject({ job: z.string(), state: z.enum(['running', 'succeeded', 'failed', 'unknown']), percent: z.number().optional(), eta_seconds: z.number().optional(), error: ErrorReportWire().optional() }),
    cli: cli('job', ['array', 'job'], 'left 17'),
  }),
} as const
