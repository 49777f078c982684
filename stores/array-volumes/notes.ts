/** What is kept on the array about an SR and its VDIs, as JSON texts under the keys of names.ts. There is no other memory of it. */
import * as z from 'zod'
import type { Ctx, VdiLock } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { asVdiUuid, VdiUuid } from '../../core/ids.ts'
import { readKey } from './names.ts'

export const layer = 'store:array-volumes'

const SrNote = z.strictObject({ format: z.literal(1), name: z.string(), description: z.string(), pool: z.string(), group: z.string().optional() })
export type SrNote = z.infer<typeof SrNote>

/** Who is at a change, and since when by that host's clock. */
const Step = z.strictObject({ host: z.string(), call: z.string(), sinceMs: z.number() })

const VdiNote = z.strictObject({
  format: z.literal(1),
  /** making, removing, reverting: a change was begun, and is finished or undone by `recover`. */
  state: z.enum(['ready', 'making', 'removing', 'reverting']),
  kind: z.enum(['disk', 'snapshot']),
  /** Name of its volume or snapshot on the array. */
  called: z.string(),
  /** Of what there is on the array: a volume, or a snapshot of one. */
  object: z.enum(['volume', 'snapshot']),
  /** Its id at this array; absent while it is being made. */
  id: z.string().optional(),
  /** Of a snapshot of the array: what is presented of it, and what it is a snapshot of. */
  part: z.string().optional(),
  wwid: z.string().optional(),
  size: z.number().optional(),
  volume: z.string().optional(),
  name: z.string(),
  description: z.string(),
  shareable: z.boolean(),
  of: VdiUuid.optional(),
  ms: z.number().optional(),
  /** reverting: to this snapshot of the array. */
  to: z.string().optional(),
  by: Step.optional(),
})
export type VdiNote = z.infer<typeof VdiNote>

/** A volume or snapshot whose VDI was deleted, kept for those that depend on it. */
const Remnant = z.strictObject({ format: z.literal(1), object: z.enum(['volume', 'snapshot']), id: z.string() })
export type Remnant = z.infer<typeof Remnant>

const LockNote = z.strictObject({
  format: z.literal(1), owner: z.string(), host: z.string(), sinceMs: z.number(), expiresMs: z.number().optional(),
  /** It was given back; the epoch is used up. */
  free: z.boolean().optional(),
})
export type LockNote = z.infer<typeof LockNote>

export const stepOf = (ctx: Ctx): NonNullable<VdiNote['by']> => ({ host: ctx.host.id, call: ctx.callId, sinceMs: ctx.clock.now() })

const parse = <T>(schema: z.ZodType<T>, key: string, text: string): T => {
  try {
    return schema.parse(JSON.parse(text))
  } catch (error) {
    throw new StorageError('imageCorrupt', `What the array keeps under ${key} cannot be read: ${(error as Error).message.slice(0, 200)}`, {
      layer, cause: error, remedy: 'It was changed by somebody else, or made by a newer version: use that one, or take the text away on the array when its volume is known to be needed no more', details: { key },
    })
  }
}

export const parseSr = (key: string, text: string): SrNote => parse(SrNote, key, text)
export const parseVdi = (key: string, text: string): VdiNote => parse(VdiNote, key, text)
export const parseLock = (key: string, text: string): LockNote => parse(LockNote, key, text)

export interface Lock extends LockNote {
  readonly epoch: number
}

export interface Notes {
  readonly sr: SrNote | undefined
  readonly vdis: ReadonlyMap<VdiUuid, VdiNote>
  /** VDIs whose note cannot be read, and why. */
  readonly unreadable: ReadonlyMap<VdiUuid, StorageError>
  /** The newest of each VDI. */
  readonly locks: ReadonlyMap<VdiUuid, Lock>
  readonly remnants: ReadonlyMap<string, Remnant>
}

/** All that was listed of one SR, put together. */
export const readNotes = (texts: ReadonlyMap<string, string>): Notes => {
  let sr: SrNote | undefined
  const vdis = new Map<VdiUuid, VdiNote>()
  const unreadable = new Map<VdiUuid, StorageError>()
  const locks = new Map<VdiUuid, Lock>()
  const remnants = new Map<string, Remnant>()
  for (const [key, text] of texts) {
    const read = readKey(key)
    if (read?.kind === 'sr') sr = parseSr(key, text)
    if (read?.kind === 'remnant') remnants.set(read.name, parse(Remnant, key, text))
    if (read?.kind === 'lock' && read.epoch > (locks.get(read.vdi)?.epoch ?? 0)) locks.set(read.vdi, { ...parseLock(key, text), epoch: read.epoch })
    if (read?.kind !== 'disk' && read?.kind !== 'snapshot') continue
    const vdi = asVdiUuid(read.vdi)
    try {
      vdis.set(vdi, parseVdi(key, text))
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      unreadable.set(vdi, error)
    }
  }
  return { sr, vdis, unreadable, locks, remnants }
}

/** As the contract has it; undefined when it was given back. */
export const vdiLock = (lock: Lock | undefined): VdiLock | undefined =>
  lock === undefined || lock.free === true ? undefined : { owner: lock.owner, host: lock.host, epoch: lock.epoch, sinceMs: lock.sinceMs, ...(lock.expiresMs === undefined ? {} : { expiresMs: lock.expiresMs }) }
