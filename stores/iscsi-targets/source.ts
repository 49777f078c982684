/** The LUNs of a target, for the store of raw LUNs. */
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { formatPortal } from '../../host/iscsi/portal.ts'
import { rescan } from '../../host/iscsi/session.ts'
import { disksOf, isUp, type IscsiSession } from '../../host/iscsi/sessions.ts'
import type { LunPath } from '../raw-luns/lun.ts'
import type { LunSource } from '../raw-luns/source.ts'
import { connect, forgottenSessions, sessionsOf } from './connect.ts'
import { addUser, usersOfTarget, type TargetUser } from './marks.ts'
import type { Target } from './target.ts'

const layer = 'store:iscsi-targets'

export const userOf = (target: Target, driver: string): TargetUser => ({ driver, iqn: target.iqn, initiator: target.initiator })

const byPath = (session: IscsiSession, lun: number): string => `/dev/disk/by-path/ip-${session.portal.address}:${session.portal.port}-iscsi-${session.iqn}-lun-${lun}`

export const pathsOf = async (ctx: Ctx, sessions: readonly IscsiSession[]): Promise<readonly LunPath[]> => {
  const all = await Promise.all(sessions.map(async (session) =>
    (await disksOf(ctx.host.files, session)).disks.map((disk) => ({ disk, via: formatPortal(session.portal), up: isUp(session), link: byPath(session, disk.lun) }))))
  return all.flat()
}

const requireTarget = (target: Target, sessions: readonly IscsiSession[]): void => {
  if (sessions.some(isUp)) return
  throw new StorageError('unreachable', sessions.length === 0
    ? `This host is not logged in to ${target.iqn}`
    : `The target ${target.iqn} does not answer: ${sessions.map(({ sid, portal, state }) => `session ${sid} to ${formatPortal(portal)} is ${state}`).join(', ')}`, {
    layer, remedy: sessions.length === 0 ? 'Attach the SR again: smctl sr attach <sr uuid>' : 'See whether the array and the network are well; the session comes back by itself',
  })
}

/**
 * Rescans are shared by calls that come while one runs: they all wait for one that began after they asked, so that none of them
 * misses a LUN that was there before.
 */
const createRescan = () => {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  const start = async (work: () => Promise<void>): Promise<void> => {
    running = work().finally(() => {
      running = undefined
    })
    return running
  }
  return async (work: () => Promise<void>): Promise<void> => {
    if (running === undefined) return start(work)
    next ??= running.catch(() => undefined).then(async () => {
      next = undefined
      return start(work)
    })
    return next
  }
}

export const lunSource = (target: Target, driver: string): LunSource => {
  const shared = createRescan()
  return {
    driver, target: target.iqn, multipath: target.multipath, names: { name: '', description: `LUNs of ${target.iqn}` },
    paths: async (ctx) => pathsOf(ctx, await sessionsOf(ctx, target)),
    needTarget: async (ctx) => requireTarget(target, await sessionsOf(ctx, target)),

    async rescan(ctx) {
      requireTarget(target, await sessionsOf(ctx, target))
      await shared(async () => rescan(ctx, await sessionsOf(ctx, target)))
    },

    /** Only when there is no session at all: one that is down is being recovered by iscsid already. */
    async reconnect(ctx) {
      if ((await sessionsOf(ctx, target)).length > 0) {
        // An attached SR is a user, whatever became of its mark.
        if (!(await usersOfTarget(ctx, target)).some(({ name }) => name === ctx.sr)) await addUser(ctx, ctx.sr, userOf(target, driver))
        return { replayed: [] }
      }
      const { sessions } = await connect(ctx, target, ctx.sr, userOf(target, driver))
      return { replayed: [`logged in again to ${target.iqn} (${sessions.map(({ portal }) => formatPortal(portal)).join(', ')})`] }
    },

    async verify(ctx, repair) {
      const sessions = await sessionsOf(ctx, target)
      const down = sessions.filter((session) => !isUp(session)).map((session) => ({
        where: `session ${session.sid} to ${formatPortal(session.portal)}`, weight: 'damage' as const, what: `It is ${session.state}: this path to ${target.iqn} does not work`, repaired: false,
      }))
      const forgotten = (await forgottenSessions(ctx, repair === 'yes')).map((session) => ({
        where: `session ${session.sid} to ${formatPortal(session.portal)}`, weight: 'repairable' as const, what: `This host is logged in to ${session.iqn}, and nobody needs it`, repaired: repair !== 'no',
      }))
      return [...down, ...forgotten]
    },

    orphans: async (ctx) => (await forgottenSessions(ctx, false)).map((session) => ({
      where: `session ${session.sid} to ${session.iqn} at ${formatPortal(session.portal)}`, bytes: 0, why: 'this host logged in, and nobody needs it any more', collectable: false,
    })),
  }
}
