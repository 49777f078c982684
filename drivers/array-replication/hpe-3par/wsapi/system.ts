/** The array itself: who it is, what it may do, its pools, its ports and its tasks. */
import { taskAction } from './enums.ts'
import { unless } from './errors.ts'
import type { Wsapi } from './client.ts'
import { segment } from './query.ts'
import { understand } from './client.ts'
import { Capacity, Cpg, IscsiVlans, listOf, Port, SpaceReport, System, Task, WsapiConfiguration } from './schemas.ts'

export const readSystem = async (api: Wsapi, signal: AbortSignal): Promise<System> => api.get('/system', System, 'read the system', signal)

export const readConfiguration = async (api: Wsapi, signal: AbortSignal): Promise<{ readonly sessionsInUse?: number | undefined; readonly systemResourceUsage?: number | undefined }> =>
  api.get('/wsapiconfiguration', WsapiConfiguration, 'read the configuration of the API', signal)

/** MiB of the whole array. */
export const readCapacity = async (api: Wsapi, signal: AbortSignal): Promise<{ readonly totalMiB: number; readonly freeMiB?: number | undefined }> =>
  (await api.get('/capacity', Capacity, 'read the capacity', signal)).allCapacity

export const listCpgs = async (api: Wsapi, signal: AbortSignal): Promise<readonly Cpg[]> => (await api.get('/cpgs', listOf(Cpg), 'list the CPGs', signal)).members

export const findCpg = async (api: Wsapi, name: string, signal: AbortSignal): Promise<Cpg | undefined> => unless('notFound', api.get(`/cpgs/${segment(name)}`, Cpg, `read CPG ${name}`, signal))

/** MiB that a CPG could still hand out. Asked by POST, and changes nothing. */
const usableFreeMiB = async (api: Wsapi, cpg: string, signal: AbortSignal): Promise<number> => {
  const what = `ask for the space of CPG ${cpg}`
  return understand(SpaceReport, (await api.write({ method: 'POST', path: '/spacereporter', body: { cpg }, what, repeatable: true }, signal)).body, what).usableFreeMiB
}

/** MiB. With a growth limit that is the total; without one what is used and what the array could still add to it. */
export const cpgSpace = async (api: Wsapi, cpg: Cpg, signal: AbortSignal): Promise<{ readonly totalMiB: number; readonly freeMiB: number }> => {
  const used = (cpg.SDUsage?.usedMiB ?? 0) + (cpg.UsrUsage?.usedMiB ?? 0)
  const limit = cpg.SDGrowth?.limitMiB
  if (limit !== undefined && limit > 0) return { totalMiB: limit, freeMiB: Math.max(0, limit - used) }
  const freeMiB = await usableFreeMiB(api, cpg.name, signal)
  return { totalMiB: used + freeMiB, freeMiB }
}

export const listPorts = async (api: Wsapi, signal: AbortSignal): Promise<readonly Port[]> => (await api.get('/ports', listOf(Port), 'list the ports', signal)).members

/** Addresses of a port whose iSCSI traffic goes over VLANs. */
export const vlanAddresses = async (api: Wsapi, { portPos }: Pick<Port, 'portPos'>, signal: AbortSignal): Promise<readonly string[]> => {
  const name = `${portPos.node}:${portPos.slot}:${portPos.cardPort}`
  return (await api.get(`/ports/${name}/iSCSIVlans/`, IscsiVlans, `read the VLANs of port ${name}`, signal)).iSCSIVlans.flatMap(({ IPAddr }) => IPAddr ?? [])
}

export const findTask = async (api: Wsapi, id: number, signal: AbortSignal): Promise<Task | undefined> => unless('notFound', api.get(`/tasks/${id}`, Task, `read task ${id}`, signal))
export const listTasks = async (api: Wsapi, signal: AbortSignal): Promise<readonly Task[]> => (await api.get('/tasks', listOf(Task), 'list the tasks', signal)).members

export const cancelTask = async (api: Wsapi, id: number, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'PUT', path: `/tasks/${id}`, body: { action: taskAction.cancel }, what: `cancel task ${id}`, repeatable: true }, signal)
}
