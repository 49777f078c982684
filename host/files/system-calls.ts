/**
 * The system calls that files.ts is made of, in two ways. `queuedCalls` go to a thread of Node's pool and back: this thread
 * goes on meanwhile, and a disk that does not answer holds up nobody here. `directCalls` are made at once by the thread that
 * asks, at a tenth of the price: for threads that have nothing else to do.
 */
import * as fs from 'node:fs'
import { promisify } from 'node:util'

type Answer<T> = T | Promise<T>

export interface SystemCalls {
  open(path: string, flags: number, mode?: number): Answer<number>
  close(fd: number): Answer<void>
  /** Bytes read. */
  read(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): Answer<number>
  /** Bytes written. */
  write(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): Answer<number>
  fstat(fd: number): Answer<fs.Stats>
  ftruncate(fd: number, length: number): Answer<void>
  fdatasync(fd: number): Answer<void>
  fsync(fd: number): Answer<void>
  lstat(path: string): Answer<fs.BigIntStats>
  statfs(path: string): Answer<fs.StatsFs>
  readFile(path: string): Answer<string>
  readdir(path: string): Answer<string[]>
  rename(from: string, to: string): Answer<void>
  link(from: string, to: string): Answer<void>
  unlink(path: string): Answer<void>
  mkdir(path: string, mode: number): Answer<void>
  rmdir(path: string): Answer<void>
}

// The callback functions on plain descriptors cost half of what fs/promises and its handles do.
const read = promisify(fs.read) as (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) => Promise<{ bytesRead: number }>
const write = promisify(fs.write) as (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) => Promise<{ bytesWritten: number }>
const lstat = promisify(fs.lstat) as unknown as (path: string, options: { bigint: true }) => Promise<fs.BigIntStats>
const readFile = promisify(fs.readFile) as (path: string, encoding: BufferEncoding) => Promise<string>

export const queuedCalls: SystemCalls = {
  open: promisify(fs.open),
  close: promisify(fs.close),
  read: async (...where) => (await read(...where)).bytesRead,
  write: async (...where) => (await write(...where)).bytesWritten,
  fstat: promisify(fs.fstat),
  ftruncate: promisify(fs.ftruncate),
  fdatasync: promisify(fs.fdatasync),
  fsync: promisify(fs.fsync),
  lstat: async (path) => lstat(path, { bigint: true }),
  statfs: promisify(fs.statfs) as unknown as (path: string) => Promise<fs.StatsFs>,
  readFile: async (path) => readFile(path, 'latin1'),
  readdir: promisify(fs.readdir) as (path: string) => Promise<string[]>,
  rename: promisify(fs.rename),
  link: promisify(fs.link),
  unlink: promisify(fs.unlink),
  mkdir: promisify(fs.mkdir) as (path: string, mode: number) => Promise<void>,
  rmdir: promisify(fs.rmdir),
}

export const directCalls: SystemCalls = {
  open: fs.openSync,
  close: fs.closeSync,
  read: fs.readSync,
  write: fs.writeSync,
  fstat: fs.fstatSync,
  ftruncate: fs.ftruncateSync,
  fdatasync: fs.fdatasyncSync,
  fsync: fs.fsyncSync,
  lstat: (path) => fs.lstatSync(path, { bigint: true }),
  statfs: (path) => fs.statfsSync(path),
  readFile: (path) => fs.readFileSync(path, 'latin1'),
  readdir: (path) => fs.readdirSync(path),
  rename: fs.renameSync,
  link: fs.linkSync,
  unlink: fs.unlinkSync,
  mkdir: (path, mode) => fs.mkdirSync(path, mode),
  rmdir: fs.rmdirSync,
}
