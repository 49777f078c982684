/** The SR calls. */
import * as z from 'zod'
import { VdiUuid } from '../ids.ts'
import { method, minutes, seconds } from './define.ts'
import {
  Bytes, Changed, Description, FindingInfo, Name, SrInfo, SrScanInfo, SrStatInfo, device_config, driver_type, sr_uuid, vdi_uuid,
} from './wire.ts'

const place = { type: driver_type, device_config }
const optionalPlace = { type: driver_type.optional(), device_config: device_config.optional() }

const example = '87b8646b-b800-9500-cb7b-af3b74e02f5c'

export const srMethods = {
  'SR.probe': method({
    doc: 'Looks at a place without changing anything and tells what SRs are there or could be made.',
    params: () => z.strictObject({ type: driver_type, device_config: device_config.default({}) }),
    result: () => z.strictObject({
      candidates: z.array(z.strictObject({
        device_config: z.record(z.string(), z.string()).meta({ description: 'Without secrets: add those that were asked with' }),
        complete: z.boolean(),
        found: z.enum(['sr', 'adoptable', 'blank', 'occupied', 'unknown']),
        sr: z.strictObject({ uuid: sr_uuid.optional(), name: z.string().optional(), description: z.string().optional(), vdis: z.int().optional() }).optional(),
        says: z.string(),
      })),
      tried: z.array(z.strictObject({ step: z.string(), said: z.string() })),
    }),
    errors: [],
    effect: 'read', repeat: 'no-op', lock: { sr: 'none' }, deadlineMs: 60 * seconds,
    cli: { noun: 'sr', verb: 'probe', positionals: ['type'], examples: ['smctl sr probe file location=/srv/disks'] },
    xe: { verb: 'sr_probe', args: [] },
  }),
  'SR.create': method({
    doc: 'Makes an SR in a place that is proven blank; the SR is left detached.',
    params: () => z.strictObject({
      sr_uuid: sr_uuid.optional().meta({ description: 'Made up when absent' }),
      ...place,
      size: z.int().nonnegative().default(0).meta({ description: 'Bytes; 0 takes the whole place' }),
      name: Name.default(''), description: Description.default(''),
    }),
    result: () => z.strictObject({ sr_uuid }),
    errors: ['alreadyExists', 'placeNotBlank', 'notSupported', 'noSpace'],
    effect: 'write', repeat: 'fails', lock: { sr: 'exclusive' }, deadlineMs: 5 * minutes,
    cli: { noun: 'sr', verb: 'create', positionals: ['type'], examples: ['smctl sr create file location=/srv/disks --name "First disks"'] },
    xe: { verb: 'sr_create', args: ['sr_uuid', 'size'] },
  }),
  'SR.introduce': method({
    doc: 'Makes an existing SR known to this host, or adopts VDIs that have no SR identity yet; their data is not touched.',
    params: () => z.strictObject({
      sr_uuid: sr_uuid.optional().meta({ description: 'Absent: the one found there, or for an adoption a new one' }),
      ...place, name: Name.default(''), description: Description.default(''),
    }),
    result: () => z.strictObject({ sr_uuid, adopted: z.boolean() }),
    errors: ['notFound', 'notSupported', 'alreadyExists'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'none' }, deadlineMs: 60 * seconds,
    cli: { noun: 'sr', verb: 'introduce', positionals: ['type'], examples: ['smctl sr introduce file location=/srv/old-disks'] },
  }),
  'SR.reidentify': method({
    doc: 'Turns a block copy of an SR into an SR of its own, with new uuids, so that it can live beside the original.',
    params: () => z.strictObject({
      sr_uuid: sr_uuid.optional().meta({ description: 'Of the copy; made up when absent' }),
      ...place, original_uuid: sr_uuid.meta({ description: 'The SR that it is a copy of' }),
    }),
    result: () => z.strictObject({ sr_uuid, vdis: z.array(z.strictObject({ vdi_uuid, original_uuid: VdiUuid })) }),
    errors: ['notFound', 'notSupported', 'alreadyExists'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'exclusive' }, deadlineMs: 5 * minutes,
    cli: { noun: 'sr', verb: 'reidentify', positionals: ['type', 'original_uuid'], examples: [`smctl sr reidentify lvm ${example} device=/dev/mapper/clone`] },
  }),
  'SR.forget': method({
    doc: 'Makes this host forget a detached SR; the storage is not touched.',
    params: () => z.strictObject({ sr_uuid }),
    result: Changed, errors: ['busy'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'exclusive' }, deadlineMs: 30 * seconds,
    cli: { noun: 'sr', verb: 'forget', positionals: ['sr_uuid'], examples: [`smctl sr forget ${example}`] },
  }),
  'SR.list': method({
    doc: 'Lists the SRs this host knows.',
    params: () => z.strictObject({}),
    result: () => z.strictObject({ srs: z.array(SrInfo()) }), errors: [],
    effect: 'read', repeat: 'no-op', lock: { sr: 'none' }, deadlineMs: 10 * seconds,
    cli: { noun: 'sr', verb: 'list', positionals: [], examples: ['smctl sr list', 'smctl sr list --json'] },
  }),
  'SR.attach': method({
    doc: 'Connects the SR to this host, verifies that it is the one meant, and finishes what a crash left undone.',
    params: () => z.strictObject({
      sr_uuid, ...optionalPlace,
      take_over_from: z.string().min(1).max(300).optional().meta({ description: 'The host that holds the SR, as the refusal calls it; only when it is known to be dead: its writes are refused from then on' }),
    }),
    result: () => z.strictObject({ changed: z.boolean(), recovered: z.array(z.string()).meta({ description: 'What was finished or undone after a crash' }) }),
    errors: ['notFound', 'busy', 'notSupported'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'exclusive', guard: 'by-operation' }, deadlineMs: 3 * minutes,
    cli: { noun: 'sr', verb: 'attach', positionals: ['sr_uuid'], examples: [`smctl sr attach ${example}`] },
    xe: { verb: 'sr_attach', args: ['sr_uuid'] },
  }),
  'SR.detach': method({
    doc: 'Disconnects the SR from this host; all its VDIs must be detached.',
    params: () => z.strictObject({ sr_uuid }),
    result: Changed, errors: ['busy'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'exclusive', guard: 'by-operation' }, deadlineMs: 2 * minutes,
    cli: { noun: 'sr', verb: 'detach', positionals: ['sr_uuid'], examples: [`smctl sr detach ${example}`] },
    xe: { verb: 'sr_detach', args: ['sr_uuid'] },
  }),
  'SR.delete': method({
    doc: 'Deletes an SR that holds no VDI and leaves its place clean; an SR that is not there is done.',
    params: () => z.strictObject({ sr_uuid, ...optionalPlace }),
    result: Changed, errors: ['notEmpty', 'busy', 'notSupported'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'exclusive', guard: 'by-operation' }, deadlineMs: 5 * minutes,
    cli: { noun: 'sr', verb: 'delete', positionals: ['sr_uuid'], examples: [`smctl sr delete ${example}`] },
    xe: { verb: 'sr_delete', args: ['sr_uuid'] },
  }),
  'SR.content_type': method({
    doc: 'Tells which data path opens the VDIs of this SR: vhd or aio.',
    params: () => z.strictObject({ sr_uuid }),
    result: () => z.strictObject({ content_type: z.string() }), errors: [],
    effect: 'read', repeat: 'no-op', lock: { sr: 'none' }, deadlineMs: 10 * seconds,
    cli: { noun: 'sr', verb: 'content-type', positionals: ['sr_uuid'], examples: [`smctl sr content-type ${example}`] },
    xe: { verb: 'sr_content_type', args: ['sr_uuid'] },
  }),
  'SR.scan': method({
    doc: 'Lists what is in the SR, read from the storage itself; a damaged VDI is listed with its problem.',
    params: () => z.strictObject({ sr_uuid }),
    result: SrScanInfo, errors: [],
    effect: 'read', repeat: 'no-op', lock: { sr: 'exclusive' }, deadlineMs: 5 * minutes, long: true,
    cli: { noun: 'sr', verb: 'scan', positionals: ['sr_uuid'], examples: [`smctl sr scan ${example}`, `smctl sr scan ${example} --json`] },
    xe: { verb: 'sr_scan', args: ['sr_uuid'] },
  }),
  'SR.stat': method({
    doc: 'Tells sizes, names and features of an attached SR.',
    params: () => z.strictObject({ sr_uuid }),
    result: SrStatInfo, errors: [],
    effect: 'read', repeat: 'no-op', lock: { sr: 'none' }, deadlineMs: 30 * seconds,
    cli: { noun: 'sr', verb: 'stat', positionals: ['sr_uuid'], examples: [`smctl sr stat ${example}`] },
  }),
  'SR.set_names': method({
    doc: 'Sets name and description, which live on the storage.',
    params: () => z.strictObject({ sr_uuid, name: Name.optional(), description: Description.optional() }),
    result: Changed, errors: ['notSupported'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'exclusive' }, feature: 'names', deadlineMs: 30 * seconds,
    cli: { noun: 'sr', verb: 'rename', positionals: ['sr_uuid'], examples: [`smctl sr rename ${example} --name "Fast disks"`] },
  }),
  'SR.backlog': method({
    doc: 'Shows what the collector still owes: images to remove, chains to coalesce, and who blocks it.',
    params: () => z.strictObject({ sr_uuid }),
    result: () => z.strictObject({
      bytes: Bytes,
      longest_chain: z.int(),
      steps: z.array(z.strictObject({
        action: z.enum(['remove', 'coalesce']), vdi_uuid, child_uuid: VdiUuid.optional(), bytes: Bytes,
        blocked_by: z.array(z.string()).meta({ description: 'Sentences: which VDI is attached or locked' }),
      })),
    }),
    errors: ['notSupported'],
    effect: 'read', repeat: 'no-op', lock: { sr: 'exclusive' }, feature: 'collect', deadlineMs: 5 * minutes,
    cli: { noun: 'sr', verb: 'backlog', positionals: ['sr_uuid'], examples: [`smctl sr backlog ${example}`] },
  }),
  'SR.collect': method({
    doc: 'Removes unreferenced base images and coalesces chains that nobody uses now.',
    params: () => z.strictObject({ sr_uuid }),
    result: () => z.strictObject({ removed: z.int(), coalesced: z.int(), blocked: z.int(), bytes: Bytes.meta({ description: 'Bytes moved' }) }),
    errors: ['notSupported', 'noSpace', 'imageCorrupt'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'none' }, feature: 'collect', deadlineMs: 24 * 60 * minutes, long: true,
    cli: { noun: 'sr', verb: 'collect', positionals: ['sr_uuid'], examples: [`smctl sr collect ${example}`] },
  }),
  'SR.orphans': method({
    doc: 'Lists what is on the storage and belongs to no VDI.',
    params: () => z.strictObject({ sr_uuid }),
    result: () => z.strictObject({ orphans: z.array(z.strictObject({ where: z.string(), bytes: Bytes, why: z.string(), collectable: z.boolean() })) }),
    errors: ['notSupported'],
    effect: 'read', repeat: 'no-op', lock: { sr: 'exclusive' }, feature: 'verify', deadlineMs: 5 * minutes,
    cli: { noun: 'sr', verb: 'orphans', positionals: ['sr_uuid'], examples: [`smctl sr orphans ${example}`] },
  }),
  'SR.verify': method({
    doc: 'Checks images and chains; with repair mends what can be mended without doubt, with dry-run tells what it would do.',
    params: () => z.strictObject({
      sr_uuid, vdi_uuid: vdi_uuid.optional().meta({ description: 'Absent: all' }),
      repair: z.enum(['no', 'dry-run', 'yes']).default('no').meta({ description: 'Whether to mend what was found' }),
    }),
    result: () => z.strictObject({ checked: z.int(), findings: z.array(FindingInfo()) }),
    errors: ['notFound', 'notSupported', 'busy'],
    effect: 'write', repeat: 'no-op', lock: { sr: 'exclusive' }, feature: 'verify', deadlineMs: 24 * 60 * minutes, long: true,
    cli: { noun: 'sr', verb: 'verify', positionals: ['sr_uuid'], examples: [`smctl sr verify ${example}`, `smctl sr verify ${example} --repair dry-run`] },
  }),
} as const
