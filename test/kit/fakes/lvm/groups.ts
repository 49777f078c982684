/** Volume groups as the model keeps them on its disks, and the rules of space in them. */
import { pageSize } from '../../model/content.ts'
import { systemError } from '../../model/process.ts'
import type { Volume } from '../../model/volume.ts'
import { getPage, putPage, readLabel, readText, writeText, DiskError, type Disk, type Label } from './disks.ts'

export const extentSize = 4 * 2 ** 20
export const chunkSize = 64 * 2 ** 10
const pagesPerChunk = chunkSize / pageSize

interface Segment {
  readonly pv: string
  readonly start: number
  readonly count: number
}

export interface ModelVolume {
  name: string
  readonly uuid: string
  tags: string[]
  writable: boolean
  readonly kind: 'linear' | 'pool' | 'thin'
  size: number
  segments: Segment[]
  /** Of a pool. */
  whenFull?: 'error' | 'queue'
  metadataBytes?: number
  /** Of a thin volume: its chunks -> chunks of the pool. */
  map?: Record<string, number>
  readonly pool?: string
}

export interface ModelGroup {
  name: string
  uuid: string
  sequence: number
  tags: string[]
  autoactivation: boolean
  pvs: { uuid: string; hint: string; size: number; readonly dataStart: number; extents: number }[]
  lvs: ModelVolume[]
}

export interface FoundPv {
  readonly disk: Disk
  readonly label: Label
  readonly size: number
}

export interface FoundGroup {
  readonly group: ModelGroup
  readonly disks: ReadonlyMap<string, FoundPv>
  readonly missing: readonly string[]
}

let uuids = 0
/** LVM's form of a uuid. */
export const newUuid = (): string => {
  uuids += 1
  const digits = `M${String(uuids).padStart(31, '0')}`
  return [digits.slice(0, 6), digits.slice(6, 10), digits.slice(10, 14), digits.slice(14, 18), digits.slice(18, 22), digits.slice(22, 26), digits.slice(26)].join('-')
}

/** Disks that LVM can see and read, with their labels. Of two with one uuid it prefers the first, as the real one does. */
export const findPvs = (volume: Volume, disks: readonly Disk[]): readonly FoundPv[] => {
  const found: FoundPv[] = []
  for (const disk of disks) {
    try {
      const label = readLabel(volume, disk)
      if (label !== undefined && !found.some((pv) => pv.label.pv === label.pv)) found.push({ disk, label, size: sizeOf(volume, disk) })
    } catch (error) {
      // A disk that cannot be read is none to LVM; it says so on stderr and goes on.
      if (!(error instanceof DiskError)) throw error
    }
  }
  return found
}

export const sizeOf = (volume: Volume, disk: Disk): number => {
  if (disk.inode !== undefined) return disk.inode.content.length
  const slash = disk.path.lastIndexOf('/')
  let at = volume.root
  for (const part of disk.path.slice(1, slash).split('/')) at = at.entries.get(part) ?? at
  return at.entries.get(disk.path.slice(slash + 1))?.content.length ?? 0
}

export const findGroups = (volume: Volume, disks: readonly Disk[]): readonly FoundGroup[] => {
  const pvs = findPvs(volume, disks)
  const newest = new Map<string, ModelGroup>()
  for (const { disk } of pvs) {
    const text = readText(volume, disk)
    if (text === undefined) continue
    const group = JSON.parse(text) as ModelGroup
    if ((newest.get(group.uuid)?.sequence ?? -1) < group.sequence) newest.set(group.uuid, group)
  }
  return [...newest.values()].map((group) => {
    const present = new Map(pvs.flatMap((pv) => (group.pvs.some(({ uuid }) => uuid === pv.label.pv) ? [[pv.label.pv, pv] as const] : [])))
    return { group, disks: present, missing: group.pvs.flatMap(({ uuid }) => (present.has(uuid) ? [] : [uuid])) }
  })
}

/** Commits a changed group to all its disks. */
export const commit = (volume: Volume, { group, disks }: FoundGroup): void => {
  group.sequence += 1
  const text = JSON.stringify(group)
  for (const { disk, label } of disks.values()) {
    if (text.length > label.metadataSize / 2) throw new DiskError(`VG ${group.name} metadata on ${disk.path} (${text.length} bytes) too large for circular buffer (${label.metadataSize / 2} bytes with 0 used)`)
    writeText(volume, disk, text)
  }
}

export const freeExtents = (group: ModelGroup): number =>
  group.pvs.reduce((sum, pv) => sum + pv.extents, 0) - group.lvs.reduce((sum, lv) => sum + lv.segments.reduce((all, segment) => all + segment.count, 0) + Math.ceil((lv.metadataBytes ?? 0) * 2 / extentSize), 0)

/** First fit over the physical volumes; undefined when there is not enough. */
export const allocate = (group: ModelGroup, count: number): Segment[] | undefined => {
  if (count > freeExtents(group)) return undefined
  const segments: Segment[] = []
  let left = count
  for (const pv of group.pvs) {
    const used = group.lvs.flatMap((lv) => lv.segments).filter((segment) => segment.pv === pv.uuid).sort((a, b) => a.start - b.start)
    let at = 0
    for (const segment of [...used, { start: pv.extents, count: 0 }]) {
      const take = Math.min(segment.start - at, left)
      if (take > 0) {
        segments.push({ pv: pv.uuid, start: at, count: take })
        left -= take
      }
      at = segment.start + segment.count
    }
  }
  return left > 0 ? undefined : segments
}

/** Where a page of a linear volume is. */
const locate = ({ group, disks }: FoundGroup, lv: ModelVolume, page: number): { readonly disk: Disk; readonly page: number } => {
  let extent = Math.floor(page * pageSize / extentSize)
  for (const segment of lv.segments) {
    if (extent < segment.count) {
      const pv = group.pvs.find(({ uuid }) => uuid === segment.pv)
      const found = disks.get(segment.pv)
      if (pv === undefined || found === undefined) throw new DiskError('Input/output error')
      return { disk: found.disk, page: (pv.dataStart + (segment.start + extent) * extentSize + page * pageSize % extentSize) / pageSize }
    }
    extent -= segment.count
  }
  throw new DiskError('No space left on device')
}

export const usedChunks = (group: ModelGroup, pool: string): Set<number> =>
  new Set(group.lvs.filter((lv) => lv.pool === pool).flatMap((lv) => Object.values(lv.map ?? {})))

/** The pages of an active volume: a window on its disks, which the files of the model take for pages of their own. */
export class VolumePages extends Map<number, Uint8Array> {
  readonly #volume: Volume
  readonly #disks: () => readonly Disk[]
  readonly #vg: string
  readonly #lv: string

  /** A copied group has volumes of the same uuids: both are needed to tell one. */
  constructor(volume: Volume, disks: () => readonly Disk[], vgUuid: string, lvUuid: string) {
    super()
    this.#volume = volume
    this.#disks = disks
    this.#vg = vgUuid
    this.#lv = lvUuid
  }

  #find(): { found: FoundGroup; lv: ModelVolume } {
    for (const found of findGroups(this.#volume, this.#disks())) {
      const lv = found.group.uuid === this.#vg ? found.group.lvs.find(({ uuid }) => uuid === this.#lv) : undefined
      if (lv !== undefined) return { found, lv }
    }
    throw systemError('EIO', { call: 'io', target: this.#lv })
  }

  #at(page: number, { found, lv }: { found: FoundGroup; lv: ModelVolume }): { readonly disk: Disk; readonly page: number } | undefined {
    if (lv.kind !== 'thin') return locate(found, lv, page)
    const chunk = lv.map?.[String(Math.floor(page / pagesPerChunk))]
    const pool = found.group.lvs.find(({ name }) => name === lv.pool)
    return chunk === undefined || pool === undefined ? undefined : locate(found, pool, chunk * pagesPerChunk + page % pagesPerChunk)
  }

  override get(page: number): Uint8Array | undefined {
    const at = this.#at(page, this.#find())
    return at === undefined ? undefined : getPage(this.#volume, at.disk, at.page)
  }

  override has(page: number): boolean {
    return this.get(page) !== undefined
  }

  override set(page: number, bytes: Uint8Array): this {
    const here = this.#find()
    if (here.lv.kind === 'thin') this.#own(page, here)
    const at = this.#at(page, here)
    if (at !== undefined) putPage(this.#volume, at.disk, at.page, bytes)
    return this
  }

  override delete(page: number): boolean {
    const at = this.#at(page, this.#find())
    if (at === undefined) return false
    putPage(this.#volume, at.disk, at.page, undefined)
    return true
  }

  /** Gives a thin volume a chunk of its own for the page: a new one, or a copy of one that it shares. */
  #own(page: number, { found, lv }: { found: FoundGroup; lv: ModelVolume }): void {
    const { group } = found
    const index = String(Math.floor(page / pagesPerChunk))
    const map = lv.map ?? {}
    const before = map[index]
    const shared = before !== undefined && group.lvs.some((other) => other !== lv && other.pool === lv.pool && Object.values(other.map ?? {}).includes(before))
    if (before !== undefined && !shared) return
    const pool = group.lvs.find(({ name }) => name === lv.pool)
    const used = usedChunks(group, lv.pool ?? '')
    let chunk = 0
    while (used.has(chunk)) chunk += 1
    if (pool === undefined || (chunk + 1) * chunkSize > pool.size) throw systemError('ENOSPC', { call: 'write', target: lv.name })
    for (let each = 0; each < pagesPerChunk; each += 1) {
      const to = locate(found, pool, chunk * pagesPerChunk + each)
      const from = before === undefined ? undefined : locate(found, pool, before * pagesPerChunk + each)
      putPage(this.#volume, to.disk, to.page, from === undefined ? undefined : getPage(this.#volume, from.disk, from.page))
    }
    map[index] = chunk
    lv.map = map
    commit(this.#volume, found)
  }

  /** Pages that hold something; only asked for figures. */
  override get size(): number {
    return 0
  }

  override [Symbol.iterator](): MapIterator<[number, Uint8Array]> {
    return new Map<number, Uint8Array>()[Symbol.iterator]()
  }
}
