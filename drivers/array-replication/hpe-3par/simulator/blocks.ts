/**
 * The bytes of volumes. Every volume is a sparse file `<key>.img` and a list `<key>.map` of the blocks that were written to it.
 * A base volume's file is its whole content (holes are zeros), so that it can be exported as it is. A snapshot's file holds
 * only blocks that its parent has overwritten since, or that were written to the snapshot; the others are read from the parent.
 *
 * A write, per block: 1. children that lack the block get the old content; 2. their lists name it; 3. the new content is
 * written; 4. the volume's list names it. Killed after 1: the child still reads the same from its parent. After 2 or 3: the
 * child has the old content, the write was never acknowledged. Before 4 a base volume has the bytes in its file, which the list
 * must name before the file counts as written: so a base names the block before 3, when zeros may still stand there.
 */
import { appendFileSync, closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** Bytes in one block: the page of such arrays. */
const blockSize = 16_384

export interface BlockStore {
  create(key: string, bytes: number, parent?: string): void
  resize(key: string, bytes: number): void
  /** Removes the files; children must be gone. */
  remove(key: string): void
  /** Re-establishes who hangs below whom after a start. */
  adopt(key: string, parent?: string): void
  read(key: string, offset: number, length: number): Buffer
  write(key: string, offset: number, data: Buffer): void
  /** Bytes that the volume itself occupies. */
  used(key: string): number
  /** Blocks that a write of this range would occupy newly, in bytes. */
  growth(key: string, offset: number, length: number): number
  /** Makes `to` hold what `from` holds; blocks that are equal are not written. Repeating it after a kill finishes it. */
  copy(from: string, to: string): void
  path(key: string): string
  close(): void
}

interface Entry {
  parent: string | undefined
  readonly children: Set<string>
  written: Set<number> | undefined
  file: number | undefined
}

const zeros = Buffer.alloc(blockSize)

/** Blocks that a list names; a torn last entry counts as none. */
const readMap = (path: string): Set<number> => {
  const written = new Set<number>()
  if (!existsSync(path)) return written
  const bytes = readFileSync(path)
  for (let at = 0; at + 4 <= bytes.length; at += 4) written.add(bytes.readUInt32LE(at))
  return written
}

/** Open files are kept for the volumes that are in use; more are closed again. */
const maxOpen = 256

export const openBlockStore = (directory: string): BlockStore => {
  mkdirSync(directory, { recursive: true })
  const entries = new Map<string, Entry>()
  const open: string[] = []
  const imageOf = (key: string): string => join(directory, `${key}.img`)
  const mapOf = (key: string): string => join(directory, `${key}.map`)

  const entryOf = (key: string): Entry => {
    const known = entries.get(key)
    if (known !== undefined) return known
    const made: Entry = { parent: undefined, children: new Set(), written: undefined, file: undefined }
    entries.set(key, made)
    return made
  }
  const writtenOf = (key: string): Set<number> => {
    const entry = entryOf(key)
    entry.written ??= readMap(mapOf(key))
    return entry.written
  }
  const shut = (key: string): void => {
    const entry = entries.get(key)
    if (entry?.file === undefined) return
    closeSync(entry.file)
    entry.file = undefined
    open.splice(open.indexOf(key), 1)
  }
  const fileOf = (key: string): number => {
    const entry = entryOf(key)
    if (entry.file !== undefined) return entry.file
    const oldest = open.length >= maxOpen ? open[0] : undefined
    if (oldest !== undefined) shut(oldest)
    entry.file = openSync(imageOf(key), 'r+')
    open.push(key)
    return entry.file
  }
  const note = (key: string, block: number): void => {
    const written = writtenOf(key)
    if (written.has(block)) return
    const record = Buffer.alloc(4)
    record.writeUInt32LE(block)
    appendFileSync(mapOf(key), record)
    written.add(block)
  }

  const readBlock = (key: string, block: number): Buffer => {
    const entry = entryOf(key)
    if (!writtenOf(key).has(block)) return entry.parent === undefined ? zeros : readBlock(entry.parent, block)
    const bytes = Buffer.alloc(blockSize)
    readSync(fileOf(key), bytes, 0, blockSize, block * blockSize)
    return bytes
  }

  const writeBlock = (key: string, block: number, data: Buffer): void => {
    const entry = entryOf(key)
    const old = entry.children.size === 0 ? zeros : readBlock(key, block)
    for (const child of entry.children) {
      if (writtenOf(child).has(block)) continue
      writeSync(fileOf(child), old, 0, blockSize, block * blockSize)
      note(child, block)
    }
    if (entry.parent === undefined) note(key, block)
    writeSync(fileOf(key), data, 0, blockSize, block * blockSize)
    note(key, block)
  }

  const blocksOf = (offset: number, length: number): readonly number[] => {
    const first = Math.floor(offset / blockSize)
    const last = Math.floor((offset + length - 1) / blockSize)
    return length === 0 ? [] : Array.from({ length: last - first + 1 }, (_, index) => first + index)
  }

  /** Blocks that the volume or what it is read through has; all others are zeros. */
  const known = (key: string, into: Set<number>): Set<number> => {
    for (const block of writtenOf(key)) into.add(block)
    const { parent } = entryOf(key)
    return parent === undefined ? into : known(parent, into)
  }

  const adopt = (key: string, parent?: string): void => {
    entryOf(key).parent = parent
    if (parent !== undefined) entryOf(parent).children.add(key)
  }

  return {
    adopt,
    create: (key, bytes, parent) => {
      shut(key)
      rmSync(mapOf(key), { force: true })
      entryOf(key).written = new Set()
      const file = openSync(imageOf(key), 'w')
      ftruncateSync(file, bytes)
      closeSync(file)
      adopt(key, parent)
    },
    resize: (key, bytes) => ftruncateSync(fileOf(key), bytes),
    remove: (key) => {
      shut(key)
      const { parent } = entryOf(key)
      if (parent !== undefined) entryOf(parent).children.delete(key)
      entries.delete(key)
      rmSync(mapOf(key), { force: true })
      rmSync(imageOf(key), { force: true })
    },
    read: (key, offset, length) => {
      const first = Math.floor(offset / blockSize) * blockSize
      return Buffer.concat(blocksOf(offset, length).map((block) => readBlock(key, block))).subarray(offset - first, offset - first + length)
    },
    write: (key, offset, data) => {
      for (const block of blocksOf(offset, data.length)) {
        const start = block * blockSize
        const from = Math.max(offset, start)
        const part = data.subarray(from - offset, Math.min(offset + data.length, start + blockSize) - offset)
        const whole = part.length === blockSize ? part : Buffer.from(readBlock(key, block))
        if (part.length !== blockSize) part.copy(whole, from - start)
        writeBlock(key, block, whole)
      }
    },
    used: (key) => {
      const { written } = entryOf(key)
      if (written !== undefined) return written.size * blockSize
      const size = statSync(mapOf(key), { throwIfNoEntry: false })?.size
      if (size === undefined) entryOf(key).written = new Set()
      return size === undefined ? 0 : Math.floor(size / 4) * blockSize
    },
    growth: (key, offset, length) => blocksOf(offset, length).filter((block) => !writtenOf(key).has(block)).length * blockSize,
    copy: (from, to) => {
      for (const block of known(to, known(from, new Set()))) {
        const data = readBlock(from, block)
        if (!data.equals(readBlock(to, block))) writeBlock(to, block, data)
      }
    },
    path: imageOf,
    close: () => {
      for (let key = open[0]; key !== undefined; key = open[0]) shut(key)
    },
  }
}
