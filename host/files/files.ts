/**
 * The file system behind the Files port, on this host's kernel. One call here is one step that a crash can come before or
 * after; nothing is buffered, retried or combined. Absent things are answers, everything else is thrown as it came.
 */
import * as fs from 'node:fs'
import { StorageError, isSystemError } from '../../core/errors.ts'
import type { FileFacts, Files, OpenFile } from '../../core/ports.ts'
import { deviceNumbers } from './device-numbers.ts'
import { queuedCalls, type SystemCalls } from './system-calls.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = fs.constants

const isCode = (error: unknown, ...codes: readonly string[]): boolean => isSystemError(error) && codes.includes(error.code)

/** Opens without following a symlink in the last component; says so when there is one. */
const openAt = async (calls: SystemCalls, path: string, flags: number, mode?: number): Promise<number> => {
  try {
    return await calls.open(path, flags | O_NOFOLLOW, mode)
  } catch (error) {
    if (!isCode(error, 'ELOOP')) throw error
    throw new StorageError('identityMismatch', `${path} is a symbolic link, which could lead anywhere`, {
      layer: 'host:files', cause: error, remedy: 'Use the place itself instead of a link to it',
    })
  }
}

/** Files of the kernel (/proc, /sys) and block devices show no size: they are read in pieces of this, until they end. */
const piece = 1024 * 1024

/** Reads into `bytes` until it is full or the file ends; answers how far it came. */
const fill = async (calls: SystemCalls, fd: number, bytes: Uint8Array, position: number): Promise<number> => {
  let done = 0
  while (done < bytes.length) {
    const bytesRead = await calls.read(fd, bytes, done, bytes.length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}

/** So much is allocated without a look at how long the file is. */
const small = 64 * 1024

const readFully = async (calls: SystemCalls, fd: number, position: number, length: number): Promise<Uint8Array> => {
  if (length <= small) {
    const bytes = Buffer.allocUnsafe(length)
    return bytes.subarray(0, await fill(calls, fd, bytes, position))
  }
  const stats = await calls.fstat(fd)
  if (stats.isFile() && stats.size > 0) {
    // Never longer than the file: a hostile length must not make us allocate.
    const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, stats.size - position)))
    return bytes.subarray(0, await fill(calls, fd, bytes, position))
  }
  const pieces: Uint8Array[] = []
  for (let done = 0; done < length;) {
    const bytes = Buffer.allocUnsafe(Math.min(piece, length - done))
    const count = await fill(calls, fd, bytes, position + done)
    pieces.push(bytes.subarray(0, count))
    done += count
    if (count < bytes.length) break
  }
  return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)
}

/** A block device's own length is not in its inode but in /sys, in units of 512 bytes whatever its sectors are. */
const lengthOf = async (calls: SystemCalls, fd: number): Promise<number> => {
  const stats = await calls.fstat(fd)
  if (!stats.isBlockDevice()) return stats.size
  const { major, minor } = deviceNumbers(stats.rdev)
  const text = await calls.readFile(`/sys/dev/block/${major}:${minor}/size`)
  return Number(text) * 512
}

const openFile = (calls: SystemCalls, fd: number): OpenFile => ({
  read: async (position, length) => readFully(calls, fd, position, length),
  async write(position, bytes) {
    let done = 0
    while (done < bytes.length) done += await calls.write(fd, bytes, done, bytes.length - done, position + done)
  },
  truncate: async (length) => calls.ftruncate(fd, length),
  length: async () => lengthOf(calls, fd),
  sync: async () => calls.fdatasync(fd),
  close: async () => calls.close(fd),
})

const kindOf = (stats: fs.BigIntStats): FileFacts['kind'] => {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  return stats.isBlockDevice() ? 'block' : 'other'
}

/** The facts of a stat result; also for the scan, which stats by itself. */
export const factsOf = (stats: fs.BigIntStats): FileFacts => ({
  kind: kindOf(stats),
  size: Number(stats.size),
  allocated: Number(stats.blocks) * 512,
  modifiedMs: Number(stats.mtimeMs),
  version: `${stats.ino}.${stats.ctimeNs}.${stats.mtimeNs}.${stats.size}`,
  identity: `${stats.dev}:${stats.ino}`,
})

export const createFiles = (calls: SystemCalls = queuedCalls): Files => ({
  async list(directory) {
    try {
      return await calls.readdir(directory)
    } catch (error) {
      if (isCode(error, 'ENOENT')) return undefined
      throw error
    }
  },
  async stat(path) {
    try {
      return factsOf(await calls.lstat(path))
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    }
  },
  async space(directory) {
    const { bsize, blocks, bavail } = await calls.statfs(directory)
    return { total: bsize * blocks, free: bsize * bavail }
  },
  async readText(path, limit) {
    let fd: number
    try {
      fd = await openAt(calls, path, O_RDONLY)
    } catch (error) {
      if (isCode(error, 'ENOENT')) return undefined
      throw error
    }
    try {
      const bytes = await readFully(calls, fd, 0, limit + 1)
      if (bytes.length > limit) {
        throw new StorageError('limitExceeded', `${path} is longer than ${limit} bytes`, { layer: 'host:files', remedy: 'It was not written by the storage manager; move it away' })
      }
      return Buffer.from(bytes).toString('utf8')
    } finally {
      await calls.close(fd)
    }
  },
  open: async (path, mode) => openFile(calls, await openAt(calls, path, mode === 'read' ? O_RDONLY : O_RDWR)),
  create: async (path, mode = 0o600) => openFile(calls, await openAt(calls, path, O_RDWR | O_CREAT | O_EXCL, mode)),
  rename: async (from, to) => calls.rename(from, to),
  link: async (from, to) => calls.link(from, to),
  async unlink(path) {
    try {
      await calls.unlink(path)
      return true
    } catch (error) {
      if (isCode(error, 'ENOENT')) return false
      throw error
    }
  },
  async mkdir(path) {
    try {
      await calls.mkdir(path, 0o700)
      return true
    } catch (error) {
      if (isCode(error, 'EEXIST')) return false
      throw error
    }
  },
  async rmdir(path) {
    try {
      await calls.rmdir(path)
      return true
    } catch (error) {
      if (isCode(error, 'ENOENT')) return false
      throw error
    }
  },
  async syncDirectory(path) {
    const fd = await openAt(calls, path, O_RDONLY | O_DIRECTORY)
    try {
      await calls.fsync(fd)
    } finally {
      // Nothing is behind a directory that was opened for reading: closing it cannot wait for the storage.
      fs.closeSync(fd)
    }
  },
})
