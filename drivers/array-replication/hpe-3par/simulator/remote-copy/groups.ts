/** `/remotecopygroups`: making, reading, changing and deleting groups, and what they consist of (facts 15). */
import * as z from 'zod'
import { needCpg } from '../cpgs.ts'
import { choice, count, flag, members, nameOf, needOneOf, read, text } from '../members.ts'
import { iso, list, needLicence, nextId, seconds, type Call, type Group, type Handler, type SimArray, type World } from '../model.ts'
import { refuse } from '../refusals.ts'
import { isPeriodic, linked, needGroup, needReached, otherSide, peerOf, reached, replace, without } from './find.ts'
import { dropPoints } from './transfers.ts'

/** A mirrored group's name leaves room for the suffix of the other side. */
const groupName = nameOf(22)
const mode = choice(1, 2, 3, 4)
const syncPeriod = count(300, 31_622_400)
const policies = members({ autoRecover: flag.optional(), overPeriodAlert: flag.optional(), autoFailover: flag.optional(), pathManagement: flag.optional(), autoSynchronize: flag.optional(), multiTargetPeerPersistence: flag.optional() })

const creation = members({
  name: groupName, domain: text(31).optional(), localUserCPG: nameOf(31).optional(), localSnapCPG: nameOf(31).optional(),
  targets: z.array(members({ targetName: nameOf(24), mode, userCPG: nameOf(31).optional(), snapCPG: nameOf(31).optional() })).min(1),
})
const change = members({
  localUserCPG: nameOf(31).optional(), localSnapCPG: nameOf(31).optional(), unsetUserCPG: flag.optional(), unsetSnapCPG: flag.optional(),
  targets: z.array(members({
    targetName: nameOf(24), remoteUserCPG: nameOf(31).optional(), remoteSnapCPG: nameOf(31).optional(), syncPeriod: syncPeriod.optional(), rmSyncPeriod: flag.optional(), mode: mode.optional(),
    snapFrequency: count(300, 31_622_400).optional(), rmSnapFrequency: flag.optional(), policies: policies.optional(), recoveryPointObjmSecs: count(0).optional(),
  })).optional(),
})

const view = (group: Group) => ({
  id: group.id, name: group.name, role: group.role, ...(group.domain === undefined ? {} : { domain: group.domain }), remoteGroupName: group.remoteName,
  ...(group.localUserCpg === undefined ? {} : { localUserCPG: group.localUserCpg }), ...(group.localSnapCpg === undefined ? {} : { localSnapCPG: group.localSnapCpg }),
  targets: [targetView(group)], volumes: group.volumes.map((volume) => volumeView(group, volume)),
  links: [{ href: `/api/v1/remotecopygroups/${group.name}`, rel: 'self' }],
})

const targetView = (group: Group) => ({
  targetName: group.targetName, roleReversed: group.reversed, state: group.state, mode: group.mode, ...(isPeriodic(group) && group.syncPeriod !== undefined ? { syncPeriod: group.syncPeriod } : {}),
  ...(group.snapFrequency === undefined ? {} : { snapFrequency: group.snapFrequency }),
  ...(group.lastSyncMs === undefined ? {} : { groupLastSyncTime: iso(group.lastSyncMs), groupLastSyncTimeSec: seconds(group.lastSyncMs) }),
  ...(group.remoteUserCpg === undefined ? {} : { remoteUserCPG: group.remoteUserCpg }), ...(group.remoteSnapCpg === undefined ? {} : { remoteSnapCPG: group.remoteSnapCpg }),
  policies: { autoRecover: false, overPeriodAlert: true, autoFailover: false, pathManagement: false, ...group.policies },
})

const volumeView = (group: Group, volume: Group['volumes'][number]) => ({
  localVolumeName: volume.localName, localVolumeID: volume.local,
  remoteVolumes: [{
    targetName: group.targetName, remoteVolumeName: volume.remoteName, remoteVolumeID: volume.remote, syncStatus: volume.syncStatus,
    ...(volume.lastSyncMs === undefined ? {} : { volumeLastSyncTime: iso(volume.lastSyncMs), volumeLastSyncTimeSec: seconds(volume.lastSyncMs) }),
    ...(volume.resyncSnapshot === undefined ? {} : { resyncSnapshotName: volume.resyncSnapshot }), ...(volume.syncSnapshot === undefined ? {} : { syncSnapshotName: volume.syncSnapshot }),
  }],
})

/** The array that a target's name stands for; it must be reachable for a change that is mirrored. */
const needTarget = ({ world, array, tables }: Call, name: string): SimArray => {
  const target = tables.targets.get(name)
  if (target === undefined) throw refuse('targetMissing', name)
  const peer = peerOf(world, { peer: target.peer, targetName: name })
  if (!linked(world, array, peer)) throw refuse('targetNotReady', name)
  return peer
}

const nameOfTarget = (array: SimArray, peer: SimArray): string => array.tables.targets.all().find((target) => target.peer === peer.index)?.name ?? peer.name

const bothOrNone = (one: string | undefined, other: string | undefined, ref: string): void => {
  if ((one === undefined) !== (other === undefined)) throw refuse('memberMissing', ref)
}

const create: Handler = (call) => {
  const { array, tables } = call
  const body = read(creation, call.body)
  const [target, more] = body.targets
  if (target === undefined) throw refuse('memberMissing', 'targets')
  if (more !== undefined) throw refuse('unsupported', 'targets')
  needLicence(array, 'Remote Copy')
  if (array.profile.needsSnapCpg) {
    bothOrNone(body.localUserCPG, body.localSnapCPG, 'localUserCPG,localSnapCPG')
    bothOrNone(target.userCPG, target.snapCPG, 'userCPG,snapCPG')
  }
  if (tables.groups.get(body.name) !== undefined) throw refuse('groupExists', body.name)
  const peer = needTarget(call, target.targetName)
  const remoteName = `${body.name}.r${array.id}`
  if (peer.tables.groups.get(remoteName) !== undefined) throw refuse('groupExists', remoteName)
  for (const cpg of [body.localUserCPG, body.localSnapCPG]) if (cpg !== undefined) needCpg(array, cpg)
  for (const cpg of [target.userCPG, target.snapCPG]) if (cpg !== undefined) needCpg(peer, cpg)
  const shown = target.mode === 2 || target.mode === 3 ? array.profile.periodicMode : target.mode
  const common = { reversed: false, state: 5 as const, mode: shown, policies: {}, volumes: [], ...(isPeriodic({ mode: shown }) ? { syncPeriod: 900 } : {}), ...(body.domain === undefined ? {} : { domain: body.domain }) }
  const cpgs = (userCpg: string | undefined, snapCpg: string | undefined, at: 'local' | 'remote') => ({
    ...(userCpg === undefined ? {} : { [`${at}UserCpg`]: userCpg }), ...(snapCpg === undefined ? {} : { [`${at}SnapCpg`]: snapCpg }),
  })
  tables.groups.put(body.name, {
    ...common, id: nextId(tables, 'group'), name: body.name, remoteName, peer: peer.index, targetName: target.targetName, role: 1,
    ...cpgs(body.localUserCPG, body.localSnapCPG, 'local'), ...cpgs(target.userCPG, target.snapCPG, 'remote'),
  })
  peer.tables.groups.put(remoteName, {
    ...common, id: nextId(peer.tables, 'group'), name: remoteName, remoteName: body.name, peer: array.index, targetName: nameOfTarget(peer, array), role: 2,
    ...cpgs(target.userCPG, target.snapCPG, 'local'), ...cpgs(body.localUserCPG, body.localSnapCPG, 'remote'),
  })
  return { status: 201, location: `/remotecopygroups/${body.name}` }
}

type TargetChange = NonNullable<z.output<typeof change>['targets']>[number]

const changedTarget = (group: Group, target: TargetChange): Group => {
  if (group.targetName !== target.targetName) throw refuse('targetMissing', target.targetName)
  if (target.syncPeriod !== undefined && !isPeriodic({ mode: target.mode ?? group.mode })) throw refuse('exclusive', 'syncPeriod,mode')
  if (target.mode !== undefined && group.state !== 5) throw refuse('groupStarted', group.name)
  const removed = without(group, ...(target.rmSyncPeriod === true ? ['syncPeriod' as const] : []), ...(target.rmSnapFrequency === true ? ['snapFrequency' as const] : [])) as Group
  return {
    ...removed, ...(target.remoteUserCPG === undefined ? {} : { remoteUserCpg: target.remoteUserCPG }), ...(target.remoteSnapCPG === undefined ? {} : { remoteSnapCpg: target.remoteSnapCPG }),
    ...(target.syncPeriod === undefined ? {} : { syncPeriod: target.syncPeriod }), ...(target.snapFrequency === undefined ? {} : { snapFrequency: target.snapFrequency }),
    ...(target.mode === undefined ? {} : { mode: target.mode }), policies: { ...group.policies, ...Object.fromEntries(Object.entries(target.policies ?? {}).filter(([, value]) => value !== undefined)) as Record<string, boolean> },
  }
}

/** What both sides have in common follows on the other side when it can be reached. */
const mirror = (world: World, array: SimArray, group: Group): void => {
  const other = reached(world, { array, group })
  if (other === undefined) return
  const shared = { mode: group.mode, policies: group.policies }
  const base = without(other.group, 'syncPeriod', 'snapFrequency', 'localUserCpg', 'localSnapCpg', 'remoteUserCpg', 'remoteSnapCpg')
  replace(other, {
    ...base, ...shared, ...(group.syncPeriod === undefined ? {} : { syncPeriod: group.syncPeriod }), ...(group.snapFrequency === undefined ? {} : { snapFrequency: group.snapFrequency }),
    ...(group.remoteUserCpg === undefined ? {} : { localUserCpg: group.remoteUserCpg }), ...(group.remoteSnapCpg === undefined ? {} : { localSnapCpg: group.remoteSnapCpg }),
    ...(group.localUserCpg === undefined ? {} : { remoteUserCpg: group.localUserCpg }), ...(group.localSnapCpg === undefined ? {} : { remoteSnapCpg: group.localSnapCpg }),
  } as Group)
}

/** PUT without `action`. */
export const modifyGroup: Handler = ({ world, array, params, body: sent }) => {
  const body = read(change, sent)
  for (const target of body.targets ?? []) needOneOf(target, 'syncPeriod', 'policies')
  const group = needGroup(array, params['name'] ?? '')
  for (const cpg of [body.localUserCPG, body.localSnapCPG]) if (cpg !== undefined) needCpg(array, cpg)
  const removed = without(group, ...(body.unsetUserCPG === true ? ['localUserCpg', 'remoteUserCpg'] as const : []), ...(body.unsetSnapCPG === true ? ['localSnapCpg', 'remoteSnapCpg'] as const : [])) as Group
  const local: Group = { ...removed, ...(body.localUserCPG === undefined ? {} : { localUserCpg: body.localUserCPG }), ...(body.localSnapCPG === undefined ? {} : { localSnapCpg: body.localSnapCPG }) }
  const changed = (body.targets ?? []).reduce(changedTarget, local)
  array.tables.groups.put(group.name, changed)
  mirror(world, array, changed)
  return { location: `/remotecopygroups/${group.name}` }
}

/** Both groups go, never a volume. With mirroring off at the target only this side's goes. */
const remove: Handler = ({ world, array, tables, params, query }) => {
  const group = needGroup(array, params['name'] ?? '')
  if (group.state === 3) throw refuse('groupStarted', group.name)
  const mirrored = tables.targets.get(group.targetName)?.mirrorConfig === true
  const side = { array, group }
  const other = otherSide(world, group)
  if (mirrored && other !== undefined) needReached(world, side)
  for (const one of mirrored && other !== undefined ? [side, other] : [side]) {
    if (query.get('keepSnap') !== 'true') dropPoints(world, one, ['syncSnapshot', 'resyncSnapshot'])
    one.array.tables.groups.remove(one.group.name)
  }
  return { status: 202 }
}

const links = (call: Call) => call.tables.targets.all().flatMap(({ name, peer }) => {
  const other = call.world.arrays[peer]
  const up = other !== undefined && linked(call.world, call.array, other)
  return [{ name: `${name}_0_3_1`, targetName: name, portPos: { node: 0, slot: 3, cardPort: 1 }, status: up ? 1 : 2 }]
})

const targetsOf = (call: Call) => call.tables.targets.all().map(({ name, peer, mirrorConfig }) => {
  const other = call.world.arrays[peer]
  const up = other !== undefined && linked(call.world, call.array, other)
  return {
    id: peer + 1, name, type: 1, nodeWWN: `2FF70002AC${(other?.id ?? 0).toString(16).padStart(6, '0').toUpperCase()}`, disabled: false, state: up ? 1 : 2, status: up ? 1 : 2,
    policies: { mirrorConfig }, portPosAndLink: [{ portPos: { node: 0, slot: 3, cardPort: 1 }, link: '127.0.0.1' }],
  }
})

const needOne = <T extends { readonly name: string }>(all: readonly T[], name: string): T => {
  const found = all.find((one) => one.name === name)
  if (found === undefined) throw refuse('targetMissing', name)
  return found
}

const modifyTarget: Handler = ({ tables, params, body: sent }) => {
  const body = read(members({ policies: members({ mirrorConfig: flag }) }), sent)
  const name = params['name'] ?? ''
  const target = tables.targets.get(name)
  if (target === undefined) throw refuse('targetMissing', name)
  tables.targets.put(name, { ...target, mirrorConfig: body.policies.mirrorConfig })
  return { location: `/remotecopytargets/${name}` }
}

const oneVolume: Handler = ({ array, params }) => {
  const group = needGroup(array, params['name'] ?? '')
  const volume = group.volumes.find(({ localName }) => localName === params['volume'])
  if (volume === undefined) throw refuse('volumeNotInGroup', params['volume'])
  return { body: volumeView(group, volume) }
}

const oneTarget: Handler = ({ array, params }) => {
  const group = needGroup(array, params['name'] ?? '')
  if (group.targetName !== params['target']) throw refuse('targetMissing', params['target'])
  return { body: targetView(group) }
}

export const groupRoutes = [
  ['GET', '/remotecopy', (() => ({ body: { mode: 2, status: 1, asyncEnabled: true, links: [] } })) satisfies Handler],
  ['GET', '/remotecopytargets', ((call) => list(targetsOf(call))) satisfies Handler],
  ['GET', '/remotecopytargets/:name', ((call) => ({ body: needOne(targetsOf(call), call.params['name'] ?? '') })) satisfies Handler],
  ['PUT', '/remotecopytargets/:name', modifyTarget],
  ['GET', '/remotecopylinks', ((call) => list(links(call))) satisfies Handler],
  ['GET', '/remotecopylinks/:name', ((call) => ({ body: needOne(links(call), call.params['name'] ?? '') })) satisfies Handler],
  ['GET', '/remotecopygroups', (({ tables }) => list(tables.groups.all().map(view))) satisfies Handler],
  ['GET', '/remotecopygroups/:name', (({ array, params }) => ({ body: view(needGroup(array, params['name'] ?? '')) })) satisfies Handler],
  ['POST', '/remotecopygroups', create],
  ['DELETE', '/remotecopygroups/:name', remove],
  ['GET', '/remotecopygroups/:name/volumes', (({ array, params }) => {
    const group = needGroup(array, params['name'] ?? '')
    return list(group.volumes.map((volume) => volumeView(group, volume)))
  }) satisfies Handler],
  ['GET', '/remotecopygroups/:name/volumes/:volume', oneVolume],
  ['GET', '/remotecopygroups/:name/targets', (({ array, params }) => list([targetView(needGroup(array, params['name'] ?? ''))])) satisfies Handler],
  ['GET', '/remotecopygroups/:name/targets/:target', oneTarget],
] as const satisfies readonly (readonly [string, string, Handler])[]

