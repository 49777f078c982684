/**
 * A model file system: inodes, names, and what of both would survive a power cut.
 *
 * - A completed call is there for every process at once, and survives the death of all processes.
 * - Content survives a power cut from `sync` on; what was written since may be there, partly there (by sector) or not.
 * - A name survives from the sync of its directory on; each change since may be there or not, a rename as a whole, and
 *   of several changes to one name no later one without the earlier ones.
 */
import { copyContent, emptyContent, readContent, truncateContent, writeContent, type Content } from './content.ts'

type FileEffect =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly length: number }

export interface Inode {
  readonly id: number
  readonly kind: 'file' | 'directory' | 'block' | 'symlink'
  readonly content: Content
  /** As after the last sync. */
  durable: Content
  pending: FileEffect[]
  /** Of a directory. */
  readonly entries: Map<string, Inode>
  durableEntries: Map<string, Inode>
  changes: number
  modifiedMs: number
}

/** One change of names that is not durable yet: all of its assignments, or none. */
interface NameEffect {
  readonly assignments: readonly { readonly directory: Inode; readonly name: string; readonly to: Inode | undefined }[]
}

/** Decides for each thing that is not durable whether it survives; asked in the order of the changes. */
export interface Fate {
  name(index: number, count: number): boolean
  sector(index: number, count: number): boolean
}

export interface Volume {
  /** Device number: identity of the file system. */
  readonly device: number
  readonly root: Inode
  /** Bytes in all; writes beyond fail with ENOSPC. */
  capacity: number
  readOnly: boolean
  names: NameEffect[]
  nextInode: number
}

let devices = 0

const newInode = (volume: { nextInode: number }, kind: Inode['kind'], now: number): Inode => {
  volume.nextInode += 1
  return {
    id: volume.nextInode, kind, content: emptyContent(), durable: emptyContent(), pending: [], entries: new Map(), durableEntries: new Map(), changes: 0, modifiedMs: now,
  }
}

export const createVolume = (capacity = 64 * 2 ** 30): Volume => {
  devices += 1
  const counter = { nextInode: 1 }
  const root = newInode(counter, 'directory', 0)
  return { device: devices, root, capacity, readOnly: false, names: [], nextInode: counter.nextInode }
}

export const addInode = (volume: Volume, kind: Inode['kind'], now: number): Inode => newInode(volume, kind, now)

/** Changes names, visible at once and durable later. */
export const assign = (volume: Volume, assignments: NameEffect['assignments'], now: number): void => {
  for (const { directory, name, to } of assignments) {
    if (to === undefined) directory.entries.delete(name)
    else directory.entries.set(name, to)
    directory.changes += 1
    directory.modifiedMs = now
  }
  volume.names.push({ assignments })
}

const applyDurably = (effect: NameEffect): void => {
  for (const { directory, name, to } of effect.assignments) {
    if (to === undefined) directory.durableEntries.delete(name)
    else directory.durableEntries.set(name, to)
  }
}

/** fsync of a directory. A rename between two directories becomes durable with either. */
export const syncNames = (volume: Volume, directory: Inode): void => {
  volume.names = volume.names.filter((effect) => {
    if (!effect.assignments.some((one) => one.directory === directory)) return true
    applyDurably(effect)
    return false
  })
}

const applyToContent = (content: Content, effect: FileEffect): void => {
  if (effect.kind === 'write') writeContent(content, effect.position, effect.bytes)
  else truncateContent(content, effect.length)
}

export const change = (inode: Inode, effect: FileEffect, now: number): void => {
  applyToContent(inode.content, effect)
  inode.pending.push(effect)
  inode.changes += 1
  inode.modifiedMs = now
}

export const syncContent = (inode: Inode): void => {
  if (inode.pending.length === 0) return
  inode.durable = copyContent(inode.content)
  inode.pending = []
}

/** Bytes allocated by all files that can be reached. */
export const usedBytes = (volume: Volume): number => {
  const seen = new Set<Inode>()
  let used = 0
  const visit = (inode: Inode): void => {
    if (seen.has(inode)) return
    seen.add(inode)
    used += inode.content.pages.size * 4096
    for (const child of inode.entries.values()) visit(child)
  }
  visit(volume.root)
  return used
}

const pageIds = new WeakMap<Uint8Array, number>()
let pages = 0
const pageId = (page: Uint8Array): number => {
  const known = pageIds.get(page)
  if (known !== undefined) return known
  pages += 1
  pageIds.set(page, pages)
  return pages
}

/** Equal for volumes that hold the same: every name with its content, told by pages that copies share. */
export const fingerprintOf = (volume: Volume): string => {
  const lines = (inode: Inode, path: string): string[] =>
    [...inode.entries].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([name, child]) => {
      const content = [...child.content.pages].sort(([a], [b]) => a - b).map(([at, page]) => `${at}:${pageId(page)}`).join(',')
      return [`${path}/${name} ${child.kind} ${child.content.length} ${content}`, ...lines(child, `${path}/${name}`)]
    })
  return lines(volume.root, '').join('\n')
}

/** How many changes a power cut now could take away: of names, and of sectors. */
export const atRisk = (volume: Volume): { readonly names: number; readonly sectors: number } => {
  let sectors = 0
  for (const inode of reachable(volume)) sectors += inode.pending.reduce((sum, effect) => sum + pieces(effect).length, 0)
  return { names: volume.names.length, sectors }
}

const reachable = (volume: Volume): Set<Inode> => {
  const seen = new Set<Inode>()
  const visit = (inode: Inode): void => {
    if (seen.has(inode)) return
    seen.add(inode)
    for (const child of [...inode.entries.values(), ...inode.durableEntries.values()]) visit(child)
  }
  visit(volume.root)
  for (const effect of volume.names) for (const { directory, to } of effect.assignments) for (const inode of [directory, to]) if (inode !== undefined) visit(inode)
  return seen
}

const sector = 512

/** A long write is many sectors, of which any may be missing; beyond so many they share a fate in groups. */
const pieces = (effect: FileEffect): readonly FileEffect[] => {
  if (effect.kind === 'truncate') return [effect]
  const step = Math.max(sector, Math.ceil(effect.bytes.length / 64 / sector) * sector)
  const parts: FileEffect[] = []
  for (let at = 0; at < effect.bytes.length;) {
    // Sectors are those of the file, not of the write.
    const end = Math.min(effect.bytes.length, Math.floor((effect.position + at) / sector) * sector + step - effect.position)
    parts.push({ kind: 'write', position: effect.position + at, bytes: effect.bytes.subarray(at, end) })
    at = end
  }
  return parts
}

/**
 * A copy of the volume. Without a fate: as it is, as after the death of all processes. With one: as a power cut leaves
 * it, everything in it durable.
 */
export const copyVolume = (volume: Volume, fate?: Fate): Volume => {
  const copies = new Map<Inode, Inode>()
  for (const inode of reachable(volume)) {
    copies.set(inode, { ...inode, content: copyContent(inode.content), durable: copyContent(inode.durable), pending: [...inode.pending], entries: new Map(), durableEntries: new Map() })
  }
  const copyOf = (inode: Inode): Inode => copies.get(inode) ?? inode
  for (const [inode, copy] of copies) {
    for (const [name, child] of inode.entries) copy.entries.set(name, copyOf(child))
    for (const [name, child] of inode.durableEntries) copy.durableEntries.set(name, copyOf(child))
  }
  const names = volume.names.map((effect) => ({
    assignments: effect.assignments.map(({ directory, name, to }) => ({ directory: copyOf(directory), name, to: to === undefined ? undefined : copyOf(to) })),
  }))
  const copy: Volume = { ...volume, root: copyOf(volume.root), names }
  if (fate !== undefined) cutPower(copy, [...copies.values()], fate)
  return copy
}

const cutPower = (volume: Volume, inodes: readonly Inode[], fate: Fate): void => {
  const lost = new Map<Inode, Set<string>>()
  const dependsOnLost = (effect: NameEffect): boolean => effect.assignments.some(({ directory, name }) => lost.get(directory)?.has(name) === true)
  for (const [index, effect] of volume.names.entries()) {
    // Asked in every case, so that the fates of the others do not depend on the answer.
    const survives = fate.name(index, volume.names.length)
    if (survives && !dependsOnLost(effect)) applyDurably(effect)
    else for (const { directory, name } of effect.assignments) lost.set(directory, (lost.get(directory) ?? new Set()).add(name))
  }
  volume.names = []
  const parts = inodes.flatMap((inode) => inode.pending.flatMap(pieces).map((effect) => ({ inode, effect })))
  for (const [index, { inode, effect }] of parts.entries()) {
    if (fate.sector(index, parts.length)) applyToContent(inode.durable, effect)
  }
  for (const inode of inodes) {
    inode.pending = []
    inode.entries.clear()
    for (const [name, child] of inode.durableEntries) inode.entries.set(name, child)
    inode.content.pages.clear()
    inode.content.length = inode.durable.length
    for (const [page, bytes] of inode.durable.pages) inode.content.pages.set(page, bytes)
  }
}

export const readInode = (inode: Inode, position: number, length: number): Uint8Array => readContent(inode.content, position, length)
