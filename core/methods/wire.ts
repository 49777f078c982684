/** Shapes that travel: snake_case, sizes as integers of bytes, times as ISO 8601 in UTC. */
import * as z from 'zod'
import { features } from '../contract.ts'
import { errnoNumbers, errorTable, type Errno, type ErrorKind } from '../errors.ts'
import { SrUuid, VdiUuid } from '../ids.ts'
import { lazily } from '../lazily.ts'

const keysOf = <K extends string>(table: Readonly<Record<K, unknown>>): [K, ...K[]] => Object.keys(table) as [K, ...K[]]

export const Bytes = z.int().nonnegative()
export const Time = z.string().meta({ description: 'ISO 8601, UTC' })

export const sr_uuid = SrUuid.meta({ description: 'The SR', examples: ['87b8646b-b800-9500-cb7b-af3b74e02f5c'] })
export const vdi_uuid = VdiUuid.meta({ description: 'The VDI', examples: ['98de866e-b035-4b1a-a571-613bff542b89'] })

/** Names are shown in tables and XML: no control characters; length as much as every substrate can hold. */
const printable = (max: number): z.ZodString =>
  z.string().max(max, `must be at most ${max} characters`).regex(/^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffe\uffff]*$/u, 'must not contain control characters')
export const Name = printable(255).meta({ description: 'A name for people' })
export const Description = printable(4000).meta({ description: 'A longer text for people' })

export const driver_type = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be an SR type, like file')
  .meta({ description: 'The SR type, which names the driver', examples: ['file'] })

export const device_config = z
  .record(z.string().max(64), z.string().max(4096))
  .meta({ description: 'dconf: how this host reaches the SR; keys depend on the type', examples: [{ location: '/srv/disks' }] })

export const size = z
  .int('must be a whole number of bytes')
  .positive('must be greater than zero')
  .meta({ description: 'Virtual size in bytes; rounded up to what the substrate can do', examples: [10737418240] })

export const ErrorReportWire = lazily(() => z.strictObject({
  kind: z.enum(keysOf<ErrorKind>(errorTable)),
  code: z.int(),
  errno: z.enum(keysOf<Errno>(errnoNumbers)),
  message: z.string(),
  retry: z.enum(['never', 'later', 'after-fix', 'after-reading-state']),
  field: z.string().optional(),
  layer: z.string().optional(),
  remedy: z.string().optional(),
  may_have_changed: z.boolean().optional(),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
}))

export const LockInfo = lazily(() => z.strictObject({
  owner: z.string().meta({ description: 'The unique string of the user who took it' }),
  host: z.string(),
  epoch: z.int().meta({ description: 'Grows with every change of owner' }),
  since: Time.optional().meta({ description: 'Absent: the storage does not tell' }),
  expires: Time.optional(),
}))

export const VdiInfo = lazily(() => z.strictObject({
  uuid: VdiUuid,
  kind: z.enum(['disk', 'snapshot', 'base']).meta({ description: 'disk: writable; snapshot: immutable; base: shared data of others, not for use' }),
  size: Bytes,
  utilisation: Bytes.meta({ description: 'Bytes it occupies itself, without its parents' }),
  read_only: z.boolean(),
  shareable: z.boolean(),
  name: z.string(),
  description: z.string(),
  parent: VdiUuid.optional(),
  snapshot_of: VdiUuid.optional(),
  snapshot_time: Time.optional(),
  locked: z.boolean(),
  lock: LockInfo().optional(),
  attached: z.enum(['ro', 'rw']).optional().meta({ description: 'Attached to this host, and how' }),
  format: z.string(),
  problem: ErrorReportWire().optional().meta({ description: 'Why this VDI cannot be used' }),
  warnings: z.array(z.string()).optional(),
}))
export type VdiInfo = z.infer<ReturnType<typeof VdiInfo>>

export const SrInfo = lazily(() => z.strictObject({
  uuid: SrUuid,
  type: z.string(),
  attached: z.boolean(),
  device_config: z.record(z.string(), z.string()).meta({ description: 'Secret values are shown as ***' }),
}))

const SrWarnings = z.array(z.string()).optional().meta({ description: 'What needs attention, a sentence each' })

export const SrStatInfo = lazily(() => z.strictObject({
  uuid: SrUuid,
  type: z.string(),
  name: z.string(),
  description: z.string(),
  physical_size: Bytes,
  physical_utilisation: Bytes,
  free: Bytes,
  content_type: z.string(),
  features: z.array(z.enum(features)),
  warnings: SrWarnings,
}))

export const SrScanInfo = lazily(() => z.strictObject({
  uuid: SrUuid,
  physical_size: Bytes,
  physical_utilisation: Bytes,
  virtual_allocation: Bytes,
  free: Bytes,
  default_vdi_visibility: z.boolean(),
  name: z.string(),
  description: z.string(),
  warnings: SrWarnings,
  vdis: z.array(VdiInfo()),
}))

export const AttachmentInfo = lazily(() => z.strictObject({
  path: z.string().meta({ description: 'Block device or image file' }),
  content_type: z.string().meta({ description: 'Which data path opens it: vhd or aio' }),
  mode: z.enum(['ro', 'rw']),
  changed: z.boolean().meta({ description: 'False when it was attached already' }),
}))

export const Changed = lazily(() => z.strictObject({ changed: z.boolean().meta({ description: 'False when there was nothing to do' }) }))

export const FindingInfo = lazily(() => z.strictObject({
  vdi_uuid: VdiUuid.optional(),
  where: z.string(),
  weight: z.enum(['note', 'repairable', 'damage']),
  what: z.string(),
  repaired: z.boolean(),
}))
