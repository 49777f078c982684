/** The Files port over model volumes: same answers and errors as host/files/files.ts, which test/kit/model/files.test.ts holds. */
import { StorageError } from '../../../core/errors.ts'
import type { FileFacts, Files, OpenFile } from '../../../core/ports.ts'
import { newPages } from './content.ts'
import { systemError, type ModelProcess, type Step } from './process.ts'
import { addInode, assign, change, readInode, syncContent, syncNames, usedBytes, type Inode, type Volume } from './volume.ts'

/** What one host sees in one boot: volumes by mount point; `/` is always there. */
export interface Namespace {
  readonly mounts: Map<string, Volume>
  /** Open files of all processes, by volume: a busy one cannot be unmounted. */
  readonly open: Map<Volume, number>
  readonly now: () => number
}

interface Found {
  readonly volume: Volume
  /** Absent for a mount point, which is the root of its volume. */
  readonly directory?: Inode
  readonly name: string
  readonly inode: Inode | undefined
}

type Fail = (code: string) => never

const resolve = (space: Namespace, path: string, fail: Fail): Found => {
  if (!path.startsWith('/') || path.split('/').includes('..')) throw new Error(`a path of the model must be absolute and plain: ${path}`)
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  let volume = space.mounts.get('/') ?? fail('ENOENT')
  let at: Inode = volume.root
  let found: Found = { volume, name: '/', inode: at }
  for (const [index, name] of parts.entries()) {
    if (at.kind !== 'directory') fail('ENOTDIR')
    if (Buffer.byteLength(name) > 255) fail('ENAMETOOLONG')
    const mounted = space.mounts.get(`/${parts.slice(0, index + 1).join('/')}`)
    if (mounted !== undefined) {
      volume = mounted
      found = { volume, name, inode: volume.root }
    } else {
      found = { volume, directory: at, name, inode: at.entries.get(name) }
    }
    if (index === parts.length - 1) return found
    at = found.inode ?? fail('ENOENT')
  }
  return found
}

const factsOf = (volume: Volume, inode: Inode): FileFacts => ({
  kind: inode.kind,
  size: inode.content.length,
  allocated: inode.content.pages.size * 4096,
  modifiedMs: inode.modifiedMs,
  version: `${inode.id}.${inode.changes}`,
  identity: `${volume.device}:${inode.id}`,
})

const refuseSymlink = (path: string): never => {
  throw new StorageError('identityMismatch', `${path} is a symbolic link, which could lead anywhere`, { layer: 'host:files', remedy: 'Use the place itself instead of a link to it' })
}

export const createModelFiles = (space: Namespace, process: ModelProcess): Files => {
  const at = async <T>(step: Step, act: (found: Found, fail: Fail) => T, path = step.target): Promise<T> =>
    process.perform(step, () => {
      const fail: Fail = (code) => {
        throw systemError(code, step)
      }
      return act(resolve(space, path, fail), fail)
    })

  const writable = (volume: Volume, fail: Fail): void => {
    if (volume.readOnly) fail('EROFS')
  }
  const freeName = (found: Found, fail: Fail): Inode => {
    if (found.inode !== undefined || found.directory === undefined) return fail('EEXIST')
    return found.directory
  }
  /** One block a new name, as on most file systems: also names need room. */
  const room = (volume: Volume, pages: number, fail: Fail): void => {
    if (pages > 0 && usedBytes(volume) + pages * 4096 > volume.capacity) fail('ENOSPC')
  }

  const handle = (volume: Volume, inode: Inode, path: string, mode: 'read' | 'write'): OpenFile => {
    space.open.set(volume, (space.open.get(volume) ?? 0) + 1)
    let isOpen = true
    const on = async <T>(call: string, effect: Step['effect'], detail: string, act: (fail: Fail) => T): Promise<T> => {
      const step: Step = { call, target: `${path}${detail}`, effect }
      return process.perform(step, () => {
        const fail: Fail = (code) => {
          throw systemError(code, step)
        }
        if (!isOpen || (effect === 'write' && call !== 'sync' && mode === 'read')) fail('EBADF')
        return act(fail)
      })
    }
    return {
      read: async (position, length) => on('read', 'read', ` @${position}+${length}`, () => readInode(inode, position, length)),
      async write(position, bytes) {
        const own = Uint8Array.from(bytes)
        await on('write', 'write', ` @${position}+${own.length}`, (fail) => {
          writable(volume, fail)
          if (inode.kind === 'block' && position + own.length > inode.content.length) fail('ENOSPC')
          if (inode.kind === 'file') room(volume, newPages(inode.content, position, own.length), fail)
          change(inode, { kind: 'write', position, bytes: own }, space.now())
        })
      },
      truncate: async (length) => on('truncate', 'write', ` to ${length}`, (fail) => {
        writable(volume, fail)
        if (inode.kind !== 'file') fail('EINVAL')
        change(inode, { kind: 'truncate', length }, space.now())
      }),
      length: async () => on('stat', 'read', '', () => inode.content.length),
      sync: async () => on('sync', 'write', '', () => syncContent(inode)),
      async close() {
        if (!isOpen) throw systemError('EBADF', { call: 'close', target: path })
        isOpen = false
        space.open.set(volume, (space.open.get(volume) ?? 1) - 1)
      },
    }
  }

  return {
    async list(directory) {
      return process.perform({ call: 'list', target: directory, effect: 'read' }, () => {
        const fail: Fail = (code) => {
          throw systemError(code, { call: 'scandir', target: directory })
        }
        try {
          const { inode } = resolve(space, directory, fail)
          if (inode === undefined) return undefined
          if (inode.kind !== 'directory') fail('ENOTDIR')
          // An order that nobody expects: a directory has none.
          return [...inode.entries.keys()].sort().reverse()
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
          throw error
        }
      })
    },
    async stat(path) {
      return process.perform({ call: 'stat', target: path, effect: 'read' }, () => {
        try {
          const { volume, inode } = resolve(space, path, (code) => {
            throw systemError(code, { call: 'lstat', target: path })
          })
          return inode === undefined ? undefined : factsOf(volume, inode)
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException
          if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
          throw error
        }
      })
    },
    space: async (directory) => at({ call: 'space', target: directory, effect: 'read' }, ({ volume, inode }, fail) => {
      if (inode === undefined) fail('ENOENT')
      return { total: volume.capacity, free: Math.max(0, volume.capacity - usedBytes(volume)) }
    }),
    async readText(path, limit) {
      return process.perform({ call: 'readText', target: path, effect: 'read' }, () => {
        const fail: Fail = (code) => {
          throw systemError(code, { call: 'open', target: path })
        }
        let found: Found
        try {
          found = resolve(space, path, fail)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
          throw error
        }
        const { inode } = found
        if (inode === undefined) return undefined
        if (inode.kind === 'symlink') return refuseSymlink(path)
        if (inode.kind === 'directory') return fail('EISDIR')
        if (inode.content.length > limit) {
          throw new StorageError('limitExceeded', `${path} is longer than ${limit} bytes`, { layer: 'host:files', remedy: 'It was not written by the storage manager; move it away' })
        }
        return Buffer.from(readInode(inode, 0, inode.content.length)).toString('utf8')
      })
    },
    open: async (path, mode) => at({ call: 'open', target: path, effect: 'read' }, ({ volume, inode }, fail) => {
      if (inode === undefined) return fail('ENOENT')
      if (inode.kind === 'symlink') return refuseSymlink(path)
      if (inode.kind === 'directory' && mode === 'write') return fail('EISDIR')
      if (mode === 'write') writable(volume, fail)
      return handle(volume, inode, path, mode)
    }),
    create: async (path) => at({ call: 'create', target: path, effect: 'write' }, (found, fail) => {
      const directory = freeName(found, fail)
      writable(found.volume, fail)
      room(found.volume, 1, fail)
      const inode = addInode(found.volume, 'file', space.now())
      assign(found.volume, [{ directory, name: found.name, to: inode }], space.now())
      return handle(found.volume, inode, path, 'write')
    }),
    rename: async (from, to) => at({ call: 'rename', target: `${from} -> ${to}`, effect: 'write' }, (source, fail) => {
      const target = resolve(space, to, fail)
      const { inode } = source
      if (inode === undefined) return fail('ENOENT')
      if (source.directory === undefined || target.directory === undefined) return fail('EBUSY')
      if (source.volume !== target.volume) return fail('EXDEV')
      writable(source.volume, fail)
      if (target.inode === inode) return undefined
      if (target.inode?.kind === 'directory' && inode.kind !== 'directory') return fail('EISDIR')
      if (target.inode !== undefined && target.inode.kind !== 'directory' && inode.kind === 'directory') return fail('ENOTDIR')
      if (target.inode?.kind === 'directory' && target.inode.entries.size > 0) return fail('ENOTEMPTY')
      inode.changes += 1
      assign(source.volume, [{ directory: source.directory, name: source.name, to: undefined }, { directory: target.directory, name: target.name, to: inode }], space.now())
      return undefined
    }, from),
    link: async (from, to) => at({ call: 'link', target: `${from} -> ${to}`, effect: 'write' }, (source, fail) => {
      const target = resolve(space, to, fail)
      const { inode } = source
      if (inode === undefined) return fail('ENOENT')
      if (inode.kind === 'directory') return fail('EPERM')
      const directory = freeName(target, fail)
      if (source.volume !== target.volume) return fail('EXDEV')
      writable(source.volume, fail)
      inode.changes += 1
      assign(source.volume, [{ directory, name: target.name, to: inode }], space.now())
      return undefined
    }, from),
    unlink: async (path) => at({ call: 'unlink', target: path, effect: 'write' }, ({ volume, directory, name, inode }, fail) => {
      if (inode === undefined) return false
      if (inode.kind === 'directory' || directory === undefined) return fail('EISDIR')
      writable(volume, fail)
      inode.changes += 1
      assign(volume, [{ directory, name, to: undefined }], space.now())
      return true
    }),
    mkdir: async (path) => at({ call: 'mkdir', target: path, effect: 'write' }, ({ volume, directory, name, inode }, fail) => {
      if (inode !== undefined || directory === undefined) return false
      writable(volume, fail)
      room(volume, 1, fail)
      assign(volume, [{ directory, name, to: addInode(volume, 'directory', space.now()) }], space.now())
      return true
    }),
    rmdir: async (path) => at({ call: 'rmdir', target: path, effect: 'write' }, ({ volume, directory, name, inode }, fail) => {
      if (inode === undefined) return false
      if (directory === undefined) return fail('EBUSY')
      if (inode.kind !== 'directory') return fail('ENOTDIR')
      if (inode.entries.size > 0) return fail('ENOTEMPTY')
      writable(volume, fail)
      assign(volume, [{ directory, name, to: undefined }], space.now())
      return true
    }),
    syncDirectory: async (path) => at({ call: 'syncDirectory', target: path, effect: 'write' }, ({ volume, inode }, fail) => {
      if (inode === undefined) return fail('ENOENT')
      if (inode.kind !== 'directory') return fail('ENOTDIR')
      syncNames(volume, inode)
      return undefined
    }),
  }
}
