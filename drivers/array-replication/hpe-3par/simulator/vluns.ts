/** VLUNs: which host sees which volume under which number (facts 11). Records are templates; rows of paths in use are derived. */
import { choice, count, flag, members, read } from './members.ts'
import { list, type Call, type Handler, type SimArray, type Vlun, type Volume } from './model.ts'
import * as z from 'zod'
import { needPort, parsePort, portsOf, samePort } from './ports.ts'
import { parseQuery } from './query.ts'
import { refuse } from './refusals.ts'
import { activeTask } from './tasks.ts'
import { needVolume, vlunKey } from './volume-records.ts'

const maxLun = 16_383
const creation = members({
  volumeName: z.string().min(1), lun: z.int().min(0).max(maxLun, { error: 'tooLarge' }), hostname: z.string().min(1).optional(),
  portPos: members({ node: count(0, 7), slot: count(0, 9), cardPort: count(0, 9) }).optional(),
  noVcn: flag.optional(), overrideLowerPriority: flag.optional(), autoLun: flag.optional(), maxAutoLun: count(0, maxLun).optional(), type: choice(1, 2, 3, 4, 5).optional(),
})

/** A `set:` name resolved to its members, any other name to itself. */
const namesOf = (name: string, sets: Call['tables']['hostSets']): readonly string[] => {
  if (!name.startsWith('set:')) return [name]
  const set = sets.get(name.slice(4))
  if (set === undefined) throw refuse('setMissing', name.slice(4))
  return set.members
}

const membersOf = (name: string, sets: Call['tables']['hostSets']): readonly string[] => (name.startsWith('set:') ? sets.get(name.slice(4))?.members ?? [] : [name])

/** Hosts that a VLUN is for; `*` stands for everybody on a port. */
const hostsOf = ({ tables }: Pick<Call, 'tables'>, vlun: Pick<Vlun, 'hostname'>): readonly string[] => (vlun.hostname === undefined ? ['*'] : membersOf(vlun.hostname, tables.hostSets))

const collide = (call: Call, one: Vlun, other: Vlun): boolean => {
  const hosts = hostsOf(call, one)
  const shared = hostsOf(call, other).some((host) => host === '*' || hosts.includes(host) || hosts.includes('*'))
  if (!shared || one.lun !== other.lun) return false
  // Matched sets of the same volume share their number over ports.
  return !(one.type === 4 && other.type === 4 && one.volumeName === other.volumeName && !samePort(one.portPos, other.portPos))
}

const typeOf = (hostname: string | undefined, port: boolean): Vlun['type'] => {
  if (hostname === undefined) return 2
  if (hostname.startsWith('set:')) return 5
  return port ? 4 : 3
}

const needExportable = ({ array }: Call, volume: Volume): void => {
  if (activeTask(array, volume, ['copy', 'resync'])?.destination === volume.id && volume.copyType === 2 && activeTask(array, volume, ['copy', 'resync'])?.type !== 18) throw refuse('copyDestination', volume.name)
  if (activeTask(array, volume, ['promote'])?.destination === volume.id) throw refuse('busy', volume.name)
}

const create: Handler = (call) => {
  const { array, tables } = call
  const body = read(creation, call.body)
  if (body.hostname === undefined && body.portPos === undefined) throw refuse('oneRequired', 'hostname,portPos')
  const volumes = namesOf(body.volumeName, tables.volumeSets).map((name) => needVolume(array, name))
  if (volumes.length === 0) throw refuse('setEmpty', body.volumeName)
  for (const name of body.hostname === undefined ? [] : namesOf(body.hostname, tables.hostSets)) if (tables.hosts.get(name) === undefined) throw refuse('hostMissing', name)
  const port = body.portPos === undefined ? undefined : needPort(array, body.portPos)
  if (port !== undefined && (port.mode !== 2 || port.type === 7)) throw refuse('portType', 'portPos')
  for (const volume of volumes) needExportable(call, volume)
  const vlunAt = (lun: number): Vlun => ({
    volumeName: body.volumeName, lun, type: typeOf(body.hostname, port !== undefined), ...(body.hostname === undefined ? {} : { hostname: body.hostname }), ...(port === undefined ? {} : { portPos: port.portPos }),
  })
  const existing = tables.vluns.all()
  if (existing.some((other) => other.volumeName === body.volumeName && other.hostname === body.hostname && samePort(other.portPos, port?.portPos) && (body.autoLun !== true || port === undefined))) throw refuse('lunExists', body.volumeName)
  const last = body.autoLun !== true ? body.lun : body.maxAutoLun === undefined || body.maxAutoLun === 0 ? maxLun : body.maxAutoLun
  for (let lun = body.lun; lun <= last; lun++) {
    const vlun = vlunAt(lun)
    if (existing.some((other) => collide(call, vlun, other))) continue
    tables.vluns.put(vlunKey(vlun), vlun)
    return { status: 201, location: `/vluns/${vlunKey(vlun)}` }
  }
  throw refuse(body.autoLun === true ? 'noLunFree' : 'lunExists', 'lun')
}

/** `set:` VLUNs of volumes count their members up from their own number. */
const volumesOf = (array: SimArray, vlun: Vlun): readonly { readonly volume: Volume; readonly lun: number }[] =>
  membersOf(vlun.volumeName, array.tables.volumeSets).flatMap((name, index) => {
    const volume = array.tables.volumes.get(name)
    return volume === undefined ? [] : [{ volume, lun: vlun.lun + index }]
  })

const rows = (call: Call, vlun: Vlun) => {
  const { array, tables } = call
  const ports = portsOf(array).filter(({ protocol, mode, portPos }) => protocol === 2 && mode === 2 && (vlun.portPos === undefined || samePort(portPos, vlun.portPos)))
  const common = { type: vlun.type, multipathing: 2, failedPathPol: 2, failedPathInterval: 0 }
  const template = {
    lun: vlun.lun, volumeName: vlun.volumeName, ...(vlun.hostname === undefined ? {} : { hostname: vlun.hostname }), ...(vlun.portPos === undefined ? {} : { portPos: vlun.portPos }), ...common,
    volumeWWN: tables.volumes.get(vlun.volumeName)?.wwn ?? '', active: false,
  }
  const active = volumesOf(array, vlun).flatMap(({ volume, lun }) => hostsOf(call, vlun).flatMap((hostname) =>
    (tables.hosts.get(hostname)?.iscsi ?? []).flatMap((remoteName) => ports.map(({ portPos }) => ({ lun, volumeName: volume.name, hostname, remoteName, portPos, ...common, volumeWWN: volume.wwn, active: true })))))
  return [template, ...active]
}

const all: Handler = (call) => {
  const query = call.query.get('query')
  const found = call.tables.vluns.all().flatMap((vlun) => rows(call, vlun))
  return list(query === null ? found : found.filter(parseQuery(query)))
}

const get: Handler = (call) => {
  const name = call.params['vlun'] ?? ''
  const vlun = call.tables.vluns.get(name) ?? call.tables.vluns.all().find(({ volumeName }) => volumeName === name)
  if (vlun === undefined) throw refuse('vlunMissing', name)
  return { body: rows(call, vlun)[0] }
}

const remove: Handler = ({ array, tables, params }) => {
  const [volumeName = '', lun = '', hostname, port] = (params['vlun'] ?? '').split(',')
  if (!/^\d+$/.test(lun)) throw refuse('wrongType', 'lun')
  if (!volumeName.startsWith('set:')) needVolume(array, volumeName)
  if (hostname !== undefined && hostname !== '' && !hostname.startsWith('set:') && tables.hosts.get(hostname) === undefined) throw refuse('hostMissing', hostname)
  const portPos = port === undefined ? undefined : parsePort(array, port).portPos
  const key = vlunKey({ volumeName, lun: Number(lun), hostname: hostname === '' ? undefined : hostname, portPos })
  const found = tables.vluns.get(key)
  if (found === undefined) throw refuse('vlunMissing', params['vlun'])
  tables.vluns.remove(key)
  return {}
}

export const vlunRoutes = [
  ['GET', '/vluns', all],
  ['GET', '/vluns/:vlun', get],
  ['POST', '/vluns', create],
  ['DELETE', '/vluns/:vlun', remove],
] as const satisfies readonly (readonly [string, string, Handler])[]

/** A path that a host could use: what io and the iSCSI target go by. */
export interface Presented {
  readonly volume: Volume
  readonly lun: number
}

/** What a host sees through its VLUNs, over one port or over any. */
export const presentedTo = (array: SimArray, host: string, port?: Vlun['portPos']): readonly Presented[] =>
  array.tables.vluns.all()
    .filter((vlun) => hostsOf(array, vlun).some((name) => name === '*' || name === host) && (port === undefined || vlun.portPos === undefined || samePort(vlun.portPos, port)))
    .flatMap((vlun) => volumesOf(array, vlun))
