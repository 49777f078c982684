/**
 * The array part of the conformance kit: every duty of the array contract, gated by the live capabilities; what is claimed must work. A
 * harness opens an array with room for a dozen small volumes; names that the cases make begin with `kit`.
 */
import { strict as assert } from 'node:assert'
import type { OpenArray } from '../../../core/array/contract.ts'
import { arrayFeatures, type ArrayCtx, type ArrayFeature, type Capabilities, type Outcome, type Volume } from '../../../core/array/types.ts'
import { page83Of, parseWwid } from '../../../core/array/wwid.ts'
import { StorageError, type ErrorKind } from '../../../core/errors.ts'

export interface ArrayStage {
  readonly array: OpenArray
  readonly ctx: ArrayCtx
  readonly capabilities: Capabilities
  /** A legal volume size, and the next larger one. */
  readonly sizes: readonly [number, number]
  /** Again, as another process would: nothing may be remembered in this one. */
  readonly reopen: () => Promise<OpenArray>
}

export interface ArrayCase {
  readonly name: string
  readonly needs: readonly ArrayFeature[]
  readonly run: (stage: ArrayStage) => Promise<void>
}

const refusesWith = async (kinds: readonly ErrorKind[], work: Promise<unknown>): Promise<StorageError> => {
  try {
    await work
  } catch (error) {
    assert.ok(error instanceof StorageError, `no StorageError: ${String(error)}`)
    assert.ok(kinds.includes(error.kind), `${error.kind} instead of ${kinds.join(' or ')}: ${error.message}`)
    return error
  }
  throw new assert.AssertionError({ message: `it succeeded instead of ${kinds.join(' or ')}` })
}

/** What a synchronous call would have answered, also of a job; the job is asked for by another process on the way. */
const ended = async <T>(stage: ArrayStage, outcome: Outcome<T>): Promise<T> => {
  if (outcome.kind === 'done') return outcome.value
  const other = await stage.reopen()
  for (let turn = 0; turn < 200; turn += 1) {
    const job = await other.job(stage.ctx, outcome.job)
    if (job.state === 'succeeded') return job.value as T
    assert.notEqual(job.state, 'failed', job.error?.message)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new assert.AssertionError({ message: `job ${outcome.job} did not end` })
}

let made = 0
const newVolume = async (stage: ArrayStage): Promise<Volume> => {
  made += 1
  return ended(stage, await stage.array.create(stage.ctx, { name: `kit${made}x${Date.now() % 100_000}`, size: stage.sizes[0], provisioning: 'thin' }))
}

const host = { kind: 'iscsi', id: 'iqn.2026-01.test:kit-host' } as const

/** A group of its own, taken away again with all that is presented to it. */
const withGroup = async (stage: ArrayStage, work: (group: string, volume: Volume) => Promise<void>): Promise<void> => {
  const { array, ctx } = stage
  const volume = await newVolume(stage)
  const group = `kitgroup${made}`
  const [result] = (await array.access?.createGroups(ctx, [{ name: group, initiators: [host] }])) ?? []
  assert.equal(result?.error, undefined)
  try {
    await work(group, volume)
  } finally {
    await array.access?.unpresent(ctx, volume.id, [group])
    await array.access?.removeGroups(ctx, [group])
    await array.remove(ctx, volume.id)
  }
}

export const arrayCases: readonly ArrayCase[] = [
  { name: 'tells what it is, and a row for every feature, with a reason for what it cannot do', needs: [], async run({ array, ctx, capabilities }) {
    const info = await array.info(ctx)
    assert.ok(info.id !== '' && info.freeSize <= info.totalSize)
    assert.equal((await array.status(ctx)).health, info.health)
    assert.deepEqual(Object.keys(capabilities).sort(), [...arrayFeatures].sort())
    for (const feature of arrayFeatures) if (capabilities[feature].level === 'unsupported') assert.ok(capabilities[feature].reason !== undefined, `${feature} has no reason`)
    assert.ok(Array.isArray(await array.storageNames(ctx)))
    assert.ok((await array.pools(ctx)).length > 0)
  } },
  { name: 'creates a volume with an identity that list, volume and a new process agree on', needs: [], async run(stage) {
    const { array, ctx } = stage
    const volume = await newVolume(stage)
    assert.ok(volume.wwid !== undefined && parseWwid(page83Of(volume.wwid)) === volume.wwid, 'no page-83 identity')
    assert.ok(volume.size >= stage.sizes[0])
    assert.equal((await array.list(ctx)).find(({ id }) => id === volume.id)?.wwid, volume.wwid)
    assert.equal((await (await stage.reopen()).volume(ctx, volume.id))?.wwid, volume.wwid)
    const repeat = await array.create(ctx, { name: volume.name, size: stage.sizes[0], provisioning: 'thin' })
    assert.deepEqual([(await ended(stage, repeat)).id, repeat.kind === 'done' && repeat.changed], [volume.id, false])
    await refusesWith(['alreadyExists'], array.create(ctx, { name: volume.name, size: stage.sizes[1], provisioning: 'thin' }))
    await array.remove(ctx, volume.id)
    await array.remove(ctx, volume.id)
    assert.equal(await array.volume(ctx, volume.id), undefined)
  } },
  { name: 'takes a volume offline and online without touching its presentation', needs: ['accessControl'], run: async (stage) => withGroup(stage, async (group, volume) => {
    const { array, ctx } = stage
    await array.access?.present(ctx, volume.id, [group])
    const offline = await array.setOnline(ctx, volume.id, false).catch((error: unknown) => error)
    // Not every array can: then it says so, and the volume stays as it was.
    if (offline instanceof StorageError) assert.equal(offline.kind, 'notSupported', offline.message)
    else assert.deepEqual((offline as Volume).presentedTo, [group])
    const online = await array.setOnline(ctx, volume.id, true)
    assert.deepEqual([online.presentedTo, online.online], [[group], true])
  }) },
  { name: 'presents and takes away, each repeatable, and removes nothing that is presented', needs: ['accessControl'], run: async (stage) => withGroup(stage, async (group, volume) => {
    const { array, ctx } = stage
    for (let turn = 0; turn < 2; turn += 1) assert.deepEqual((await array.access?.present(ctx, volume.id, [group]))?.presentedTo, [group])
    assert.equal((await array.access?.presentations(ctx, [volume.id]))?.length, 1)
    assert.deepEqual((await array.access?.groups(ctx, volume.id))?.map(({ name }) => name), [group])
    await refusesWith(['stillPresented'], array.remove(ctx, volume.id))
    const [kept] = (await array.access?.removeGroups(ctx, [group])) ?? []
    assert.equal(kept?.error?.kind, 'stillPresented')
    for (let turn = 0; turn < 2; turn += 1) assert.deepEqual((await array.access?.unpresent(ctx, volume.id, [group]))?.presentedTo, [])
  }) },
  { name: 'makes as many groups as possible and answers for each', needs: ['accessControl'], run: async (stage) => withGroup(stage, async (group) => {
    const { array, ctx } = stage
    const other = { kind: 'iscsi', id: 'iqn.2026-01.test:kit-other' } as const
    const results = (await array.access?.createGroups(ctx, [{ name: group, initiators: [host, other] }, { name: `${group}b`, initiators: [other] }])) ?? []
    assert.deepEqual(results.map(({ item, error }) => [item, error?.kind]), [[group, 'alreadyExists'], [`${group}b`, undefined]])
    assert.deepEqual((await array.access?.removeFromGroup(ctx, `${group}b`, [other]))?.initiators, [])
    assert.equal((await array.access?.addToGroup(ctx, `${group}b`, [other]))?.initiators.length, 1)
    assert.equal((await array.access?.renameGroup(ctx, `${group}b`, `${group}c`))?.name, `${group}c`)
    const gone = (await array.access?.removeGroups(ctx, [`${group}c`, `${group}c`])) ?? []
    assert.deepEqual(gone.map(({ error }) => error), [undefined, undefined])
  }) },
  { name: 'resizes, answers the real size, and shrinks only when that was said', needs: ['resize'], async run(stage) {
    const { array, ctx, sizes } = stage
    const volume = await newVolume(stage)
    assert.ok((await ended(stage, await array.resize(ctx, volume.id, sizes[1], false))).size >= sizes[1])
    await refusesWith(['wouldLoseData', 'notSupported'], array.resize(ctx, volume.id, sizes[0], false))
    if (stage.capabilities.shrink.level !== 'unsupported') assert.ok((await ended(stage, await array.resize(ctx, volume.id, sizes[0], true))).size < sizes[1])
    await array.remove(ctx, volume.id)
  } },
  { name: 'takes a snapshot that is listed but is no volume, restores it, and names dependents', needs: ['snapshot', 'restore'], async run(stage) {
    const { array, ctx } = stage
    const volume = await newVolume(stage)
    const before = (await array.list(ctx)).length
    assert.equal(await array.snapshots?.snapable(ctx, volume.id), true)
    const limit = (await array.snapshots?.limit(ctx, volume.id)) ?? 0
    const created = await array.snapshots?.create(ctx, [volume.id])
    assert.ok(created !== undefined)
    const snapshot = await ended(stage, created)
    if (limit >= 0) assert.equal(await array.snapshots?.limit(ctx, volume.id), limit - 1)
    assert.equal((await array.list(ctx)).length, before)
    assert.deepEqual((await array.snapshots?.current(ctx, volume.id))?.map(({ id }) => id), [snapshot.id])
    const error = await refusesWith(['hasDependents'], array.remove(ctx, volume.id))
    assert.ok(error.message.includes(snapshot.id), 'the dependent is not named')
    const restored = await array.snapshots?.restore(ctx, snapshot.id)
    if (restored !== undefined) await ended(stage, restored)
    for (let turn = 0; turn < 2; turn += 1) await array.snapshots?.remove(ctx, snapshot.id)
    await array.remove(ctx, volume.id)
  } },
  { name: 'refuses a restore that would affect others, and names them', needs: ['accessControl', 'restore'], run: async (stage) => withGroup(stage, async (group, volume) => {
    const { array, ctx } = stage
    const created = await array.snapshots?.create(ctx, [volume.id])
    assert.ok(created !== undefined)
    const snapshot = await ended(stage, created)
    await array.access?.present(ctx, volume.id, [group])
    assert.deepEqual((await array.snapshots?.planRestore(ctx, snapshot.id))?.presentedTo, [group])
    const error = await refusesWith(['restoreNotSafe', 'offlineOnly', 'busy'], Promise.resolve(array.snapshots?.restore(ctx, snapshot.id)))
    assert.ok(error.message.includes(group), 'what is affected is not named')
    await array.access?.unpresent(ctx, volume.id, [group])
    await array.snapshots?.remove(ctx, snapshot.id)
  }) },
  { name: 'takes one snapshot of many volumes at one time', needs: ['multiSnapshot'], async run(stage) {
    const { array, ctx } = stage
    const volumes = [await newVolume(stage), await newVolume(stage)]
    const created = await array.snapshots?.create(ctx, volumes.map(({ id }) => id))
    assert.ok(created !== undefined)
    const snapshot = await ended(stage, created)
    assert.deepEqual(snapshot.members.map(({ volume }) => volume).sort(), volumes.map(({ id }) => id).sort())
    await array.snapshots?.remove(ctx, snapshot.id)
    for (const { id } of volumes) await array.remove(ctx, id)
  } },
  { name: 'clones into a volume of its own, keeps the parent while it is needed, and splits where it can', needs: ['clone'], async run(stage) {
    const { array, ctx } = stage
    const volume = await newVolume(stage)
    assert.equal(await array.clones?.cloneable(ctx, volume.id), true)
    const started = await array.clones?.clone(ctx, volume.id, {})
    assert.ok(started !== undefined)
    const clone = await ended(stage, started)
    assert.ok(clone.wwid !== undefined && clone.wwid !== volume.wwid)
    assert.equal((await array.list(ctx)).find(({ id }) => id === clone.id)?.wwid, clone.wwid)
    const current = (await array.clones?.current(ctx, volume.id)) ?? []
    assert.ok(current.every(({ id }) => id === clone.id), 'a clone of another volume is listed')
    if (stage.capabilities.split.level !== 'unsupported') assert.equal(current.length, 1)
    if (await array.clones?.splittable(ctx, clone.id)) {
      await refusesWith(['hasDependents', 'busy'], array.remove(ctx, volume.id))
      const split = await array.clones?.split(ctx, clone.id)
      assert.ok(split !== undefined)
      await ended(stage, split)
      assert.deepEqual(await array.clones?.current(ctx, volume.id), [])
    }
    for (const { id } of [clone, volume]) await array.remove(ctx, id)
  } },
  { name: 'lists QoS values and sets one', needs: ['qos'], async run(stage) {
    const { array, ctx } = stage
    const volume = await newVolume(stage)
    const [first] = (await array.qos?.list(ctx)) ?? []
    assert.ok(first !== undefined, 'there is no QoS value')
    await array.qos?.set(ctx, volume.id, first.value)
    assert.equal((await array.volume(ctx, volume.id))?.qos, first.value)
    await refusesWith(['invalidArgument', 'notFound'], Promise.resolve(array.qos?.set(ctx, volume.id, 'kit-no-such-value')))
    await array.remove(ctx, volume.id)
  } },
  { name: 'tells its ports, and where to log in to those for iSCSI', needs: [], async run({ array, ctx }) {
    const ports = await array.ports(ctx)
    assert.ok(ports.length > 0, 'no port')
    assert.equal(new Set(ports.map(({ id }) => id)).size, ports.length, 'an id is there twice')
    for (const port of ports) {
      if (port.kind === 'fc') assert.match(port.name, /^([0-9a-f]{2}:){7}[0-9a-f]{2}$/)
      if (port.kind === 'iscsi') assert.ok(/^(iqn|eui|naa)\./.test(port.name) && port.address !== undefined && port.port !== undefined, `${port.id} does not tell where to log in`)
    }
  } },
  { name: 'presents the part of a snapshot for reading, and keeps the snapshot meanwhile', needs: ['accessControl', 'snapshot'], run: async (stage) => withGroup(stage, async (group, volume) => {
    const { array, ctx } = stage
    const created = await array.snapshots?.create(ctx, [volume.id])
    assert.ok(created !== undefined)
    const snapshot = await ended(stage, created)
    const [part] = snapshot.members
    assert.ok(part?.wwid !== undefined && part.wwid !== volume.wwid, 'the part has no identity of its own')
    for (let turn = 0; turn < 2; turn += 1) {
      const shown: Volume | undefined = await array.access?.present(ctx, part.snapshot, [group])
      assert.deepEqual([shown?.presentedTo, shown?.wwid, shown?.size], [[group], part.wwid, volume.size])
    }
    assert.deepEqual((await array.access?.presentations(ctx, [part.snapshot]))?.map((one) => [one.volume, one.group]), [[part.snapshot, group]])
    assert.deepEqual((await array.volume(ctx, volume.id))?.presentedTo, [], 'its volume is presented with it')
    await refusesWith(['busy'], array.snapshots?.remove(ctx, snapshot.id) ?? Promise.resolve())
    for (let turn = 0; turn < 2; turn += 1) assert.deepEqual((await array.access?.unpresent(ctx, part.snapshot, [group]))?.presentedTo, [])
    await array.snapshots?.remove(ctx, snapshot.id)
  }) },
  { name: 'keeps texts by key, whole, for every host, and gives a key to one of many', needs: [], async run(stage) {
    const { metadata } = stage.array
    if (metadata === undefined) return
    const { ctx } = stage
    const [long, awkward] = ['x'.repeat(metadata.maxValue), 'Ünï "q" \\ \n 日本 🙂 ']
    const other = (await stage.reopen()).metadata
    assert.ok(metadata.maxValue >= 16384 && other !== undefined)
    const won = await Promise.all([metadata, other, metadata, other].map(async (one, index) => one.create(ctx, 'kit.one', `of ${index}`)))
    assert.equal(won.filter(Boolean).length, 1)
    assert.equal((await other.list(ctx, 'kit.')).get('kit.one'), `of ${won.indexOf(true)}`)
    for (const value of [awkward, long, '', awkward]) {
      await metadata.put(ctx, 'kit.one', value)
      await metadata.put(ctx, 'kit.two', awkward)
      assert.deepEqual(await other.list(ctx, 'kit.'), new Map([['kit.one', value], ['kit.two', awkward]]))
    }
    assert.deepEqual([...(await metadata.list(ctx, 'kit.t')).keys()], ['kit.two'])
    await refusesWith(['invalidArgument'], metadata.put(ctx, 'kit.one', `${long}x`))
    await refusesWith(['invalidArgument'], metadata.create(ctx, 'kit one', ''))
    for (const key of ['kit.one', 'kit.two', 'kit.two']) await metadata.remove(ctx, key)
    assert.equal((await other.list(ctx, 'kit.')).size, 0)
  } },
  { name: 'answers for what is not there by notFound, never by an empty success', needs: [], async run({ array, ctx }) {
    assert.equal(await array.volume(ctx, 'kit-no-such-volume'), undefined)
    await refusesWith(['notFound', 'invalidArgument'], array.setOnline(ctx, 'kit-no-such-volume', true))
    await refusesWith(['notFound', 'invalidArgument'], array.job(ctx, 'kit-no-such-job'))
  } },
]

/** What a case lacks, in words; undefined when it can run. Nothing but claimed capabilities decides. */
export const lacking = (one: ArrayCase, capabilities: Capabilities): string | undefined => {
  const missing = one.needs.find((need) => capabilities[need].level === 'unsupported')
  return missing === undefined ? undefined : `no ${missing}: ${capabilities[missing].reason ?? 'no reason given'}`
}
