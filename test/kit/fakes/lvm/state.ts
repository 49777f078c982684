/** What the model of LVM holds besides its disks: what the kernel of the host has active. */
import { addInode, assign, change, syncContent, syncNames, type Volume } from '../../model/volume.ts'
import { systemError } from '../../model/process.ts'
import { directoryAt, nodeAt, setNode, type Ailment, type Disk } from './disks.ts'
import { VolumePages } from './groups.ts'

export interface ActiveVolume {
  readonly vg: string
  readonly vgUuid: string
  readonly name: string
  readonly uuid: string
  readonly size: number
  readonly hasNode: boolean
  readOnly: boolean
  /** How many have it open; tests set it. */
  open: number
  suspended: boolean
}

export interface LvmState {
  /** The root of the host: its /dev. */
  readonly root: Volume
  readonly disks: Disk[]
  /** By `keyOf`. */
  readonly active: Map<string, ActiveVolume>
  /** Tools that are not installed. */
  readonly missingTools: Set<string>
}

/** The kernel knows a volume by the uuids of its group and its own. */
export const keyOf = (vgUuid: string, lvUuid: string): string => `${vgUuid}/${lvUuid}`

export const byIdPath = (disk: Disk): string => `/dev/disk/by-id/virtio-${disk.serial}`

export const findDisk = (state: LvmState, name: string): Disk | undefined =>
  state.disks.find((disk) => disk.pulled === undefined && (disk.path === name || (disk.names ?? [byIdPath(disk)]).includes(name)))

export const mapperNameOf = ({ vg, name }: Pick<ActiveVolume, 'vg' | 'name'>): string => `${vg.replaceAll('-', '--')}-${name.replaceAll('-', '--')}`

export const findActive = (state: LvmState, path: string): ActiveVolume | undefined =>
  [...state.active.values()].find((one) => path === `/dev/${one.vg}/${one.name}` || path === `/dev/mapper/${mapperNameOf(one)}`)

const link = (state: LvmState, active: ActiveVolume): void => {
  const inode = addInode(state.root, 'block', 0)
  const content = { length: active.size, pages: new VolumePages(state.root, () => state.disks.filter((disk) => disk.pulled === undefined), active.vgUuid, active.uuid) }
  setNode(state.root, `/dev/${active.vg}/${active.name}`, { ...inode, content })
}

export const activateNode = (state: LvmState, active: ActiveVolume): void => {
  state.active.set(keyOf(active.vgUuid, active.uuid), active)
  if (active.hasNode) link(state, active)
}

const dropNode = (root: Volume, vg: string, name: string): void => {
  if (nodeAt(root, `/dev/${vg}/${name}`) === undefined) return
  setNode(root, `/dev/${vg}/${name}`, undefined)
  const dev = directoryAt(root, '/dev', false)
  if (dev !== undefined && directoryAt(root, `/dev/${vg}`, false)?.entries.size === 0) {
    assign(root, [{ directory: dev, name: vg, to: undefined }], 0)
    syncNames(root, dev)
  }
}

export const deactivateNode = (state: LvmState, key: string): void => {
  const active = state.active.get(key)
  state.active.delete(key)
  if (active?.hasNode === true) dropNode(state.root, active.vg, active.name)
}

/** A grown volume that is active gets a longer node; a renamed one another. */
export const renewNode = (state: LvmState, before: ActiveVolume, after: Partial<Pick<ActiveVolume, 'vg' | 'vgUuid' | 'name' | 'size'>>): void => {
  deactivateNode(state, keyOf(before.vgUuid, before.uuid))
  activateNode(state, { ...before, ...after })
}

export const copyState = (state: LvmState, root: Volume, rebooted: boolean): LvmState => {
  const copy: LvmState = { root, disks: state.disks.map((disk) => ({ ...disk })), active: new Map(), missingTools: new Set(state.missingTools) }
  for (const active of state.active.values()) {
    if (active.hasNode) dropNode(root, active.vg, active.name)
    if (!rebooted) activateNode(copy, { ...active })
  }
  return copy
}

/** Makes a node of a disk that was pulled appear or go. */
export const plug = (state: LvmState, disk: Disk, there: boolean): void => {
  const node = nodeAt(state.root, disk.path)
  if (there && disk.pulled !== undefined) {
    setNode(state.root, disk.path, disk.pulled)
    delete disk.pulled
  } else if (!there && node !== undefined) {
    disk.pulled = node
    setNode(state.root, disk.path, undefined)
  }
}

class UnreadablePages extends Map<number, Uint8Array> {
  readonly #path: string

  constructor(path: string) {
    super()
    this.#path = path
  }

  override get(): never {
    throw systemError('EIO', { call: 'read', target: this.#path })
  }
}

/** A disk that fails does so for whoever reads it, through LVM or past it. */
export const sicken = (state: LvmState, disk: Disk, ailment: Ailment): void => {
  disk.ailment = ailment
  const node = nodeAt(state.root, disk.path)
  if (ailment === 'fails' && node !== undefined) setNode(state.root, disk.path, { ...node, content: { length: node.content.length, pages: new UnreadablePages(disk.path) } })
}

/** Copies one disk's bytes over another's, as an array's clone does. */
export const cloneDisk = (state: LvmState, from: Disk, to: Disk): void => {
  const [source, target] = [nodeAt(state.root, from.path), nodeAt(state.root, to.path)]
  if (source === undefined || target === undefined) throw new Error('both disks must be there')
  change(target, { kind: 'truncate', length: 0 }, 0)
  change(target, { kind: 'truncate', length: source.content.length }, 0)
  for (const [page, bytes] of source.content.pages) target.content.pages.set(page, bytes)
  syncContent(target)
}

export const growDisk = (state: LvmState, disk: Disk, size: number): void => {
  const node = nodeAt(state.root, disk.path)
  if (node === undefined) throw new Error('the disk must be there')
  change(node, { kind: 'truncate', length: size }, 0)
  syncContent(node)
}
