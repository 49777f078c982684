/**
 * The mount table as the kernel tells it, /proc/self/mountinfo (proc(5)). Reading it never touches a mounted file system, so it
 * answers also while a server is dead.
 *
 *   36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 *   id parent device root mount-point options tags - type source super-options
 */
import { StorageError } from '../../core/errors.ts'
import type { Files } from '../../core/ports.ts'

export interface Mount {
  readonly id: number
  readonly parent: number
  /** `major:minor`; of network file systems an anonymous one, yet the same that `stat` answers below it. */
  readonly device: string
  /** The directory of the file system that is the root of this mount. */
  readonly root: string
  readonly mountPoint: string
  readonly options: readonly string[]
  readonly fsType: string
  /** A device or `server:/path`, as the file system tells it. */
  readonly source: string
  readonly superOptions: readonly string[]
}

/** Blanks and the like stand as three octal digits. */
const plain = (text: string): string => text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))

const unreadable = (line: string): StorageError =>
  new StorageError('ioError', `The mount table of this host has a line that cannot be read: ${JSON.stringify(line.slice(0, 200))}`, {
    layer: 'host:mount', remedy: 'Report this with the kernel version of this host',
  })

const parseLine = (line: string): Mount => {
  const fields = line.split(' ')
  const dash = fields.indexOf('-', 6)
  const [id = '', parent = '', device = '', root, mountPoint, options] = fields
  const [fsType, source = '', superOptions = ''] = fields.slice(dash + 1)
  const wellFormed = dash > 0 && /^\d+$/.test(id) && /^\d+$/.test(parent) && /^\d+:\d+$/.test(device)
  if (!wellFormed || root === undefined || mountPoint === undefined || options === undefined || fsType === undefined) throw unreadable(line)
  return {
    id: Number(id), parent: Number(parent), device, root: plain(root), mountPoint: plain(mountPoint), options: options.split(','),
    fsType, source: plain(source), superOptions: superOptions.split(','),
  }
}

/** A line that cannot be read is an error: that something is not mounted must be a fact. */
export const parseMountInfo = (text: string): readonly Mount[] => text.split('\n').filter((line) => line !== '').map(parseLine)

const tablePath = '/proc/self/mountinfo'
const tableLimit = 16 * 1024 * 1024

export const readMounts = async (files: Files): Promise<readonly Mount[]> => {
  const text = await files.readText(tablePath, tableLimit)
  if (text === undefined || text === '') {
    throw new StorageError('ioError', `${tablePath} cannot be read: it is not known what is mounted`, { layer: 'host:mount', remedy: 'Mount /proc: mount -t proc proc /proc' })
  }
  return parseMountInfo(text)
}

export const isBelow = (path: string, directory: string): boolean => directory === '/' || path === directory || path.startsWith(`${directory}/`)

/** All mounts on exactly this path, the lowest first. */
export const mountsOn = (mounts: readonly Mount[], mountPoint: string): readonly Mount[] => mounts.filter((mount) => mount.mountPoint === mountPoint)

/**
 * The mount that a walk along `path` ends in, as the kernel walks it: what lies below another mount's mount point is hidden by
 * that one. undefined only when the table has no root.
 */
export const visibleMount = (mounts: readonly Mount[], path: string): Mount | undefined => {
  const ids = new Set(mounts.map((mount) => mount.id))
  const seen = new Set<number>()
  let at = mounts.find((mount) => mount.mountPoint === '/' && (!ids.has(mount.parent) || mount.parent === mount.id))
  while (at !== undefined && !seen.has(at.id)) {
    const here = at
    seen.add(here.id)
    // The first mount point on the way counts; of several on it, the one mounted last.
    const next = mounts
      .filter((mount) => mount.parent === here.id && mount.id !== here.id && isBelow(path, mount.mountPoint))
      .reduce<Mount | undefined>((best, mount) => (best === undefined || mount.mountPoint.length <= best.mountPoint.length ? mount : best), undefined)
    if (next === undefined) return here
    at = next
  }
  return at
}
