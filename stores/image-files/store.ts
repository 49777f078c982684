/** What all operations of one opened store share. */
import type { VdiRecord } from '../../core/contract.ts'
import { reportError, StorageError, toStorageError } from '../../core/errors.ts'
import type { SrUuid, VdiUuid } from '../../core/ids.ts'
import type { ImageSummary } from '../../formats/format.ts'
import { chainOf, createCatalog, type Catalog, type ImageEntry } from './catalog.ts'
import { noFacts, readFacts, type VdiFacts } from './facts.ts'
import { createProof, type SrIdentity } from './identity.ts'
import { readLock } from './locks.ts'
import { pathsOf, imageFormat, type ImagePlace, type Paths } from './place.ts'

export interface Stuck {
  readonly vdis: readonly VdiUuid[]
  readonly problem: StorageError
}

export interface Store {
  readonly sr: SrUuid
  readonly place: ImagePlace
  readonly paths: Paths
  readonly catalog: Catalog
  /** Intents that cannot be obeyed, by name, as the last recovery found them: their VDIs cannot be used until they are gone. */
  readonly stuck: Map<string, Stuck>
  /** Fails unless the place is this SR, now. */
  readonly prove: () => Promise<SrIdentity>
}

export const layer = 'store:image-files'

/** What a stuck intent is about cannot be used, whatever its image looks like. */
const minding = (catalog: Catalog, stuck: ReadonlyMap<string, Stuck>): Catalog => {
  const minded = (entry: ImageEntry): ImageEntry => {
    const problem = entry.problem ?? [...stuck.values()].find(({ vdis }) => vdis.includes(entry.uuid))?.problem
    return problem === undefined ? entry : { ...entry, problem }
  }
  return {
    ...catalog,
    async one(vdi) {
      const entry = await catalog.one(vdi)
      return entry === undefined || stuck.size === 0 ? entry : minded(entry)
    },
    async all(ctx) {
      const entries = await catalog.all(ctx)
      return stuck.size === 0 ? entries : new Map([...entries].map(([vdi, entry]) => [vdi, minded(entry)]))
    },
  }
}

export const createStore = (sr: SrUuid, place: ImagePlace): Store => {
  const paths = pathsOf(place.directory)
  const stuck = new Map<string, Stuck>()
  return { sr, place, paths, catalog: minding(createCatalog(place, paths), stuck), stuck, prove: createProof(place, paths, sr) }
}

export const kindOf = (facts: VdiFacts, entry: ImageEntry): VdiRecord['kind'] => facts.kind ?? (entry.summary?.hidden === true ? 'base' : 'disk')

export const recordOf = (entry: ImageEntry, facts: VdiFacts, lock: VdiRecord['lock'], problem: StorageError | undefined): VdiRecord => {
  const kind = kindOf(facts, entry)
  const warnings = entry.summary?.warnings ?? []
  return {
    uuid: entry.uuid,
    kind,
    size: entry.summary?.size ?? 0,
    utilisation: entry.file.allocated,
    readOnly: kind !== 'disk',
    shareable: facts.shareable === true,
    name: facts.name ?? '',
    description: facts.description ?? '',
    ...(entry.parent === undefined ? {} : { parent: entry.parent }),
    ...(facts.snapshotOf === undefined ? {} : { snapshotOf: facts.snapshotOf }),
    ...(facts.snapshotMs === undefined ? {} : { snapshotMs: facts.snapshotMs }),
    ...(lock === undefined ? {} : { lock }),
    format: imageFormat.name,
    ...(problem === undefined ? {} : { problem: reportError(problem) }),
    ...(warnings.length === 0 ? {} : { warnings }),
  }
}

/** One VDI, read from the storage; undefined only when its image is proven absent, or left to others by a deletion. */
export const readVdi = async (store: Store, vdi: VdiUuid): Promise<VdiRecord | undefined> => {
  const entry = await store.catalog.one(vdi)
  if (entry === undefined) return undefined
  const { place, paths } = store
  let facts = noFacts
  let lock: VdiRecord['lock']
  let problem: StorageError | undefined
  try {
    ;[facts, lock] = await Promise.all([readFacts(place.files, paths, vdi), readLock(place, paths, vdi)])
    if (facts.deleted === true) return undefined
    await chainOf(store.catalog, entry)
  } catch (error) {
    problem = toStorageError(error, layer)
    // Only what is wrong with this VDI itself is a property of it; a storage that does not answer is a failed call.
    if (problem.kind !== 'imageCorrupt' && problem.kind !== 'lockUnavailable') throw problem
  }
  return recordOf(entry, facts, lock, problem)
}

/** The entry of a VDI that the engine has just seen. */
export const mustExist = async (store: Store, vdi: VdiUuid): Promise<ImageEntry & { readonly summary: NonNullable<ImageEntry['summary']> }> => {
  const entry = await store.catalog.one(vdi)
  if (entry === undefined) throw new StorageError('notFound', `The image of VDI ${vdi} is not there`, { layer, remedy: `smctl sr scan ${store.sr} lists what is there`, details: { vdi_uuid: vdi } })
  if (entry.problem !== undefined) throw entry.problem
  if (entry.summary === undefined) throw new StorageError('imageCorrupt', `The image of VDI ${vdi} cannot be read`, { layer, details: { vdi_uuid: vdi } })
  return { ...entry, summary: entry.summary }
}

const notReadBack = (vdi: VdiUuid, why: string): StorageError =>
  new StorageError('ioError', `VDI ${vdi} was written but cannot be read back${why}`, {
    layer, mayHaveChanged: true, remedy: 'Look at the kernel log of this host and at the health of the storage', details: { vdi_uuid: vdi },
  })

/** The record of a VDI whose image and facts the caller has just written: what it knows already is not read again. */
export const writtenRecord = async (store: Store, vdi: VdiUuid, summary: ImageSummary, facts: VdiFacts): Promise<VdiRecord> => {
  const [entry, lock] = await Promise.all([store.catalog.written(vdi, summary), readLock(store.place, store.paths, vdi)])
  if (entry === undefined) throw notReadBack(vdi, ': its image is not there')
  return recordOf(entry, facts, lock, undefined)
}

/** The record of a VDI that an operation has just changed. */
export const madeRecord = async (store: Store, vdi: VdiUuid): Promise<VdiRecord> => {
  const made = await readVdi(store, vdi)
  // Read back: a disk that swallows writes would otherwise be told as success.
  if (made === undefined || made.problem !== undefined) throw notReadBack(vdi, made?.problem === undefined ? '' : `: ${made.problem.message}`)
  return made
}

/** Refuses a chain that would become longer than the limit. */
export const refuseLongChain = async (store: Store, entry: ImageEntry): Promise<void> => {
  const length = (await chainOf(store.catalog, entry)).length
  if (length < store.place.maxChain) return
  throw new StorageError('limitExceeded', `The chain of VDI ${entry.uuid} has ${length} images, which is the limit`, {
    layer, remedy: `Coalesce it: delete snapshots that are not needed, then smctl sr collect ${store.sr}`, details: { vdi_uuid: entry.uuid, chain: length, limit: store.place.maxChain },
  })
}
