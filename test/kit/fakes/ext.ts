/**
 * Block devices of a model host and the tools that look at them, format, check and mount them. A device is a block node of the
 * host's root volume; its superblock names the volume that is its file system, so that a wiped device has lost it.
 */
import type { Command, RunResult } from '../../../core/ports.ts'
import { addInode, assign, change, createVolume, readInode, syncContent, syncNames, usedBytes, type Inode, type Volume } from '../model/volume.ts'
import { placeDirectory, type ModelHost } from '../model/machine.ts'
import { complains, says, unknownUse } from './answer.ts'
import type { Backend, Mounted } from './mount.ts'

/** What the model keeps of a file system in its second KiB, as JSON. */
interface Superblock {
  readonly type: string
  readonly uuid: string
  readonly label: string
  /** Bytes. */
  readonly size: number
  readonly features: readonly string[]
  /** Number of the volume. */
  readonly volume: number
}

export interface ExtDevice {
  /** Below /dev. */
  readonly name: string
  readonly numbers: string
  /** Other names that lead to it, whole. */
  readonly names?: readonly string[]
  /** The device itself, when its node is made by somebody else than this model. */
  readonly inode?: Inode
}

interface State {
  readonly root: Volume
  readonly devices: ExtDevice[]
  readonly volumes: Map<number, Volume>
}

const zeroPage = Buffer.alloc(4096)
const superblockAt = 1024
const superblockLength = 1024

let volumes = 0

const inodeOf = ({ root, devices }: Pick<State, 'root' | 'devices'>, name: string): Inode => {
  const inode = devices.find((device) => device.name === name)?.inode ?? root.root.entries.get('dev')?.entries.get(name)
  if (inode === undefined) throw new Error(`the model has no device ${name}`)
  return inode
}

const readSuperblock = (inode: Inode): Superblock | undefined => {
  const text = Buffer.from(readInode(inode, superblockAt, superblockLength)).toString('latin1').replace(/\0+$/, '')
  return text.startsWith('{') ? (JSON.parse(text) as Superblock) : undefined
}

/** Tools write durably: each of them ends with a flush. */
const writeSuperblock = (inode: Inode, superblock: Superblock): void => {
  change(inode, { kind: 'write', position: superblockAt, bytes: Buffer.from(JSON.stringify(superblock).padEnd(superblockLength, '\0'), 'latin1') }, 0)
  syncContent(inode)
}

export interface ExtModel extends Backend {
  /** Makes the second device a copy of the first one, as a snapshot of an array would be. */
  duplicate(from: string, to: string): void
  /** Writes into a device behind everybody's back. */
  scribble(name: string, position: number, bytes: Uint8Array): void
  grow(name: string, size: number): void
  /** The device is gone; answers what plugs it in again. */
  unplug(name: string): () => void
  /** The file system of a device. */
  volumeOf(name: string): Volume
  /** Puts a file system of another kind on a device. */
  format(name: string, type: string): void
}

const build = (state: State): ExtModel => {
  const { root, devices } = state
  const find = (path: string): ExtDevice | undefined => devices.find(({ name, names }) => path === `/dev/${name}` || names?.includes(path) === true)
  const need = (argv: readonly string[], path = argv.at(-1) ?? ''): ExtDevice => find(path) ?? unknownUse(argv)
  const superblockOf = (device: ExtDevice): Superblock | undefined => readSuperblock(inodeOf(state, device.name))

  const row = (device: ExtDevice, mounted: readonly Mounted[]): object => ({
    'name': `/dev/${device.name}`, 'kname': `/dev/${device.name}`, 'path': `/dev/${device.name}`, 'maj:min': device.numbers, 'type': 'disk', 'size': inodeOf(state, device.name).content.length, 'ro': false,
    'mountpoints': [mounted.find(({ source }) => source === `/dev/${device.name}`)?.mountPoint ?? null],
  })

  const lsblk = (argv: readonly string[], mounted: readonly Mounted[]): RunResult => {
    if (argv.at(-2) !== '--') return says(JSON.stringify({ blockdevices: devices.map((device) => row(device, mounted)) }))
    const device = find(argv.at(-1) ?? '')
    return device === undefined ? { ...says('{"blockdevices": []}', 32), stderr: `lsblk: ${argv.at(-1) ?? ''}: not a block device` } : says(JSON.stringify({ blockdevices: [row(device, mounted)] }))
  }

  const blkid = (argv: readonly string[]): RunResult => {
    const token = argv.includes('--match-token') ? (argv.at(-1) ?? '').replace('UUID=', '') : undefined
    if (token !== undefined) {
      const found = devices.filter((device) => superblockOf(device)?.uuid === token).map(({ name }) => `/dev/${name}\n`)
      return says(found.join(''), found.length === 0 ? 2 : 0)
    }
    const superblock = superblockOf(need(argv))
    return superblock === undefined ? says('', 2) : says(`DEVNAME=${argv.at(-1) ?? ''}\nLABEL=${superblock.label}\nUUID=${superblock.uuid}\nTYPE=${superblock.type}\nUSAGE=filesystem\n`)
  }

  const mkfs = (argv: readonly string[]): RunResult => {
    const device = need(argv, argv.at(-2))
    const uuid = argv[argv.indexOf('-U') + 1] ?? ''
    const size = Number((argv.at(-1) ?? '').replace(/k$/, '')) * 1024
    volumes += 1
    const volume = createVolume(size)
    placeDirectory(volume, 'lost+found')
    state.volumes.set(volumes, volume)
    writeSuperblock(inodeOf(state, device.name), { type: 'ext4', uuid, label: argv[argv.indexOf('-L') + 1] ?? '', size, features: (argv[argv.indexOf('-O') + 1] ?? '').split(','), volume: volumes })
    return says('')
  }

  const changeSuperblock = (argv: readonly string[], device: ExtDevice, update: Partial<Superblock>): RunResult => {
    const superblock = superblockOf(device)
    if (superblock?.type !== 'ext4') return complains(`${argv[0] ?? ''}: Bad magic number in super-block while trying to open /dev/${device.name}`, 1)
    writeSuperblock(inodeOf(state, device.name), { ...superblock, ...update })
    return says('')
  }

  const tune = (argv: readonly string[]): RunResult => {
    const [, option, value, path, ...more] = argv
    if (value === undefined || more.length > 0) return unknownUse(argv)
    const device = need(argv, path)
    if (option === '-O') return changeSuperblock(argv, device, { features: [...(superblockOf(device)?.features ?? []), value] })
    return option === '-U' ? changeSuperblock(argv, device, { uuid: value }) : unknownUse(argv)
  }

  const dump = (argv: readonly string[]): RunResult => {
    const superblock = superblockOf(need(argv))
    if (superblock?.type !== 'ext4') return complains('dumpe2fs: Bad magic number in super-block', 1)
    return says(`Filesystem UUID:          ${superblock.uuid}\nFilesystem features:      ${superblock.features.join(' ')}\nFilesystem state:         clean\nBlock count:              ${superblock.size / 1024}\nBlock size:               1024\n`)
  }

  const resize = (argv: readonly string[]): RunResult => {
    const device = need(argv, argv[1])
    const size = Number((argv[2] ?? '').replace(/K$/, '')) * 1024
    const superblock = superblockOf(device)
    const volume = superblock === undefined ? undefined : state.volumes.get(superblock.volume)
    if (volume === undefined) return complains('resize2fs: Bad magic number in super-block', 1)
    volume.capacity = size
    return changeSuperblock(argv, device, { size })
  }

  const tools: Readonly<Record<string, (argv: readonly string[], mounted: readonly Mounted[]) => RunResult>> = {
    lsblk, blkid,
    'wipefs': (argv) => {
      const superblock = superblockOf(need(argv))
      return says(JSON.stringify({ signatures: superblock === undefined ? [] : [{ type: superblock.type, offset: '0x438' }] }))
    },
    'mkfs.ext4': mkfs,
    'e2fsck': (argv) => (superblockOf(need(argv))?.type === 'ext4' ? says('clean') : complains('e2fsck: Bad magic number in super-block', 8)),
    'dumpe2fs': dump,
    'tune2fs': tune,
    'resize2fs': resize,
    // What is read comes from the model's only copy anyway.
    'blockdev': (argv) => (argv[1] === '--flushbufs' ? says('') : unknownUse(argv)),
    'blkdiscard': (argv) => (need(argv), says('')),
  }

  return {
    tools: Object.keys(tools),
    run: ({ argv }: Command, _host, mounted) => tools[argv[0]]?.(argv, mounted) ?? unknownUse(argv),
    offer({ fsType, source, options }) {
      const device = find(source)
      if (fsType !== 'ext4' || device === undefined) return complains(`mount: special device ${source} does not exist.`, 32)
      const superblock = superblockOf(device)
      const volume = superblock === undefined ? undefined : state.volumes.get(superblock.volume)
      if (superblock?.type !== 'ext4' || volume === undefined) return complains('mount: wrong fs type, bad option, bad superblock.', 32)
      return { volume, device: device.numbers, options: options.includes('ro') ? ['ro'] : ['rw'] }
    },
    inventory: () => devices.map(({ name }) => {
      const inode = inodeOf(state, name)
      const superblock = readSuperblock(inode)
      const blank = [...inode.content.pages.values()].every((page) => Buffer.from(page.buffer, page.byteOffset, page.length).equals(zeroPage))
      return `device ${name}: ${superblock === undefined ? (blank ? 'blank' : 'data') : `${superblock.type} ${superblock.uuid}, ${usedBytes(state.volumes.get(superblock.volume) ?? root)} bytes in use`}`
    }),
    copy: (volume) => build({ root: volume(root), devices: [...devices], volumes: new Map([...state.volumes].map(([number, original]) => [number, volume(original)])) }),

    duplicate(from, to) {
      const [source, target] = [inodeOf(state, from), inodeOf(state, to)]
      change(target, { kind: 'write', position: 0, bytes: readInode(source, 0, source.content.length) }, 0)
      syncContent(target)
      const superblock = readSuperblock(target)
      const original = superblock === undefined ? undefined : state.volumes.get(superblock.volume)
      if (superblock === undefined || original === undefined) throw new Error(`there is no file system on ${from}`)
      volumes += 1
      state.volumes.set(volumes, copyTree(original))
      writeSuperblock(target, { ...superblock, volume: volumes })
    },
    scribble(name, position, bytes) {
      change(inodeOf(state, name), { kind: 'write', position, bytes }, 0)
      syncContent(inodeOf(state, name))
    },
    grow(name, size) {
      change(inodeOf(state, name), { kind: 'truncate', length: size }, 0)
      syncContent(inodeOf(state, name))
    },
    unplug(name) {
      const index = devices.findIndex((device) => device.name === name)
      const [device] = devices.splice(index, 1)
      if (device === undefined) throw new Error(`the model has no device ${name}`)
      return () => void devices.push(device)
    },
    volumeOf(name) {
      const superblock = readSuperblock(inodeOf(state, name))
      const volume = superblock === undefined ? undefined : state.volumes.get(superblock.volume)
      if (volume === undefined) throw new Error(`there is no file system on ${name}`)
      return volume
    },
    format(name, type) {
      volumes += 1
      state.volumes.set(volumes, createVolume())
      writeSuperblock(inodeOf(state, name), { type, uuid: '3e6be9de-8139-11d1-9106-a43f08d823a6', label: 'holiday', size: 0, features: [], volume: volumes })
    },
  }
}

/** A volume with the same names and contents, all durable. */
const copyTree = (original: Volume): Volume => {
  const copy = createVolume(original.capacity)
  const fill = (from: Inode, to: Inode): void => {
    for (const [name, child] of from.entries) {
      const twin = addInode(copy, child.kind, 0)
      change(twin, { kind: 'write', position: 0, bytes: readInode(child, 0, child.content.length) }, 0)
      syncContent(twin)
      assign(copy, [{ directory: to, name, to: twin }], 0)
      fill(child, twin)
    }
    syncNames(copy, to)
  }
  fill(original.root, copy.root)
  return copy
}

/** Blank devices by name and size (bytes) in the root volume of a host. */
export const createExtModel = (host: ModelHost, sizes: Readonly<Record<string, number>>): ExtModel => {
  const root = host.space.mounts.get('/')
  if (root === undefined) throw new Error('the host has no root')
  placeDirectory(root, 'dev')
  const directory = root.root.entries.get('dev')
  if (directory === undefined) throw new Error('the host has no /dev')
  const devices = Object.entries(sizes).map(([name, size], index) => {
    const inode = addInode(root, 'block', 0)
    change(inode, { kind: 'truncate', length: size }, 0)
    syncContent(inode)
    assign(root, [{ directory, name, to: inode }], 0)
    return { name, numbers: `8:${16 * (index + 1)}` }
  })
  syncNames(root, directory)
  return build({ root, devices, volumes: new Map() })
}

/** The same tools on devices that somebody else makes, and keeps in this list; `volumes` are the file systems on them. */
export const extModelOn = (root: Volume, devices: ExtDevice[], volumes: Map<number, Volume>): ExtModel => build({ root, devices, volumes })
