/** Snapshots and physical copies of volumes, their promotion, and the other actions on a volume (facts 6 and 7). */
import * as z from 'zod'
import { needCpg, needRoom, needRoomFor } from './cpgs.ts'
import { choice, count, flag, hours, members, nameOf, needOneOf, read, text } from './members.ts'
import { bytesKey, needLicence, type Answer, type Call, type Handler, type Volume } from './model.ts'
import { refuse } from './refusals.ts'
import { activeTask, applyOnline, cancelTask, needIdle, startTask } from './tasks.ts'
import { addSnapshot, addVolume, exportsOf, groupOf, needVolume, volumeById } from './volume-records.ts'
import { growVolume, kindOf, modifyVolume, timesOf } from './volumes.ts'

const snapshotParameters = { id: count(1).optional(), comment: text(511).optional(), readOnly: flag.optional(), expirationHours: hours.optional(), retentionHours: hours.optional() }
const snapshotRequest = members({ action: z.literal('createSnapshot'), parameters: members({ name: nameOf(31), ...snapshotParameters }) })

/** Throws when the volume cannot have such a snapshot. */
const needSnapshotable = ({ array }: Pick<Call, 'array'>, parent: Volume, readOnly: boolean): void => {
  needLicence(array, 'Virtual Copy')
  if (parent.readOnly && readOnly) throw refuse('readOnlyParent', parent.name)
  if (array.profile.needsSnapCpg && parent.snapCpg === undefined) throw refuse('noSnapCpg', parent.name)
}

const createSnapshot: Handler = (call) => {
  const { array, tables, world } = call
  const { parameters } = read(snapshotRequest, call.body)
  const times = timesOf(world, parameters)
  const parent = needVolume(array, call.params['name'] ?? '')
  if (tables.volumes.get(parameters.name) !== undefined) throw refuse('volumeExists', parameters.name)
  if (parameters.id !== undefined && tables.volumes.all().some(({ id }) => id === parameters.id)) throw refuse('idExists', 'id')
  needSnapshotable(call, parent, parameters.readOnly === true)
  addSnapshot(world, array, parent, parameters.name, { readOnly: parameters.readOnly === true, id: parameters.id, comment: parameters.comment, ...times })
  return { status: 201, location: `/volumes/${parameters.name}` }
}

/** A set's snapshots at one instant; `@count@` in the name is the number of the member. */
export const createSetSnapshot: Handler = (call) => {
  const { parameters } = read(members({ action: z.literal('createSnapshot'), parameters: members({ name: z.string().min(1).max(31), ...snapshotParameters }) }), call.body)
  const times = timesOf(call.world, parameters)
  const set = call.tables.volumeSets.get(call.params['name'] ?? '')
  if (set === undefined) throw refuse('setMissing', call.params['name'])
  if (set.members.length === 0) throw refuse('setEmpty', set.name)
  const wanted = set.members.map((name, index) => ({ parent: needVolume(call.array, name), name: parameters.name.replaceAll('@count@', String(index)) }))
  for (const { parent, name } of wanted) {
    read(members({ name: nameOf(31) }), { name })
    if (call.tables.volumes.get(name) !== undefined || wanted.filter((other) => other.name === name).length > 1) throw refuse('volumeExists', name)
    needSnapshotable(call, parent, parameters.readOnly === true)
  }
  for (const { parent, name } of wanted) addSnapshot(call.world, call.array, parent, name, { readOnly: parameters.readOnly === true, comment: parameters.comment, ...times })
  return { status: 201, location: `/volumesets/${set.name}` }
}

const copyRequest = members({
  action: z.literal('createPhysicalCopy'),
  parameters: members({
    online: flag.optional(), destVolume: nameOf(31), destCPG: nameOf(31).optional(), tpvv: flag.optional(), tdvv: flag.optional(), snapCPG: nameOf(31).optional(), compression: flag.optional(),
    reduce: flag.optional(), saveSnapshot: flag.optional(), priority: choice(1, 2, 3).optional(),
  }),
})
type CopyParameters = z.output<typeof copyRequest>['parameters']

/** The destination is made and has the source's bytes at once; the task only says how long an array would be at it. */
const onlineCopy = ({ world, array, tables }: Call, source: Volume, wish: CopyParameters): Answer => {
  if (wish.destCPG === undefined) throw refuse('memberMissing', 'destCPG')
  const kind = kindOf(array, wish, source.sizeMiB)
  needCpg(array, wish.destCPG)
  if (tables.volumes.get(wish.destVolume) !== undefined) throw refuse('volumeExists', wish.destVolume)
  needRoom(world, array, wish.destCPG, kind.provisioning === 1 ? source.sizeMiB : world.blocks.used(bytesKey(array, source.id)) / 1_048_576)
  const made = addVolume(world, array, {
    name: wish.destVolume, cpg: wish.destCPG, sizeMiB: source.sizeMiB, ...kind, copyType: 2, physicalParent: source.id, ...(wish.snapCPG === undefined ? {} : { snapCpg: wish.snapCPG }),
  })
  world.blocks.copy(bytesKey(array, source.id), bytesKey(array, made.id))
  const taskid = startTask(world, array, { type: 18, name: made.name, kind: 'copy', source: source.id, destination: made.id }, world.durations.copyMs)
  return { status: 201, body: { taskid }, location: `/volumes/${made.name}` }
}

/** The bytes arrive when the task ends; until then the destination is as it was, and nobody may export it. */
const offlineCopy = ({ world, array, tables }: Call, source: Volume, wish: CopyParameters): Answer => {
  for (const name of ['destCPG', 'tpvv', 'tdvv', 'snapCPG', 'compression', 'reduce'] as const) if (wish[name] !== undefined) throw refuse('exclusive', name)
  const destination = needVolume(array, wish.destVolume)
  if (destination.sizeMiB < source.sizeMiB) throw refuse('copySize', wish.destVolume)
  if (exportsOf(array, destination).length > 0) throw refuse('exportedVlun', wish.destVolume)
  if (groupOf(array, destination) !== undefined) throw refuse('inGroup', wish.destVolume)
  needIdle(array, destination)
  needRoomFor(world, array, destination, world.blocks.used(bytesKey(array, source.id)))
  // The copy shows the source as it is now, whatever is written until the task ends.
  const saved = addSnapshot(world, array, source, `vvcp.${destination.id}.${source.id}.${tables.values.get('lastId:task') ?? 0}`, { readOnly: true })
  tables.volumes.put(destination.name, { ...destination, copyType: 2, physicalParent: source.id, ...(wish.saveSnapshot === true ? { savedSnapshot: saved.name } : {}) })
  const taskid = startTask(world, array, { type: 1, name: destination.name, kind: 'copy', source: saved.id, destination: destination.id, ...(wish.priority === undefined ? {} : { priority: wish.priority }) }, world.durations.copyMs)
  return { status: 201, body: { taskid }, location: `/volumes/${destination.name}` }
}

const createPhysicalCopy: Handler = (call) => {
  const { parameters } = read(copyRequest, call.body)
  const source = needVolume(call.array, call.params['name'] ?? '')
  return parameters.online === true ? onlineCopy(call, source, parameters) : offlineCopy(call, source, parameters)
}

const postVolume: Handler = (call) => {
  const action = typeof call.body === 'object' && call.body !== null && 'action' in call.body ? call.body.action : undefined
  if (action === undefined) throw refuse('memberMissing', 'action')
  if (typeof action !== 'string') throw refuse('wrongType', 'action')
  if (action === 'createSnapshot') return createSnapshot(call)
  if (action === 'createPhysicalCopy') return createPhysicalCopy(call)
  throw refuse('badChoice', 'action')
}

const promotion = members({ action: count(4, 4), online: flag.optional(), priority: choice(1, 2, 3).optional(), allowRemoteCopyParent: flag.optional(), target: nameOf(31).optional() })

/** The parent, or an older one that `target` names. */
const targetOf = (call: Call, snapshot: Volume, name: string | undefined): Volume => {
  const parent = volumeById(call.array, snapshot.parent)
  if (parent === undefined) throw refuse('volumeType', snapshot.name)
  return name === undefined || name === parent.name ? parent : targetOf(call, parent, name)
}

const promote: Handler = (call) => {
  const { world, array } = call
  const body = read(promotion, call.body)
  const snapshot = needVolume(array, call.params['name'] ?? '')
  if (snapshot.provisioning !== 3) throw refuse('volumeType', snapshot.name)
  if (body.online === true && body.priority !== undefined) throw refuse('inUse', 'online,priority')
  const target = targetOf(call, snapshot, body.target)
  const group = groupOf(array, target)
  if (group !== undefined && (group.state !== 5 || body.allowRemoteCopyParent !== true)) throw refuse('inGroup', target.name)
  if (body.online !== true && exportsOf(array, target).length > 0) throw refuse('parentExported', target.name)
  needIdle(array, target)
  needIdle(array, snapshot)
  needRoomFor(world, array, target, 0)
  const taskid = startTask(world, array, { type: 4, name: snapshot.name, kind: 'promote', source: snapshot.id, destination: target.id, ...(body.online === true ? { applied: false } : {}) }, world.durations.promoteMs)
  if (body.online === true) world.afterCommit.push(() => applyOnline(world, array))
  return { body: { taskid } }
}

const stopPromotion: Handler = ({ world, array, params }) => {
  const volume = needVolume(array, params['name'] ?? '')
  const task = activeTask(array, volume, ['promote'])
  if (task === undefined) throw refuse('noPromote', volume.name)
  cancelTask(world, array, task)
  return {}
}

const stopCopy: Handler = ({ world, array, params }) => {
  const volume = needVolume(array, params['name'] ?? '')
  const task = activeTask(array, volume, ['copy', 'resync'])
  if (task === undefined || task.type === 18) throw refuse('other', volume.name)
  cancelTask(world, array, task)
  return {}
}

const resyncCopy: Handler = ({ world, array, params, tables }) => {
  const volume = needVolume(array, params['name'] ?? '')
  const source = volumeById(array, volume.physicalParent)
  if (volume.savedSnapshot === undefined || source === undefined || tables.volumes.get(volume.savedSnapshot) === undefined) throw refuse('noSavedSnapshot', volume.name)
  needIdle(array, volume)
  return { body: { taskid: startTask(world, array, { type: 2, name: volume.name, kind: 'resync', source: source.id, destination: volume.id }, world.durations.copyMs) } }
}

const tune: Handler = (call) => {
  const { world, array, tables } = call
  const body = read(members({
    action: count(6, 6), tuneOperation: choice(1, 2), userCPG: nameOf(31).optional(), snapCPG: nameOf(31).optional(), conversionOperation: choice(1, 2, 3, 4).optional(),
    keepVV: nameOf(31).optional(), compression: flag.optional(),
  }), call.body)
  const volume = needVolume(array, call.params['name'] ?? '')
  const wanted = body.tuneOperation === 1 ? body.userCPG : body.snapCPG
  if (wanted === undefined) throw refuse('memberMissing', body.tuneOperation === 1 ? 'userCPG' : 'snapCPG')
  needCpg(array, wanted)
  needIdle(array, volume)
  const converted = body.conversionOperation === undefined ? {} : { provisioning: ([2, 1, 6, 6] as const)[body.conversionOperation - 1] ?? volume.provisioning, compression: body.conversionOperation === 4 || body.compression === true }
  tables.volumes.put(volume.name, { ...volume, ...(body.tuneOperation === 1 ? { cpg: wanted, ...converted } : { snapCpg: wanted }) })
  return { body: { taskid: startTask(world, array, { type: body.conversionOperation === undefined ? 3 : 19, name: volume.name, kind: 'tune', source: volume.id }, world.durations.copyMs) } }
}

/** The snapshot shows its parent as it is now: an empty list of own blocks is exactly that. */
const refresh: Handler = ({ world, array, params, tables }) => {
  const snapshot = needVolume(array, params['name'] ?? '')
  const parent = volumeById(array, snapshot.parent)
  if (parent === undefined) throw refuse('volumeType', snapshot.name)
  if (exportsOf(array, snapshot).length > 0) throw refuse('exportedVlun', snapshot.name)
  if (tables.volumes.all().some((volume) => volume.parent === snapshot.id)) throw refuse('hasChild', snapshot.name)
  needIdle(array, snapshot)
  world.afterCommit.push(() => world.blocks.create(bytesKey(array, snapshot.id), parent.sizeMiB * 1_048_576, bytesKey(array, parent.id)))
  tables.volumes.put(snapshot.name, { ...snapshot, createdMs: world.now(), sizeMiB: parent.sizeMiB })
  return {}
}

const actions: Readonly<Record<number, Handler>> = { 1: stopCopy, 2: resyncCopy, 3: growVolume, 4: promote, 5: stopPromotion, 6: tune, 7: refresh }

const putVolume: Handler = (call) => {
  if (typeof call.body !== 'object' || call.body === null || !('action' in call.body) || call.body.action === null) return modifyVolume(call)
  const { action } = call.body
  if (typeof action !== 'number') throw refuse('wrongType', 'action')
  const handler = actions[action]
  if (handler === undefined) throw refuse('badChoice', 'action')
  if (action !== 4) needOneOf(call.body, 'action', 'newName')
  return handler(call)
}

export const copyRoutes = [
  ['POST', '/volumes/:name', postVolume],
  ['PUT', '/volumes/:name', putVolume],
] as const satisfies readonly (readonly [string, string, Handler])[]
