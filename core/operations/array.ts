/** The calls of arrays. Each is a thin door: names become sections of the contract, answers become the wire's words. */
import * as z from 'zod'
import type { OpenArray } from '../array/contract.ts'
import type { AccessGroup, Initiator, Outcome, Snapshot, Volume } from '../array/types.ts'
import { page83Of } from '../array/wwid.ts'
import type { Call } from '../call.ts'
import { secretKeys } from '../define-driver.ts'
import { StorageError } from '../errors.ts'
import type { MethodName, Params, Result } from '../methods/index.ts'
import { withArray } from './open-array.ts'

type Handler<M extends MethodName> = (call: Call, params: Params<M>) => Promise<Result<M>>
type Section = 'access' | 'snapshots' | 'clones' | 'qos'

const section = <S extends Section>(array: OpenArray, name: S): NonNullable<OpenArray[S]> => {
  const found = array[name]
  if (found !== undefined) return found
  throw new StorageError('notSupported', `The array of type ${array.type} offers no ${name}`, { layer: 'engine', remedy: 'smctl array info shows what it can do' })
}

const iso = (ms: number): string => new Date(ms).toISOString()

export const volumeInfo = (volume: Volume): Result<'Array.set_online'> => ({
  id: volume.id, name: volume.name, pool: volume.pool, size: volume.size, provisioning: volume.provisioning, online: volume.online, writable: volume.writable,
  presented_to: [...volume.presentedTo], health: volume.health, says: volume.says,
  ...(volume.wwid === undefined ? {} : { wwid: volume.wwid, page83: page83Of(volume.wwid) }),
  ...(volume.allocated === undefined ? {} : { allocated: volume.allocated }), ...(volume.parent === undefined ? {} : { parent: volume.parent }),
  ...(volume.qos === undefined ? {} : { qos: volume.qos }), ...(volume.replicationUnit === undefined ? {} : { replication_unit: volume.replicationUnit }),
  ...(volume.paths === undefined ? {} : { paths: [...volume.paths] }),
})

const groupInfo = ({ name, initiators }: AccessGroup): Result<'Array.create_group'> =>
  ({ name, initiators: initiators.map(({ kind, id, chapName }) => ({ kind, id, ...(chapName === undefined ? {} : { chap_name: chapName }) })) })

const snapshotInfo = ({ id, name, createdMs, consistency, members }: Snapshot) => ({ id, name, created: iso(createdMs), consistency, members: members.map(({ volume, snapshot, wwid }) => ({ volume, snapshot, ...(wwid === undefined ? {} : { wwid }) })) })

const outcome = <T, W>(result: Outcome<T>, show: (value: T) => W): { job?: string; changed: boolean; value?: W; warnings: string[] } =>
  result.kind === 'started' ? { job: result.job, changed: true, warnings: [] } : { changed: result.changed, value: show(result.value), warnings: [...result.warnings] }

/** `kind:id`, as the wire's schema has checked it. */
export const initiatorOf = (text: string): Initiator => ({ kind: text.slice(0, text.indexOf(':')) as Initiator['kind'], id: text.slice(text.indexOf(':') + 1) })

const types: Handler<'Array.types'> = async (call) => ({
  types: await Promise.all(call.engine.arrays.registry.types.map(async (type) => {
    const driver = await call.engine.arrays.registry.load(type)
    return {
      type, title: driver.title, summary: driver.summary, protocols: [...driver.protocols], features: driver.features,
      connection: z.toJSONSchema(driver.connection, { io: 'input' }) as Record<string, unknown>, example: { ...driver.example },
      replication_modes: [...(driver.replication?.modes ?? [])],
      ...(driver.replication === undefined ? {} : { identification: driver.replication.identification, sites: { ...driver.replication.sites } }),
    }
  })),
})

const add: Handler<'Array.add'> = async (call, { name, type, device_config }) => {
  // Reached before it is remembered: a typing mistake is told here, not in a disaster.
  await withArray(call, { type, device_config }, async (array, ctx) => array.status(ctx))
  const { records } = call.engine.arrays
  const before = records.get(name)
  if (before !== undefined && before.type !== type) {
    throw new StorageError('alreadyExists', `The name ${name} belongs to an array of type ${before.type}`, { field: 'name', layer: 'engine', remedy: `Take another name, or smctl array forget ${name}` })
  }
  const spell = (connection: Readonly<Record<string, string>>): string => JSON.stringify(Object.entries(connection).sort(([a], [b]) => (a < b ? -1 : 1)))
  if (before !== undefined && spell(before.connection) === spell(device_config)) return { changed: false }
  records.put({ name, type, connection: device_config })
  return { changed: true }
}

const list: Handler<'Array.list'> = async (call) => ({
  arrays: await Promise.all(call.engine.arrays.records.list().map(async ({ name, type, connection }) => {
    const secrets = call.engine.arrays.registry.types.includes(type) ? secretKeys((await call.engine.arrays.registry.load(type)).connection) : Object.keys(connection)
    return { name, type, device_config: Object.fromEntries(Object.entries(connection).filter(([key]) => !secrets.includes(key))) }
  })),
})

const info: Handler<'Array.info'> = async (call, params) => withArray(call, params.array, async (array, ctx) => {
  const [facts, capabilities, storageNames, pools, ports] = await Promise.all([array.info(ctx), array.capabilities(ctx), array.storageNames(ctx), array.pools(ctx), array.ports(ctx)])
  return {
    id: facts.id, name: facts.name, vendor: facts.vendor, model: facts.model, version: facts.version, health: facts.health, says: facts.says,
    total_size: facts.totalSize, used_size: facts.usedSize, free_size: facts.freeSize, ...(facts.serial === undefined ? {} : { serial: facts.serial }),
    capabilities, storage_names: [...storageNames],
    pools: pools.map(({ id, name, totalSize, freeSize }) => ({ id, name, free_size: freeSize, ...(totalSize === undefined ? {} : { total_size: totalSize }) })),
    ports: ports.map((port) => ({ ...port })),
  }
})

const volumesOf: Handler<'Array.volumes'> = async (call, params) => withArray(call, params.array, async (array, ctx) => {
  const found = await array.list(ctx, params.volumes)
  const shown = params.local_paths ? await array.updateVolumes(ctx, found.map(({ id }) => id)) : found
  return { volumes: shown.map(volumeInfo) }
})

const removeVolume: Handler<'Array.remove_volume'> = async (call, params) => withArray(call, params.array, async (array, ctx) => {
  if ((await array.volume(ctx, params.volume)) === undefined) return { changed: false }
  await array.remove(ctx, params.volume)
  return { changed: true }
})

const createGroup: Handler<'Array.create_group'> = async (call, params) => withArray(call, params.array, async (array, ctx) => {
  const [result] = await section(array, 'access').createGroups(ctx, [{ name: params.group, initiators: params.initiators.map(initiatorOf) }])
  if (result?.value !== undefined) return groupInfo(result.value)
  throw new StorageError(result?.error?.kind ?? 'arrayFault', result?.error?.message ?? 'The array did not say what became of the group', { layer: 'engine', ...(result?.error?.remedy === undefined ? {} : { remedy: result.error.remedy }) })
})

const removeGroups: Handler<'Array.remove_groups'> = async (call, params) => withArray(call, params.array, async (array, ctx) => ({
  results: (await section(array, 'access').removeGroups(ctx, params.groups)).map(({ item, warnings, error }) => ({ item, warnings: [...warnings], ...(error === undefined ? {} : { error }) })),
}))

const changeGroup: Handler<'Array.change_group'> = async (call, params) => withArray(call, params.array, async (array, ctx) => {
  const access = section(array, 'access')
  // Added first: a group is never empty in between, which some arrays refuse.
  if (params.add.length > 0) await access.addToGroup(ctx, params.group, params.add.map(initiatorOf))
  if (params.remove.length > 0) await access.removeFromGroup(ctx, params.group, params.remove.map(initiatorOf))
  const found = (await access.groups(ctx)).find(({ name }) => name === params.group)
  if (found === undefined) throw new StorageError('notFound', `There is no access group ${JSON.stringify(params.group)}`, { field: 'group', layer: 'engine', remedy: 'smctl array groups lists them' })
  return groupInfo(found)
})

const planRestore: Handler<'Array.plan_restore'> = async (call, params) => withArray(call, params.array, async (array, ctx) => {
  const plan = await section(array, 'snapshots').planRestore(ctx, params.snapshot, params.volume)
  return {
    newer_snapshots: [...plan.newerSnapshots], clones: [...plan.clones], other_volumes: [...plan.otherVolumes], presented_to: [...plan.presentedTo],
    ...(plan.replicationUnit === undefined ? {} : { replication_unit: plan.replicationUnit }),
  }
})

const removeSnapshot: Handler<'Array.remove_snapshot'> = async (call, params) => withArray(call, params.array, async (array, ctx) => {
  const snapshots = section(array, 'snapshots')
  const there = (await snapshots.current(ctx)).some(({ id }) => id === params.snapshot)
  await snapshots.remove(ctx, params.snapshot)
  return { changed: there }
})

const clone: Handler<'Array.clone'> = async (call, params) => withArray(call, params.array, async (array, ctx) => {
  const clones = section(array, 'clones')
  const want = { ...(params.name === undefined ? {} : { name: params.name }), ...(params.qos === undefined ? {} : { qos: params.qos }) }
  return outcome(params.snapshot === undefined ? await clones.clone(ctx, params.volume, want) : await clones.cloneFromSnapshot(ctx, params.volume, params.snapshot, want), volumeInfo)
})

const limits: Handler<'Array.limits'> = async (call, params) => withArray(call, params.array, async (array, ctx) => ({
  snapshots: (await array.snapshots?.limit(ctx, params.volume)) ?? 0,
  snapable: (await array.snapshots?.snapable(ctx, params.volume)) ?? false,
  clones: (await array.clones?.limit(ctx, params.volume)) ?? 0,
  cloneable: params.volume === undefined ? array.clones !== undefined : ((await array.clones?.cloneable(ctx, params.volume)) ?? false),
  splittable: params.volume === undefined ? false : ((await array.clones?.splittable(ctx, params.volume)) ?? false),
}))

const job: Handler<'Array.job'> = async (call, params) => withArray(call, params.array, async (array, ctx) => {
  const found = await array.job(ctx, params.job)
  return {
    job: found.id, state: found.state, ...(found.percent === undefined ? {} : { percent: found.percent }), ...(found.etaSeconds === undefined ? {} : { eta_seconds: found.etaSeconds }),
    ...(found.error === undefined ? {} : { error: found.error }),
  }
})

/** One call of one section, its answer shown. */
const on = <P extends { readonly array: Parameters<typeof withArray>[1] }, R>(work: (array: OpenArray, ctx: Parameters<OpenArray['info']>[0], params: P) => Promise<R>) =>
  async (call: Call, params: P): Promise<R> => withArray(call, params.array, async (array, ctx) => work(array, ctx, params))

export const arrayOperations = {
  'Array.types': types,
  'Array.add': add,
  'Array.forget': async (call: Call, params: Params<'Array.forget'>) => ({ changed: call.engine.arrays.records.remove(params.name) }),
  'Array.list': list,
  'Array.info': info,
  'Array.volumes': volumesOf,
  'Array.create_volume': on(async (array, ctx, { name, size, pool, qos, provisioning }: Params<'Array.create_volume'>) =>
    outcome(await array.create(ctx, { name, size, provisioning, ...(pool === undefined ? {} : { pool }), ...(qos === undefined ? {} : { qos }) }), volumeInfo)),
  'Array.resize_volume': on(async (array, ctx, params: Params<'Array.resize_volume'>) => outcome(await array.resize(ctx, params.volume, params.size, params.shrink), volumeInfo)),
  'Array.remove_volume': removeVolume,
  'Array.set_online': on(async (array, ctx, params: Params<'Array.set_online'>) => volumeInfo(await array.setOnline(ctx, params.volume, params.online))),
  'Array.present': on(async (array, ctx, params: Params<'Array.present'>) => volumeInfo(await section(array, 'access').present(ctx, params.volume, params.groups))),
  'Array.unpresent': on(async (array, ctx, params: Params<'Array.unpresent'>) => volumeInfo(await section(array, 'access').unpresent(ctx, params.volume, params.groups))),
  'Array.groups': on(async (array, ctx, params: Params<'Array.groups'>) => ({ groups: (await section(array, 'access').groups(ctx, params.volume)).map(groupInfo) })),
  'Array.create_group': createGroup,
  'Array.remove_groups': removeGroups,
  'Array.rename_group': on(async (array, ctx, params: Params<'Array.rename_group'>) => groupInfo(await section(array, 'access').renameGroup(ctx, params.group, params.name))),
  'Array.change_group': changeGroup,
  'Array.snapshots': on(async (array, ctx, params: Params<'Array.snapshots'>) => ({ snapshots: (await section(array, 'snapshots').current(ctx, params.volume)).map(snapshotInfo) })),
  'Array.snapshot': on(async (array, ctx, params: Params<'Array.snapshot'>) => outcome(await section(array, 'snapshots').create(ctx, params.volumes, params.name), snapshotInfo)),
  'Array.plan_restore': planRestore,
  'Array.restore': on(async (array, ctx, params: Params<'Array.restore'>) => outcome(await section(array, 'snapshots').restore(ctx, params.snapshot, params.volume), () => null)),
  'Array.remove_snapshot': removeSnapshot,
  'Array.clone': clone,
  'Array.clones': on(async (array, ctx, params: Params<'Array.clones'>) => ({ volumes: (await section(array, 'clones').current(ctx, params.volume)).map(volumeInfo) })),
  'Array.split': on(async (array, ctx, params: Params<'Array.split'>) => outcome(await section(array, 'clones').split(ctx, params.volume), volumeInfo)),
  'Array.limits': limits,
  'Array.qos': on(async (array, ctx, _params: Params<'Array.qos'>) => ({ qos: (await section(array, 'qos').list(ctx)).map((one) => ({ ...one })) })),
  'Array.set_qos': on(async (array, ctx, params: Params<'Array.set_qos'>) => {
    await section(array, 'qos').set(ctx, params.volume, params.qos)
    return { changed: true }
  }),
  'Array.job': job,
}
