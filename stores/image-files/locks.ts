/**
 * Persistent VDI locks. The lock of a VDI is the file with the highest number in `locks/<vdi uuid>/`; files are never
 * changed. Taking a lock means giving the next number its name by link(2), which on any file system, NFS included, only
 * one of several can do: whoever loses looks again. The last file stays after an unlock, so that the epoch never restarts.
 */
import * as z from 'zod'
import type { Ctx, VdiLock } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { asVdiUuid, isUuid, type VdiUuid } from '../../core/ids.ts'
import { lazily } from '../../core/lazily.ts'
import { temporaryPrefix, writeNew } from './durable.ts'
import type { ImagePlace, Paths } from './place.ts'

const layer = 'store:image-files'
const maxLength = 4096
const attempts = 8

const LockFile = lazily(() => z.strictObject({
  format: z.literal(1),
  /** Absent: released. */
  owner: z.string().optional(),
  host: z.string(),
  epoch: z.int(),
  sinceMs: z.number(),
  expiresMs: z.number().optional(),
  /** Tells one's own file when the answer to a link got lost. */
  nonce: z.string(),
}))
type LockFile = z.infer<ReturnType<typeof LockFile>>

interface Top {
  readonly number: number
  readonly lock: LockFile
}

const directoryOf = (paths: Paths, vdi: VdiUuid): string => `${paths.locks}/${vdi}`

const numbersIn = async (place: ImagePlace, paths: Paths, vdi: VdiUuid): Promise<readonly number[]> =>
  ((await place.files.list(directoryOf(paths, vdi))) ?? []).filter((name) => /^\d{1,15}$/.test(name)).map(Number).sort((a, b) => b - a)

const readTop = async (place: ImagePlace, paths: Paths, vdi: VdiUuid): Promise<Top | undefined> => {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const [number] = await numbersIn(place, paths, vdi)
    if (number === undefined) return undefined
    const path = `${directoryOf(paths, vdi)}/${number}`
    const text = await place.files.readText(path, maxLength)
    // Gone between the listing and the reading: somebody took the next number.
    if (text === undefined) continue
    try {
      return { number, lock: LockFile().parse(JSON.parse(text)) }
    } catch (error) {
      throw new StorageError('lockUnavailable', `The lock file ${path} is damaged: whether VDI ${vdi} is locked cannot be told`, {
        layer, cause: error, remedy: `When nobody uses the VDI, remove ${path}`,
      })
    }
  }
  throw new StorageError('lockUnavailable', `The lock of VDI ${vdi} changes faster than it can be read`, { layer, remedy: 'Try again' })
}

const shown = (lock: LockFile): VdiLock | undefined =>
  lock.owner === undefined ? undefined : {
    owner: lock.owner, host: lock.host, epoch: lock.epoch, sinceMs: lock.sinceMs,
    ...(lock.expiresMs === undefined ? {} : { expiresMs: lock.expiresMs }),
  }

export const readLock = async (place: ImagePlace, paths: Paths, vdi: VdiUuid): Promise<VdiLock | undefined> => {
  const top = await readTop(place, paths, vdi)
  return top === undefined ? undefined : shown(top.lock)
}

/** VDIs that have ever been locked. */
export const lockedVdis = async (place: ImagePlace, paths: Paths): Promise<readonly VdiUuid[]> =>
  ((await place.files.list(paths.locks)) ?? []).filter(isUuid).map(asVdiUuid)

/** Puts `lock` behind `top`; false when somebody else was first. */
const append = async (place: ImagePlace, paths: Paths, vdi: VdiUuid, top: Top | undefined, lock: Omit<LockFile, 'format' | 'nonce'>): Promise<boolean> => {
  const { files } = place
  const directory = directoryOf(paths, vdi)
  if (await files.mkdir(directory)) await files.syncDirectory(paths.locks)
  const number = (top?.number ?? 0) + 1
  const path = `${directory}/${number}`
  const nonce = crypto.randomUUID()
  const temporary = paths.intent(`${temporaryPrefix}.${nonce}`)
  await writeNew(files, temporary, new TextEncoder().encode(JSON.stringify({ format: 1, ...lock, nonce })))
  try {
    await files.link(temporary, path)
  } catch (error) {
    if ((await readTop(place, paths, vdi))?.lock.nonce !== nonce) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
      if (error instanceof StorageError && error.kind === 'alreadyExists') return false
      throw error
    }
  } finally {
    await files.unlink(temporary)
  }
  await files.syncDirectory(directory)
  // Somebody may have taken this number and the next one, and removed this one, before we came: then ours is not the top.
  const numbers = await numbersIn(place, paths, vdi)
  if (numbers[0] !== number) {
    await files.unlink(path)
    return false
  }
  for (const old of numbers.slice(1)) await files.unlink(`${directory}/${old}`)
  return true
}

const heldBy = (vdi: VdiUuid, lock: LockFile): StorageError =>
  new StorageError('lockUnavailable', `VDI ${vdi} is locked by ${lock.owner ?? 'nobody'} on host ${lock.host} since ${new Date(lock.sinceMs).toISOString()}`, {
    layer, remedy: 'Let the owner unlock it; only when it is known to be dead, take the lock with force',
    details: { owner: lock.owner ?? null, host: lock.host, epoch: lock.epoch },
  })

const contended = (vdi: VdiUuid): StorageError =>
  new StorageError('lockUnavailable', `Others keep taking the lock of VDI ${vdi}`, { layer, remedy: 'Try again' })

export const takeLock = async (
  ctx: Ctx, place: ImagePlace, paths: Paths, vdi: VdiUuid,
  want: { readonly owner: string; readonly force: boolean; readonly ttlMs?: number },
): Promise<VdiLock> => {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    ctx.signal.throwIfAborted()
    const top = await readTop(place, paths, vdi)
    const now = ctx.clock.now()
    const held = top?.lock.owner !== undefined && (top.lock.expiresMs === undefined || top.lock.expiresMs > now)
    const own = held && top.lock.owner === want.owner
    if (top !== undefined && held && !own && !want.force) throw heldBy(vdi, top.lock)
    const lock = {
      owner: want.owner,
      host: ctx.host.id,
      epoch: own ? top.lock.epoch : (top?.lock.epoch ?? 0) + 1,
      sinceMs: own ? top.lock.sinceMs : now,
      ...(want.ttlMs === undefined ? {} : { expiresMs: now + want.ttlMs }),
    }
    if (await append(place, paths, vdi, top, lock)) return lock
  }
  throw contended(vdi)
}

/** True when a lock of `owner` was released; a lock that has expired is nobody's. */
export const releaseLock = async (ctx: Ctx, place: ImagePlace, paths: Paths, vdi: VdiUuid, owner: string): Promise<boolean> => {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    ctx.signal.throwIfAborted()
    const top = await readTop(place, paths, vdi)
    if (top?.lock.owner === undefined) return false
    const now = ctx.clock.now()
    if (top.lock.owner !== owner) {
      if (top.lock.expiresMs !== undefined && top.lock.expiresMs <= now) return false
      throw heldBy(vdi, top.lock)
    }
    if (await append(place, paths, vdi, top, { host: ctx.host.id, epoch: top.lock.epoch, sinceMs: now })) return true
  }
  throw contended(vdi)
}

/** All traces of a VDI that is deleted. */
export const removeLocks = async (place: ImagePlace, paths: Paths, vdi: VdiUuid): Promise<void> => {
  const directory = directoryOf(paths, vdi)
  const names = await place.files.list(directory)
  if (names === undefined) return
  for (const name of names) await place.files.unlink(`${directory}/${name}`)
  if (await place.files.rmdir(directory)) await place.files.syncDirectory(paths.locks)
}
