/** Access groups: the hosts of the array, and its host sets as `set:<name>` (made by its administrator, and only used here). */
import type { AccessGroup, ArrayCtx, Initiator, ItemResult, Presentation, Volume } from '../../../core/array/types.ts'
import type { ArrayAccess } from '../../../core/array/contract.ts'
import { reportError, StorageError, toStorageError } from '../../../core/errors.ts'
import type { Near } from './near.ts'
import { exportsOf, groupOf, needPresentable, presentedVolume } from './volumes.ts'
import { unless, isCode } from './wsapi/errors.ts'
import { addPaths, createHost, findHost, listHosts, listSets, removeHost, removePaths, renameHost, type NamedHost, type Paths } from './wsapi/hosts.ts'
import { layer } from './wsapi/layer.ts'
import { equals } from './wsapi/query.ts'
import type { Vlun } from './wsapi/schemas.ts'
import { createVlun, listVluns, removeVlun, templateOf } from './wsapi/vluns.ts'

/** LUN 0 stays free: some hosts look for the array's controller there. */
const firstLun = 1

const bare = (wwpn: string): string => wwpn.replaceAll(':', '').toUpperCase()
const pairs = (wwn: string): string => (wwn.replaceAll(/[^0-9A-Fa-f]/g, '').toLowerCase().match(/../g) ?? []).join(':')

/** The initiators that this array speaks to. */
export const pathsOf = (initiators: readonly Initiator[]): Paths => ({
  FCWWNs: initiators.filter(({ kind }) => kind === 'fc').map(({ id }) => bare(id)),
  iSCSINames: initiators.filter(({ kind }) => kind === 'iscsi').map(({ id }) => id),
})

const only = (group: string, initiators: readonly Initiator[]): Paths => {
  const odd = initiators.find(({ kind }) => kind !== 'fc' && kind !== 'iscsi')
  if (odd === undefined) return pathsOf(initiators)
  throw new StorageError('invalidArgument', `initiators: this array has no ${odd.kind} initiators (${group})`, { layer, field: 'initiators', remedy: 'Give WWPNs or iSCSI names' })
}

const initiatorsOf = (host: NamedHost): readonly Initiator[] => [
  ...[...new Set(host.FCPaths.map(({ wwn }) => pairs(wwn)))].map((id): Initiator => ({ kind: 'fc', id })),
  ...[...new Set(host.iSCSIPaths.map(({ name }) => name))].map((id): Initiator => ({ kind: 'iscsi', id })),
]

const groupOfHost = (host: NamedHost): AccessGroup => ({ name: host.name, initiators: initiatorsOf(host) })

const keysOf = (initiators: readonly Initiator[]): string => initiators.map(({ kind, id }) => `${kind} ${kind === 'fc' ? pairs(id) : id}`).toSorted().join(',')

const noGroup = (name: string): StorageError => new StorageError('notFound', `There is no access group ${name} on the array`, { layer, field: 'group', remedy: 'List the groups: smctl array groups' })

const needHost = async (ctx: ArrayCtx, near: Near, name: string): Promise<NamedHost> => {
  if (name.startsWith('set:')) throw new StorageError('notSupported', `${name} is a host set, which the administrator of the array keeps`, { layer, field: 'group', remedy: 'Change one of its hosts, or the set on the array itself' })
  const host = await findHost(near.api, name, ctx.signal)
  if (host === undefined) throw noGroup(name)
  return host
}

/** A host with paths of both kinds takes two requests; when the second fails the host is taken back. */
export const makeHost = async (ctx: ArrayCtx, near: Near, name: string, { FCWWNs, iSCSINames }: Paths): Promise<void> => {
  const both = FCWWNs.length > 0 && iSCSINames.length > 0
  await createHost(near.api, name, { ...(FCWWNs.length > 0 ? { FCWWNs } : {}), ...(iSCSINames.length > 0 && !both ? { iSCSINames } : {}) }, ctx.signal)
  if (!both) return
  try {
    await addPaths(near.api, name, { iSCSINames }, ctx.signal)
  } catch (error) {
    await removeHost(near.api, name, ctx.signal).catch((left: unknown) => ctx.log.warn({ host: name, left: (left as Error).message }, 'a host that was half made is left on the array'))
    throw error
  }
}

const each = async <T, V>(items: readonly T[], nameOf: (item: T) => string, work: (item: T) => Promise<V>): Promise<readonly ItemResult<V>[]> => {
  const results: ItemResult<V>[] = []
  for (const item of items) {
    try {
      results.push({ item: nameOf(item), value: await work(item), warnings: [] })
    } catch (error) {
      results.push({ item: nameOf(item), warnings: [], error: reportError(toStorageError(error, layer)) })
    }
  }
  return results
}

const createOne = async (ctx: ArrayCtx, near: Near, group: AccessGroup): Promise<AccessGroup> => {
  const paths = only(group.name, group.initiators)
  try {
    await makeHost(ctx, near, group.name, paths)
  } catch (error) {
    if (!isCode(error, 16) && !(error instanceof StorageError && error.kind === 'outcomeUnknown')) throw error
  }
  const found = await findHost(near.api, group.name, ctx.signal)
  if (found === undefined) throw noGroup(group.name)
  if (keysOf(initiatorsOf(found)) === keysOf(group.initiators)) return groupOfHost(found)
  throw new StorageError('alreadyExists', `Access group ${group.name} exists with other initiators: ${initiatorsOf(found).map(({ id }) => id).join(', ') || 'none'}`, { layer, field: 'group', remedy: 'Take another name, or change the group that is there' })
}

const templates = (vluns: readonly Vlun[]): readonly Vlun[] => vluns.filter(({ active }) => !active)

const removeOne = async (ctx: ArrayCtx, near: Near, name: string): Promise<undefined> => {
  if (name.startsWith('set:')) await needHost(ctx, near, name)
  const presented = templates(await listVluns(near.api, equals('hostname', name), ctx.signal)).filter(({ hostname }) => hostname === name).map(({ volumeName }) => volumeName)
  if (presented.length > 0) {
    throw new StorageError('stillPresented', `Volumes are presented to ${name}: ${presented.slice(0, 5).join(', ')}`, { layer, field: 'group', remedy: 'Unpresent them first', details: { volumes: presented.length } })
  }
  await unless('notFound', removeHost(near.api, name, ctx.signal))
}

/** Makes one export; one that is there already is taken as it is. */
export const exportTo = async (ctx: ArrayCtx, near: Near, volume: string, group: string): Promise<void> => {
  try {
    await createVlun(near.api, volume, group, firstLun, ctx.signal)
  } catch (error) {
    if (isCode(error, 17, 102)) throw noGroup(group)
    if (!isCode(error, 18) && !(error instanceof StorageError && error.kind === 'outcomeUnknown')) throw error
    if (!(await exportsOf(ctx, near, [volume])).some((vlun) => groupOf(vlun) === group)) throw error
  }
}

export const endExport = async (ctx: ArrayCtx, near: Near, vlun: Vlun): Promise<void> => {
  try {
    await unless('notFound', removeVlun(near.api, templateOf(vlun), ctx.signal))
  } catch (error) {
    if (!(error instanceof StorageError) || error.kind !== 'outcomeUnknown') throw error
    const left = await exportsOf(ctx, near, [vlun.volumeName])
    if (left.some((one) => groupOf(one) === groupOf(vlun) && one.lun === vlun.lun)) throw error
  }
}

export const presentationOf = (vlun: Vlun, writable: boolean): Presentation => ({ volume: vlun.volumeName, group: groupOf(vlun), lun: vlun.lun, mode: writable ? 'rw' : 'ro', targets: [] })

/** The hosts of the array that any of these initiators belongs to, and the initiators that belong to none. One request. */
export const hostsOf = async (ctx: ArrayCtx, near: Near, paths: Paths, query: string): Promise<{ readonly hosts: readonly string[]; readonly missing: Paths }> => {
  const found = (await listHosts(near.api, query, ctx.signal)).map((host) => ({ name: host.name, wwns: new Set(host.FCPaths.map(({ wwn }) => bare(pairs(wwn)))), iqns: new Set(host.iSCSIPaths.map(({ name }) => name)) }))
  const hosts = found.filter(({ wwns, iqns }) => paths.FCWWNs.some((wwn) => wwns.has(wwn)) || paths.iSCSINames.some((iqn) => iqns.has(iqn)))
  return {
    hosts: hosts.map(({ name }) => name),
    missing: { FCWWNs: paths.FCWWNs.filter((wwn) => !hosts.some(({ wwns }) => wwns.has(wwn))), iSCSINames: paths.iSCSINames.filter((iqn) => !hosts.some(({ iqns }) => iqns.has(iqn))) },
  }
}

export const accessOf = (near: Near): ArrayAccess => ({
  async groups(ctx, volume) {
    const [hosts, sets] = await Promise.all([listHosts(near.api, undefined, ctx.signal), listSets(near.api, 'hostsets', ctx.signal)])
    const byName = new Map(hosts.map((host) => [host.name, host]))
    const all = [...hosts.map(groupOfHost), ...sets.map(({ name, setmembers }): AccessGroup => ({ name: `set:${name}`, initiators: setmembers.flatMap((member) => { const host = byName.get(member); return host === undefined ? [] : initiatorsOf(host) }) }))]
    if (volume === undefined) return all
    await needPresentable(ctx, near, volume)
    const to = new Set((await exportsOf(ctx, near, [volume])).map(groupOf))
    return all.filter(({ name }) => to.has(name))
  },
  createGroups: async (ctx, groups) => each(groups, ({ name }) => name, async (group) => createOne(ctx, near, group)),
  removeGroups: async (ctx, names) => each(names, (name) => name, async (name) => removeOne(ctx, near, name)),
  async renameGroup(ctx, from, to) {
    await needHost(ctx, near, from)
    await renameHost(near.api, from, to, ctx.signal)
    return groupOfHost(await needHost(ctx, near, to))
  },
  async addToGroup(ctx, group, initiators) {
    const have = new Set(initiatorsOf(await needHost(ctx, near, group)).map(({ id }) => id))
    const { FCWWNs, iSCSINames } = only(group, initiators.filter(({ kind, id }) => !have.has(kind === 'fc' ? pairs(id) : id)))
    if (FCWWNs.length > 0) await addPaths(near.api, group, { FCWWNs }, ctx.signal)
    if (iSCSINames.length > 0) await addPaths(near.api, group, { iSCSINames }, ctx.signal)
    return groupOfHost(await needHost(ctx, near, group))
  },
  async removeFromGroup(ctx, group, initiators) {
    const have = new Set(initiatorsOf(await needHost(ctx, near, group)).map(({ id }) => id))
    const { FCWWNs, iSCSINames } = only(group, initiators.filter(({ kind, id }) => have.has(kind === 'fc' ? pairs(id) : id)))
    if (FCWWNs.length > 0) await removePaths(near.api, group, { FCWWNs }, ctx.signal)
    if (iSCSINames.length > 0) await removePaths(near.api, group, { iSCSINames }, ctx.signal)
    return groupOfHost(await needHost(ctx, near, group))
  },
  async presentations(ctx, volumes) {
    return (await exportsOf(ctx, near, volumes)).map((vlun) => presentationOf(vlun, true))
  },
  async present(ctx, volume, groups): Promise<Volume> {
    await needPresentable(ctx, near, volume)
    const there = new Set((await exportsOf(ctx, near, [volume])).map(groupOf))
    for (const group of groups) if (!there.has(group)) await exportTo(ctx, near, volume, group)
    return presentedVolume(ctx, near, volume)
  },
  async unpresent(ctx, volume, groups): Promise<Volume> {
    await needPresentable(ctx, near, volume)
    for (const vlun of await exportsOf(ctx, near, [volume])) if (groups.includes(groupOf(vlun))) await endExport(ctx, near, vlun)
    return presentedVolume(ctx, near, volume)
  },
})
