/**
 * Model disks: block nodes in the root of a host, with real bytes. Everything LVM knows is in those bytes (a label at 512, the
 * header at 4096 that tells where the metadata of the group is as text), so that a copied disk is a copied SR, a zeroed head is a blank disk, and a disk that
 * is pulled is missing. Writes are durable at once.
 */
import { pageSize, writeContent, type Content } from '../../model/content.ts'
import { addInode, assign, change, syncContent, syncNames, type Inode, type Volume } from '../../model/volume.ts'

/** How a disk misbehaves. fails: every read and write. fails-writes: as an array that went read-only. lies: writes are lost. */
export type Ailment = 'fails' | 'fails-writes' | 'lies'

export interface Disk {
  readonly path: string
  readonly serial: string
  ailment?: Ailment
  /** Somebody else has it open exclusively, as a mount or a map does. */
  held?: boolean
  /** Not there at the moment. */
  pulled?: Inode
  /** Other names that lead to it; the one made of its serial when absent. */
  readonly names?: readonly string[]
  /** The disk itself, when its node is made by somebody else than this model. */
  readonly inode?: Inode
}

export class DiskError extends Error {}

export const directoryAt = (volume: Volume, path: string, make: boolean): Inode | undefined => {
  let at: Inode = volume.root
  for (const name of path.split('/').filter((part) => part !== '')) {
    const there = at.entries.get(name)
    if (there === undefined && !make) return undefined
    const next = there ?? addInode(volume, 'directory', 0)
    if (there === undefined) {
      assign(volume, [{ directory: at, name, to: next }], 0)
      syncNames(volume, at)
    }
    at = next
  }
  return at
}

export const setNode = (volume: Volume, path: string, to: Inode | undefined): void => {
  const slash = path.lastIndexOf('/')
  const directory = directoryAt(volume, path.slice(0, slash), to !== undefined)
  if (directory === undefined) return
  assign(volume, [{ directory, name: path.slice(slash + 1), to }], 0)
  syncNames(volume, directory)
}

export const nodeAt = (volume: Volume, path: string): Inode | undefined => {
  const slash = path.lastIndexOf('/')
  return directoryAt(volume, path.slice(0, slash), false)?.entries.get(path.slice(slash + 1))
}

export const addDisk = (volume: Volume, path: string, size: number, serial: string): Disk => {
  const inode = addInode(volume, 'block', 0)
  change(inode, { kind: 'truncate', length: size }, 0)
  syncContent(inode)
  setNode(volume, path, inode)
  return { path, serial }
}

export const diskInode = (volume: Volume, disk: Disk): Inode => {
  const inode = disk.pulled === undefined ? disk.inode ?? nodeAt(volume, disk.path) : undefined
  if (inode === undefined) throw new DiskError('No such device')
  return inode
}

const both = (inode: Inode, act: (content: Content) => void): void => {
  act(inode.content)
  act(inode.durable)
}

export const readBytes = (volume: Volume, disk: Disk, position: number, length: number): Uint8Array => {
  const inode = diskInode(volume, disk)
  if (disk.ailment === 'fails') throw new DiskError('Input/output error')
  const bytes = new Uint8Array(Math.max(0, Math.min(length, inode.content.length - position)))
  for (let done = 0; done < bytes.length;) {
    const page = Math.floor((position + done) / pageSize)
    const inPage = (position + done) % pageSize
    const take = Math.min(pageSize - inPage, bytes.length - done)
    const found = inode.content.pages.get(page)
    if (found !== undefined) bytes.set(found.subarray(inPage, inPage + take), done)
    done += take
  }
  return bytes
}

/** Whether writes reach the disk; throws when it fails them. */
const takesWrites = (disk: Disk): boolean => {
  if (disk.ailment === 'fails' || disk.ailment === 'fails-writes') throw new DiskError('Input/output error')
  return disk.ailment !== 'lies'
}

export const writeBytes = (volume: Volume, disk: Disk, position: number, bytes: Uint8Array): void => {
  const inode = diskInode(volume, disk)
  if (takesWrites(disk)) both(inode, (content) => writeContent(content, position, bytes))
}

export const zeroBytes = (volume: Volume, disk: Disk, position: number, length: number): void => {
  const inode = diskInode(volume, disk)
  if (!takesWrites(disk)) return
  both(inode, (content) => {
    const end = position + length
    const pages = Array.from(content.pages.keys())
    for (const page of pages) {
      const [from, to] = [Math.max(page * pageSize, position), Math.min((page + 1) * pageSize, end)]
      if (from >= to) continue
      if (to - from === pageSize) content.pages.delete(page)
      else writeContent(content, from, new Uint8Array(to - from))
    }
  })
}

/** One page of a disk, as a volume on it sees it. */
export const getPage = (volume: Volume, disk: Disk, page: number): Uint8Array | undefined => {
  if (disk.ailment === 'fails') throw new DiskError('Input/output error')
  return diskInode(volume, disk).content.pages.get(page)
}

export const putPage = (volume: Volume, disk: Disk, page: number, bytes: Uint8Array | undefined): void => {
  const inode = diskInode(volume, disk)
  if (!takesWrites(disk)) return
  both(inode, (content) => {
    if (bytes === undefined) content.pages.delete(page)
    else content.pages.set(page, bytes)
  })
}

const labelOffset = 512
const headerOffset = 4096
const labelStart = 'LABELONE'

export interface Label {
  readonly pv: string
  readonly metadataSize: number
  readonly dataStart: number
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const bytesOf = (value: string): Uint8Array => new TextEncoder().encode(value)

export const readLabel = (volume: Volume, disk: Disk): Label | undefined => {
  const found = text(readBytes(volume, disk, labelOffset, 512))
  return found.startsWith(labelStart) ? JSON.parse(found.slice(labelStart.length, found.indexOf('\0'))) as Label : undefined
}

export const writeLabel = (volume: Volume, disk: Disk, label: Label): void => {
  const bytes = new Uint8Array(512)
  bytes.set(bytesOf(`${labelStart}${JSON.stringify(label)}`))
  writeBytes(volume, disk, labelOffset, bytes)
}

const headerMagic = ' LVM2 x[5A%r0N*>'
/** Each new text goes where the one before it is not, as in LVM's ring: the header tells which is valid. */
const textSlots = [8192, 8192 + 2 ** 19] as const

const readHeader = (volume: Volume, disk: Disk): { readonly slot: number; readonly length: number } | undefined => {
  const found = text(readBytes(volume, disk, headerOffset, 512))
  if (!found.slice(4).startsWith(headerMagic)) return undefined
  return JSON.parse(found.slice(4 + headerMagic.length, found.indexOf('\0'))) as { slot: number; length: number }
}

/** The metadata text; the label alone says that there may be one. */
export const readText = (volume: Volume, disk: Disk): string | undefined => {
  const header = readHeader(volume, disk)
  return header === undefined || header.length === 0 ? undefined : text(readBytes(volume, disk, textSlots[header.slot] ?? 0, header.length))
}

export const writeText = (volume: Volume, disk: Disk, value: string): void => {
  const body = bytesOf(value)
  const slot = 1 - (readHeader(volume, disk)?.slot ?? 1)
  writeBytes(volume, disk, textSlots[slot] ?? 0, body)
  const header = new Uint8Array(512)
  header.set(bytesOf(`HEAD${headerMagic}${JSON.stringify({ slot, length: body.length })}`))
  writeBytes(volume, disk, headerOffset, header)
}

/** What stands at the start of a disk for blkid: LVM's label, or the first bytes of something else. */
export const signatureOf = (volume: Volume, disk: Disk): { readonly type: string; readonly uuid?: string } | undefined => {
  const label = readLabel(volume, disk)
  if (label !== undefined) return { type: 'LVM2_member', uuid: label.pv }
  const magic = readBytes(volume, disk, 1080, 2)
  if (magic[0] === 0x53 && magic[1] === 0xef) return { type: 'ext4', uuid: 'f1d91afa-771e-421c-9be6-6c9b57413d24' }
  return undefined
}

/** An ext4, as far as anybody looks. */
export const makeExt4 = (volume: Volume, disk: Disk): void => writeBytes(volume, disk, 1080, Uint8Array.from([0x53, 0xef]))
