/** What an array says about itself (facts 3). */
import { allocatedMiB } from './cpgs.ts'
import { iso, seconds, type Handler } from './model.ts'

const installedMs = Date.UTC(2020, 0, 1)

const system: Handler = ({ world, array }) => {
  const allocated = allocatedMiB(world, array)
  const licences = [...array.licences].map((name) => ({ name }))
  return { body: {
    id: array.id, name: array.name, systemVersion: array.profile.version, IPv4Addr: '127.0.0.1', model: array.profile.model, serialNumber: `SIM${String(array.id).padStart(7, '0')}`,
    totalNodes: 2, masterNode: 0, onlineNodes: [0, 1], clusterNodes: [0, 1], chunkletSizeMiB: 1024,
    totalCapacityMiB: array.capacityMiB, allocatedCapacityMiB: allocated, freeCapacityMiB: Math.max(0, array.capacityMiB - allocated), failedCapacityMiB: 0,
    location: '', owner: '', contact: '', comment: 'simulated', timeZone: 'Etc/UTC',
    licenseInfo: { issueTimeSec: seconds(installedMs), issueTime8601: iso(installedMs), diskCount: 8, licenses: licences, licenseState: Object.fromEntries(licences.map(({ name }) => [name, true])) },
    parameters: { VVRetentionTimeMax: 1_209_600, sessionTimeout: 3600 },
  } }
}

const capacity: Handler = ({ world, array }) => {
  const allocated = allocatedMiB(world, array)
  const free = Math.max(0, array.capacityMiB - allocated)
  const all = {
    totalMiB: array.capacityMiB,
    allocated: { totalAllocatedMiB: allocated, volumes: { totalVolumesMiB: allocated, nonCPGsMiB: 0, CPGs: { totalCPGsMiB: allocated } }, system: { totalSystemMiB: 0, internalMiB: 0, spareMiB: 0 } },
    freeMiB: free, freeInitializedMiB: free, freeUninitializedMiB: 0, unavailableCapacityMiB: 0, failedCapacityMiB: 0,
  }
  const none = { ...all, totalMiB: 0, allocated: { ...all.allocated, totalAllocatedMiB: 0 }, freeMiB: 0, freeInitializedMiB: 0 }
  return { body: { allCapacity: all, FCCapacity: none, NLCapacity: none, SSDCapacity: all } }
}

export const systemRoutes = [
  ['GET', '/system', system],
  ['GET', '/capacity', capacity],
] as const satisfies readonly (readonly [string, string, Handler])[]
