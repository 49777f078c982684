/**
 * The actions that change who is primary, as facts 16 and 17 tell them. `P` below is the natural primary, where the group was
 * made, `S` the other array. Records of both sides change in one step when the link is up; while it is down, each side knows
 * only of itself, and what it missed is not made up for.
 */
import * as z from 'zod'
import { count, flag, members, nameOf, read } from '../members.ts'
import { type Answer, type Call, type Group, type Handler, type SimArray, type World } from '../model.ts'
import { isRefused, refuse, type Refused } from '../refusals.ts'
import { startTask } from '../tasks.ts'
import { isPeriodic, linked, needGroup, needReached, otherSide, pairsOf, peerOf, put, reached, replace, without, type Side } from './find.ts'
import { admit, dismissByAction } from './membership.ts'
import { modifyGroup } from './groups.ts'
import { abandonTransfer, beginTransfer, dropPoints, keepResyncPoints, markSynced } from './transfers.ts'

const common = { action: count(), targetName: nameOf(24).optional() }
const option = flag.optional()

const sideOf = ({ array, params }: Call): Side => ({ array, group: needGroup(array, params['name'] ?? '') })

const needTargetName = ({ group }: Side, name: string | undefined): void => {
  if (name !== undefined && name !== group.targetName) throw refuse('targetMissing', name)
}

/** Role changes are tasks of their own type, named after the group; they are done when the answer comes, so observe the group. */
const asTask = ({ world, array }: Call, type: number, { group }: Side): Answer => ({ body: { taskid: startTask(world, array, { type, name: group.name, kind: 'remoteCopy' }, 0) } })

const halt = (world: World, side: Side, snapshots: boolean): Side => {
  if (side.group.role !== 1) return put(side, { state: 5 })
  const ended = abandonTransfer(world, side)
  return put(snapshots ? keepResyncPoints(world, ended) : ended, { state: 5 })
}

/** From both sides' records being as they shall be: started, and on the way to equal. */
const run = (world: World, primary: Side, { synced }: { readonly synced: boolean }): void => {
  const started = replace(primary, { ...without(primary.group, 'failedOver', 'lostLink'), state: 3 })
  const other = otherSide(world, primary.group)
  if (other !== undefined) replace(other, { ...without(other.group, 'failedOver', 'lostLink'), state: 3 })
  const sending = beginTransfer(world, started)
  if (!synced) return
  const idle = dropPoints(world, replace(sending, { ...without(sending.group, 'transfer') }), ['syncSnapshot', 'resyncSnapshot'])
  markSynced(world, idle, world.now())
}

const sameMode = (one: Group, other: Group): boolean => one.mode === other.mode || (isPeriodic(one) && isPeriodic(other))

const start: Handler = (call) => {
  const { world, array } = call
  const body = read(members({ ...common, skipInitialSync: option, startingSnapshots: z.array(members({ volumeName: nameOf(31), snapshotName: nameOf(31) })).optional() }), call.body)
  const side = sideOf(call)
  needTargetName(side, body.targetName)
  const { group } = side
  if (group.role !== 1) throw refuse('onlyPrimary', group.name)
  if (group.state === 3) throw refuse('groupStarted', group.name)
  if (group.volumes.length === 0) throw refuse('groupEmpty', group.name)
  const other = needReached(world, side)
  if (group.state === 7 || other.group.role !== 2 || other.group.reversed !== group.reversed) throw refuse('roleConflict', group.name)
  for (const { volumeName, snapshotName } of body.startingSnapshots ?? []) {
    for (const name of [volumeName, snapshotName]) if (array.tables.volumes.get(name) === undefined) throw refuse('volumeMissing', name)
  }
  if (array.tables.groups.all().some((one) => one.name !== group.name && one.targetName === group.targetName && one.state === 3 && !sameMode(one, group))) throw refuse('mixedModes', group.name)
  run(world, side, { synced: body.skipInitialSync === true })
  return {}
}

const stop: Handler = (call) => {
  const { world, array } = call
  const body = read(members({ ...common, noSnapshot: option }), call.body)
  const side = sideOf(call)
  needTargetName(side, body.targetName)
  if (side.group.state !== 3) {
    if (array.profile.refusesSecondStop) throw refuse('groupNotStarted', side.group.name)
    return {}
  }
  const other = reached(world, side)
  for (const one of other === undefined ? [side] : [side, other]) halt(world, one, body.noSnapshot !== true)
  return {}
}

const synchronise: Handler = (call) => {
  const { world } = call
  const body = read(members({ ...common, noResyncSnapshot: option, fullSync: option }), call.body)
  const side = sideOf(call)
  needTargetName(side, body.targetName)
  if (side.group.role !== 1) throw refuse('onlyPrimary', side.group.name)
  if (side.group.state !== 3) throw refuse('groupNotStarted', side.group.name)
  needReached(world, side)
  // A second request joins the transfer that runs; in synchronous mode equal sides have nothing to send.
  if (side.group.transfer !== undefined || (!isPeriodic(side.group) && side.group.volumes.every(({ syncStatus }) => syncStatus === 3))) return {}
  beginTransfer(world, side)
  return {}
}

const flipped = ({ role, reversed }: Group): Pick<Group, 'role' | 'reversed'> => ({ role: role === 1 ? 2 : 1, reversed: !reversed })

/** Without options: both sides change role and direction. `localGroupsDirection`: only the labels of the array that is asked. */
const reverse: Handler = (call) => {
  const { world } = call
  const body = read(members({ ...common, stopGroups: option, localGroupsDirection: option, noSnapshot: option, skipPromote: option }), call.body)
  const asked = sideOf(call)
  needTargetName(asked, body.targetName)
  if (asked.group.state === 3 && body.stopGroups !== true) throw refuse('groupStarted', asked.group.name)
  const local = body.localGroupsDirection === true
  const other = local ? reached(world, asked) : needReached(world, asked)
  if (!local && other?.group.role === asked.group.role) throw refuse('roleConflict', asked.group.name)
  const sides = (other === undefined ? [asked] : [asked, other]).map((side) => (side.group.state === 3 ? halt(world, side, body.noSnapshot !== true) : side))
  for (const side of local ? sides.slice(0, 1) : sides) put(side, flipped(side.group))
  return asTask(call, 6, asked)
}

const failover: Handler = (call) => {
  const { world, array } = call
  const body = read(members({ ...common, skipStart: option, skipSync: option, discardNewData: option, skipPromote: option, noSnapshot: option }), call.body)
  const side = sideOf(call)
  needTargetName(side, body.targetName)
  if (side.group.role !== 2) throw refuse('onlySecondary', side.group.name)
  if (side.group.state === 3) throw refuse('groupNotStopped', side.group.name)
  const promoted = put(side, { ...flipped(side.group), state: 5, failedOver: true })
  const other = reached(world, side)
  if (array.profile.mirrorsFailover && other !== undefined) {
    put(other, { role: 2, reversed: promoted.group.reversed, state: 5 })
    if (promoted.group.policies['autoSynchronize'] === true && body.skipStart !== true) run(world, promoted, { synced: false })
  }
  return asTask(call, 7, side)
}

/** The side that was failed over keeps its role and sends to the other, whose writes since the split are lost. */
const recover: Handler = (call) => {
  const { world } = call
  const body = read(members({ ...common, skipStart: option, skipSync: option }), call.body)
  const side = sideOf(call)
  needTargetName(side, body.targetName)
  if (side.group.state === 3) throw refuse('groupNotStopped', side.group.name)
  if (side.group.role !== 1 || side.group.failedOver !== true) throw refuse('roleConflict', side.group.name)
  const other = needReached(world, side)
  const demoted = put(dropPoints(world, abandonTransfer(world, other), ['resyncSnapshot']), { role: 2, reversed: side.group.reversed, state: 5 })
  const winner = replace(side, { ...without(side.group, 'failedOver') })
  if (body.skipStart !== true) run(world, { array: winner.array, group: needGroup(winner.array, winner.group.name) }, { synced: body.skipSync === true })
  else put(demoted, { state: 5 })
  return asTask(call, 8, side)
}

/**
 * Back to the natural roles. Steps: 1. roles of both sides, and on P the mark that its bytes are to come from S (with the
 * request); 2. the bytes; 3. the mark goes, the group starts. Killed before 3: the next start does 2 and 3 before anything else.
 */
const restore: Handler = (call) => {
  const { world } = call
  const body = read(members({ ...common, skipStart: option, skipSync: option, noSnapshot: option }), call.body)
  const side = sideOf(call)
  needTargetName(side, body.targetName)
  if (side.group.role !== 1 || !side.group.reversed) throw refuse('other', side.group.name)
  if (side.group.transfer !== undefined) throw refuse('syncRunning', side.group.name)
  const other = needReached(world, side)
  const back = dropPoints(world, abandonTransfer(world, side), ['syncSnapshot', 'resyncSnapshot'])
  const natural = dropPoints(world, abandonTransfer(world, other), ['syncSnapshot', 'resyncSnapshot'])
  replace(back, { ...without(back.group, 'failedOver', 'lostLink'), role: 2, reversed: false, state: 5 })
  replace(natural, { ...without(natural.group, 'failedOver', 'lostLink'), role: 1, reversed: false, state: 5, fill: { bytes: body.skipSync !== true, start: body.skipStart !== true } })
  world.afterCommit.push(() => completeFills(world, natural.array))
  return asTask(call, 9, side)
}

/** Steps 2 and 3 of a restore, wherever it was left. */
export const completeFills = (world: World, array: SimArray): void => {
  for (const group of array.tables.groups.all()) {
    if (group.fill === undefined) continue
    const side = { array, group }
    if (group.fill.bytes) for (const { here, there } of pairsOf(world, side)) world.blocks.copy(there, here)
    const filled = markSynced(world, replace(side, { ...without(group, 'fill') }), world.now())
    if (group.fill.start) run(world, filled, { synced: false })
  }
  world.journal.commit()
}

const switchover: Handler = (call) => {
  const { world } = call
  const body = read(members({ ...common }), call.body)
  const side = sideOf(call)
  needTargetName(side, body.targetName)
  const { group } = side
  if (group.state !== 3) throw refuse('groupNotStarted', group.name)
  const other = needReached(world, side)
  if (group.policies['pathManagement'] !== true || isPeriodic(group) || group.volumes.some(({ syncStatus }) => syncStatus !== 3)) throw refuse('cannotSwitch', group.name)
  for (const one of [side, other]) put(one, flipped(one.group))
  return {}
}

const override: Handler = (call) => {
  const body = read(members({ ...common }), call.body)
  const side = sideOf(call)
  needTargetName(side, body.targetName)
  if (side.group.state !== 7) throw refuse('notFailSafe', side.group.name)
  put(side, { state: 5 })
  return {}
}

/** What groups do when they lose the other side: synchronous ones with automatic failover move, all others stop. */
export const loseLinks = (world: World): void => {
  for (const array of world.arrays) {
    for (const group of array.tables.groups.all().filter(({ state }) => state === 3)) {
      const peer = peerOf(world, group)
      if (linked(world, array, peer)) continue
      const moves = group.policies['autoFailover'] === true && !isPeriodic(group) && group.volumes.every(({ syncStatus }) => syncStatus === 3)
      const stopped = put(halt(world, { array, group }, true), { lostLink: true })
      if (moves) put(stopped, group.role === 1 ? { state: 7 } : { ...flipped(group), failedOver: true })
    }
  }
}

/** Groups with the policy start by themselves when the link is back and the roles still agree. */
export const regainLinks = (world: World): void => {
  for (const array of world.arrays) {
    for (const group of array.tables.groups.all().filter(({ role, state, lostLink }) => role === 1 && state === 5 && lostLink === true)) {
      const other = reached(world, { array, group })
      if (other === undefined || group.policies['autoRecover'] !== true || other.group.role !== 2 || other.group.reversed !== group.reversed) continue
      run(world, { array, group }, { synced: false })
    }
  }
}

const puts: Readonly<Record<number, Handler>> = { 1: admit, 2: dismissByAction, 3: start, 4: stop, 5: synchronise }
const posts: Readonly<Record<number, Handler>> = { 6: reverse, 7: failover, 8: switchover, 9: recover, 10: restore, 11: override }

const byAction = (table: Readonly<Record<number, Handler>>, otherwise: Handler): Handler => (call) => {
  const action = typeof call.body === 'object' && call.body !== null && 'action' in call.body ? call.body.action : undefined
  if (action === undefined || action === null) return otherwise(call)
  if (typeof action !== 'number') throw refuse('wrongType', 'action')
  const handler = table[action]
  if (handler === undefined) throw refuse('badChoice', 'action')
  try {
    return handler(call)
  } catch (error) {
    // An option of another action is not unknown, it is out of place (facts 16).
    throw isForeignOption(error) ? refuse('exclusive', error.wsapi.ref) : error
  }
}

const options = new Set(['skipStart', 'skipSync', 'discardNewData', 'skipPromote', 'noSnapshot', 'stopGroups', 'localGroupsDirection', 'skipInitialSync', 'startingSnapshots', 'noResyncSnapshot', 'fullSync'])
const isForeignOption = (error: unknown): error is Refused => isRefused(error) && error.wsapi.code === 12 && options.has(error.wsapi.ref ?? '')

export const roleRoutes = [
  ['PUT', '/remotecopygroups/:name', byAction(puts, modifyGroup)],
  ['POST', '/remotecopygroups/:name', byAction(posts, () => {
    throw refuse('memberMissing', 'action')
  })],
] as const satisfies readonly (readonly [string, string, Handler])[]
