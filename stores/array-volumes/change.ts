/**
 * Making, copying and removing VDIs. Each change writes what it is about into the note of its VDI first, and the note says `ready` again, or
 * is gone, when it is through; `recover.ts` ends what a death left in between. Disks of a replicated SR are made and deleted by the replication engine.
 */
import type { Volume } from '../../core/array/types.ts'
import type { CopyRequest, CreateRequest, Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { createReplicatedVolume, deleteReplicatedVolume, jobEnded, replicateVolume } from '../../core/replication/index.ts'
import { roundUp } from '../../core/units.ts'
import { leftPresented } from './host-group.ts'
import { dropLocks } from './locks.ts'
import { keys, objectName } from './names.ts'
import { layer, stepOf, type Notes, type Remnant, type VdiNote } from './notes.ts'
import { accessOf, clonesOf, findSnapshot, lost, needVolume, snapshotsOf, volumeOf } from './objects.ts'
import { onBoth, readSr, textsOf } from './place.ts'
import { siteOf, type Side, type Sides } from './sides.ts'
import type { ArrayStore } from './store.ts'

const keyOf = (ctx: Ctx, vdi: VdiUuid, { kind }: Pick<VdiNote, 'kind'>): string => (kind === 'disk' ? keys.disk(ctx.sr, vdi) : keys.snapshot(ctx.sr, vdi))

/** Snapshots are on one array; notes of disks go to both, each with the id that the volume has there. */
export const putNote = async (ctx: Ctx, sides: Sides, vdi: VdiUuid, note: VdiNote): Promise<void> => {
  if (note.kind === 'snapshot') return textsOf(sides.active).put(ctx, keyOf(ctx, vdi, note), JSON.stringify(note))
  const { id: _id, ...anywhere } = note
  const own = textsOf(sides.active)
  await onBoth(ctx, sides, async (texts) => texts.put(ctx, keyOf(ctx, vdi, note), JSON.stringify(texts === own ? note : anywhere)))
}

const newNote = async (ctx: Ctx, sides: Sides, vdi: VdiUuid, note: VdiNote): Promise<void> => {
  if (!(await textsOf(sides.active).create(ctx, keyOf(ctx, vdi, note), JSON.stringify(note)))) {
    throw new StorageError('alreadyExists', `VDI ${vdi} was made by another host just now`, { layer, field: 'vdi_uuid', remedy: 'Choose another uuid', details: { vdi_uuid: vdi } })
  }
}

const dropNote = async (ctx: Ctx, sides: Sides, vdi: VdiUuid, note: VdiNote): Promise<void> => {
  await dropLocks(ctx, sides, vdi)
  await onBoth(ctx, sides, async (texts) => texts.remove(ctx, keyOf(ctx, vdi, note)))
}

/** A name that no remnant of the same uuid bears. */
const nameFor = (vdi: VdiUuid, { remnants }: Notes): string => {
  const free = Array.from({ length: 10 }, (_, turn) => objectName(vdi, turn)).find((name) => !remnants.has(name))
  if (free !== undefined) return free
  throw new StorageError('limitExceeded', `Ten deleted VDIs of uuid ${vdi} are still needed by their snapshots`, { layer, field: 'vdi_uuid', remedy: 'Take another uuid, or delete those snapshots' })
}

const groupWant = ({ pair, replication }: ArrayStore, group: string) => ({ group, mode: replication.mode, ...(replication.periodSeconds === undefined ? {} : { periodSeconds: replication.periodSeconds }), pool: pair.pool.cpg })

const sized = ({ driver }: Side, size: number): number => roundUp(Math.max(size, driver.limits.minVolumeSize), driver.limits.sizeStep)

const refuseForeign = (called: string, side: string): StorageError =>
  new StorageError('alreadyExists', `${side} has a volume ${called} that belongs to no VDI of this SR`, { layer, field: 'vdi_uuid', remedy: 'Choose another uuid; or see whose it is: smctl array volumes' })

/** A failure takes the note back with what was made; nobody ever takes a volume for ours that was there before. */
const making = async <T>(ctx: Ctx, store: ArrayStore, sides: Sides, vdi: VdiUuid, note: VdiNote, work: () => Promise<T>): Promise<T> => {
  await newNote(ctx, sides, vdi, note)
  try {
    return await work()
  } catch (error) {
    await unmake(ctx, store, sides, vdi, note).catch((left: unknown) => ctx.log.warn({ vdi, left: (left as Error).message }, 'a VDI that could not be made was not fully taken back; it is when the SR is attached or scanned again'))
    throw error
  }
}

/** Takes away what a `making` note may have brought: its name is ours, as the note was there first. */
export const unmake = async (ctx: Ctx, store: ArrayStore, sides: Sides, vdi: VdiUuid, note: VdiNote): Promise<void> => {
  if (note.object === 'snapshot') {
    const there = await findSnapshot(ctx, sides.active, note.called)
    if (there !== undefined) await snapshotsOf(sides.active).remove(ctx, there.id)
  } else {
    await removeVolume(ctx, store, sides, note, await volumeOf(ctx, sides.active, note))
  }
  await dropNote(ctx, sides, vdi, note)
}

/** A disk of a replicated SR goes with its replica and whatever a death left of it; gone is done. */
const removeVolume = async (ctx: Ctx, { pair }: ArrayStore, sides: Sides, note: VdiNote, there: Volume | undefined): Promise<void> => {
  const { group } = pair.pool
  if (group !== undefined && note.kind === 'disk') await deleteReplicatedVolume(siteOf(ctx, sides), note.called, group)
  else if (there !== undefined) await sides.active.array.remove(ctx, there.id)
}

/** Steps: 1. the note (making); 2. the volume, on both arrays of a replicated SR; 3. the note (ready). A death before 3: `recover` takes 2 and 1 back. */
export const createVdi = async (ctx: Ctx, store: ArrayStore, want: CreateRequest): Promise<void> => {
  const sides = await store.pair.sides(ctx)
  const { active } = sides
  const notes = await readSr(ctx, store.pair.pool, active)
  const note: VdiNote = {
    format: 1, state: 'making', kind: 'disk', object: 'volume', called: nameFor(want.uuid, notes), name: want.name, description: want.description, shareable: want.shareable, by: stepOf(ctx),
  }
  if ((await volumeOf(ctx, active, note)) !== undefined) throw refuseForeign(note.called, active.name)
  const capabilities = await active.array.capabilities(ctx)
  const provisioning = want.provisioning === 'full' || capabilities.thin.level === 'unsupported' ? 'full' : 'thin'
  await making(ctx, store, sides, want.uuid, note, async () => {
    const volume = { name: note.called, size: sized(active, want.size), pool: store.pair.pool.cpg, provisioning } as const
    const { group } = store.pair.pool
    const made = group === undefined
      ? await jobEnded(active.array, ctx, await active.array.create(ctx, volume))
      : await createReplicatedVolume(siteOf(ctx, sides), { ...groupWant(store, group), ...volume })
    const { by: _by, ...done } = note
    await putNote(ctx, sides, want.uuid, { ...done, state: 'ready', id: made.id })
  })
}

const namesOf = (source: VdiNote, want: CopyRequest): Pick<VdiNote, 'name' | 'description'> => ({ name: want.name ?? source.name, description: want.description ?? source.description })

const needNote = (notes: Notes, vdi: VdiUuid): VdiNote => {
  const note = notes.vdis.get(vdi)
  if (note !== undefined) return note
  throw new StorageError('notFound', `There is no VDI ${vdi}`, { layer, field: 'vdi_uuid', remedy: 'Scan the SR' })
}

/** A copy of a volume, or of what it was at a snapshot, as a volume of its own. */
const cloneInto = async (ctx: Ctx, side: Side, source: VdiUuid, note: VdiNote, called: string): Promise<Volume> => {
  const clones = clonesOf(side)
  const outcome = note.object === 'snapshot'
    ? await clones.cloneFromSnapshot(ctx, note.volume ?? '', note.id ?? '', { name: called })
    : await clones.clone(ctx, (await needVolume(ctx, side, source, note)).id, { name: called })
  await jobEnded(side.array, ctx, outcome)
  const made = await volumeOf(ctx, side, { called })
  if (made !== undefined) return made
  throw new StorageError('arrayFault', `${side.name} says that the clone ${called} is done, and does not show it`, { layer, mayHaveChanged: true, remedy: 'Look at its volumes and tasks' })
}

/**
 * Steps: 1. the note (making); 2. the snapshot, or of something immutable a clone that nobody writes to; 3. the note (ready). A death before 3: `recover` takes
 * 2 and 1 back.
 */
export const snapshotVdi = async (ctx: Ctx, store: ArrayStore, want: CopyRequest): Promise<void> => {
  const sides = await store.pair.sides(ctx)
  const { active } = sides
  const notes = await readSr(ctx, store.pair.pool, active)
  const source = needNote(notes, want.source)
  const immutable = source.kind === 'snapshot'
  const note: VdiNote = {
    format: 1, state: 'making', kind: 'snapshot', object: immutable ? 'volume' : 'snapshot', called: nameFor(want.dest, notes), ...namesOf(source, want), shareable: false, of: want.source, ms: ctx.clock.now(), by: stepOf(ctx),
  }
  await making(ctx, store, sides, want.dest, note, async () => {
    const { by: _by, ...done } = note
    if (immutable) {
      const made = await cloneInto(ctx, active, want.source, source, note.called)
      return putNote(ctx, sides, want.dest, { ...done, state: 'ready', id: made.id })
    }
    const volume = await needVolume(ctx, active, want.source, source)
    const made = await jobEnded(active.array, ctx, await snapshotsOf(active).create(ctx, [volume.id], active.driver.customNames.snapshot ? note.called : undefined))
    const [part] = made.members
    if (part === undefined) throw lost(want.dest, note, active.name)
    return putNote(ctx, sides, want.dest, {
      ...done, state: 'ready', id: made.id, part: part.snapshot, size: volume.size, volume: volume.id, ...(part.wwid === undefined ? {} : { wwid: part.wwid }),
    })
  })
}

/** Steps: 1. the note (making); 2. the clone, waited for; 3. into the group of a replicated SR; 4. the note (ready). A death before 4: `recover` takes all back. */
export const cloneVdi = async (ctx: Ctx, store: ArrayStore, want: CopyRequest): Promise<void> => {
  const sides = await store.pair.sides(ctx)
  const notes = await readSr(ctx, store.pair.pool, sides.active)
  const source = needNote(notes, want.source)
  const note: VdiNote = { format: 1, state: 'making', kind: 'disk', object: 'volume', called: nameFor(want.dest, notes), ...namesOf(source, want), shareable: false, by: stepOf(ctx) }
  await making(ctx, store, sides, want.dest, note, async () => {
    const made = await cloneInto(ctx, sides.active, want.source, source, note.called)
    const { group } = store.pair.pool
    if (group !== undefined) await replicateVolume(siteOf(ctx, sides), made, groupWant(store, group))
    const { by: _by, ...done } = note
    await putNote(ctx, sides, want.dest, { ...done, state: 'ready', id: made.id })
  })
}

/** The array grows it in one step, or says so; an array that grows replicated volumes does both sides. */
export const resizeVdi = async (ctx: Ctx, store: ArrayStore, vdi: VdiUuid, size: number): Promise<void> => {
  const { active } = await store.pair.sides(ctx)
  const note = needNote(await readSr(ctx, store.pair.pool, active), vdi)
  const volume = await needVolume(ctx, active, vdi, note)
  if (sized(active, size) > volume.size) await jobEnded(active.array, ctx, await active.array.resize(ctx, volume.id, sized(active, size), false))
}

/** Steps: 1. the note (reverting); 2. what a dead attachment of this host left presented; 3. the restore, waited for; 4. the note (ready). A death before 4: `recover` does 2 to 4. */
export const revertVdi = async (ctx: Ctx, store: ArrayStore, vdi: VdiUuid, snapshot: VdiUuid): Promise<void> => {
  const sides = await store.pair.sides(ctx)
  const notes = await readSr(ctx, store.pair.pool, sides.active)
  const [note, to] = [needNote(notes, vdi), needNote(notes, snapshot)]
  if (to.of !== vdi) throw new StorageError('invalidArgument', `${snapshot} is a snapshot of ${to.of ?? 'something else'}, not of ${vdi}`, { layer, field: 'snapshot_uuid', remedy: 'Take one of its own snapshots, or clone that one' })
  if (to.object !== 'snapshot' || to.id === undefined) throw new StorageError('notSupported', `${snapshot} is a copy of a snapshot: the array goes back to snapshots only`, { layer, field: 'snapshot_uuid', remedy: 'Go back to the snapshot it was copied from, or clone it' })
  await putNote(ctx, sides, vdi, { ...note, state: 'reverting', to: to.id, by: stepOf(ctx) })
  await endRevert(ctx, store, sides, vdi, { ...note, to: to.id })
}

export const endRevert = async (ctx: Ctx, { connection }: ArrayStore, sides: Sides, vdi: VdiUuid, note: VdiNote): Promise<void> => {
  const { active } = sides
  const volume = await needVolume(ctx, active, vdi, note)
  const { by: _by, to, ...ready } = note
  await leftPresented(ctx, active, connection, volume)
  try {
    if (to !== undefined) await jobEnded(active.array, ctx, await snapshotsOf(active).restore(ctx, to, volume.id))
  } catch (error) {
    // Refused, and nothing changed: it stays what it was.
    if (error instanceof StorageError && ['restoreNotSafe', 'offlineOnly', 'notSupported', 'notLicensed'].includes(error.kind)) await putNote(ctx, sides, vdi, { ...ready, state: 'ready' })
    throw error
  }
  await putNote(ctx, sides, vdi, { ...ready, state: 'ready' })
}

/** What others depend on stays until they are gone; nothing leads to it but its remnant note. */
const removeOrKeep = async (ctx: Ctx, store: ArrayStore, sides: Sides, note: VdiNote): Promise<void> => {
  const keep = async (id: string, error: unknown): Promise<void> => {
    if (!(error instanceof StorageError) || !['hasDependents', 'busy'].includes(error.kind)) throw error
    const remnant: Remnant = { format: 1, object: note.object, id }
    await textsOf(sides.active).put(ctx, keys.remnant(ctx.sr, note.called), JSON.stringify(remnant))
  }
  if (note.object === 'snapshot') {
    const there = await findSnapshot(ctx, sides.active, note.id ?? note.called)
    if (there !== undefined) await snapshotsOf(sides.active).remove(ctx, there.id).catch(async (error: unknown) => keep(there.id, error))
    return
  }
  const there = await volumeOf(ctx, sides.active, note)
  await removeVolume(ctx, store, sides, note, there).catch(async (error: unknown) => {
    if (there === undefined) throw error
    await keep(there.id, error)
  })
}

/** Remnants that nobody needs any more; each that goes may free another. */
const sweepRemnants = async (ctx: Ctx, store: ArrayStore, sides: Sides): Promise<void> => {
  const texts = textsOf(sides.active)
  for (;;) {
    let gone = 0
    for (const [name, remnant] of (await readSr(ctx, store.pair.pool, sides.active)).remnants) {
      try {
        if (remnant.object === 'volume') await sides.active.array.remove(ctx, remnant.id)
        else await snapshotsOf(sides.active).remove(ctx, remnant.id)
      } catch (error) {
        if (!(error instanceof StorageError) || !['hasDependents', 'busy'].includes(error.kind)) throw error
        continue
      }
      await texts.remove(ctx, keys.remnant(ctx.sr, name))
      gone += 1
    }
    if (gone === 0) return
  }
}

/**
 * Steps: 1. the note (removing); 2. what a dead attachment of this host left presented; 3. volume or snapshot (kept as a remnant while others depend on
 * it); 4. remnants that nobody needs any more; 5. locks and note. A death: `recover` goes on with 2.
 */
export const destroyVdi = async (ctx: Ctx, store: ArrayStore, vdi: VdiUuid): Promise<void> => {
  const sides = await store.pair.sides(ctx)
  const notes = await readSr(ctx, store.pair.pool, sides.active)
  const note = notes.vdis.get(vdi)
  if (note === undefined) {
    if (notes.unreadable.has(vdi)) await forgetUnreadable(ctx, sides, vdi)
    return
  }
  if (store.pair.pool.group !== undefined && note.kind === 'disk') needBoth(sides, store.pair.pool.group)
  await refusePresented(ctx, store, sides.active, vdi, note)
  await putNote(ctx, sides, vdi, { ...note, state: 'removing', by: stepOf(ctx) })
  await endDestroy(ctx, store, sides, vdi, note)
}

/** Refused before anything is begun: replicated disks are deleted at a source, and on both arrays. */
const needBoth = ({ active, other, silent }: Sides, group: string): void => {
  if (active.unit !== undefined && active.unit.role !== 'source') {
    throw new StorageError('wrongRole', `Group ${group} is ${active.unit.role} on ${active.name}: its disks can only be deleted at a source`, { layer, field: 'vdi_uuid', remedy: `Reverse or restore its replication first: smctl replication status ${active.name} ${group}` })
  }
  if (other === undefined) throw silent ?? new StorageError('unreachable', 'The other array does not answer: replicated disks are deleted on both', { layer, remedy: 'Bring it back' })
}

/** Its volume stays on the array: what it was called is not known any more. */
const forgetUnreadable = async (ctx: Ctx, sides: Sides, vdi: VdiUuid): Promise<void> => {
  const called = objectName(vdi)
  const volume = await volumeOf(ctx, sides.active, { called })
  if (volume !== undefined) {
    throw new StorageError('imageCorrupt', `What is kept about VDI ${vdi} cannot be read, and volume ${called} on ${sides.active.name} may be it`, { layer, field: 'vdi_uuid', remedy: `Look at it, then remove it there: smctl array remove-volume ${sides.active.name} ${volume.id}` })
  }
  await onBoth(ctx, sides, async (texts) => {
    for (const key of [keys.disk(ctx.sr, vdi), keys.snapshot(ctx.sr, vdi)]) await texts.remove(ctx, key)
  })
}

const idOf = (note: VdiNote): string | undefined => (note.object === 'snapshot' ? note.part : note.id)

/** Another host has it: nothing is taken away from a running guest. */
const refusePresented = async (ctx: Ctx, { connection }: ArrayStore, side: Side, vdi: VdiUuid, note: VdiNote): Promise<void> => {
  const volume = note.object === 'volume' ? await volumeOf(ctx, side, note) : undefined
  const id = note.object === 'volume' ? volume?.id : idOf(note)
  if (id === undefined) return
  const others = await leftPresented(ctx, side, connection, { id, presentedTo: volume?.presentedTo ?? (await accessOf(side).presentations(ctx, [id]).catch(() => [])).map(({ group }) => group) })
  if (others.length === 0) return
  throw new StorageError('busy', `VDI ${vdi} is presented to ${others.join(', ')} on ${side.name}: another host uses it`, {
    layer, field: 'vdi_uuid', remedy: `Detach it there; of a host that is dead for good: smctl array unpresent ${side.name} ${id} --groups ${others.join(' ')}`, details: { vdi_uuid: vdi },
  })
}

export const endDestroy = async (ctx: Ctx, store: ArrayStore, sides: Sides, vdi: VdiUuid, note: VdiNote): Promise<void> => {
  await removeOrKeep(ctx, store, sides, note)
  await sweepRemnants(ctx, store, sides)
  await dropNote(ctx, sides, vdi, note)
}
