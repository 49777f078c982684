/** iSCSI sessions of this host as the kernel shows them in sysfs: no process is started, and no daemon has to answer. */
import type { Files } from '../../core/ports.ts'
import { attribute, readDisk, type ScsiDisk } from '../scsi/disks.ts'
import { samePortal, type Portal } from './portal.ts'

export interface IscsiSession {
  readonly sid: number
  readonly iqn: string
  /** Name of this host's side. */
  readonly initiator: string
  /** Interface record it was made with: `default`, or one of ours. */
  readonly face: string
  /** `LOGGED_IN`; `FAILED` while it is being recovered; `FREE` once that was given up (its disks answer with errors). */
  readonly state: string
  readonly portal: Portal
  readonly directory: string
}

const classDirectory = '/sys/class/iscsi_session'

const readSession = async (files: Files, name: string): Promise<IscsiSession | undefined> => {
  const at = `${classDirectory}/${name}`
  const sid = Number(name.slice('session'.length))
  const directory = `${at}/device`
  const connection = `${directory}/connection${sid}:0/iscsi_connection/connection${sid}:0`
  const [iqn, initiator, face, state, address, port] = await Promise.all([
    attribute(files, `${at}/targetname`), attribute(files, `${at}/initiatorname`), attribute(files, `${at}/ifacename`), attribute(files, `${at}/state`),
    attribute(files, `${connection}/persistent_address`), attribute(files, `${connection}/persistent_port`),
  ])
  // Being made, or going.
  if (iqn === undefined || state === undefined || address === undefined) return undefined
  return { sid, iqn, initiator: initiator ?? '', face: face ?? '', state, portal: { address, port: Number(port) }, directory }
}

/** All sessions of this host; none when the transport is not loaded. */
export const readSessions = async (files: Files): Promise<readonly IscsiSession[]> => {
  const names = ((await files.list(classDirectory)) ?? []).filter((name) => /^session\d+$/.test(name))
  const sessions = await Promise.all(names.map(async (name) => readSession(files, name)))
  return sessions.filter((session) => session !== undefined).sort((a, b) => a.sid - b.sid)
}

export const isUp = (session: IscsiSession): boolean => session.state === 'LOGGED_IN'

export interface SessionDisks {
  readonly disks: readonly ScsiDisk[]
  /** LUNs whose disk the kernel has not made yet. */
  readonly pending: number
}

/** The disks that came with a session. */
export const disksOf = async (files: Files, session: IscsiSession): Promise<SessionDisks> => {
  const targets = ((await files.list(session.directory)) ?? []).filter((name) => /^target\d+:\d+:\d+$/.test(name))
  const luns = await Promise.all(targets.map(async (target) =>
    ((await files.list(`${session.directory}/${target}`)) ?? []).filter((name) => /^\d+:\d+:\d+:\d+$/.test(name)).map((name) => `${session.directory}/${target}/${name}`)))
  const found = await Promise.all(luns.flat().map(async (directory) => readDisk(files, directory)))
  return {
    disks: found.filter((disk) => disk !== undefined && disk !== 'pending').sort((a, b) => a.lun - b.lun),
    pending: found.filter((disk) => disk === 'pending').length,
  }
}

/** The session to a portal under a name of ours. */
export const sessionTo = (sessions: readonly IscsiSession[], iqn: string, initiator: string, portal: Portal): IscsiSession | undefined =>
  sessions.find((session) => session.iqn === iqn && session.initiator === initiator && samePortal(session.portal, portal))
