/** Who on this host uses which target, and which of its sessions were opened by us: marks that every process sees. */
import * as z from 'zod'
import type { Ctx } from '../../core/contract.ts'
import { formatPortal, type Portal, type TargetPortal } from '../../host/iscsi/portal.ts'
import type { IscsiSession } from '../../host/iscsi/sessions.ts'
import { createMarks } from '../../host/marks.ts'
import { shortDigest, type Target } from './target.ts'

const TargetUser = z.strictObject({
  driver: z.string(),
  iqn: z.string(),
  initiator: z.string(),
  /** Of a short look at the target; it counts until then only, as nobody takes it back after a crash. */
  untilMs: z.number().optional(),
  /** Of a user that needs one LUN of it: the identity of that, as udev spells it. */
  scsiId: z.string().optional(),
})
export type TargetUser = z.infer<typeof TargetUser>

const OpenedSession = z.strictObject({
  iqn: z.string(), address: z.string(), port: z.int(), group: z.int(), face: z.string(), initiator: z.string(),
  /** Absent: the login was under way. */
  sid: z.int().optional(),
  /** The record of this portal as it was before ours; null when there was none. It may hold somebody's secrets. */
  before: z.string().nullable(),
})
export type OpenedSession = z.infer<typeof OpenedSession>

const usersOf = (ctx: Ctx) => createMarks(ctx.host, 'iscsi-user', TargetUser)
const openedOf = (ctx: Ctx) => createMarks(ctx.host, 'iscsi-session', OpenedSession, true)

export interface NamedUser extends TargetUser {
  /** uuid of the SR, or the name of a look. */
  readonly name: string
}

/** Everybody who uses the target under this initiator name now. */
export const usersOfTarget = async (ctx: Ctx, { iqn, initiator }: Pick<Target, 'iqn' | 'initiator'>): Promise<readonly NamedUser[]> =>
  (await usersOf(ctx).list())
    .filter(({ stale, value }) => !stale && value.iqn === iqn && value.initiator === initiator && (value.untilMs === undefined || value.untilMs > ctx.clock.now()))
    .map(({ name, value }) => ({ name, ...value }))

/** The users of this boot whose name begins so, whatever target they use. */
export const usersNamed = async (ctx: Ctx, prefix: string): Promise<readonly NamedUser[]> =>
  (await usersOf(ctx).list()).filter(({ stale, name }) => !stale && name.startsWith(prefix)).map(({ name, value }) => ({ name, ...value }))

const hour = 60 * 60_000

/** Takes away marks of earlier boots and of looks that are over, and what a dead process left half made. */
export const dropDeadMarks = async (ctx: Ctx): Promise<void> => {
  const now = ctx.clock.now()
  const users = usersOf(ctx)
  for (const { name, stale, value } of await users.list()) if (stale || (value.untilMs ?? now + 1) <= now) await users.remove(name)
  await users.sweep(now - hour)
  await openedOf(ctx).sweep(now - hour)
}

export const addUser = async (ctx: Ctx, name: string, user: TargetUser): Promise<void> => usersOf(ctx).put(name, user)
export const removeUser = async (ctx: Ctx, name: string): Promise<boolean> => usersOf(ctx).remove(name)

export const markName = (iqn: string, portal: Portal, face: string): string => shortDigest(iqn, formatPortal(portal), face)

export const readOpened = async (ctx: Ctx, name: string): Promise<OpenedSession | undefined> => (await openedOf(ctx).read(name))?.value
export const putOpened = async (ctx: Ctx, name: string, opened: OpenedSession): Promise<void> => openedOf(ctx).put(name, opened)
export const removeOpened = async (ctx: Ctx, name: string): Promise<boolean> => openedOf(ctx).remove(name)

/** All marks of sessions that we opened, also of earlier boots, with the session each speaks of when it is still there. */
export const openedSessions = async (ctx: Ctx, sessions: readonly IscsiSession[]): Promise<readonly { readonly name: string; readonly opened: OpenedSession; readonly session: IscsiSession | undefined }[]> =>
  (await openedOf(ctx).list()).map(({ name, stale, value }) => ({
    name, opened: value,
    session: stale ? undefined : sessions.find((session) =>
      markName(session.iqn, session.portal, session.face) === name && session.initiator === value.initiator && (value.sid === undefined || value.sid === session.sid)),
  }))

export const portalOfMark = ({ iqn, address, port, group }: OpenedSession): TargetPortal => ({ iqn, address, port, group })
