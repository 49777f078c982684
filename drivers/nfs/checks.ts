/**
 * What an export really permits, tried out before an SR is made on it: each step is one that the image store relies on, and a
 * refusal says which one it was and what to change on the server.
 */
import type { Ctx } from '../../core/contract.ts'
import { isSystemError, StorageError, toStorageError } from '../../core/errors.ts'
import type { Files, IsolatedPlace } from '../../core/ports.ts'
import type { NfsDconf } from './dconf.ts'
import { layer } from './reach.ts'

interface Check {
  readonly step: string
  /** What to change when the server refuses this. */
  readonly remedy: (dconf: NfsDconf) => string
  run(files: Files, at: (name: string) => string, place: IsolatedPlace, ctx: Ctx): Promise<void>
}

const squash = ({ serverpath }: NfsDconf): string =>
  `On the server, export ${serverpath} with rw,no_root_squash, or give the directory to the user that root is squashed to (anonuid); then: exportfs -ra`
const behind = ({ serverpath }: NfsDconf): string => `Export a directory on a file system with POSIX semantics (ext4, xfs, zfs) as ${serverpath}`
const locks = (): string => 'Run the lock service on the server, and rpc.statd on this host; or set nfsversion to 4.2, which brings its own locks'

const wrong = (what: string): Error => new Error(what)

const isCode = (error: unknown, code: string): boolean =>
  isSystemError(error) ? error.code === code : error instanceof StorageError && isCode(error.facts.cause, code)

/** In this order; each one finds what the ones before have made. */
const checks: readonly Check[] = [
  { step: 'make a directory', remedy: squash, run: async (files, at) => void (await files.mkdir(at(''))) },
  {
    step: 'create a file', remedy: squash,
    run: async (files, at) => (await files.create(at('a'))).close(),
  },
  {
    step: 'refuse to create a file that is there (O_EXCL)', remedy: behind,
    async run(files, at) {
      try {
        await (await files.create(at('a'))).close()
      } catch (error) {
        if (isCode(error, 'EEXIST')) return
        throw error
      }
      throw wrong('it was created a second time')
    },
  },
  {
    step: 'write, flush and read back', remedy: squash,
    async run(files, at) {
      const file = await files.open(at('a'), 'write')
      try {
        await file.write(4096, Buffer.from('storage-manager'))
        await file.sync()
        if (Buffer.from(await file.read(4096, 15)).toString() !== 'storage-manager' || (await file.length()) !== 4111) throw wrong('it reads back otherwise than it was written')
      } finally {
        await file.close()
      }
    },
  },
  {
    step: 'cut a file', remedy: behind,
    async run(files, at) {
      const file = await files.open(at('a'), 'write')
      try {
        await file.truncate(100)
        if ((await file.length()) !== 100) throw wrong('its length stayed as it was')
      } finally {
        await file.close()
      }
    },
  },
  {
    step: 'give a file a second name (hard link)', remedy: behind,
    async run(files, at) {
      await files.link(at('a'), at('b'))
      const [a, b] = [await files.stat(at('a')), await files.stat(at('b'))]
      if (a === undefined || a.identity !== b?.identity) throw wrong('the two names are two files')
    },
  },
  {
    step: 'refuse a second name that is taken', remedy: behind,
    async run(files, at) {
      await (await files.create(at('c'))).close()
      try {
        await files.link(at('a'), at('c'))
      } catch (error) {
        if (isCode(error, 'EEXIST')) return
        throw error
      }
      throw wrong('the name was taken away from its file')
    },
  },
  {
    step: 'rename over an existing file', remedy: behind,
    async run(files, at) {
      const before = await files.stat(at('a'))
      await files.rename(at('a'), at('c'))
      if ((await files.stat(at('a'))) !== undefined || (await files.stat(at('c')))?.identity !== before?.identity) throw wrong('the new name is not the renamed file')
    },
  },
  {
    step: 'lock a byte range', remedy: locks,
    async run(_files, at, place, ctx) {
      const held = await place.guard(at('lock'), { sr: ctx.sr, srMode: 'exclusive', vdis: [], purpose: 'check of the export' }, 0, ctx.signal)
      held.release()
    },
  },
  { step: 'flush a directory', remedy: behind, run: async (files, at) => files.syncDirectory(at('')) },
  {
    step: 'remove files', remedy: squash,
    async run(files, at) {
      for (const name of ['b', 'c', 'lock']) await files.unlink(at(name))
    },
  },
  { step: 'remove a directory', remedy: squash, run: async (files, at) => void (await files.rmdir(at(''))) },
]

const cleanUp = async (files: Files, directory: string): Promise<void> => {
  for (const name of (await files.list(directory)) ?? []) await files.unlink(`${directory}/${name}`)
  await files.rmdir(directory)
}

/** Tries everything in a directory of its own below `root`, which is gone afterwards. */
export const checkExport = async (ctx: Ctx, dconf: NfsDconf, place: IsolatedPlace, root: string): Promise<void> => {
  const directory = `${root}/.storage-manager-check-${crypto.randomUUID()}`
  const at = (name: string): string => (name === '' ? directory : `${directory}/${name}`)
  for (const check of checks) {
    const { step, remedy } = check
    try {
      await check.run(place.files, at, place, ctx)
    } catch (error) {
      ctx.signal.throwIfAborted()
      // A server that fell silent refuses nothing.
      const failure = isSystemError(error) || error instanceof StorageError ? toStorageError(error, layer) : undefined
      if (failure?.kind === 'unreachable') throw failure
      await cleanUp(place.files, directory).catch(() => undefined)
      const kind = failure?.kind === 'readOnly' || failure?.kind === 'noSpace' || failure?.kind === 'lockUnavailable' ? failure.kind : isRefusal(failure) ? 'permissionDenied' : 'notSupported'
      throw new StorageError(kind, `The export ${dconf.server}:${dconf.serverpath} does not let this host ${step}: ${(error as Error).message}`, {
        layer, field: 'device_config.serverpath', cause: error, details: { step },
        remedy: failure?.kind === 'readOnly' || failure?.kind === 'noSpace' ? (failure.facts.remedy ?? remedy(dconf)) : remedy(dconf),
      })
    }
  }
}

const isRefusal = (failure: StorageError | undefined): boolean => failure?.kind === 'permissionDenied'
