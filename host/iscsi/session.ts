/** Discovery, login, rescan and logout, each by one run of iscsiadm, with the state read back from the kernel. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ctx } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { deleteFaceCommand, discoverCommand, loginCommand, logoutCommand, nameFaceCommand, newFaceCommand, rescanCommand } from './build.ts'
import { explainIscsi, unresolved } from './errors.ts'
import { parseDiscovery, parseInitiatorName } from './parse.ts'
import { formatPortal, type Portal, type TargetPortal } from './portal.ts'
import { discoverWithChap, type Chap } from './records.ts'
import { disksOf, isUp, readSessions, sessionTo, type IscsiSession, type SessionDisks } from './sessions.ts'

type Needs = Pick<Ctx, 'host' | 'signal' | 'log'>

/** A dead address would be tried six times over minutes. */
const discoveryMs = 20_000

/** Name of this host as an initiator. */
export const hostInitiator = async (ctx: Needs): Promise<string> => {
  const path = '/etc/iscsi/initiatorname.iscsi'
  const text = await ctx.host.files.readText(path, 64 * 1024)
  const name = text === undefined ? undefined : parseInitiatorName(text)
  if (name !== undefined) return name
  throw new StorageError('toolFailed', `${path} names no initiator`, { layer: 'host:iscsi', remedy: `Make one: echo "InitiatorName=$(iscsi-iname)" > ${path}; or give localIQN in the device_config` })
}

/** All targets that a portal tells of; with CHAP when it wants that. */
export const discover = async (ctx: Needs, portal: Portal, chap: Chap | undefined): Promise<readonly TargetPortal[]> => {
  const what = `discovery at ${formatPortal(portal)}`
  try {
    const { exitCode, stdout, stderr } = await ctx.host.run(discoverCommand(portal, discoveryMs), ctx.signal).catch(explainIscsi(what))
    // The portal answers, and offers nothing to this initiator: `No portals found`.
    if (exitCode !== 0 && /resolve/.test(stderr)) throw unresolved(what)
    return parseDiscovery(stdout)
  } catch (error) {
    if (!(error instanceof StorageError) || error.kind !== 'permissionDenied' || chap === undefined) throw error
    return discoverWithChap(ctx, portal, chap, discoveryMs)
  }
}

/** An interface record under whose name this host logs in as another initiator; `default` needs none. */
export const makeFace = async (ctx: Needs, face: string, initiator: string): Promise<void> => {
  const held = await ctx.host.exclusive('iscsiadm', `interface ${face}`, discoveryMs, ctx.signal)
  try {
    await ctx.host.run(newFaceCommand(face), ctx.signal).catch(explainIscsi(`making the interface ${face}`))
    await ctx.host.run(nameFaceCommand(face, initiator), ctx.signal).catch(explainIscsi(`naming the interface ${face}`))
  } finally {
    held.release()
  }
}

/** Only when no session uses it any more: iscsiadm refuses to work on a session whose interface it does not know. */
export const removeFace = async (ctx: Needs, face: string): Promise<void> => {
  const held = await ctx.host.exclusive('iscsiadm', `interface ${face}`, discoveryMs, ctx.signal)
  try {
    await ctx.host.run(deleteFaceCommand(face), ctx.signal).catch(explainIscsi(`deleting the interface ${face}`))
  } finally {
    held.release()
  }
}

/** Logs in by the record that is there; a session that exists already is the answer, too. `loginTimeout` in seconds. */
export const login = async (ctx: Needs, portal: TargetPortal, face: string, initiator: string, loginTimeout: number): Promise<IscsiSession> => {
  const what = `login to ${portal.iqn} at ${formatPortal(portal)}`
  // Two tries of the initiator, and the kernel's first look at all LUNs.
  const { exitCode } = await ctx.host.run(loginCommand(portal, face, loginTimeout * 2000 + 60_000), ctx.signal).catch(explainIscsi(what))
  const session = sessionTo(await readSessions(ctx.host.files), portal.iqn, initiator, portal)
  if (session !== undefined) return session
  throw new StorageError('toolFailed', exitCode === 0
    ? `${what}: iscsiadm says it is done, but the kernel has no such session`
    : `${what}: there is a session to this portal under another initiator name than ${initiator}`, {
    layer: 'host:iscsi', mayHaveChanged: true, remedy: 'iscsiadm -m session -P 1 shows the sessions of this host; log out the one that is in the way, or use its name as localIQN',
  })
}

/** Logs out; a session that is gone is done, a target that is dead is no hindrance. */
export const logout = async (ctx: Needs, session: IscsiSession): Promise<void> => {
  const what = `logout from ${session.iqn} at ${formatPortal(session.portal)}`
  await ctx.host.run(logoutCommand(session.sid), ctx.signal).catch(explainIscsi(what))
  if ((await readSessions(ctx.host.files)).some(({ sid }) => sid === session.sid)) {
    throw new StorageError('toolFailed', `${what}: iscsiadm says it is done, but session ${session.sid} is still there`, {
      layer: 'host:iscsi', mayHaveChanged: true, remedy: `iscsiadm -m session -r ${session.sid} -u, and see the kernel log`,
    })
  }
}

const diskTries = 100

/** The disks of a session, once the kernel has made all of them. */
export const settledDisks = async (ctx: Needs, session: IscsiSession): Promise<SessionDisks> => {
  for (let attempt = 0; ; attempt += 1) {
    const found = await disksOf(ctx.host.files, session)
    if (found.pending === 0 || attempt >= diskTries) return found
    await sleep(100, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted())
  }
}

/** Makes the kernel look again at what the target offers. Only of a session that is up: another would not be answered. */
export const rescan = async (ctx: Needs, sessions: readonly IscsiSession[]): Promise<void> => {
  await Promise.all(sessions.filter(isUp).map(async (session) => {
    await ctx.host.run(rescanCommand(session.sid), ctx.signal).catch(explainIscsi(`rescan of ${session.iqn} at ${formatPortal(session.portal)}`))
    await settledDisks(ctx, session)
  }))
}
