/**
 * Being logged in to a target while somebody on this host needs it. Several SRs may share one session; it is logged out by the
 * last of them, when it was opened by us. Everything here runs under a lock of this host for that target.
 */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { formatPortal, type TargetPortal } from '../../host/iscsi/portal.ts'
import { makeRecord, readRecord, restoreRecord } from '../../host/iscsi/records.ts'
import { login, logout, makeFace, removeFace, rescan, settledDisks } from '../../host/iscsi/session.ts'
import { disksOf, isUp, readSessions, sessionTo, type IscsiSession } from '../../host/iscsi/sessions.ts'
import { readMounts } from '../../host/mount/mountinfo.ts'
import { multipathRuns, removeMap } from '../../host/multipath/maps.ts'
import { mapOn } from '../../host/scsi/disks.ts'
import { addUser, dropDeadMarks, markName, openedSessions, portalOfMark, putOpened, readOpened, removeOpened, removeUser, usersOfTarget, type TargetUser } from './marks.ts'
import { discoverAll, portalsOf, shortDigest, type Target } from './target.ts'

const layer = 'store:iscsi-targets'
/** As long as another call may need for its logins. */
const lockWaitMs = 120_000

/** Seconds that I/O waits for a lost session: with several paths the next one should be tried soon, with one there is nothing else to do than wait. */
const replacementTimeouts = { several: 15, one: 120 } as const

const underTargetLock = async <T>(ctx: Ctx, iqn: string, purpose: string, work: () => Promise<T>): Promise<T> => {
  const held = await ctx.host.exclusive(`iscsi-${shortDigest(iqn)}`, `${purpose} ${iqn}`, lockWaitMs, ctx.signal)
  try {
    return await work()
  } finally {
    held.release()
  }
}

/** Sessions of this host to the target under that initiator name, whoever opened them. */
export const sessionsOf = async (ctx: Ctx, { iqn, initiator }: Pick<Target, 'iqn' | 'initiator'>): Promise<readonly IscsiSession[]> =>
  (await readSessions(ctx.host.files)).filter((session) => session.iqn === iqn && session.initiator === initiator)

/** Whether to log in to every portal; fails when maps are demanded and nobody would make them. */
const wantsAll = async (ctx: Ctx, target: Target): Promise<boolean> => {
  if (target.multipath === 'no') return false
  const runs = await multipathRuns(ctx)
  if (runs || target.multipath === 'auto') return runs
  throw new StorageError('toolFailed', 'multipath=yes, but multipathd does not run on this host', {
    layer, field: 'device_config.multipath', remedy: 'Start it: systemctl enable --now multipathd; or set multipath=no',
  })
}

/**
 * Steps: 1. mark that the session will be ours, with the record as it was; 2. our record; 3. login; 4. the session's number into
 * the mark. After a crash the mark leads to the session and to the record, whatever was done.
 */
const openSession = async (ctx: Ctx, target: Target, portal: TargetPortal, several: boolean): Promise<IscsiSession> => {
  const name = markName(target.iqn, portal, target.face)
  // A mark that is there already knows what was before us; the record of now is ours.
  const known = await readOpened(ctx, name)
  const opened = {
    iqn: target.iqn, address: portal.address, port: portal.port, group: portal.group, face: target.face, initiator: target.initiator,
    before: known === undefined ? ((await readRecord(ctx, portal, target.face)) ?? null) : known.before,
  }
  await putOpened(ctx, name, opened)
  await makeRecord(ctx, portal, target.face, {
    loginTimeout: target.loginTimeout, replacementTimeout: target.replacementTimeout ?? replacementTimeouts[several ? 'several' : 'one'],
    ...(target.chap === undefined ? {} : { chap: target.chap }),
  })
  const session = await login(ctx, portal, target.face, target.initiator, target.loginTimeout)
  await putOpened(ctx, name, { ...opened, sid: session.sid })
  return session
}

const isUnreachable = (error: unknown): error is StorageError => error instanceof StorageError && error.kind === 'unreachable'

/** Logs in to all of the portals at once, or to the first that answers. A portal that is dead is passed over while another one works. */
const openSessions = async (ctx: Ctx, target: Target, portals: readonly TargetPortal[], all: boolean): Promise<readonly IscsiSession[]> => {
  const present = await readSessions(ctx.host.files)
  const open = async (portal: TargetPortal): Promise<IscsiSession> => {
    const there = sessionTo(present, target.iqn, target.initiator, portal)
    if (there === undefined) return openSession(ctx, target, portal, all)
    if (isUp(there)) return there
    throw new StorageError('unreachable', `Session ${there.sid} to ${target.iqn} at ${formatPortal(portal)} is ${there.state}: it is being recovered`, {
      layer, remedy: 'See whether the array and the network are well; the session comes back by itself',
    })
  }
  const up: IscsiSession[] = []
  const dead: StorageError[] = []
  const settle = async (portal: TargetPortal): Promise<void> => {
    try {
      up.push(await open(portal))
    } catch (error) {
      if (!isUnreachable(error)) throw error
      ctx.log.warn({ portal: formatPortal(portal), target: target.iqn }, error.message)
      dead.push(error)
    }
  }
  if (all) {
    const failed = (await Promise.allSettled(portals.map(settle))).find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  } else {
    for (const portal of portals) if (up.length === 0) await settle(portal)
  }
  const [first] = dead
  if (up.length === 0 && first !== undefined) throw first
  return up
}

/** Takes away what marks of this target speak of and nothing needs: records of sessions that are no more, an interface without session. */
const tidy = async (ctx: Ctx, target: Pick<Target, 'iqn' | 'face'>): Promise<void> => {
  await dropDeadMarks(ctx)
  const sessions = await readSessions(ctx.host.files)
  for (const { name, opened, session } of await openedSessions(ctx, sessions)) {
    if (opened.iqn !== target.iqn || session !== undefined) continue
    // Somebody else may have logged in there meanwhile: then the record is theirs now.
    if (!sessions.some((one) => markName(one.iqn, one.portal, one.face) === name)) await restoreRecord(ctx, portalOfMark(opened), opened.face, opened.before ?? undefined)
    await removeOpened(ctx, name)
  }
  if (target.face !== 'default' && !sessions.some(({ face }) => face === target.face)) await removeFace(ctx, target.face)
}

/**
 * Logs out what we opened and nobody but `leaving` needs. What the kernel has built on its disks (volumes, mounts) must be gone: the disks
 * would die under it, without a word.
 */
const closeSessions = async (ctx: Ctx, target: Pick<Target, 'iqn' | 'initiator' | 'face'>, leaving?: string): Promise<void> => {
  if ((await usersOfTarget(ctx, target)).some(({ name }) => name !== leaving)) return
  const sessions = await sessionsOf(ctx, target)
  const ours = (await openedSessions(ctx, sessions)).flatMap(({ session }) => (session === undefined ? [] : [session]))
  const disks = (await Promise.all(ours.map(async (session) => (await disksOf(ctx.host.files, session)).disks))).flat()
  const maps = new Map((await Promise.all(disks.map(async (disk) => mapOn(ctx.host.files, disk)))).flatMap((map) => (map === undefined ? [] : [[map.name, map] as const])))
  const holder = [...disks.flatMap(({ holders }) => holders.filter((name) => !maps.has(name))), ...[...maps.values()].flatMap(({ holders }) => holders)][0]
  if (holder !== undefined) {
    throw new StorageError('busy', `${holder} is built on a LUN of ${target.iqn}: logging out would pull the disk from under it`, {
      layer, remedy: `See what it is (lsblk /dev/${holder}) and close it: umount, vgchange -an, dmsetup remove`, details: { holder },
    })
  }
  const devices = new Set([...disks.map(({ device }) => device), ...[...maps.values()].map(({ device }) => device)])
  const mount = devices.size === 0 ? undefined : (await readMounts(ctx.host.files)).find(({ device }) => devices.has(device))
  if (mount !== undefined) {
    throw new StorageError('busy', `A LUN of ${target.iqn} is mounted on ${mount.mountPoint}`, { layer, remedy: `umount ${mount.mountPoint}`, details: { mount_point: mount.mountPoint } })
  }
  for (const map of maps.values()) await removeMap(ctx, map)
  for (const session of ours) await logout(ctx, session)
  await tidy(ctx, target)
}

export interface Connection {
  readonly sessions: readonly IscsiSession[]
  /** Sessions that were made by this call. */
  readonly opened: number
}

/**
 * Makes sure that this host is logged in, for `name` (an SR, or a look). Steps: 1. mark the user; 2. interface, records and logins
 * that are missing; 3. wait for the disks. A failure takes back what it made; a crash leaves marks, which a repeat or `disconnect` follows.
 */
export const connect = async (ctx: Ctx, target: Target, name: string, user: TargetUser): Promise<Connection> =>
  underTargetLock(ctx, target.iqn, 'login to', async () => {
    const known = (await usersOfTarget(ctx, target)).some((one) => one.name === name)
    await addUser(ctx, name, user)
    try {
      const all = await wantsAll(ctx, target)
      const before = await sessionsOf(ctx, target)
      if (all || !before.some(isUp)) {
        const portals = portalsOf(target, await discoverAll(ctx, target.named, target.chap))
        if (target.face !== 'default') await makeFace(ctx, target.face, target.initiator)
        await openSessions(ctx, target, portals, all)
      }
      const sessions = await sessionsOf(ctx, target)
      const fresh = sessions.filter(({ sid }) => !before.some((one) => one.sid === sid))
      await Promise.all(fresh.map(async (session) => settledDisks(ctx, session)))
      return { sessions, opened: fresh.length }
    } catch (error) {
      if (!known) {
        await removeUser(ctx, name)
        // What failed first is what matters.
        await closeSessions(ctx, target).catch((left: unknown) => ctx.log.warn({ target: target.iqn, left: (left as Error).message }, 'a failed login was not fully taken back'))
      }
      throw error
    }
  })

/**
 * Ends the use by `name`, and logs out when it was the last; what is gone already is done. The mark goes last: as long as
 * anything is left to do, it tells that `name` is not through.
 */
export const disconnect = async (ctx: Ctx, target: Target, name: string): Promise<void> =>
  underTargetLock(ctx, target.iqn, 'logout from', async () => {
    await closeSessions(ctx, target, name)
    await removeUser(ctx, name)
  })

/** A look may take so long; a crash in it keeps the session no longer than that. */
const lookMs = 10 * 60_000

/**
 * Is logged in while `work` runs: for probes, which leave nothing behind. A session that something was built on meanwhile (udev
 * activates the volume groups that it finds) cannot be logged out again: that is told to `stays`, and is no failure of the work.
 */
export const withTarget = async <T>(ctx: Ctx, target: Target, driver: string, work: (connection: Connection) => Promise<T>, stays?: (error: StorageError) => void): Promise<T> => {
  const name = `look-${crypto.randomUUID()}`
  const user = { driver, iqn: target.iqn, initiator: target.initiator, untilMs: ctx.clock.now() + lookMs }
  const connection = await connect(ctx, target, name, user)
  try {
    if (connection.opened === 0) await rescan(ctx, connection.sessions)
    return await work(connection)
  } finally {
    await disconnect(ctx, target, name).catch((error: unknown) => {
      if (!(error instanceof StorageError) || error.kind !== 'busy') throw error
      ctx.log.warn({ target: target.iqn }, `still logged in after a look: ${error.message}`)
      stays?.(error)
    })
  }
}

/** Sessions to whatever target that we opened and that nobody uses: a crash left them. With `close` they are logged out. */
export const forgottenSessions = async (ctx: Ctx, close: boolean): Promise<readonly IscsiSession[]> => {
  const forgotten: IscsiSession[] = []
  for (const { opened, session } of await openedSessions(ctx, await readSessions(ctx.host.files))) {
    if (session === undefined || (await usersOfTarget(ctx, opened)).length > 0) continue
    forgotten.push(session)
    if (close) await underTargetLock(ctx, opened.iqn, 'logout from', async () => closeSessions(ctx, opened))
  }
  return forgotten
}
