/** An open array of this class: connected, checked, and every section of the contract put together. */
import type { OpenArray } from '../../../core/array/contract.ts'
import type { ArrayCtx, ArrayInfo, ArrayStatus, Pool } from '../../../core/array/types.ts'
import { StorageError } from '../../../core/errors.ts'
import { MiB } from '../../../core/units.ts'
import { accessOf } from './access.ts'
import { licensed, liveCapabilities } from './capabilities.ts'
import { clonesSection } from './clones.ts'
import type { Settings } from './connection.ts'
import { readJob } from './jobs.ts'
import { metadataSection } from './metadata.ts'
import { createNear, type Near } from './near.ts'
import { portsOf } from './ports.ts'
import { listRules, putIntoQosSet } from './qos.ts'
import { arrayId } from './replication/read.ts'
import { replicationSection } from './replication/section.ts'
import { snapshotsSection } from './snapshots.ts'
import { create, listAll, needVolume, needWhole, readVolume, remove, resize } from './volumes.ts'
import { connectWsapi, type ConnectOptions } from './wsapi/client.ts'
import { layer } from './wsapi/layer.ts'
import type { System } from './wsapi/schemas.ts'
import { cpgSpace, findCpg, listCpgs, readSystem } from './wsapi/system.ts'

export const arrayType = 'hpe-3par'

const statusOf = (system: System): ArrayStatus => {
  const [online, all] = [system.onlineNodes?.length, system.clusterNodes?.length ?? system.totalNodes]
  const failed = system.failedCapacityMiB ?? 0
  if (online !== undefined && all !== undefined && online < all) return { health: 'degraded', says: `${online} of ${all} nodes are online` }
  if (failed > 0) return { health: 'degraded', says: `${failed} MiB of capacity have failed` }
  return { health: 'ok', says: online === undefined ? 'the array answers' : `all ${online} nodes are online` }
}

const infoOf = (system: System): ArrayInfo => {
  const total = (system.totalCapacityMiB ?? 0) * MiB
  const free = (system.freeCapacityMiB ?? 0) * MiB
  return {
    ...statusOf(system), id: arrayId(system.id), name: system.name, vendor: '3PARdata', model: system.model ?? 'unknown', version: system.systemVersion ?? 'unknown',
    ...(system.serialNumber === undefined ? {} : { serial: system.serialNumber }), totalSize: total, freeSize: free, usedSize: Math.max(0, total - free),
  }
}

const poolsOf = async (ctx: ArrayCtx, near: Near): Promise<readonly Pool[]> =>
  Promise.all((await listCpgs(near.api, ctx.signal)).map(async (cpg) => {
    const { totalMiB, freeMiB } = await cpgSpace(near.api, cpg, ctx.signal)
    return { id: cpg.name, name: cpg.name, totalSize: totalMiB * MiB, freeSize: freeMiB * MiB }
  }))

const sections = (near: Near): OpenArray => ({
  type: arrayType,
  capabilities: async (ctx) => liveCapabilities(await readSystem(near.api, ctx.signal), ctx.clock.now()),
  info: async (ctx) => infoOf(await readSystem(near.api, ctx.signal)),
  status: async (ctx) => statusOf(await readSystem(near.api, ctx.signal)),
  storageNames: async () => [],
  pools: async (ctx) => poolsOf(ctx, near),
  ports: async (ctx) => portsOf(ctx, near),
  list: async (ctx, filter) => listAll(ctx, near, filter),
  volume: async (ctx, id) => readVolume(ctx, near, id),
  updateVolumes: async (ctx, ids) => listAll(ctx, near, ids),
  async setOnline(ctx, volume, online) {
    await needVolume(ctx, near, volume)
    if (!online) throw new StorageError('notSupported', 'Volumes of this array cannot be taken offline', { layer, field: 'online', remedy: 'Unpresent the volume instead' })
    return needWhole(ctx, near, volume)
  },
  create: async (ctx, want) => create(ctx, near, want),
  resize: async (ctx, volume, size, shrink) => resize(ctx, near, volume, size, shrink),
  remove: async (ctx, volume) => remove(ctx, near, volume),
  job: async (ctx, id) => readJob(ctx, near, id),
  close: async () => near.close(),
  access: accessOf(near),
  snapshots: snapshotsSection(near),
  clones: clonesSection(near),
  qos: {
    list: async (ctx) => listRules(ctx, near),
    async set(ctx, volume, value) {
      await needVolume(ctx, near, volume)
      await putIntoQosSet(ctx, near, volume, value)
    },
  },
  replication: replicationSection(near),
  metadata: metadataSection(near),
})

/** Connects and looks: credentials, release, the CPG. Changes nothing; a failure leaves no session behind. */
export const openArray = async (ctx: ArrayCtx, settings: Settings, more: Pick<ConnectOptions, 'pauses' | 'onRequest'> & { readonly secondMs?: number } = {}): Promise<OpenArray> => {
  const { url, user, password, tls } = settings.access
  const { secondMs = 1_100, ...options } = more
  const api = await connectWsapi({ url, user, password, tls, log: ctx.log, ...options }, ctx.signal)
  try {
    const [system, cpg] = await Promise.all([readSystem(api, ctx.signal), findCpg(api, settings.cpg, ctx.signal)])
    if (cpg === undefined) throw new StorageError('invalidArgument', `connection.hpe3par_cpg: the array ${system.name} has no CPG ${settings.cpg}`, { layer, field: 'connection.hpe3par_cpg', remedy: 'See which there are: showcpg' })
    if (settings.peer !== undefined && !licensed(system, 'replication', ctx.clock.now())) {
      throw new StorageError('notLicensed', `connection.replication_device: the array ${system.name} has no licence for remote copy`, { layer, field: 'connection.replication_device', remedy: 'Add the licence, or leave replication_device out' })
    }
    return sections(createNear(api, system, settings, secondMs))
  } catch (error) {
    await api.close()
    throw error
  }
}
