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
import { createFromStage, newImageId, refuseTaken, takeName } from './create.ts'
import { writeNew } from './durable.ts'
import { hasFacts, readFacts, removeFacts, writeFacts, type VdiFacts } from './facts.ts'
import { endIntent, intentName, sameFile, type RecoveryRule } from './intents.ts'
import { imageFileName, imageFormat } from './place.ts'
import { kindOf, madeRecord, mustExist, refuseLongChain, type Store } from './store.ts'
import { mendFirst } from './mend.ts'

/** Stages an empty child of an image that is, or will be, called `parent`. */
export const stageChild = async (store: Store, ctx: Ctx, path: string, of: { readonly size: number; readonly id: string }, parent: VdiUuid): Promise<void> =>
  writeNew(store.place.files, path, imageFormat.create({
    size: of.size, id: newImageId(), createdMs: ctx.clock.now(), parent: { id: of.id, fileName: imageFileName(parent) },
  }))

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
 * 1. `intents/snapshot.<S>.<D>`: S's new child, with parent D; synced, then that directory
 * 2. facts of D
 * 3. link S's image to D's name, images synced
 * 4. rename the child over S: decided
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
    source, aside: dest, asideFacts: made, extra: async () => undefined,
    stage: async (path) => stageChild(store, ctx, path, entry.summary, dest),
    after: new Map([[dest, entry.parent], [source, dest]]),
  }, recoverSnapshot)
  return madeRecord(store, dest)
}

/**
 * Steps of a clone, with a base B of a new uuid:
 * 1. `intents/clone.<S>.<D>.<B>`: S's new child, with parent B, and `twin.<D>`, the clone's image; synced, then that directory
 * 2. facts of B and D
 * 3. link S's image to B's name and the twin to D's, images synced
 * 4. rename the child over S: decided
 * 5. the twin's other name is removed
 * Recovery: the child is S already, or gone: step 5. Otherwise D and B lose their names and facts, then twin and child go.
 */
export const clone = async (store: Store, ctx: Ctx, want: CopyRequest): Promise<VdiRecord> => {
  const { source, dest } = want
  const { entry, facts, immutable } = await sourceOf(store, ctx, want)
  const made = copiedNames(facts, want)
  if (immutable) return createFromStage(store, dest, made, source, async (path) => stageChild(store, ctx, path, entry.summary, source))
  const base = asVdiUuid(crypto.randomUUID())
  const name = intentName('clone', source, dest, base)
  const twin = store.paths.intent(intentName('twin', dest))
  await moveAside(store, { kind: 'clone', name, vdis: [source, dest, base] }, {
    source, aside: base, asideFacts: { kind: 'base' },
    stage: async (path) => {
      await Promise.all([stageChild(store, ctx, path, entry.summary, base), stageChild(store, ctx, twin, entry.summary, base)])
    },
    extra: async () => {
      if (hasFacts(made)) await writeFacts(store.place.files, store.paths, dest, made)
      await takeName(store, twin, dest)
    },
    after: new Map([[base, entry.parent], [source, base], [dest, base]]),
  }, recoverClone)
  await endIntent(store, intentName('twin', dest))
  return madeRecord(store, dest)
}

interface Move {
  readonly source: VdiUuid
  /** The name that the data takes. */
  readonly aside: VdiUuid
  readonly asideFacts: VdiFacts
  readonly stage: (path: string) => Promise<void>
  /** More names to be given before the decision. */
  readonly extra: () => Promise<void>
  readonly after: ReadonlyMap<VdiUuid, VdiUuid | undefined>
}

/** The common steps; a failure on the way is taken back by the same rule that a crash is. */
const moveAside = async (store: Store, intent: Parameters<RecoveryRule>[1], move: Move, takeBack: RecoveryRule): Promise<void> => {
  const { files } = store.place
  const path = store.paths.intent(intent.name)
  try {
    await move.stage(path)
    await files.syncDirectory(store.paths.intents)
    await writeFacts(files, store.paths, move.aside, move.asideFacts)
    await store.catalog.changing(async () => {
      await takeName(store, store.paths.image(move.source), move.aside)
      await move.extra()
      await files.syncDirectory(store.paths.images)
      await files.rename(path, store.paths.image(move.source))
      await files.syncDirectory(store.paths.images)
    }, move.after)
  } catch (error) {
    await takeBack(store, intent).catch(() => undefined)
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
