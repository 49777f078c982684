/**
 * The images of a store and how they hang together, always read from the storage. One image costs a stat when its file
 * has not changed; who has which children is known as long as the directory has not changed, or only by ourselves.
 */
import type { RandomAccess } from '../../core/bytes.ts'
import type { Ctx } from '../../core/contract.ts'
import { reportError, StorageError, toStorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import type { FileFacts } from '../../core/ports.ts'
import { mapInSlices } from '../../core/slices.ts'
import type { ImageSummary } from '../../formats/format.ts'
import { imageFormat, vdiOfFileName, vdiOfParentNames, type ImagePlace, type Paths } from './place.ts'

const layer = 'store:image-files'

export interface ImageEntry {
  readonly uuid: VdiUuid
  readonly file: FileFacts
  readonly summary?: ImageSummary
  /** Why there is no summary. */
  readonly problem?: StorageError
  /** The parent VDI by name; its identity is still to be compared. Absent also when a parent is recorded that is no VDI. */
  readonly parent?: VdiUuid
}

export interface Catalog {
  one(vdi: VdiUuid): Promise<ImageEntry | undefined>
  /** The same of an image whose content the caller has just written, or only given another name: it is not read. */
  written(vdi: VdiUuid, summary: ImageSummary): Promise<ImageEntry | undefined>
  /** Reads the directory afresh. */
  all(ctx: Ctx): Promise<ReadonlyMap<VdiUuid, ImageEntry>>
  children(ctx: Ctx, vdi: VdiUuid): Promise<readonly VdiUuid[]>
  /**
   * Runs a change of the directory and keeps the knowledge of children up to date: after it, these images have these
   * parents (undefined: none), or are gone (null).
   */
  changing<T>(work: () => Promise<T>, after: ReadonlyMap<VdiUuid, VdiUuid | undefined | null>): Promise<T>
}

const corrupt = (vdi: VdiUuid, message: string, remedy: string): StorageError =>
  new StorageError('imageCorrupt', message, { layer, remedy, details: { vdi_uuid: vdi } })

const entryOf = (uuid: VdiUuid, file: FileFacts, summary: ImageSummary): ImageEntry => {
  const parent = summary.parent === undefined ? undefined : vdiOfParentNames(summary.parent.names)
  return { uuid, file, summary, ...(parent === undefined ? {} : { parent }) }
}

const summaryAt = async (place: ImagePlace, path: string, file: FileFacts): Promise<ImageSummary> => {
  if (file.kind !== 'file') throw new StorageError('imageCorrupt', `${path} is a ${file.kind}, not a file`, { layer, remedy: 'Remove it, or put the image itself in its place' })
  const open = await place.files.open(path, 'read')
  try {
    return await summaryOf(open)
  } finally {
    await open.close()
  }
}

export const summaryOf = async (file: RandomAccess): Promise<ImageSummary> => {
  const length = await file.length()
  const tailStart = Math.max(0, length - imageFormat.tailLength)
  const [head, tail] = await Promise.all([file.read(0, imageFormat.headLength), file.read(tailStart, imageFormat.tailLength)])
  return imageFormat.summarize(head, tail, length)
}

/** What is wrong between a child and its parent; undefined when they belong together. */
const linkProblem = (child: ImageEntry, parent: ImageEntry | undefined): StorageError | undefined => {
  const recorded = child.summary?.parent
  if (recorded === undefined) return undefined
  const named = recorded.names[0] ?? 'an unnamed file'
  if (child.parent === undefined) {
    return corrupt(child.uuid, `The image of VDI ${child.uuid} needs its parent ${named}, which is not named after a VDI`, 'Put the parent into the SR under the name <uuid>.vhd and record that name in the child')
  }
  if (parent === undefined) {
    return corrupt(child.uuid, `The image of VDI ${child.uuid} needs its parent ${named}, which is not there`, `Restore ${named} from a backup; without it the data of the VDI is incomplete`)
  }
  if (parent.problem !== undefined) {
    return corrupt(child.uuid, `The parent ${parent.uuid} of VDI ${child.uuid} is damaged: ${parent.problem.message}`, parent.problem.facts.remedy ?? 'Repair or restore the parent first')
  }
  if (parent.summary !== undefined && parent.summary.id !== recorded.id) {
    return corrupt(child.uuid, `VDI ${child.uuid} was made on a parent with id ${recorded.id}, but ${parent.uuid} has id ${parent.summary.id}`, `Restore the right ${named} from a backup`)
  }
  return undefined
}

/** Who is whose child, while the directory has this version. */
interface Family {
  version: string
  readonly parents: Map<VdiUuid, VdiUuid | undefined>
  readonly children: Map<VdiUuid, Set<VdiUuid>>
}

export const createCatalog = (place: ImagePlace, paths: Paths): Catalog => {
  const summaries = new Map<VdiUuid, { readonly version: string; readonly entry: ImageEntry }>()
  let family: Family | undefined

  const directoryVersion = async (): Promise<string | undefined> => (await place.files.stat(paths.images))?.version

  const setParent = (known: Family, vdi: VdiUuid, parent: VdiUuid | undefined | null): void => {
    const before = known.parents.get(vdi)
    if (before !== undefined) known.children.get(before)?.delete(vdi)
    if (parent === null) known.parents.delete(vdi)
    else known.parents.set(vdi, parent)
    if (parent === null || parent === undefined) return
    const siblings = known.children.get(parent) ?? new Set()
    known.children.set(parent, siblings.add(vdi))
  }

  const one: Catalog['one'] = async (vdi) => {
    const path = paths.image(vdi)
    const file = await place.files.stat(path)
    if (file === undefined) {
      summaries.delete(vdi)
      return undefined
    }
    const known = summaries.get(vdi)
    if (known?.version === file.version) return known.entry
    let entry: ImageEntry
    try {
      entry = entryOf(vdi, file, await summaryAt(place, path, file))
    } catch (error) {
      return { uuid: vdi, file, problem: toStorageError(error, layer) }
    }
    // Only what was read while nothing changed is remembered.
    if ((await place.files.stat(path))?.version === file.version) summaries.set(vdi, { version: file.version, entry })
    return entry
  }

  const written: Catalog['written'] = async (vdi, summary) => {
    const file = await place.files.stat(paths.image(vdi))
    if (file === undefined) return undefined
    const entry = entryOf(vdi, file, summary)
    summaries.set(vdi, { version: file.version, entry })
    return entry
  }

  const all: Catalog['all'] = async (ctx) => {
    const version = await directoryVersion()
    const rows = await place.scanner.images(place.directory, imageFormat.name, ctx.signal)
    const entries = new Map<VdiUuid, ImageEntry>()
    const fresh: Family = { version: version ?? '', parents: new Map(), children: new Map() }
    await mapInSlices(rows, 500, (row) => {
      const uuid = vdiOfFileName(row.fileName)
      if (uuid === undefined) return
      const entry = row.summary !== undefined
        ? entryOf(uuid, row.facts, row.summary as ImageSummary)
        : { uuid, file: row.facts, problem: corrupt(uuid, `The image of VDI ${uuid} cannot be used: ${row.problem?.message ?? 'nobody knows why'}`, row.problem?.remedy ?? `smctl sr verify ${ctx.sr} --vdi-uuid ${uuid}`) }
      entries.set(uuid, entry)
      setParent(fresh, uuid, entry.parent)
    })
    if (version !== undefined) family = fresh
    return entries
  }

  return {
    one,
    written,
    all,
    async children(ctx, vdi) {
      if (family === undefined || family.version !== (await directoryVersion())) await all(ctx)
      return [...(family?.children.get(vdi) ?? [])]
    },
    async changing(work, after) {
      if (family === undefined) return work()
      const known = family
      const valid = known.version === (await directoryVersion())
      family = undefined
      const result = await work()
      const version = await directoryVersion()
      if (valid && version !== undefined) {
        for (const [vdi, parent] of after) setParent(known, vdi, parent)
        known.version = version
        family = known
      }
      return result
    },
  }
}

/** From a leaf to its root. imageCorrupt when a link is missing, broken, or leads in a circle. */
export const chainOf = async (catalog: Catalog, leaf: ImageEntry): Promise<readonly ImageEntry[]> => {
  const chain = [leaf]
  const seen = new Set([leaf.uuid])
  for (let at = leaf; ;) {
    if (at.problem !== undefined) throw at.problem
    const parent = at.parent === undefined ? undefined : await catalog.one(at.parent)
    const wrong = linkProblem(at, parent)
    if (wrong !== undefined) throw wrong
    if (parent === undefined) return chain
    if (seen.has(parent.uuid)) throw corrupt(leaf.uuid, `The chain of VDI ${leaf.uuid} leads back to ${parent.uuid}`, 'Restore one of its images from a backup')
    seen.add(parent.uuid)
    chain.push(parent)
    at = parent
  }
}

/** The same over what a scan has read, for all images at once: the problem of each that has one. */
export const chainProblems = (entries: ReadonlyMap<VdiUuid, ImageEntry>): ReadonlyMap<VdiUuid, StorageError> => {
  const verdicts = new Map<VdiUuid, StorageError | undefined>()
  for (const entry of entries.values()) {
    const path: ImageEntry[] = []
    const onPath = new Set<VdiUuid>()
    let above: StorageError | undefined
    for (let at = entry; ;) {
      if (verdicts.has(at.uuid)) {
        above = verdicts.get(at.uuid)
        break
      }
      if (onPath.has(at.uuid)) {
        above = corrupt(at.uuid, `The chain of VDI ${at.uuid} leads back to itself`, 'Restore one of its images from a backup')
        break
      }
      const parent = at.parent === undefined ? undefined : entries.get(at.parent)
      const own = at.problem ?? linkProblem(at, parent)
      if (own !== undefined || parent === undefined) {
        verdicts.set(at.uuid, own)
        above = own
        break
      }
      path.push(at)
      onPath.add(at.uuid)
      at = parent
    }
    for (const below of path.reverse()) {
      if (above !== undefined) above = corrupt(below.uuid, `VDI ${below.uuid} cannot be used because of its parent: ${above.message}`, reportError(above).remedy ?? 'Mend that one first')
      verdicts.set(below.uuid, above)
    }
  }
  const problems = new Map<VdiUuid, StorageError>()
  for (const [uuid, verdict] of verdicts) if (verdict !== undefined) problems.set(uuid, verdict)
  return problems
}
