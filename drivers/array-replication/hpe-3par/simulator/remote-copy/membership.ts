/** Which volumes are in a group: admit and dismiss (facts 16). */
import * as z from 'zod'
import { needRoom } from '../cpgs.ts'
import { count, flag, members, nameOf, needOneOf, read } from '../members.ts'
import { type Group, type Handler, type SimArray, type Volume, type World } from '../model.ts'
import { refuse } from '../refusals.ts'
import { addVolume, dropVolume, exportsOf, groupOf, needRemovable, needVolume, volumeById } from '../volume-records.ts'
import { needGroup, needReached, otherSide, put, type Side } from './find.ts'
import { dropPoints } from './transfers.ts'

const admission = members({
  action: count(1, 1).optional(), volumeName: nameOf(31), targets: z.array(members({ targetName: nameOf(24), secVolumeName: nameOf(31) })).min(1), volumeAutoCreation: flag.optional(),
  skipInitialSync: flag.optional(), differentSecondaryWWN: flag.optional(), snapshotName: nameOf(31).optional(),
})

/** What members of a group may only be changed from, and when. */
const needStoppedPrimary = (group: Group): void => {
  if (group.role !== 1) throw refuse('onlyPrimary', group.name)
  if (group.state === 3) throw refuse('groupStarted', group.name)
}

interface Wish {
  readonly secVolumeName: string
  readonly sameWwn: boolean
}

/** The far volume: like the near one, in the group's CPGs. */
const makeSecondary = (world: World, peer: SimArray, group: Group, volume: Volume, { secVolumeName, sameWwn }: Wish): Volume => {
  if (group.remoteUserCpg === undefined || (peer.profile.needsSnapCpg && group.remoteSnapCpg === undefined)) throw refuse('groupWithoutCpg', group.name)
  if (peer.tables.volumes.get(secVolumeName) !== undefined) throw refuse('remoteVolumeExists', secVolumeName)
  needRoom(world, peer, group.remoteUserCpg, volume.provisioning === 1 ? volume.sizeMiB : 0)
  return addVolume(world, peer, {
    name: secVolumeName, sizeMiB: volume.sizeMiB, cpg: group.remoteUserCpg, provisioning: volume.provisioning, compression: volume.compression,
    ...(group.remoteSnapCpg === undefined ? {} : { snapCpg: group.remoteSnapCpg }), ...(sameWwn ? { wwn: volume.wwn } : {}),
  })
}

const takeSecondary = (peer: SimArray, volume: Volume, name: string): Volume => {
  const secondary = peer.tables.volumes.get(name)
  if (secondary === undefined) throw refuse('remoteVolumeMissing', name)
  if (secondary.sizeMiB !== volume.sizeMiB) throw refuse('sizeMismatch', name)
  if (groupOf(peer, secondary) !== undefined) throw refuse('volumeInOtherGroup', name)
  if (exportsOf(peer, secondary).length > 0) throw refuse('remoteExported', name)
  return secondary
}

export const admit: Handler = ({ world, array, params, body: sent }) => {
  const body = read(admission, sent)
  const [target] = body.targets
  if (body.volumeAutoCreation === true) needOneOf(body, 'volumeAutoCreation', 'skipInitialSync')
  const group = needGroup(array, params['name'] ?? '')
  needStoppedPrimary(group)
  const volume = needVolume(array, body.volumeName)
  const present = groupOf(array, volume)
  if (present !== undefined) throw refuse(present.name === group.name ? 'volumeInGroup' : 'volumeInOtherGroup', volume.name)
  if (volume.provisioning === 3) throw refuse('volumeType', volume.name)
  if (array.profile.needsSnapCpg && volume.snapCpg === undefined) throw refuse('noSnapCpg', volume.name)
  if (target === undefined || target.targetName !== group.targetName) throw refuse('targetMissing', target?.targetName)
  const side = { array, group }
  const other = needReached(world, side)
  const secondary = body.volumeAutoCreation === true
    ? makeSecondary(world, other.array, group, volume, { secVolumeName: target.secVolumeName, sameWwn: body.differentSecondaryWWN !== true })
    : takeSecondary(other.array, volume, target.secVolumeName)
  const status = body.skipInitialSync === true ? { syncStatus: 3 as const, lastSyncMs: world.now() } : { syncStatus: 1 as const }
  put(side, { volumes: [...group.volumes, { local: volume.id, localName: volume.name, remote: secondary.id, remoteName: secondary.name, ...status }] })
  put(other, { volumes: [...other.group.volumes, { local: secondary.id, localName: secondary.name, remote: volume.id, remoteName: volume.name, ...status }] })
  return { status: body.action === undefined ? 201 : 200, location: `/remotecopygroups/${group.name}/volumes/${volume.name}` }
}

interface Leave {
  readonly volume: string
  readonly keepSnap: boolean
  readonly removeSecondary: boolean
}

const leave = (side: Side, id: number): Side => put(side, { volumes: side.group.volumes.filter(({ local }) => local !== id) })

/** The snapshots that the array made for this volume's sake. */
const forget = (world: World, side: Side, id: number, keepSnap: boolean): void => {
  if (!keepSnap) dropPoints(world, { ...side, group: { ...side.group, volumes: side.group.volumes.filter(({ local }) => local === id) } }, ['syncSnapshot', 'resyncSnapshot'])
  leave(side, id)
}

const dismiss = (world: World, array: SimArray, name: string, { volume: volumeName, keepSnap, removeSecondary }: Leave): void => {
  const group = needGroup(array, name)
  needStoppedPrimary(group)
  const member = group.volumes.find(({ localName }) => localName === volumeName)
  if (member === undefined) throw refuse(array.tables.volumes.get(volumeName) === undefined ? 'volumeMissing' : 'volumeNotInGroup', volumeName)
  const side = { array, group }
  const gone = otherSide(world, group) === undefined
  if (!gone) needReached(world, side)
  forget(world, side, member.local, keepSnap)
  const other = otherSide(world, group)
  if (other === undefined) return
  forget(world, other, member.remote, keepSnap)
  const secondary = volumeById(other.array, member.remote)
  if (!removeSecondary || secondary === undefined) return
  needRemovable(world, other.array, secondary)
  dropVolume(world, other.array, secondary)
}

/** PUT action 2. */
export const dismissByAction: Handler = ({ world, array, params, body: sent }) => {
  const body = read(members({ action: count(2, 2), volumeName: nameOf(31), keepSnap: flag.optional(), removeSecondaryVolume: flag.optional() }), sent)
  needOneOf(body, 'keepSnap', 'removeSecondaryVolume')
  dismiss(world, array, params['name'] ?? '', { volume: body.volumeName, keepSnap: body.keepSnap === true, removeSecondary: body.removeSecondaryVolume === true })
  return {}
}

const dismissByDelete: Handler = ({ world, array, params, query }) => {
  const keepSnap = query.get('keepSnap') === 'true'
  const removeSecondary = query.get('removeSecondaryVolume') === 'true'
  if (keepSnap && removeSecondary) throw refuse('exclusive', 'keepSnap,removeSecondaryVolume')
  dismiss(world, array, params['name'] ?? '', { volume: params['volume'] ?? '', keepSnap, removeSecondary })
  return {}
}

export const membershipRoutes = [
  ['POST', '/remotecopygroups/:name/volumes', admit],
  ['DELETE', '/remotecopygroups/:name/volumes/:volume', dismissByDelete],
] as const satisfies readonly (readonly [string, string, Handler])[]
