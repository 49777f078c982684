/** Groups as replicated units. The number of requests is the same for one unit and for all of them. */
import type { PeerArray, PeerView, ReplicationUnit, UnitMember } from '../../../../core/array/replication.ts'
import type { ArrayCtx } from '../../../../core/array/types.ts'
import { parseWwid } from '../../../../core/array/wwid.ts'
import { StorageError } from '../../../../core/errors.ts'
import { MiB } from '../../../../core/units.ts'
import { askFar, type Near } from '../near.ts'
import { prefixes } from '../tags.ts'
import type { Wsapi } from '../wsapi/client.ts'
import { rcRole } from '../wsapi/enums.ts'
import { layer } from '../wsapi/layer.ts'
import { anyOf, equals, startsWith } from '../wsapi/query.ts'
import { findRcGroup, listRcGroups, listRcTargets } from '../wsapi/remote-copy.ts'
import type { RcGroup, RcTarget, Volume as Raw } from '../wsapi/schemas.ts'
import { readSystem } from '../wsapi/system.ts'
import { listVolumes } from '../wsapi/volumes.ts'
import { own, readMarks, type Marks } from './marks.ts'
import { consistentAt, isStarted, lastSyncSec, linkOf, madeBy, modeOf, naturalRole, oldest, roleOf, syncOf, targetOf, transferOf } from './roles.ts'
import { testCopiesOf, unitDigest } from './copies.ts'

export const arrayId = (systemId: number): string => `hpe-3par:${systemId}`

interface Far {
  readonly id: string
  readonly groups: ReadonlyMap<string, RcGroup>
  readonly marks: ReadonlyMap<string, Marks>
}

const readFar = async (ctx: ArrayCtx, near: Near): Promise<Far | undefined> =>
  askFar(ctx, near, async (far: Wsapi) => {
    const [system, groups, marks] = await Promise.all([readSystem(far, ctx.signal), listRcGroups(far, ctx.signal), readMarks(ctx, far)])
    return { id: arrayId(system.id), groups: new Map(groups.map((group) => [group.name, group])), marks }
  })

/** A link works for sure when a group runs over it; else nothing is known of it. */
const peerLink = (target: RcTarget, groups: readonly RcGroup[]): PeerArray['link'] => {
  if (target.disabled === true) return 'down'
  return groups.some((group) => targetOf(group)?.targetName === target.name && isStarted(group)) ? 'up' : 'unknown'
}

export const listPeers = async (ctx: ArrayCtx, near: Near): Promise<readonly PeerArray[]> => {
  const [targets, groups, far] = await Promise.all([listRcTargets(near.api, ctx.signal), listRcGroups(near.api, ctx.signal), askFar(ctx, near, async (api) => readSystem(api, ctx.signal))])
  return targets.map((target) => ({
    id: target.name === near.settings.peer?.target && far !== undefined ? arrayId(far.id) : `target:${target.name}`, name: target.name, link: peerLink(target, groups),
  }))
}

const visible = (marks: Marks): Marks => Object.fromEntries(Object.entries(marks).filter(([key]) => !key.startsWith('.')))

/** A started group proves its peer: only opposite roles replicate. Else the far array is asked, where it can be. */
const peerView = (group: RcGroup, far: Far | undefined): PeerView => {
  const there = group.remoteGroupName === undefined ? undefined : far?.groups.get(group.remoteGroupName)
  if (there !== undefined) {
    const marks = far?.marks.get(there.name) ?? {}
    return { reachable: true, role: roleOf(there, marks), marks: visible(marks) }
  }
  if (isStarted(group)) return { reachable: true, role: group.role === rcRole.primary ? 'target' : 'source' }
  return { reachable: false }
}

const memberOf = (group: RcGroup, volume: RcGroup['volumes'][number], raws: ReadonlyMap<string, Raw>): UnitMember => {
  const raw = raws.get(volume.localVolumeName)
  const wwid = raw === undefined ? undefined : parseWwid(raw.wwn)
  const sync = syncOf(volume.remoteVolumes[0]?.syncStatus)
  return {
    volume: volume.localVolumeName, name: volume.localVolumeName, size: (raw?.sizeMiB ?? 0) * MiB, sync,
    // Named after the volume of the array that made the group, on both sides.
    key: madeBy(group.name).creator === undefined ? volume.localVolumeName : volume.remoteVolumes[0]?.remoteVolumeName ?? volume.localVolumeName,
    ...(wwid === undefined ? {} : { identity: { kind: 'wwn', wwid } }), lastConsistent: consistentAt(lastSyncSec(volume), sync),
  }
}

interface World {
  readonly near: Near
  readonly marks: ReadonlyMap<string, Marks>
  readonly raws: readonly Raw[]
  readonly far: Far | undefined
}

/** Written on the side that paused; the other one is asked for it where it can be. */
const askedToPause = (group: RcGroup, { marks, far }: World): boolean =>
  marks.get(group.name)?.[own.paused] !== undefined || (group.remoteGroupName !== undefined && far?.marks.get(group.remoteGroupName)?.[own.paused] !== undefined)

const unitOf = (group: RcGroup, world: World): ReplicationUnit => {
  const marks = world.marks.get(group.name) ?? {}
  const target = targetOf(group)
  const raws = new Map(world.raws.map((raw) => [raw.name, raw]))
  const members = group.volumes.map((volume) => memberOf(group, volume, raws))
  const lastConsistent = oldest(members.map((member) => member.lastConsistent))
  const peer = peerView(group, world.far)
  const role = roleOf(group, marks)
  const demoted = marks[own.demoted]
  const { name, creator } = madeBy(group.name)
  return {
    id: group.name, key: `${creator ?? world.near.system.id}:${name}`, kind: 'group', name,
    peer: world.far?.id ?? (creator === undefined ? `target:${target?.targetName ?? ''}` : arrayId(creator)),
    mode: modeOf(group), ...(target?.syncPeriod === undefined ? {} : { periodSeconds: target.syncPeriod }),
    settings: { ...(group.localUserCPG === undefined ? {} : { cpg: group.localUserCPG }), ...(target?.remoteUserCPG === undefined ? {} : { peer_cpg: target.remoteUserCPG }) },
    naturalRole: naturalRole(group, marks), role, transfer: transferOf(group, role, lastConsistent, peer, askedToPause(group, world)), link: linkOf(group), members, lastConsistent,
    ...(role === 'demoted' && demoted !== undefined ? { demotedMs: Number(demoted) } : {}),
    // Two that both were made the writable side; a natural primary beside a promoted one is what a failover leaves.
    splitBrain: role === 'source' && peer.role === 'source' && isStarted(group),
    testCopies: testCopiesOf(group, world.raws, marks), peerView: peer, marks: visible(marks),
  }
}

export const listUnits = async (ctx: ArrayCtx, near: Near): Promise<readonly ReplicationUnit[]> => {
  const [groups, marks, raws, far] = await Promise.all([
    listRcGroups(near.api, ctx.signal), readMarks(ctx, near.api), listVolumes(near.api, undefined, ctx.signal), readFar(ctx, near),
  ])
  return groups.map((group) => unitOf(group, { near, marks, raws, far }))
}

/** The members and our copies of them; a longer list of names than a URL should be is all volumes. */
const volumesOfGroup = async (ctx: ArrayCtx, near: Near, group: RcGroup): Promise<readonly Raw[]> => {
  const names = group.volumes.map(({ localVolumeName }) => localVolumeName)
  const query = names.length > 40 ? undefined : anyOf(...names.map((name) => equals('name', name)), ...[prefixes.test, prefixes.point].map((prefix) => startsWith('name', `${prefix}${unitDigest(group.name)}`)))
  return listVolumes(near.api, query, ctx.signal)
}

export const readUnit = async (ctx: ArrayCtx, near: Near, id: string): Promise<ReplicationUnit | undefined> => {
  const group = await findRcGroup(near.api, id, ctx.signal)
  if (group === undefined) return undefined
  const [marks, raws, far] = await Promise.all([readMarks(ctx, near.api), volumesOfGroup(ctx, near, group), readFar(ctx, near)])
  return unitOf(group, { near, marks, raws, far })
}

export const noUnit = (id: string): StorageError => new StorageError('notFound', `There is no remote copy group ${id} on the array`, { layer, field: 'unit', remedy: 'See which there are: smctl replication list' })

export const needGroup = async (ctx: ArrayCtx, near: Near, id: string): Promise<RcGroup> => {
  const group = await findRcGroup(near.api, id, ctx.signal)
  if (group === undefined) throw noUnit(id)
  return group
}

/** The group with this side's role in it: two requests, for steps that need no more. */
export const needRole = async (ctx: ArrayCtx, near: Near, id: string): Promise<{ readonly group: RcGroup; readonly marks: Marks; readonly role: ReplicationUnit['role'] }> => {
  const [group, all] = await Promise.all([needGroup(ctx, near, id), readMarks(ctx, near.api)])
  const marks = all.get(id) ?? {}
  return { group, marks, role: roleOf(group, marks) }
}
