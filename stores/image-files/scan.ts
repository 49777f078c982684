/** What is in the store: every image with what is known of it. A damaged one is listed with its problem and spoils no other. */
import type { Ctx, SrContents, SrStat, VdiLock, VdiRecord } from '../../core/contract.ts'
import { type StorageError, toStorageError } from '../../core/errors.ts'
import { mapInSlices } from '../../core/slices.ts'
import { asVdiUuid, isUuid, type VdiUuid } from '../../core/ids.ts'
import { chainProblems, type ImageEntry } from './catalog.ts'
import { maxFactsLength, noFacts, parseFacts, writeFacts, type VdiFacts } from './facts.ts'
import type { SrIdentity } from './identity.ts'
import { lockedVdis, readLock } from './locks.ts'
import { kindOf, layer, recordOf, type Store } from './store.ts'

export interface Contents {
  readonly identity: SrIdentity
  readonly entries: ReadonlyMap<VdiUuid, ImageEntry>
  readonly facts: ReadonlyMap<VdiUuid, VdiFacts>
  readonly records: readonly VdiRecord[]
}

type Doubt = ReadonlyMap<VdiUuid, StorageError>

const readFactsOfAll = async (store: Store, ctx: Ctx): Promise<{ readonly facts: ReadonlyMap<VdiUuid, VdiFacts>; readonly doubts: Doubt }> => {
  const facts = new Map<VdiUuid, VdiFacts>()
  const doubts = new Map<VdiUuid, StorageError>()
  const texts = await store.place.scanner.texts(store.paths.facts, '.json', maxFactsLength, ctx.signal)
  for (const [name, text] of texts ?? []) {
    const uuid = name.slice(0, -'.json'.length)
    if (!isUuid(uuid)) continue
    const vdi = asVdiUuid(uuid)
    try {
      facts.set(vdi, parseFacts(store.paths.factsOf(vdi), text))
    } catch (error) {
      doubts.set(vdi, toStorageError(error, layer))
    }
  }
  return { facts, doubts }
}

const readLocksOfAll = async (store: Store, entries: ReadonlyMap<VdiUuid, ImageEntry>): Promise<{ readonly locks: ReadonlyMap<VdiUuid, VdiLock>; readonly doubts: Doubt }> => {
  const locks = new Map<VdiUuid, VdiLock>()
  const doubts = new Map<VdiUuid, StorageError>()
  const names = (await lockedVdis(store.place, store.paths)).filter((vdi) => entries.has(vdi))
  const inFlight = 16
  for (let at = 0; at < names.length; at += inFlight) {
    await Promise.all(names.slice(at, at + inFlight).map(async (vdi) => {
      try {
        const lock = await readLock(store.place, store.paths, vdi)
        if (lock !== undefined) locks.set(vdi, lock)
      } catch (error) {
        doubts.set(vdi, toStorageError(error, layer))
      }
    }))
  }
  return { locks, doubts }
}

/** Everything, read afresh. The identity is proven before and after: a mount that vanishes meanwhile is no empty SR. */
export const readAll = async (store: Store, ctx: Ctx): Promise<Contents> => {
  await store.prove()
  const [entries, { facts, doubts }] = await Promise.all([store.catalog.all(ctx), readFactsOfAll(store, ctx)])
  const { locks, doubts: lockDoubts } = await readLocksOfAll(store, entries)
  const identity = await store.prove()
  const problems = chainProblems(entries)
  const records = await mapInSlices(entries.values(), 500, (entry) =>
    recordOf(entry, facts.get(entry.uuid) ?? noFacts, locks.get(entry.uuid), problems.get(entry.uuid) ?? doubts.get(entry.uuid) ?? lockDoubts.get(entry.uuid)))
  return { identity, entries, facts, records }
}

/**
 * Images of other tools come without our marks. One that has children must never be written again: it is marked as a base
 * now, so that every later call knows it from the image alone.
 */
export const markParents = async (store: Store, contents: Contents): Promise<readonly VdiRecord[]> => {
  const parents = new Set([...contents.entries.values()].flatMap((entry) => entry.parent ?? []))
  const marked = new Set<VdiUuid>()
  for (const uuid of parents) {
    const entry = contents.entries.get(uuid)
    const facts = contents.facts.get(uuid) ?? noFacts
    if (entry === undefined || kindOf(facts, entry) !== 'disk') continue
    await writeFacts(store.place.files, store.paths, uuid, { ...facts, kind: 'base' })
    marked.add(uuid)
  }
  if (marked.size === 0) return contents.records
  return contents.records.map((record) => (marked.has(record.uuid) ? { ...record, kind: 'base', readOnly: true } : record))
}

const statOf = async (store: Store, { identity, records }: Pick<Contents, 'identity' | 'records'>): Promise<SrStat> => {
  const { total, free } = await store.place.files.space(store.place.directory)
  return {
    physicalSize: total,
    physicalUtilisation: records.reduce((sum, vdi) => sum + vdi.utilisation, 0),
    free,
    name: identity.name,
    description: identity.description,
  }
}

export const stat = async (store: Store, ctx: Ctx): Promise<SrStat> => {
  const identity = await store.prove()
  const entries = await store.catalog.all(ctx)
  const { total, free } = await store.place.files.space(store.place.directory)
  let physicalUtilisation = 0
  for (const entry of entries.values()) physicalUtilisation += entry.file.allocated
  return { physicalSize: total, physicalUtilisation, free, name: identity.name, description: identity.description }
}

export const scan = async (store: Store, ctx: Ctx): Promise<SrContents> => {
  const contents = await readAll(store, ctx)
  const vdis = await markParents(store, contents).catch((error: unknown) => {
    // A place that cannot be written cannot be harmed either.
    const failure = toStorageError(error, layer)
    if (failure.kind !== 'readOnly') throw failure
    return contents.records
  })
  return {
    stat: await statOf(store, contents),
    virtualAllocation: vdis.reduce((sum, vdi) => sum + vdi.size, 0),
    vdis,
  }
}
