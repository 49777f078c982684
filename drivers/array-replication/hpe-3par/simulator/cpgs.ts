/** CPGs: the pools that volumes take their space from, and who may take how much. */
import { randomUUID } from 'node:crypto'
import { choice, count, members, nameOf, read, text } from './members.ts'
import { bytesKey, list, nextId, type Call, type Cpg, type Handler, type SimArray, type Volume, type World } from './model.ts'
import { refuse } from './refusals.ts'
import * as z from 'zod'

const layout = members({
  RAIDType: choice(1, 2, 3, 4).optional(), setSize: count(1, 64).optional(), HA: choice(1, 2, 3).optional(), chunkletPosPref: choice(1, 2).optional(),
  diskPatterns: z.array(members({ diskType: choice(1, 2, 3) })).optional(),
})
const creation = members({
  name: nameOf(31), growthIncrementMiB: count().optional(), growthLimitMiB: count().optional(), usedLDWarningAlertMiB: count().optional(), domain: text(31).optional(), LDLayout: layout.optional(),
})
const change = members({ newName: nameOf(31).optional(), growthIncrementMiB: count().optional(), growthLimitMiB: count().optional(), usedLDWarningAlertMiB: count().optional(), disableAutoGrow: z.boolean().optional(), LDLayout: layout.optional() })

/** RAID type -> permitted set sizes. */
const setSizes: Readonly<Record<number, readonly number[]>> = { 1: [1], 2: [2, 3, 4], 3: [3, 4, 5, 6, 7, 8, 9], 4: [6, 8, 10, 12, 16] }
const usualSize: Readonly<Record<number, number>> = { 1: 1, 2: 2, 3: 4, 4: 8 }

const mib = 1_048_576

/** What a volume takes of its CPG, in MiB: all of a full volume, what was written of any other. */
export const usedMiB = (world: World, array: SimArray, volume: Volume): number =>
  volume.provisioning === 1 ? volume.sizeMiB : Math.ceil(world.blocks.used(bytesKey(array, volume.id)) / mib)

/** Where a volume's own blocks are taken: a snapshot's in the snapshot CPG. */
const poolOf = (volume: Volume): string => (volume.provisioning === 3 ? volume.snapCpg ?? volume.cpg : volume.cpg)

interface Usage {
  readonly user: number
  readonly snapshots: number
}

const usages = (world: World, array: SimArray): ReadonlyMap<string, Usage> => {
  const found = new Map<string, Usage>()
  for (const volume of array.tables.volumes.all()) {
    const pool = poolOf(volume)
    const before = found.get(pool) ?? { user: 0, snapshots: 0 }
    const used = usedMiB(world, array, volume)
    found.set(pool, volume.provisioning === 3 ? { ...before, snapshots: before.snapshots + used } : { ...before, user: before.user + used })
  }
  return found
}

const totalOf = (all: ReadonlyMap<string, Usage>): number => [...all.values()].reduce((sum, { user, snapshots }) => sum + user + snapshots, 0)

export const allocatedMiB = (world: World, array: SimArray): number => totalOf(usages(world, array))

/** Throws when the CPG or the whole array has no room for `mib` more. */
export const needRoom = (world: World, array: SimArray, name: string, more: number): void => {
  if (more === 0) return
  const all = usages(world, array)
  const { user, snapshots } = all.get(name) ?? { user: 0, snapshots: 0 }
  const limit = array.tables.cpgs.get(name)?.growthLimitMiB
  if (limit !== undefined && user + snapshots + more > limit) throw refuse('cpgLimit', name)
  if (totalOf(all) + more > array.capacityMiB) throw refuse('noSpace', name)
}

/** Throws when a write of `bytes` new blocks to the volume has no room. */
export const needRoomFor = (world: World, array: SimArray, volume: Volume, bytes: number): void => {
  if (bytes > 0 && volume.provisioning !== 1) needRoom(world, array, poolOf(volume), Math.ceil(bytes / mib))
}

export const needCpg = (array: SimArray, name: string): Cpg => {
  const cpg = array.tables.cpgs.get(name)
  if (cpg === undefined) throw refuse('cpgMissing', name)
  return cpg
}

const view = ({ array }: Call, cpg: Cpg, all: ReadonlyMap<string, Usage>) => {
  const { user, snapshots } = all.get(cpg.name) ?? { user: 0, snapshots: 0 }
  const volumes = array.tables.volumes.all().filter((volume) => volume.cpg === cpg.name)
  const numberOf = (type: number): number => volumes.filter(({ provisioning }) => provisioning === type).length
  const usage = (used: number) => ({ totalMiB: used, rawTotalMiB: used * 2, usedMiB: used, rawUsedMiB: used * 2 })
  const growth = { incrementMiB: cpg.growthIncrementMiB, LDLayout: cpg.layout }
  return {
    id: cpg.id, uuid: cpg.uuid, name: cpg.name, ...(cpg.domain === undefined ? {} : { domain: cpg.domain }),
    numFPVVs: numberOf(1), numTPVVs: numberOf(2), numTDVVs: numberOf(6),
    UsrUsage: usage(user), SAUsage: usage(0), SDUsage: usage(snapshots),
    SAGrowth: growth,
    SDGrowth: { ...growth, ...(cpg.growthLimitMiB === undefined ? {} : { limitMiB: cpg.growthLimitMiB }), ...(cpg.warningMiB === undefined ? {} : { warningMiB: cpg.warningMiB }) },
    privateSpaceMiB: { base: user, snapshot: snapshots }, sharedSpaceMiB: 0, freeSpaceMiB: 0, totalSpaceMiB: user + snapshots,
    state: 1, failedStates: [], degradedStates: [], additionalStates: [], dedupCapable: true,
  }
}

const create: Handler = (call) => {
  const body = read(creation, call.body)
  if (call.tables.cpgs.get(body.name) !== undefined) throw refuse('cpgExists', body.name)
  const type = body.LDLayout?.RAIDType ?? 2
  const setSize = body.LDLayout?.setSize ?? usualSize[type] ?? 2
  if (!(setSizes[type] ?? []).includes(setSize)) throw refuse('raidPolicy', 'setSize')
  call.tables.cpgs.put(body.name, {
    id: nextId(call.tables, 'cpg'), name: body.name, uuid: randomUUID(), growthIncrementMiB: body.growthIncrementMiB ?? 8192,
    ...(body.domain === undefined ? {} : { domain: body.domain }), ...(body.growthLimitMiB === undefined || body.growthLimitMiB === 0 ? {} : { growthLimitMiB: body.growthLimitMiB }),
    ...(body.usedLDWarningAlertMiB === undefined ? {} : { warningMiB: body.usedLDWarningAlertMiB }),
    layout: { RAIDType: type, setSize, HA: body.LDLayout?.HA ?? 2, diskPatterns: body.LDLayout?.diskPatterns ?? [{ diskType: 3 }] },
  })
  return { status: 201, location: `/cpgs/${body.name}` }
}

const modify: Handler = (call) => {
  const body = read(change, call.body)
  const cpg = needCpg(call.array, call.params['name'] ?? '')
  if (body.newName !== undefined && call.tables.cpgs.get(body.newName) !== undefined) throw refuse('cpgExists', body.newName)
  const name = body.newName ?? cpg.name
  const { growthLimitMiB, ...rest } = cpg
  const limit = body.growthLimitMiB ?? growthLimitMiB
  call.tables.cpgs.remove(cpg.name)
  call.tables.cpgs.put(name, { ...rest, name, growthIncrementMiB: body.growthIncrementMiB ?? cpg.growthIncrementMiB, ...(limit === undefined || limit === 0 ? {} : { growthLimitMiB: limit }) })
  if (name !== cpg.name) {
    for (const volume of call.tables.volumes.all()) {
      if (volume.cpg !== cpg.name && volume.snapCpg !== cpg.name) continue
      call.tables.volumes.put(volume.name, { ...volume, cpg: volume.cpg === cpg.name ? name : volume.cpg, ...(volume.snapCpg === cpg.name ? { snapCpg: name } : {}) })
    }
  }
  return { location: `/cpgs/${name}` }
}

const remove: Handler = ({ array, tables, params }) => {
  const { name } = needCpg(array, params['name'] ?? '')
  if (tables.volumes.all().some((volume) => volume.cpg === name || volume.snapCpg === name)) throw refuse('cpgInUse', name)
  tables.cpgs.remove(name)
  return {}
}

const space: Handler = (call) => {
  const { cpg } = read(members({ cpg: nameOf(31), growthLimitMiB: count().optional(), LDLayout: layout.optional() }), call.body)
  needCpg(call.array, cpg)
  const free = Math.max(0, call.array.capacityMiB - allocatedMiB(call.world, call.array))
  return { body: { rawFreeMiB: free * 2, usableFreeMiB: free } }
}

export const cpgRoutes = [
  ['GET', '/cpgs', (call: Call) => {
    const all = usages(call.world, call.array)
    return list(call.tables.cpgs.all().map((cpg) => view(call, cpg, all)))
  }],
  ['GET', '/cpgs/:name', (call: Call) => ({ body: view(call, needCpg(call.array, call.params['name'] ?? ''), usages(call.world, call.array)) })],
  ['POST', '/cpgs', create],
  ['PUT', '/cpgs/:name', modify],
  ['DELETE', '/cpgs/:name', remove],
  ['POST', '/spacereporter', space],
] as const satisfies readonly (readonly [string, string, Handler])[]
