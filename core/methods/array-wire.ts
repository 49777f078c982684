/** Shapes that the array and replication calls share. */
import * as z from 'zod'
import { arrayFeatures, healths, initiatorKinds, type ArrayConnection } from '../array/types.ts'
import { lazily } from '../lazily.ts'
import { ErrorReportWire, Bytes, Time } from './wire.ts'

export const arrayName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be a name of letters, digits, dots and dashes')
  .meta({ description: 'A configured array (smctl array list)', examples: ['left'] })

export const arrayType = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be an array type, like model').meta({ description: 'The array type, which names the driver', examples: ['model'] })

/** Kept under the name of dconf: it is one, with the same rules for secrets. */
export const arrayConfig = z.record(z.string().max(64), z.string().max(4096)).meta({ description: 'How this host reaches the array; keys depend on the type' })

export interface ArrayConnectionRef {
  readonly type: string
  readonly device_config: ArrayConnection
}

/** By the name of a configured array, or with all that is needed to reach it. */
export const arrayRef = z.union([arrayName, z.strictObject({ type: arrayType, device_config: arrayConfig })]).meta({ description: 'The array: a configured name (in JSON also { type, device_config })' })
export const peerRef = arrayRef.optional().meta({ description: 'The other array, where this host reaches it too' })

export const objectId = (what: string) => z.string().min(1).max(200).meta({ description: what })

const InitiatorText = z.string().regex(/^(fc|iscsi|nfs|host):.{1,223}$/, 'must be kind:id, like iscsi:iqn.2026-01.org.example:host7').meta({ examples: ['iscsi:iqn.2026-01.org.example:host7'] })
export const initiators = z.array(InitiatorText).max(1000).meta({ description: 'Initiators as kind:id, kind one of fc, iscsi, nfs, host' })

export const VolumeInfo = lazily(() => z.strictObject({
  id: z.string(), name: z.string(), wwid: z.string().optional(), page83: z.string().optional().meta({ description: 'The same identity as udev and array plug-ins spell it' }),
  pool: z.string(), size: Bytes, allocated: Bytes.optional(), provisioning: z.enum(['thin', 'full', 'unknown']), online: z.boolean(), writable: z.boolean(),
  parent: z.string().optional(), qos: z.string().optional(), presented_to: z.array(z.string()), replication_unit: z.string().optional(), paths: z.array(z.string()).optional(),
  health: z.enum(healths), says: z.string(),
}))

export const GroupInfo = lazily(() => z.strictObject({ name: z.string(), initiators: z.array(z.strictObject({ kind: z.enum(initiatorKinds), id: z.string(), chap_name: z.string().optional() })) }))

export const SnapshotInfo = lazily(() => z.strictObject({
  id: z.string(), name: z.string(), created: Time, consistency: z.enum(['crash', 'quiesced', 'unknown']), members: z.array(z.strictObject({ volume: z.string(), snapshot: z.string(), wwid: z.string().optional() })),
}))

export const CapabilityInfo = lazily(() => z.record(z.enum(arrayFeatures), z.strictObject({
  level: z.enum(['online', 'offline', 'unsupported']), completion: z.enum(['sync', 'async', 'either']), limit: z.int().optional(), reason: z.string().optional(),
})).meta({ examples: [Object.fromEntries(arrayFeatures.map((feature) => [feature, { level: 'online', completion: 'sync' }]))] }))

/** Done, or a job of the array that `Array.job` tells of, also after a restart. */
export const outcomeOf = <T extends z.ZodType>(value: T) => z.strictObject({ job: z.string().optional(), changed: z.boolean(), value: value.optional(), warnings: z.array(z.string()) })

export const itemOf = <T extends z.ZodType>(value: T) => z.strictObject({ item: z.string(), value: value.optional(), warnings: z.array(z.string()), error: ErrorReportWire().optional() })
