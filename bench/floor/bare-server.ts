/**
 * The floor of durable operations: a server on a unix socket that knows nothing of VDIs and does their bare system calls, one after
 * another, in the order that docs/crash-safety.md demands. No locks, no checks, no records, nothing is read.
 * Arguments: the socket, a directory. Prints a line when it listens.
 */
import { closeSync, fdatasyncSync, fsyncSync, linkSync, mkdirSync, openSync, readSync, renameSync, unlinkSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { MiB } from '../../core/units.ts'
import { vhd } from '../../formats/vhd/format.ts'

const [socketPath = '', directory = ''] = process.argv.slice(2)
const images = join(directory, 'images')
const intents = join(directory, 'intents')
const facts = join(directory, 'facts')
for (const each of [images, intents, facts]) mkdirSync(each, { recursive: true })

const image = vhd.create({ size: 64 * MiB, id: '1'.repeat(32), createdMs: 1_700_000_000_000 })
const record = Buffer.alloc(5676, 120)
const description = Buffer.alloc(200, 120)
let number = 0

const syncDirectory = (path: string): void => {
  const fd = openSync(path, 'r')
  fsyncSync(fd)
  closeSync(fd)
}

const newFile = (bytes: Uint8Array): string => {
  number += 1
  const path = join(intents, `file-${number}`)
  const fd = openSync(path, 'wx')
  writeSync(fd, bytes)
  fdatasyncSync(fd)
  closeSync(fd)
  return path
}

const placeFacts = (staged: string): void => {
  renameSync(staged, join(facts, `facts-${number}`))
  syncDirectory(facts)
}

const operations: Readonly<Record<string, (disk: string) => string | void>> = {
  create() {
    const staged = newFile(image)
    const disk = join(images, `disk-${number}`)
    linkSync(staged, disk)
    syncDirectory(images)
    unlinkSync(staged)
    return disk
  },
  snapshot(disk) {
    const child = newFile(image)
    const staged = newFile(description)
    syncDirectory(intents)
    placeFacts(staged)
    linkSync(disk, `${disk}.snapshot`)
    syncDirectory(images)
    renameSync(child, disk)
    syncDirectory(images)
  },
  clone(disk) {
    const child = newFile(image)
    const twin = newFile(image)
    const staged = newFile(description)
    syncDirectory(intents)
    placeFacts(staged)
    linkSync(disk, `${disk}.base`)
    linkSync(twin, `${disk}.clone`)
    syncDirectory(images)
    renameSync(child, disk)
    syncDirectory(images)
    unlinkSync(twin)
  },
  /** With a table that grows: the redo record, then table, header and both footers, each synced before the next. */
  resize(disk) {
    const redo = join(intents, 'redo')
    renameSync(newFile(record), redo)
    syncDirectory(intents)
    const fd = openSync(disk, 'r+')
    for (const at of [1536, 512, 0, 3072]) {
      writeSync(fd, image, 0, 512, at)
      fdatasyncSync(fd)
    }
    closeSync(fd)
    unlinkSync(redo)
    syncDirectory(intents)
  },
  remove(disk) {
    const gone = join(intents, 'gone')
    renameSync(disk, gone)
    syncDirectory(images)
    syncDirectory(intents)
    unlinkSync(gone)
  },
  read(path) {
    const fd = openSync(path, 'r')
    readSync(fd, Buffer.alloc(512))
    closeSync(fd)
  },
}

createServer((socket) => {
  socket.on('data', (chunk) => {
    const { operation, disk } = JSON.parse(chunk.toString()) as { readonly operation: string; readonly disk: string }
    socket.write(`${JSON.stringify({ disk: operations[operation]?.(disk) ?? disk })}\n`)
  })
}).listen(socketPath, () => process.stdout.write('listening\n'))
