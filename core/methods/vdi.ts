/** The VDI calls. All need the SR to be attached to this host. */
import * as z from 'zod'
import { method, minutes, seconds } from './define.ts'
import { AttachmentInfo, Changed, Description, LockInfo, Name, VdiInfo, size, sr_uuid, vdi_uuid } from './wire.ts'

const sr = '87b8646b-b800-9500-cb7b-af3b74e02f5c'
const vdi = '98de866e-b035-4b1a-a571-613bff542b89'
const other = '0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53'

const one = { sr_uuid, vdi_uuid }
const dest_uuid = vdi_uuid.optional().meta({ description: 'The new VDI; made up when absent' })
const owner = z.string().min(1).max(255).meta({ description: 'A string that is unique to the user of the lock' })

export const vdiMethods = {
  'VDI.create': method({
    doc: 'Creates a VDI of at least the given size.',
    params: () => z.strictObject({
      sr_uuid, vdi_uuid: vdi_uuid.optional().meta({ description: 'Made up when absent' }), size,
      name: Name.default(''), description: Description.default(''),
      shareable: z.boolean().default(false).meta({ description: 'Several hosts may write to it at once' }),
      provisioning: z.enum(['sparse', 'full']).default('sparse').meta({ description: 'Take space with use, or all at once' }),
    }),
    result: VdiInfo, errors: ['alreadyExists', 'noSpace', 'sizeOutOfRange', 'notSupported'],
    effect: 'write', repeat: 'fails', lock: { sr: 'exclusive', vdis: ['vdi_uuid'] }, feature: 'create', deadlineMs: 2 * minutes,
    cli: { noun: 'vdi', verb: 'create', positionals: ['sr_uuid', 'size'], examples: [`smctl vdi create ${sr} 10G --name "root disk"`] },
    xe: { verb: 'vdi_create', args: ['sr_uuid', 'vdi_uuid', 'size'] },
  }),
  'VDI.delete': method({
    doc: 'Deletes a VDI; one that is not there is done. Data that others depend on stays until the collector can merge it.',
    params: () => z.strictObject(one),
    result: Changed, errors: ['busy', 'notSupported'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'exclusive', vdis: ['vdi_uuid'] }, feature: 'destroy', deadlineMs: 2 * minutes,
    cli: { noun: 'vdi', verb: 'delete', positionals: ['sr_uuid', 'vdi_uuid'], examples: [`smctl vdi delete ${sr} ${vdi}`] },
    xe: { verb: 'vdi_delete', args: ['sr_uuid', 'vdi_uuid'] },
  }),
  'VDI.stat': method({
    doc: 'Tells all about one VDI, read from the storage.',
    params: () => z.strictObject(one),
    result: VdiInfo, errors: ['notFound', 'imageCorrupt'],
    effect: 'read', repeat: 'no-op', lock: { sr: 'none' }, deadlineMs: 30 * seconds,
    cli: { noun: 'vdi', verb: 'stat', positionals: ['sr_uuid', 'vdi_uuid'], examples: [`smctl vdi stat ${sr} ${vdi}`] },
  }),
  'VDI.attach': method({
    doc: 'Gives this host access to the VDI and tells where it is found.',
    params: () => z.strictObject({ ...one, mode: z.enum(['rw', 'ro']).optional().meta({ description: 'Absent: rw, or ro for a VDI that is read-only' }) }),
    result: AttachmentInfo, errors: ['notFound', 'busy', 'readOnly', 'imageCorrupt'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'shared', vdis: ['vdi_uuid'] }, deadlineMs: 2 * minutes,
    cli: { noun: 'vdi', verb: 'attach', positionals: ['sr_uuid', 'vdi_uuid'], examples: [`smctl vdi attach ${sr} ${vdi}`, `smctl vdi attach ${sr} ${vdi} --mode ro`] },
    xe: { verb: 'vdi_attach', args: ['sr_uuid', 'vdi_uuid'] },
  }),
  'VDI.detach': method({
    doc: 'Takes this host\'s access to the VDI away; a detached one is done.',
    params: () => z.strictObject(one),
    result: Changed, errors: ['busy'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'shared', vdis: ['vdi_uuid'], guard: 'by-operation' }, deadlineMs: 2 * minutes,
    cli: { noun: 'vdi', verb: 'detach', positionals: ['sr_uuid', 'vdi_uuid'], examples: [`smctl vdi detach ${sr} ${vdi}`] },
    xe: { verb: 'vdi_detach', args: ['sr_uuid', 'vdi_uuid'] },
  }),
  'VDI.snapshot': method({
    doc: 'Saves an immutable copy of a detached, unlocked VDI.',
    params: () => z.strictObject({ ...one, dest_uuid, name: Name.optional(), description: Description.optional() }),
    result: VdiInfo, errors: ['notFound', 'alreadyExists', 'noSpace', 'limitExceeded', 'offlineOnly', 'busy', 'notSupported', 'imageCorrupt'],
    effect: 'write', repeat: 'fails', lock: { sr: 'exclusive', vdis: ['vdi_uuid', 'dest_uuid'] }, feature: 'snapshot', deadlineMs: 2 * minutes,
    cli: { noun: 'vdi', verb: 'snapshot', positionals: ['sr_uuid', 'vdi_uuid'], examples: [`smctl vdi snapshot ${sr} ${vdi} --name "before the upgrade"`] },
    xe: { verb: 'vdi_snapshot', args: ['sr_uuid', 'vdi_uuid', 'dest_uuid'] },
  }),
  'VDI.clone': method({
    doc: 'Makes a writable copy of a detached, unlocked VDI that shares its data.',
    params: () => z.strictObject({ ...one, dest_uuid, name: Name.optional(), description: Description.optional() }),
    result: VdiInfo, errors: ['notFound', 'alreadyExists', 'noSpace', 'limitExceeded', 'offlineOnly', 'busy', 'notSupported', 'imageCorrupt'],
    effect: 'write', repeat: 'fails', lock: { sr: 'exclusive', vdis: ['vdi_uuid', 'dest_uuid'] }, feature: 'clone', deadlineMs: 2 * minutes,
    cli: { noun: 'vdi', verb: 'clone', positionals: ['sr_uuid', 'vdi_uuid'], examples: [`smctl vdi clone ${sr} ${vdi} --name "copy"`] },
    xe: { verb: 'vdi_clone', args: ['sr_uuid', 'vdi_uuid', 'dest_uuid'] },
  }),
  'VDI.resize': method({
    doc: 'Enlarges a detached VDI; its present size is done, a smaller one is refused.',
    params: () => z.strictObject({ ...one, size }),
    result: VdiInfo, errors: ['notFound', 'sizeOutOfRange', 'noSpace', 'offlineOnly', 'busy', 'readOnly', 'notSupported', 'imageCorrupt'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'shared', vdis: ['vdi_uuid'] }, feature: 'resize', deadlineMs: 5 * minutes,
    cli: { noun: 'vdi', verb: 'resize', positionals: ['sr_uuid', 'vdi_uuid', 'size'], examples: [`smctl vdi resize ${sr} ${vdi} 20G`] },
    xe: { verb: 'vdi_resize', args: ['sr_uuid', 'vdi_uuid', 'size'] },
  }),
  'VDI.revert': method({
    doc: 'Gives a detached VDI the content of one of its snapshots; what was written since is discarded, the snapshot stays.',
    params: () => z.strictObject({ ...one, snapshot_uuid: vdi_uuid.meta({ description: 'The snapshot to go back to' }) }),
    result: VdiInfo, errors: ['notFound', 'noSpace', 'limitExceeded', 'offlineOnly', 'busy', 'readOnly', 'notSupported', 'imageCorrupt'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'exclusive', vdis: ['vdi_uuid', 'snapshot_uuid'] }, feature: 'revert', deadlineMs: 2 * minutes,
    cli: { noun: 'vdi', verb: 'revert', positionals: ['sr_uuid', 'vdi_uuid', 'snapshot_uuid'], examples: [`smctl vdi revert ${sr} ${vdi} ${other}`] },
  }),
  'VDI.lock': method({
    doc: 'Takes the persistent lock of a VDI on the storage, refreshes one\'s own, or with force breaks another\'s.',
    params: () => z.strictObject({
      ...one, force: z.boolean().default(false).meta({ description: 'Break another owner\'s lock: only when it is known to be dead' }), owner,
      ttl_seconds: z.int().positive().max(365 * 86400).optional().meta({ description: 'Expires after so many seconds; absent: never' }),
    }),
    result: LockInfo, errors: ['notFound', 'lockUnavailable', 'notSupported'],
    effect: 'write', repeat: 'fails', lock: { sr: 'shared', vdis: ['vdi_uuid'] }, feature: 'lock', deadlineMs: 30 * seconds,
    cli: { noun: 'vdi', verb: 'lock', positionals: ['sr_uuid', 'vdi_uuid', 'owner'], examples: [`smctl vdi lock ${sr} ${vdi} host7/vm3`, `smctl vdi lock ${sr} ${vdi} host8/vm3 --force`] },
    xe: { verb: 'vdi_lock', args: ['sr_uuid', 'vdi_uuid', 'force', 'owner'] },
  }),
  'VDI.unlock': method({
    doc: 'Releases the persistent lock of a VDI; an unlocked one is done.',
    params: () => z.strictObject({ ...one, owner }),
    result: Changed, errors: ['notFound', 'lockUnavailable', 'notSupported'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'shared', vdis: ['vdi_uuid'] }, feature: 'lock', deadlineMs: 30 * seconds,
    cli: { noun: 'vdi', verb: 'unlock', positionals: ['sr_uuid', 'vdi_uuid', 'owner'], examples: [`smctl vdi unlock ${sr} ${vdi} host7/vm3`] },
    xe: { verb: 'vdi_unlock', args: ['sr_uuid', 'vdi_uuid', 'owner'] },
  }),
  'VDI.set_names': method({
    doc: 'Sets name and description, which live on the storage.',
    params: () => z.strictObject({ ...one, name: Name.optional(), description: Description.optional() }),
    result: Changed, errors: ['notFound', 'notSupported'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'shared', vdis: ['vdi_uuid'] }, feature: 'names', deadlineMs: 30 * seconds,
    cli: { noun: 'vdi', verb: 'rename', positionals: ['sr_uuid', 'vdi_uuid'], examples: [`smctl vdi rename ${sr} ${vdi} --name "data disk"`] },
  }),
} as const
