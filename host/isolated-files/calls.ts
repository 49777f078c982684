/** What a file worker can be asked: one table of argument lists and answers, for both ends of the pipe. */
import type { FileFacts, LockRequest, ScannedImage, SpaceFacts } from '../../core/ports.ts'

type Handle = number

/** `args` must survive JSON; raw bytes travel beside them (to `write`, from `read`). */
export interface Calls {
  list: { args: [directory: string]; value: readonly string[] | undefined }
  stat: { args: [path: string]; value: FileFacts | undefined }
  space: { args: [directory: string]; value: SpaceFacts }
  readText: { args: [path: string, limit: number]; value: string | undefined }
  open: { args: [path: string, mode: 'read' | 'write']; value: Handle }
  create: { args: [path: string, mode: number | null]; value: Handle }
  rename: { args: [from: string, to: string]; value: undefined }
  link: { args: [from: string, to: string]; value: undefined }
  unlink: { args: [path: string]; value: boolean }
  mkdir: { args: [path: string]; value: boolean }
  rmdir: { args: [path: string]; value: boolean }
  syncDirectory: { args: [path: string]; value: undefined }
  read: { args: [file: Handle, position: number, length: number]; value: undefined }
  write: { args: [file: Handle, position: number]; value: undefined }
  truncate: { args: [file: Handle, length: number]; value: undefined }
  length: { args: [file: Handle]; value: number }
  sync: { args: [file: Handle]; value: undefined }
  close: { args: [file: Handle]; value: undefined }
  images: { args: [directory: string, format: string]; value: readonly ScannedImage<unknown>[] }
  texts: { args: [directory: string, suffix: string, limit: number]; value: readonly (readonly [name: string, text: string | null])[] | undefined }
  /** Answers once the locks are held; they are named by the id of this call. */
  guard: { args: [lockFile: string, request: LockRequest, waitMs: number]; value: undefined }
  release: { args: [guard: number]; value: undefined }
  cancel: { args: [call: number]; value: undefined }
}

export type CallName = keyof Calls

interface Traits {
  /** Something may have changed when its answer is lost. */
  readonly changes?: true
  /** Not begun under locks that the storage may have given to somebody else. */
  readonly guarded?: true
  /** Calls that move much at once have a multiple of the usual deadline: a flush writes back whatever is dirty, a scan reads every file. */
  readonly patience?: number
}

export const traits: { readonly [C in CallName]: Traits } = {
  list: {},
  stat: {},
  space: {},
  readText: {},
  open: {},
  create: { changes: true, guarded: true },
  rename: { changes: true, guarded: true },
  link: { changes: true, guarded: true },
  unlink: { changes: true, guarded: true },
  mkdir: { changes: true, guarded: true },
  rmdir: { changes: true, guarded: true },
  syncDirectory: { changes: true },
  read: {},
  write: { changes: true, guarded: true },
  truncate: { changes: true, guarded: true },
  length: {},
  sync: { changes: true, patience: 6 },
  close: {},
  images: { patience: 6 },
  texts: { patience: 6 },
  guard: {},
  release: {},
  cancel: {},
}
