/**
 * Snapshots and clones by the rule of the SM API ("vdi_snapshot", "vdi_clone"): the image keeps its data and takes another
 * name, and a new, empty child takes the name of the VDI.
 *
 *   snapshot S -> D        clone S -> D, base B         of a VDI that is immutable already
 *
 *   S: data                S: data                      S: data
 *      |                      |                            |
 *   D: data <- S: empty    B: data <- S: empty          S: data <- D: empty
 *                               ^---- D: empty
 */
import type { CopyRequest, Ctx, VdiRecord } from '../../core/contract.ts'
import { asVdiUuid, type VdiUuid } from '../../core/ids.ts'
import { settleAll } from '../../core/settle.ts'
import type { ImageSummary } from '../../formats/format.ts'
import { createFromStage, newImageId, refuseTaken, stageImage, takeName } from './create.ts'
import { hasFacts, placeFacts, readFacts, removeFacts, stageFacts, type VdiFacts } from './facts.ts'
import { endIntent, intentName, sameFile, type RecoveryRule } from './intents.ts'
import { imageFileName } from './place.ts'
import { kindOf, writtenRecord, mustExist, refuseLongChain, type Store } from './store.ts'
import { mendFirst } from './mend.ts'

/** Stages an empty child of an image that is, or will be, called `parent`. */
export const stageChild = async (store: Store, ctx: Ctx, path: string, of: { readonly size: number; readonly id: string }, parent: VdiUuid): Promise<ImageSummary> =>
  stageImage(store.place.files, path, {
    size: of.size, id: newImageId(), createdMs: ctx.clock.now(), parent: { id: of.id, fileName: imageFileName(parent) },
  })

const copiedNames = (source: VdiFacts, want: CopyRequest): VdiFacts => ({
  name: want.name ?? source.name,
  description: want.description ?? source.description,
})

const snapshotFacts = (ctx: Ctx, source: VdiFacts, want: CopyRequest): VdiFacts => ({
  ...copiedNames(source, want), kind: 'snapshot', snapshotOf: want.source, snapshotMs: ctx.clock.now(),
})

/** Source and its facts, seen to be copyable. */
const sourceOf = async (store: Store, ctx: Ctx, want: CopyRequest) => {
  const facts = await readFacts(store.place.files, store.paths, want.source)
  const found = await mustExist(store, want.source)
  const immutable = kindOf(facts, found) !== 'disk'
  const entry = found.summary.needsRepair && !immutable ? await mendFirst(store, ctx, want.source) : found
  await refuseLongChain(store, entry)
  await refuseTaken(store, want.dest)
  return { entry, facts, immutable }
}

/**
 * Steps of a snapshot:
 * 1. `intents/snapshot.<S>.<D>`: S's new child, with parent D, and D's facts under a name of no meaning; both synced, then
 *    that directory
 * 2. D's facts get their name, S's image gets D's name as well; both directories synced
 * 3. rename the child over S: decided
 * Recovery: the child is S already: nothing to do. Otherwise D's name is removed if it is still S's file, then D's facts,
 * then the child.
 */
export const snapshot = async (store: Store, ctx: Ctx, want: CopyRequest): Promise<VdiRecord> => {
  const { source, dest } = want
  const { entry, facts, immutable } = await sourceOf(store, ctx, want)
  const made = snapshotFacts(ctx, facts, want)
  if (immutable) return createFromStage(store, dest, made, source, async (path) => stageChild(store, ctx, path, entry.summary, source))
  const name = intentName('snapshot', source, dest)
  await moveAside(store, { kind: 'snapshot', name, vdis: [source, dest] }, {
    source, aside: dest, facts: new Map([[dest, made]]), extra: async () => undefined,
    stage: async (path) => stageChild(store, ctx, path, entry.summary, dest),
    after: new Map([[dest, entry.parent], [source, dest]]),
  }, recoverSnapshot)
  return writtenRecord(store, dest, entry.summary, made)
}

/**
 * Steps of a clone, with a base B of a new uuid:
 * 1. `intents/clone.<S>.<D>.<B>`: S's new child, with parent B, `twin.<D>`, the clone's image, and facts of B and D under names
 *    of no meaning; all synced, then that directory
 * 2. the facts get their names, S's image gets B's name as well and the twin D's; both directories synced
 * 3. rename the child over S: decided
 * 4. the twin's other name is removed
 * Recovery: the child is S already, or gone: step 4. Otherwise D and B lose their names and facts, then twin and child go.
 */
export const clone = async (store: Store, ctx: Ctx, want: CopyRequest): Promise<VdiRecord> => {
  const { source, dest } = want
  const { entry, facts, immutable } = await sourceOf(store, ctx, want)
  const made = copiedNames(facts, want)
  if (immutable) return createFromStage(store, dest, made, source, async (path) => stageChild(store, ctx, path, entry.summary, source))
  const base = asVdiUuid(crypto.randomUUID())
  const name = intentName('clone', source, dest, base)
  const twin = store.paths.intent(intentName('twin', dest))
  let twinSummary = entry.summary
  await moveAside(store, { kind: 'clone', name, vdis: [source, dest, base] }, {
    source, aside: base, facts: new Map([[base, { kind: 'base' } as const], ...(hasFacts(made) ? [[dest, made] as const] : [])]),
    stage: async (path) => {
      const makeTwin = async (): Promise<void> => {
        twinSummary = await stageChild(store, ctx, twin, entry.summary, base)
      }
      await settleAll([stageChild(store, ctx, path, entry.summary, base), makeTwin()])
    },
    extra: async () => takeName(store, twin, dest),
    after: new Map([[base, entry.parent], [source, base], [dest, base]]),
  }, recoverClone)
  const [record] = await Promise.all([writtenRecord(store, dest, twinSummary, made), endIntent(store, intentName('twin', dest))])
  return record
}

interface Move {
  readonly source: VdiUuid
  /** The name that the data takes. */
  readonly aside: VdiUuid
  readonly facts: ReadonlyMap<VdiUuid, VdiFacts>
  readonly stage: (path: string) => Promise<unknown>
  /** More names to be given before the decision. */
  readonly extra: () => Promise<void>
  readonly after: ReadonlyMap<VdiUuid, VdiUuid | undefined>
}

/** The common steps; a failure on the way is taken back by the same rule that a crash is. */
const moveAside = async (store: Store, intent: Parameters<RecoveryRule>[1], move: Move, takeBack: RecoveryRule): Promise<void> => {
  const { paths, place: { files } } = store
  const path = paths.intent(intent.name)
  const staged = new Map<VdiUuid, string>()
  try {
    await settleAll([move.stage(path), ...[...move.facts].map(async ([vdi, facts]) => staged.set(vdi, await stageFacts(files, paths, facts)))])
    await files.syncDirectory(paths.intents)
    await store.catalog.changing(async () => {
      const named = async (): Promise<void> => {
        await takeName(store, paths.image(move.source), move.aside)
        await move.extra()
        await files.syncDirectory(paths.images)
      }
      await settleAll([named(), ...[...staged].map(async ([vdi, at]) => placeFacts(files, paths, vdi, at))])
      await files.rename(path, paths.image(move.source))
      await files.syncDirectory(paths.images)
    }, move.after)
  } catch (error) {
    await takeBack(store, intent).catch(() => undefined)
    for (const at of staged.values()) await files.unlink(at).catch(() => false)
    throw error
  }
}

/** Removes the name of `vdi` if it is one more name of the file `of`, then its facts. */
const takeBackName = async (store: Store, vdi: VdiUuid, of: string): Promise<void> => {
  const { files } = store.place
  const image = store.paths.image(vdi)
  if ((await files.stat(image)) !== undefined) {
    if (!(await sameFile(store, image, of))) return
    await files.unlink(image)
    await files.syncDirectory(store.paths.images)
  }
  await removeFacts(files, store.paths, vdi)
}

/** True when the staged child has become the source's image, or is gone because it had. */
const decided = async (store: Store, name: string, source: VdiUuid): Promise<boolean> => {
  const path = store.paths.intent(name)
  return (await store.place.files.stat(path)) === undefined || sameFile(store, path, store.paths.image(source))
}

export const recoverSnapshot: RecoveryRule = async (store, { name, vdis: [source, dest] }) => {
  if (source === undefined || dest === undefined) return undefined
  const done = await decided(store, name, source)
  if (!done) await takeBackName(store, dest, store.paths.image(source))
  await endIntent(store, name)
  return done ? undefined : `VDI ${source}: an unfinished snapshot was taken back`
}

export const recoverClone: RecoveryRule = async (store, { name, vdis: [source, dest, base] }) => {
  if (source === undefined || dest === undefined || base === undefined) return undefined
  const twin = intentName('twin', dest)
  const done = await decided(store, name, source)
  if (!done) {
    await takeBackName(store, dest, store.paths.intent(twin))
    await takeBackName(store, base, store.paths.image(source))
  }
  await endIntent(store, twin)
  await endIntent(store, name)
  return done ? undefined : `VDI ${source}: an unfinished clone was taken back`
}
