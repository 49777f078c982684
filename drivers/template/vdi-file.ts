/** <uuid>.json: that file is the VDI; without it, <uuid>.raw is garbage. Its size is the length of <uuid>.raw. */
import * as z from 'zod'
import type { Ctx, VdiLock, VdiRecord } from '../../core/contract.ts'
import { reportError, StorageError } from '../../core/errors.ts'
import { isUuid, VdiUuid } from '../../core/ids.ts'
import { writeWhole } from './identity.ts'

const LockFile = z.strictObject({
  /** Absent when nobody holds it: the epoch is kept, so that it only ever grows. */
  owner: z.string().optional(),
  host: z.string(),
  epoch: z.int(),
  sinceMs: z.number(),
  expiresMs: z.number().optional(),
})

const VdiFile = z.strictObject({
  format: z.literal(1),
  kind: z.enum(['disk', 'snapshot']),
  name: z.string(),
  description: z.string(),
  shareable: z.boolean(),
  snapshotOf: VdiUuid.optional(),
  snapshotMs: z.number().optional(),
  lock: LockFile.optional(),
})
export type VdiFile = Omit<z.infer<typeof VdiFile>, 'format'>

const limit = 64 * 1024

export const jsonOf = (location: string, vdi: string): string => `${location}/${vdi}.json`
export const rawOf = (location: string, vdi: string): string => `${location}/${vdi}.raw`

/** `98de...542b89.json` -> the uuid; undefined for any other name. */
export const uuidOf = (name: string, suffix: '.json' | '.raw'): VdiUuid | undefined => {
  const stem = name.slice(0, -suffix.length)
  return name.endsWith(suffix) && isUuid(stem) ? VdiUuid.parse(stem) : undefined
}

/** undefined: there is no such VDI. A file that cannot be understood is imageCorrupt, never absent. */
export const readVdiFile = async (ctx: Ctx, location: string, vdi: VdiUuid): Promise<VdiFile | undefined> => {
  const path = jsonOf(location, vdi)
  const text = await ctx.host.files.readText(path, limit)
  if (text === undefined) return undefined
  try {
    const { format: _, ...rest } = VdiFile.parse(JSON.parse(text))
    return rest
  } catch (error) {
    throw new StorageError('imageCorrupt', `${path} is not what it should be`, { layer: 'driver:template', cause: error, remedy: 'Restore it from a backup, or delete the VDI' })
  }
}

/** One rename makes it, or replaces it: before it nothing has happened, after it everything. */
export const writeVdiFile = async (ctx: Ctx, location: string, vdi: VdiUuid, file: VdiFile): Promise<void> => {
  const path = jsonOf(location, vdi)
  await ctx.host.files.rename(await writeWhole(ctx, path, JSON.stringify({ format: 1, ...file })), path)
  await ctx.host.files.syncDirectory(location)
}

export const lockOf = (file: VdiFile): (VdiLock & { readonly sinceMs: number }) | undefined => {
  const lock = file.lock
  if (lock?.owner === undefined) return undefined
  const { owner, host, epoch, sinceMs, expiresMs } = lock
  return { owner, host, epoch, sinceMs, ...(expiresMs === undefined ? {} : { expiresMs }) }
}

const unusable = (uuid: VdiUuid, size: number, utilisation: number, problem: StorageError): VdiRecord => ({
  uuid, kind: 'disk', size, utilisation, readOnly: true, shareable: false, name: '', description: '', format: 'raw', problem: reportError(problem),
})

/** What the SM API tells of one VDI; undefined when it is proven absent. */
export const readVdi = async (ctx: Ctx, location: string, vdi: VdiUuid): Promise<VdiRecord | undefined> => {
  const facts = await ctx.host.files.stat(rawOf(location, vdi))
  let file: VdiFile | undefined
  try {
    file = await readVdiFile(ctx, location, vdi)
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    return unusable(vdi, facts?.size ?? 0, facts?.allocated ?? 0, error)
  }
  if (file === undefined) return undefined
  if (facts === undefined) {
    return unusable(vdi, 0, 0, new StorageError('imageCorrupt', `${rawOf(location, vdi)} is missing`, { layer: 'driver:template', remedy: 'Restore it from a backup, or delete the VDI' }))
  }
  const lock = lockOf(file)
  return {
    uuid: vdi,
    kind: file.kind,
    size: facts.size,
    utilisation: facts.allocated,
    readOnly: file.kind === 'snapshot',
    shareable: file.shareable,
    name: file.name,
    description: file.description,
    ...(file.snapshotOf === undefined ? {} : { snapshotOf: file.snapshotOf }),
    ...(file.snapshotMs === undefined ? {} : { snapshotMs: file.snapshotMs }),
    ...(lock === undefined ? {} : { lock }),
    format: 'raw',
  }
}
