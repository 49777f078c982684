/** Handing a volume out as a VDI: presented to this host, logged in to, proven to be the one; and all of it back again. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { StoragePort } from '../../core/array/types.ts'
import { page83Of, parseWwid } from '../../core/array/wwid.ts'
import type { Attachment, Ctx } from '../../core/contract.ts'
import { StorageError, toStorageError } from '../../core/errors.ts'
import type { VdiUuid } from '../../core/ids.ts'
import { rescan } from '../../host/iscsi/session.ts'
import { multipathRuns, removeMap } from '../../host/multipath/maps.ts'
import { deleteDisk } from '../../host/scsi/actions.ts'
import { mapOn } from '../../host/scsi/disks.ts'
import { lunIdentity, vdiOfLun } from '../../host/scsi/identity.ts'
import { connect, disconnect, sessionsOf } from '../iscsi-targets/connect.ts'
import { usersNamed, type NamedUser } from '../iscsi-targets/marks.ts'
import { pathsOf } from '../iscsi-targets/source.ts'
import { shortDigest, targetOf, type Target } from '../iscsi-targets/target.ts'
import { attachLun, detachLun } from '../raw-luns/attach.ts'
import type { Lun } from '../raw-luns/lun.ts'
import { seeLuns, type SeenFrom } from '../raw-luns/source.ts'
import { findGroup, needGroup, type Connection } from './host-group.ts'
import { layer, type VdiNote } from './notes.ts'
import { accessOf, presentableOf, type Presentable } from './objects.ts'
import { readSr } from './place.ts'
import type { Side } from './sides.ts'
import type { ArrayStore } from './store.ts'

export const driverType = 'array'

/** As long as another VDI may take for its logins. */
const lockWaitMs = 120_000

/**
 * Between taking disks away and taking their presentations away nobody of this host may look at the target: the kernel would find them again,
 * and keep disks that lead nowhere.
 */
const alone = async <T>(ctx: Ctx, purpose: string, work: () => Promise<T>): Promise<T> => {
  const held = await ctx.host.exclusive('array-volumes', purpose, lockWaitMs, ctx.signal)
  try {
    return await work()
  } finally {
    held.release()
  }
}

/** Who uses a target for a VDI, as a mark: the name leads back to it after a crash. */
const usersPrefix = (ctx: Ctx, vdi?: VdiUuid): string => `${ctx.sr}-${vdi === undefined ? '' : `${vdi}-`}`
const userName = (ctx: Ctx, vdi: VdiUuid, iqn: string): string => `${usersPrefix(ctx, vdi)}${shortDigest(iqn)}`

const target = async (ctx: Ctx, { conflictDelay: _delay, ...connection }: Connection, iqn: string, portals: readonly string[]): Promise<Target> =>
  targetOf(ctx, { ...connection, target: portals.join(','), targetIQN: iqn, port: undefined, usediscoverynumber: undefined })

const portalOf = ({ address = '', port = 0 }: StoragePort): string => (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`)

/** One target a name; arrays have a name of its own for each port, or one for all. */
const targetsOf = async (ctx: Ctx, side: Side, connection: Connection, presentable: Presentable): Promise<readonly Target[]> => {
  const named = new Set((await accessOf(side).presentations(ctx, [presentable.id])).flatMap(({ targets }) => targets))
  const ports = (await side.array.ports(ctx)).filter(({ kind, online, name }) => kind === 'iscsi' && online && (named.size === 0 || named.has(name)))
  if (ports.length === 0) {
    throw new StorageError('unreachable', `${side.name} has no iSCSI port that is online${named.size === 0 ? '' : ` and shows the volume (${[...named].join(', ')})`}`, {
      layer, remedy: `See its ports: smctl array info ${side.name}`,
    })
  }
  const byName = new Map<string, StoragePort[]>()
  for (const port of ports) byName.set(port.name, [...(byName.get(port.name) ?? []), port])
  return Promise.all([...byName].map(async ([iqn, all]) => target(ctx, connection, iqn, all.map(portalOf))))
}

const seenThrough = (targets: readonly Target[], connection: Connection): SeenFrom => ({
  driver: driverType, target: targets[0]?.iqn ?? '', multipath: connection.multipath,
  paths: async (ctx) => (await Promise.all(targets.map(async (one) => pathsOf(ctx, await sessionsOf(ctx, one))))).flat(),
})

/** All targets where several paths are wanted, else the first that lets this host in. A dead one is passed over while another one works. */
const logIn = async (ctx: Ctx, vdi: VdiUuid, targets: readonly Target[], connection: Connection, scsiId: string): Promise<readonly Target[]> => {
  const all = connection.multipath === 'yes' || (connection.multipath === 'auto' && (await multipathRuns(ctx)))
  const up: Target[] = []
  let failure: unknown
  for (const one of targets) {
    if (up.length > 0 && !all) break
    try {
      const { sessions, opened } = await connect(ctx, one, userName(ctx, vdi, one.iqn), { driver: driverType, iqn: one.iqn, initiator: one.initiator, scsiId })
      if (opened === 0) await rescan(ctx, sessions)
      up.push(one)
    } catch (error) {
      if (!(error instanceof StorageError) || error.kind !== 'unreachable') throw error
      ctx.log.warn({ target: one.iqn }, error.message)
      failure ??= error
    }
  }
  if (up.length === 0) throw failure
  return up
}

const lookTries = 50

/** The LUN with that identity; it comes some time after its presentation. */
const findLun = async (ctx: Ctx, source: SeenFrom, targets: readonly Target[], scsiId: string, what: string): Promise<Lun> => {
  for (let attempt = 0; ; attempt += 1) {
    const lun = (await seeLuns(ctx, source)).luns.find(({ identity }) => identity.scsiId === scsiId)
    if (lun !== undefined) return lun
    if (attempt >= lookTries) {
      throw new StorageError('placeMissing', `${what} is presented to this host, but no LUN of ${targets.map(({ iqn }) => iqn).join(', ')} states its identity ${scsiId}`, {
        layer, mayHaveChanged: true, remedy: 'See on the array whether another initiator name of this host is meant (localIQN), and the kernel log', details: { scsi_id: scsiId },
      })
    }
    await sleep(100, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted())
    if (attempt % 5 === 4) for (const one of targets) await rescan(ctx, await sessionsOf(ctx, one))
  }
}

/** Groups of other hosts. Waits for them to let go, so long as it was said; takes it away from them only when it was said. */
const settleConflict = async (ctx: Ctx, side: Side, connection: Connection, vdi: VdiUuid, note: VdiNote, own: string, found: Presentable): Promise<void> => {
  const others = (one: Presentable): readonly string[] => one.presentedTo.filter((group) => group !== own)
  if (note.shareable || note.kind === 'snapshot' || others(found).length === 0) return
  const { conflictDelay } = connection
  const deadline = performance.now() + (conflictDelay ?? 0) * 1000
  let now = found
  while (others(now).length > 0 && performance.now() < deadline) {
    await sleep(1000, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted())
    now = await presentableOf(ctx, side, vdi, note)
  }
  const left = others(now)
  if (left.length === 0) return
  if (conflictDelay === undefined) {
    throw new StorageError('busy', `VDI ${vdi} is presented to ${left.join(', ')} on ${side.name}: another host has it attached`, {
      layer, field: 'vdi_uuid', remedy: 'Detach it there; or set mount_conflict_delay in the device_config, after which it is taken away from that host', details: { vdi_uuid: vdi, groups: left.join(',') },
    })
  }
  ctx.log.warn({ vdi, groups: left, waited_seconds: conflictDelay }, 'the VDI is taken away from another host that did not let go of it (mount_conflict_delay)')
  await accessOf(side).unpresent(ctx, now.id, left)
}

const scsiIdOf = ({ wwid, id }: Presentable): string => {
  const parsed = parseWwid(wwid)
  if (parsed !== undefined) return page83Of(parsed)
  throw new StorageError('identityMismatch', `The array tells an identity of ${id} that is none: ${wwid.slice(0, 64)}`, { layer, remedy: 'Report this with the type and release of the array' })
}

/** Attached before a failover and not detached since: the consumer has the disk of the other array, and must not get a second one beside it. */
const refuseSecondDisk = async (ctx: Ctx, { array, name }: Side, vdi: VdiUuid): Promise<void> => {
  const users = await usersNamed(ctx, usersPrefix(ctx, vdi))
  if (users.length === 0) return
  const ports = new Set((await array.ports(ctx)).map((port) => port.name))
  const elsewhere = users.find(({ iqn }) => !ports.has(iqn))
  if (elsewhere === undefined) return
  throw new StorageError('busy', `VDI ${vdi} is served by ${name} now, but this host still holds its disk of another array (target ${elsewhere.iqn})`, {
    layer, field: 'vdi_uuid', remedy: `Stop what uses it, then: smctl vdi detach ${ctx.sr} ${vdi}`, details: { vdi_uuid: vdi, target: elsewhere.iqn },
  })
}

/**
 * At the active side. Steps: 1. the access group of this host; 2. another host's use is settled; 3. present; 4. a mark a target, and login; 5. find the LUN by
 * identity and hand it out (raw-luns/attach.ts). A failure takes 4 and 3 back. After a crash the marks lead to everything: a repeat goes on, a detach takes it back.
 */
export const attachVdi = async (ctx: Ctx, store: ArrayStore, vdi: VdiUuid, mode: 'ro' | 'rw'): Promise<Attachment> => {
  const { connection, pair } = store
  const { active } = await pair.sides(ctx)
  const note = (await readSr(ctx, pair.pool, active)).vdis.get(vdi)
  if (note === undefined) throw new StorageError('notFound', `There is no VDI ${vdi}`, { layer, field: 'vdi_uuid', remedy: `smctl sr scan ${ctx.sr}` })
  return alone(ctx, `attach ${vdi}`, async () => {
    await refuseSecondDisk(ctx, active, vdi)
    const group = await needGroup(ctx, active, connection)
    const found = await presentableOf(ctx, active, vdi, note)
    const scsiId = scsiIdOf(found)
    await settleConflict(ctx, active, connection, vdi, note, group, found)
    const before = found.presentedTo.includes(group)
    try {
      if (!before) await accessOf(active).present(ctx, found.id, [group])
      const targets = await logIn(ctx, vdi, await targetsOf(ctx, active, connection, found), connection, scsiId)
      const source = seenThrough(targets, connection)
      const attached = await attachLun(ctx, source, await findLun(ctx, source, targets, scsiId, `Volume ${note.called}`), note.kind === 'snapshot' ? 'ro' : mode, vdi)
      return { ...attached, driverData: { ...attached.driverData, array: active.name, volume: found.id } }
    } catch (error) {
      if (!before) {
        await takeBack(ctx, store, vdi, [active]).catch((left: unknown) => ctx.log.warn({ vdi, left: toStorageError(left, layer).message }, 'a failed attachment was not fully taken back; a detach does it'))
      }
      throw error
    }
  })
}

/** As the uuid that a claim on it has. */
const lunVdiOf = (scsiId: string, source: SeenFrom): VdiUuid | undefined => {
  const identity = lunIdentity(`${scsiId.startsWith('3') ? 'naa' : 'eui'}.${scsiId.slice(1)}`)
  return identity === undefined ? undefined : vdiOfLun(identity, source.target)
}

/** The disks of this host go before what they lead to: the map first, then each path, dead ones as well. */
const takeDisks = async (ctx: Ctx, vdi: VdiUuid, users: readonly NamedUser[], targets: readonly Target[], connection: Connection): Promise<void> => {
  const source = seenThrough(targets, connection)
  for (const scsiId of new Set(users.flatMap((user) => user.scsiId ?? []))) {
    const lun = lunVdiOf(scsiId, source)
    if (lun !== undefined) await detachLun(ctx, source, lun, vdi)
    const disks = (await source.paths(ctx)).map(({ disk }) => disk).filter(({ identity }) => identity?.scsiId === scsiId)
    const maps = new Map((await Promise.all(disks.map(async (disk) => mapOn(ctx.host.files, disk)))).flatMap((map) => (map === undefined ? [] : [[map.name, map] as const])))
    for (const map of maps.values()) await removeMap(ctx, map)
    for (const disk of disks) await deleteDisk(ctx, disk)
  }
}

const unpresent = async (ctx: Ctx, { connection, pair }: ArrayStore, vdi: VdiUuid, side: Side): Promise<void> => {
  const note = (await readSr(ctx, pair.pool, side)).vdis.get(vdi)
  if (note === undefined || (note.object === 'snapshot' && note.part === undefined)) return
  const found = await presentableOf(ctx, side, vdi, note).catch((error: unknown) => {
    if (error instanceof StorageError && (error.kind === 'placeMissing' || error.kind === 'notFound')) return undefined
    throw error
  })
  if (found === undefined || found.presentedTo.length === 0) return
  const own = await findGroup(ctx, side, connection)
  if (own !== undefined && found.presentedTo.includes(own)) await accessOf(side).unpresent(ctx, found.id, [own])
}

const usedTargets = async (ctx: Ctx, { connection }: ArrayStore, users: readonly NamedUser[]): Promise<readonly Target[]> =>
  Promise.all([...new Set(users.map(({ iqn }) => iqn))].map(async (iqn) => target(ctx, connection, iqn, ['0.0.0.0'])))

/** The caller holds the host's lock. Each step treats "gone" as done. */
const takeBack = async (ctx: Ctx, store: ArrayStore, vdi: VdiUuid, sides: readonly Side[]): Promise<void> => {
  const users = await usersNamed(ctx, usersPrefix(ctx, vdi))
  const targets = await usedTargets(ctx, store, users)
  await takeDisks(ctx, vdi, users, targets, store.connection)
  for (const side of sides) await unpresent(ctx, store, vdi, side)
  for (const one of targets) await disconnect(ctx, one, userName(ctx, vdi, one.iqn))
}

/**
 * Steps: 1. refuse while in use, flush, let go of the claim; 2. the disks go out of the system; 3. the presentations to this host, on every array that answers;
 * 4. the use of each target ends, which logs out after the last one. With the array gone 3 fails, and `letGoVdi` does the rest.
 */
export const detachVdi = async (ctx: Ctx, store: ArrayStore, vdi: VdiUuid): Promise<void> => {
  const sides = await store.pair.reachable(ctx)
  if (sides.length === 0) throw new StorageError('unreachable', 'No array of the SR answers', { layer, remedy: 'See to the arrays and the network' })
  await alone(ctx, `detach ${vdi}`, async () => takeBack(ctx, store, vdi, sides))
}

/** Without the arrays: what is presented stays so, until the VDI is attached or deleted from this host again. */
export const letGoVdi = async (ctx: Ctx, store: ArrayStore, vdi: VdiUuid): Promise<void> => alone(ctx, `let go of ${vdi}`, async () => takeBack(ctx, store, vdi, []))

/** Of an SR that is detached nothing is attached: what crashes left of it on this host goes. */
export const letGoAll = async (ctx: Ctx, store: ArrayStore): Promise<void> => {
  const prefix = usersPrefix(ctx)
  const vdis = new Set((await usersNamed(ctx, prefix)).map(({ name }) => name.slice(prefix.length, prefix.length + 36)))
  const sides = await store.pair.reachable(ctx).catch((error: unknown) => {
    ctx.signal.throwIfAborted()
    ctx.log.warn({ left: toStorageError(error, layer).message }, 'the arrays of the SR do not answer; what is presented to this host stays so')
    return []
  })
  for (const vdi of vdis) await alone(ctx, `detach ${vdi}`, async () => takeBack(ctx, store, vdi as VdiUuid, sides))
}
