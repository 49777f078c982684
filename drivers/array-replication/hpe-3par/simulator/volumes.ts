/** `/volumes`: create, read, change, grow, delete. Snapshots and copies are in copies.ts. */
import { needCpg, needRoom, usedMiB } from './cpgs.ts'
import { count, flag, hours, members, nameOf, needOneOf, percent, read, sizeMiB, text } from './members.ts'
import { bytesKey, iso, list, needLicence, seconds, type Call, type Group, type Handler, type SimArray, type Volume, type World } from './model.ts'
import { parseQuery } from './query.ts'
import { refuse } from './refusals.ts'
import { addVolume, bytesPerMiB, childrenOf, dropVolume, groupOf, needRemovable, needVolume, renameVolume, volumeById } from './volume-records.ts'
import { mapVolumes, needReached, reached } from './remote-copy/find.ts'

const policies = members({ staleSS: flag.optional(), oneHost: flag.optional(), zeroDetect: flag.optional(), fsvc: flag.optional(), system: flag.optional(), caching: flag.optional() })
const percents = { ssSpcAllocWarningPct: percent.optional(), ssSpcAllocLimitPct: percent.optional(), usrSpcAllocWarningPct: percent.optional(), usrSpcAllocLimitPct: percent.optional() }

const creation = members({
  name: nameOf(31), cpg: nameOf(31), sizeMiB, id: count(1).optional(), comment: text(511).optional(), tpvv: flag.optional(), tdvv: flag.optional(), compression: flag.optional(),
  reduce: flag.optional(), snapCPG: nameOf(31).optional(), policies: policies.optional(), ...percents, expirationHours: hours.optional(), retentionHours: hours.optional(),
  usrSpcAllocWarning: count().optional(), usrSpcAllocLimit: count().optional(),
})
const change = members({
  newName: nameOf(31).optional(), comment: text(511).optional(), snapCPG: nameOf(31).optional(), userCPG: nameOf(31).optional(), policies: policies.optional(), ...percents,
  expirationHours: hours.optional(), retentionHours: hours.optional(), rmExpTime: flag.optional(), rmSsSpcAllocWarning: flag.optional(), rmSsSpcAllocLimit: flag.optional(),
  rmUsrSpcAllocWarning: flag.optional(), rmUsrSpcAllocLimit: flag.optional(),
})

/** Compression pays from this size on, and is refused below. */
const leastCompressedMiB = 16_384
const growthStepMiB = 256
const largestMiB = 16_777_216
const hourMs = 3_600_000

const present = <T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> }

/** When a volume expires and until when it is retained; retention must not outlast expiration. */
export const timesOf = (world: World, body: { readonly expirationHours?: number | undefined; readonly retentionHours?: number | undefined }) => {
  if (body.retentionHours !== undefined && body.expirationHours !== undefined && body.retentionHours > body.expirationHours) throw refuse('exceedsRange', 'retentionHours')
  return {
    ...(body.expirationHours === undefined ? {} : { expiresMs: world.now() + body.expirationHours * hourMs }),
    ...(body.retentionHours === undefined ? {} : { retainedUntilMs: world.now() + body.retentionHours * hourMs }),
  }
}

type Kind = Pick<Volume, 'provisioning' | 'compression'>

/** What kind of volume a request asks for, checked against product and licences. */
export const kindOf = (array: SimArray, body: { readonly tpvv?: boolean | undefined; readonly tdvv?: boolean | undefined; readonly compression?: boolean | undefined; readonly reduce?: boolean | undefined }, size: number): Kind => {
  if (array.profile.reduces) {
    for (const name of ['tdvv', 'compression'] as const) if (body[name] === true) throw refuse('unknownMember', name)
    if (body.tpvv !== true && body.reduce !== true) throw refuse('oneRequired', 'tpvv,reduce')
    needOneOf(body, 'tpvv', 'reduce')
    return body.reduce === true ? { provisioning: 6, compression: true } : { provisioning: 2, compression: false }
  }
  if (body.reduce !== undefined) throw refuse('unknownMember', 'reduce')
  needOneOf(body, 'tpvv', 'tdvv')
  const compression = body.compression === true
  const provisioning = body.tdvv === true ? 6 : body.tpvv === true ? 2 : 1
  if (compression && provisioning === 1) throw refuse('exclusive', 'compression')
  if (compression && size < leastCompressedMiB) throw refuse('belowRange', 'sizeMiB')
  if (compression) needLicence(array, 'Compression')
  if (provisioning !== 1) needLicence(array, 'Thin Provisioning')
  return { provisioning, compression }
}

const create: Handler = (call) => {
  const { array, world, tables } = call
  const body = read(creation, call.body)
  const kind = kindOf(array, body, body.sizeMiB)
  const times = timesOf(world, body)
  needCpg(array, body.cpg)
  if (body.snapCPG !== undefined) needCpg(array, body.snapCPG)
  if (tables.volumes.get(body.name) !== undefined) throw refuse('volumeExists', body.name)
  if (body.id !== undefined && tables.volumes.all().some(({ id }) => id === body.id)) throw refuse('idExists', 'id')
  needRoom(world, array, body.cpg, kind.provisioning === 1 ? body.sizeMiB : 0)
  const { ssSpcAllocWarningPct, ssSpcAllocLimitPct, usrSpcAllocWarningPct, usrSpcAllocLimitPct } = body
  addVolume(world, array, {
    name: body.name, cpg: body.cpg, sizeMiB: body.sizeMiB, ...kind, ...times, ...present({ id: body.id, comment: body.comment, snapCpg: body.snapCPG }),
    policies: present({ ...body.policies }), percents: present({ ssSpcAllocWarningPct, ssSpcAllocLimitPct, usrSpcAllocWarningPct, usrSpcAllocLimitPct }),
  })
  return { status: 201, location: `/volumes/${body.name}` }
}

/** What one listing looks up for all its volumes at once. */
interface Relations {
  readonly names: ReadonlyMap<number, string>
  readonly children: ReadonlyMap<number, readonly Volume[]>
  readonly groups: ReadonlyMap<number, string>
}

const relationsOf = ({ tables }: Call): Relations => {
  const names = new Map<number, string>()
  const children = new Map<number, Volume[]>()
  for (const volume of tables.volumes.all()) {
    names.set(volume.id, volume.name)
    if (volume.parent !== undefined) children.set(volume.parent, [...(children.get(volume.parent) ?? []), volume])
  }
  const groups = new Map(tables.groups.all().flatMap(({ name, volumes }) => volumes.map(({ local }): readonly [number, string] => [local, name])))
  return { names, children, groups }
}

const relationsOfOne = ({ array, tables }: Call, volume: Volume): Relations => {
  const group: Group | undefined = groupOf(array, volume)
  const names = new Map(tables.volumes.all().filter(({ id }) => id === volume.parent || id === volume.physicalParent).map(({ id, name }) => [id, name]))
  return { names, children: new Map([[volume.id, childrenOf(array, volume)]]), groups: new Map(group === undefined ? [] : [[volume.id, group.name]]) }
}

const baseOf = (array: SimArray, volume: Volume): number => {
  const parent = volume.parent === undefined ? undefined : array.tables.volumes.all().find(({ id }) => id === volume.parent)
  return parent === undefined ? volume.id : baseOf(array, parent)
}

const space = (used: number) => ({ reservedMiB: used, rawReservedMiB: used * 2, usedMiB: used, freeMiB: 0 })

const view = ({ world, array, tables }: Call, volume: Volume, { names, children, groups }: Relations) => {
  const below = children.get(volume.id) ?? []
  const used = usedMiB(world, array, volume)
  const copyOf = names.get(volume.parent ?? volume.physicalParent ?? -1)
  const group = groups.get(volume.id)
  const detail = tables.tasks.all().some(({ status, kind, destination }) => status === 2 && kind === 'promote' && destination === volume.id) ? [12] : []
  return present({
    id: volume.id, name: volume.name, provisioningType: volume.provisioning, copyType: volume.copyType, baseId: baseOf(array, volume), copyOf,
    parentId: volume.parent, physParentId: volume.physicalParent, roChildId: below.find(({ readOnly }) => readOnly)?.id, rwChildId: below.find(({ readOnly }) => !readOnly)?.id,
    wwn: volume.wwn, uuid: volume.uuid, readOnly: volume.readOnly, state: 1, failedStates: [], degradedStates: [], additionalStates: detail,
    compressionState: volume.compression ? 1 : volume.provisioning === 1 ? 4 : 2, deduplicationState: volume.provisioning === 6 ? 1 : volume.provisioning === 1 ? 3 : 2,
    rcopyStatus: group === undefined ? 1 : 2, rcopyGroup: group,
    adminSpace: space(0), snapshotSpace: space(volume.provisioning === 3 ? used : 0), userSpace: space(volume.provisioning === 3 ? 0 : used),
    totalReservedMiB: used, totalUsedMiB: used, sizeMiB: volume.sizeMiB, hostWriteMiB: Math.ceil(world.blocks.used(bytesKey(array, volume.id)) / bytesPerMiB),
    capacityEfficiency: { compaction: 1, deduplication: 1 }, userCPG: volume.cpg, snapCPG: volume.snapCpg,
    ssSpcAllocWarningPct: 0, ssSpcAllocLimitPct: 0, usrSpcAllocWarningPct: 0, usrSpcAllocLimitPct: 0, ...volume.percents,
    creationTimeSec: seconds(volume.createdMs), creationTime8601: iso(volume.createdMs),
    ...(volume.expiresMs === undefined ? {} : { expirationTimeSec: seconds(volume.expiresMs), expirationTime8601: iso(volume.expiresMs) }),
    ...(volume.retainedUntilMs === undefined ? {} : { retentionTimeSec: seconds(volume.retainedUntilMs), retentionTime8601: iso(volume.retainedUntilMs) }),
    policies: { staleSS: true, oneHost: false, zeroDetect: false, fsvc: false, system: false, caching: true, ...volume.policies }, comment: volume.comment,
    links: [{ href: `/api/v1/volumes/${volume.name}`, rel: 'self' }],
  })
}

const all: Handler = (call) => {
  const relations = relationsOf(call)
  const query = call.query.get('query')
  const found = call.tables.volumes.all().map((volume) => view(call, volume, relations))
  return list(query === null ? found : found.filter(parseQuery(query)))
}

const get: Handler = (call) => {
  const volume = needVolume(call.array, call.params['name'] ?? '')
  return { body: view(call, volume, relationsOfOne(call, volume)) }
}

const removers = { rmSsSpcAllocWarning: 'ssSpcAllocWarningPct', rmSsSpcAllocLimit: 'ssSpcAllocLimitPct', rmUsrSpcAllocWarning: 'usrSpcAllocWarningPct', rmUsrSpcAllocLimit: 'usrSpcAllocLimitPct' } as const

/** The other side of a replicated volume learns its new name while it can be reached. */
const tellPeer = ({ world, array }: Call, volume: Volume, name: string): void => {
  const group = groupOf(array, volume)
  const other = group === undefined ? undefined : reached(world, { array, group })
  if (other !== undefined) mapVolumes(other, (member) => (member.remote === volume.id ? { ...member, remoteName: name } : member))
}

/** PUT without `action`. */
export const modifyVolume: Handler = (call) => {
  const { array, tables, world } = call
  const body = read(change, call.body)
  const times = timesOf(world, body)
  const volume = needVolume(array, call.params['name'] ?? '')
  for (const cpg of [body.snapCPG, body.userCPG]) if (cpg !== undefined) needCpg(array, cpg)
  if (body.newName !== undefined && body.newName !== volume.name && tables.volumes.get(body.newName) !== undefined) throw refuse('volumeExists', body.newName)
  if (times.retainedUntilMs !== undefined && times.retainedUntilMs < (volume.retainedUntilMs ?? 0)) throw refuse('retained', 'retentionHours')
  if (body.rmExpTime === true && (volume.retainedUntilMs ?? 0) > world.now()) throw refuse('retained', 'rmExpTime')
  const { expiresMs, ...rest } = volume
  const { ssSpcAllocWarningPct, ssSpcAllocLimitPct, usrSpcAllocWarningPct, usrSpcAllocLimitPct } = body
  const removed = Object.entries(removers).filter(([name]) => body[name as keyof typeof removers] === true).map(([, percentage]) => [percentage, 0])
  const changed: Volume = {
    ...rest, ...(expiresMs === undefined || body.rmExpTime === true ? {} : { expiresMs }), ...times, ...present({ comment: body.comment, snapCpg: body.snapCPG, cpg: body.userCPG }),
    policies: { ...volume.policies, ...present({ ...body.policies }) },
    percents: { ...volume.percents, ...present({ ssSpcAllocWarningPct, ssSpcAllocLimitPct, usrSpcAllocWarningPct, usrSpcAllocLimitPct }), ...Object.fromEntries(removed) },
  }
  tables.volumes.put(volume.name, changed)
  if (body.newName !== undefined && body.newName !== volume.name) {
    renameVolume(array, changed, body.newName)
    tellPeer(call, changed, body.newName)
  }
  return { location: `/volumes/${body.newName ?? volume.name}` }
}

/** The volume and, when it is replicated, its counterpart: a stopped group grows on both sides (facts 18.4). */
const grown = (call: Call, volume: Volume): readonly { readonly array: SimArray; readonly volume: Volume }[] => {
  const group = groupOf(call.array, volume)
  if (group === undefined) return [{ array: call.array, volume }]
  if (group.state !== 5) throw refuse('inGroup', volume.name)
  if (group.role !== 1) throw refuse('onlyPrimary', group.name)
  const other = needReached(call.world, { array: call.array, group })
  const remote = volumeById(other.array, group.volumes.find(({ local }) => local === volume.id)?.remote)
  if (remote === undefined) throw refuse('remoteVolumeMissing', volume.name)
  return [{ array: call.array, volume }, { array: other.array, volume: remote }]
}

/** PUT action 3. */
export const growVolume: Handler = (call) => {
  const { sizeMiB: asked } = read(members({ action: count(3, 3), sizeMiB: count(0, 0x7fffffff) }), call.body)
  const volume = needVolume(call.array, call.params['name'] ?? '')
  if (volume.provisioning === 3) throw refuse('volumeType', volume.name)
  if (asked < 1) throw refuse('growSize', 'sizeMiB')
  const more = Math.ceil(asked / growthStepMiB) * growthStepMiB
  if (volume.sizeMiB + more > largestMiB) throw refuse('tooLarge', 'sizeMiB')
  const all = grown(call, volume)
  for (const one of all) needRoom(call.world, one.array, one.volume.cpg, one.volume.provisioning === 1 ? more : 0)
  for (const one of all) {
    const size = volume.sizeMiB + more
    call.world.blocks.resize(bytesKey(one.array, one.volume.id), size * bytesPerMiB)
    one.array.tables.volumes.put(one.volume.name, { ...one.volume, sizeMiB: size })
  }
  return { location: `/volumes/${volume.name}` }
}

const remove: Handler = ({ world, array, params }) => {
  const volume = needVolume(array, params['name'] ?? '')
  needRemovable(world, array, volume)
  dropVolume(world, array, volume)
  return {}
}

export const volumeRoutes = [
  ['GET', '/volumes', all],
  ['GET', '/volumes/:name', get],
  ['POST', '/volumes', create],
  ['DELETE', '/volumes/:name', remove],
] as const satisfies readonly (readonly [string, string, Handler])[]
