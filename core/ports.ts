/**
 * Ports: what the rules of storage need from the world, as types. Rooms further out implement them (host/, the front
 * ends, the test kit); nothing in core ever imports an implementation.
 */
import type { RandomAccess } from './bytes.ts'
import type { SrUuid, VdiUuid } from './ids.ts'

/** Time, so that tests own it. Milliseconds of the Unix epoch. */
export interface Clock {
  now(): number
}

export type LogFacts = Readonly<Record<string, unknown>>
export interface Log {
  debug(facts: LogFacts, message: string): void
  info(facts: LogFacts, message: string): void
  warn(facts: LogFacts, message: string): void
  error(facts: LogFacts, message: string): void
  /** The same log with facts on every line; `secrets` are values that must never appear in any line. */
  child(facts: LogFacts, secrets?: readonly string[]): Log
}

/** One run of a host tool. Arguments are a vector, never a shell string; secrets go by `stdin` or a private file. */
export interface Command {
  readonly argv: readonly [string, ...string[]]
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string>>
  /** Milliseconds after which the whole process group is killed. */
  readonly timeoutMs: number
  /** Whether it may change anything: crash tests interrupt around the ones that write. */
  readonly effect: 'read' | 'write'
  /** Exit statuses that are an answer and no failure; [0] when absent. */
  readonly accept?: readonly number[]
}

export interface RunResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
  readonly durationMs: number
}

export type Run = (command: Command, signal: AbortSignal) => Promise<RunResult>

export interface FileFacts {
  readonly kind: 'file' | 'directory' | 'symlink' | 'block' | 'other'
  /** Length in bytes. */
  readonly size: number
  /** Bytes really allocated. */
  readonly allocated: number
  readonly modifiedMs: number
  /** Changes whenever content or attributes did; only good for comparing. */
  readonly version: string
  /** Device and inode: the identity of the file behind a name. */
  readonly identity: string
}

export interface SpaceFacts {
  readonly total: number
  readonly free: number
}

export interface OpenFile extends RandomAccess {
  close(): Promise<void>
}

/**
 * The file system as drivers use it. Only primitives: every call here is one step that a crash can come before or
 * after, and tests enumerate them. No call follows a symlink in the last component. "Not there" is an answer
 * (undefined); every other failure throws.
 */
export interface Files {
  list(directory: string): Promise<readonly string[] | undefined>
  stat(path: string): Promise<FileFacts | undefined>
  space(directory: string): Promise<SpaceFacts>
  /** Whole content as text, at most `limit` bytes: a longer file is an error. */
  readText(path: string, limit: number): Promise<string | undefined>
  open(path: string, mode: 'read' | 'write'): Promise<OpenFile>
  /** A new file; alreadyExists when the name is taken. Private to the user (0600) unless `mode` says otherwise. */
  create(path: string, mode?: number): Promise<OpenFile>
  /** Replaces an existing `to`. */
  rename(from: string, to: string): Promise<void>
  /** A second name for the same file; alreadyExists when `to` is taken. The way to take a name exactly once. */
  link(from: string, to: string): Promise<void>
  /** True when something was removed. */
  unlink(path: string): Promise<boolean>
  /** True when it was made, false when it was there. */
  mkdir(path: string): Promise<boolean>
  /** True when it was removed, false when it was not there; fails when not empty. */
  rmdir(path: string): Promise<boolean>
  /** Makes creations, renames and removals in this directory survive a power cut. */
  syncDirectory(path: string): Promise<void>
}

/** One image file as a scan found it: a summary made by its format, or the reason why there is none. */
export interface ScannedImage<Summary> {
  readonly fileName: string
  readonly facts: FileFacts
  readonly summary?: Summary
  readonly problem?: { readonly message: string; readonly remedy?: string }
}

/**
 * Reads head and tail of every image in a directory. The daemon does this in a worker thread, a short process directly,
 * tests through their model; `format` names the image format. Rows come in no order. Fails when the directory cannot be listed.
 */
export type ScanImages = (
  directory: string,
  format: string,
  signal: AbortSignal,
) => Promise<readonly ScannedImage<unknown>[]>

/**
 * Reads every small text file of a directory whose name ends in `suffix`, each at most `limit` bytes (longer ones are answered
 * without text). By file name; undefined when the directory is not there.
 */
export type ScanTexts = (
  directory: string,
  suffix: string,
  limit: number,
  signal: AbortSignal,
) => Promise<ReadonlyMap<string, string | undefined> | undefined>

/** Reads of whole directories, which are the long ones: in a live worker thread, a child process, or directly. */
export interface Scanner {
  readonly images: ScanImages
  readonly texts: ScanTexts
}

/**
 * A lock of this host by name, for what only one process of it may do at a time (one iscsiadm, one look at who still needs a
 * session). Held beside the locks of a call, for a moment; released by the kernel when the process dies. Waits up to `waitMs`,
 * then fails with inProgress and says who holds it. `name` becomes a file name.
 */
export type Exclusive = (name: string, purpose: string, waitMs: number, signal: AbortSignal) => Promise<Release>

/** A place whose storage may stop answering, and what to say of it when it does. */
export interface IsolatedPlaceOptions {
  /** Names the place in errors, logs and the process list: what it is, and its mount point. */
  readonly name: string
  /** Of errors, as `host:nfs`. */
  readonly layer: string
  /** What to do when it does not answer. */
  readonly remedy: string
  /** Puts what the system said in words; answers its argument where it knows nothing better. */
  readonly explain?: (error: unknown) => unknown
}

/**
 * File work in a place that may hang, done by a process of its own, so that it never holds a thread of this one. Each call has
 * a deadline; at its end the process is given up and the call fails with unreachable. The next call starts a new one.
 */
export interface IsolatedPlace {
  readonly files: Files
  readonly scanner: Scanner
  /**
   * Locks on a file in the place (made when absent; its directory must be there), held by the storage for this host until
   * they are released or the process or the host dies. While any was lost that way, all calls fail until it is released:
   * nobody goes on under a lock that is gone. Waits up to `waitMs`, then fails with inProgress.
   */
  guard(lockFile: string, request: LockRequest, waitMs: number, signal: AbortSignal): Promise<Release>
  /** Processes that were given up and still wait for the storage. */
  stuck(): number
  /** Ends the process; calls under way fail. */
  close(): void
}

export type Isolate = (options: IsolatedPlaceOptions) => IsolatedPlace

/** The machine, as one value: drivers get at it through their context only, so that tests can put a model in its place. */
export interface Host {
  /** Names this machine in locks on shared storage. */
  readonly id: string
  /** Changes at every boot: what was attached in an earlier boot is attached no more. */
  readonly bootId: string
  /** A private directory for this host's mount points and other volatile things. */
  readonly runDirectory: string
  readonly run: Run
  readonly files: Files
  readonly scanner: Scanner
  readonly exclusive: Exclusive
  readonly isolate: Isolate
}

/** Lock scopes, taken in this order: an SR before its VDIs, VDIs in the order of their uuids. */
export interface LockRequest {
  readonly sr: SrUuid
  readonly srMode: 'shared' | 'exclusive'
  readonly vdis: readonly VdiUuid[]
  /** For the next one in the queue, who sees it as the holder. */
  readonly purpose: string
}

export interface Release {
  release(): void
}

/**
 * Locks between all processes of this host, released by the kernel when a process dies. Waits up to `waitMs`, then fails
 * with inProgress and says who holds it.
 */
export interface Locks {
  acquire(request: LockRequest, waitMs: number, signal: AbortSignal): Promise<Release>
  /** Closes what is held open for an SR that has been detached or forgotten. */
  forget(sr: SrUuid): void
}

/** What this host knows of an SR: its type and the dconf to reach it (the PBD of the SM API). */
export interface SrRecord {
  readonly uuid: SrUuid
  readonly type: string
  readonly deviceConfig: Readonly<Record<string, string>>
  /** Present while attached: in which boot it was. */
  readonly attachedInBoot?: string
}

export interface AttachmentRecord {
  readonly vdi: VdiUuid
  readonly mode: 'ro' | 'rw'
  /** What the driver answered, and what its detach will be given back. */
  readonly attachment: AttachmentLike
  readonly bootId: string
  readonly attachedMs: number
}

/** Kept structurally equal to `Attachment` of the contract. */
export interface AttachmentLike {
  readonly path: string
  readonly contentType: string
  readonly driverData?: Readonly<Record<string, string>>
}

/** Host-local memory, shared by all processes of this host. Volatile facts of earlier boots are not answered. */
export interface HostRecords {
  listSrs(): readonly SrRecord[]
  sr(uuid: SrUuid): SrRecord | undefined
  putSr(record: SrRecord): void
  removeSr(uuid: SrUuid): void
  attachments(sr: SrUuid): readonly AttachmentRecord[]
  attachment(sr: SrUuid, vdi: VdiUuid): AttachmentRecord | undefined
  putAttachment(sr: SrUuid, record: AttachmentRecord): void
  removeAttachment(sr: SrUuid, vdi: VdiUuid): void
}
