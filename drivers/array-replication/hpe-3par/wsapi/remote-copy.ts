/**
 * `/remotecopy...`: groups of volumes that are kept the same on two arrays. Whether an action made its change is read from the group, never
 * from the answer: some actions run on behind it. Both arrays keep a record of a group, each from its own side; changes are mirrored.
 */
import { rcAction } from './enums.ts'
import { unless } from './errors.ts'
import type { Wsapi } from './client.ts'
import { segment } from './query.ts'
import { listOf, RcGroup, RcLink, RcTarget, RemoteCopy } from './schemas.ts'

export const readRemoteCopy = async (api: Wsapi, signal: AbortSignal): Promise<{ readonly status?: number | undefined; readonly asyncEnabled?: boolean | undefined }> =>
  api.get('/remotecopy', RemoteCopy, 'read the remote copy configuration', signal)

export const listRcTargets = async (api: Wsapi, signal: AbortSignal): Promise<readonly RcTarget[]> => (await api.get('/remotecopytargets', listOf(RcTarget), 'list the remote copy targets', signal)).members

export const listRcLinks = async (api: Wsapi, signal: AbortSignal): Promise<readonly { readonly name?: string | undefined; readonly status?: number | undefined; readonly linkState?: number | undefined }[]> =>
  (await api.get('/remotecopylinks', listOf(RcLink), 'list the remote copy links', signal)).members

export const listRcGroups = async (api: Wsapi, signal: AbortSignal): Promise<readonly RcGroup[]> => (await api.get('/remotecopygroups', listOf(RcGroup), 'list the remote copy groups', signal)).members

const pathOf = (group: string): string => `/remotecopygroups/${segment(group)}`

export const findRcGroup = async (api: Wsapi, group: string, signal: AbortSignal): Promise<RcGroup | undefined> => unless('notFound', api.get(pathOf(group), RcGroup, `read remote copy group ${group}`, signal))

export interface NewRcGroup {
  readonly name: string
  readonly target: string
  readonly mode: number
  /** CPGs of volumes that are made on this side, and on the target's: both kinds or none. */
  readonly localUserCPG?: string
  readonly localSnapCPG?: string
  readonly remoteUserCPG?: string
  readonly remoteSnapCPG?: string
}

/** The group starts stopped and empty, and appears on the target as `<name>.r<id of this system>`. */
export const createRcGroup = async (api: Wsapi, want: NewRcGroup, signal: AbortSignal): Promise<void> => {
  await api.write({
    method: 'POST', path: '/remotecopygroups', what: `create remote copy group ${want.name}`,
    body: {
      name: want.name,
      ...(want.localUserCPG === undefined ? {} : { localUserCPG: want.localUserCPG }), ...(want.localSnapCPG === undefined ? {} : { localSnapCPG: want.localSnapCPG }),
      targets: [{
        targetName: want.target, mode: want.mode,
        ...(want.remoteUserCPG === undefined ? {} : { userCPG: want.remoteUserCPG }), ...(want.remoteSnapCPG === undefined ? {} : { snapCPG: want.remoteSnapCPG }),
      }],
    },
  }, signal)
}

/** Seconds between two cycles of a periodic group, 300 to 31622400. */
export const setSyncPeriod = async (api: Wsapi, group: string, target: string, syncPeriod: number, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'PUT', path: pathOf(group), body: { targets: [{ targetName: target, syncPeriod }] }, what: `set the period of remote copy group ${group}`, repeatable: true }, signal)
}

/** Takes the pair of groups apart; volumes of both sides stay. The group must be stopped. */
export const removeRcGroup = async (api: Wsapi, group: string, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'DELETE', path: `${pathOf(group)}?keepSnap=false`, what: `remove remote copy group ${group}` }, signal)
}

export interface Admission {
  readonly volume: string
  readonly target: string
  readonly secondary: string
  /** The far volume is made by the array; it must not exist. Else it must, with the same size. */
  readonly create: boolean
}

export const admitVolume = async (api: Wsapi, group: string, { volume, target, secondary, create }: Admission, signal: AbortSignal): Promise<void> => {
  await api.write({
    method: 'PUT', path: pathOf(group), what: `admit volume ${volume} to remote copy group ${group}`,
    body: {
      action: rcAction.admit, volumeName: volume, targets: [{ targetName: target, secVolumeName: secondary }], volumeAutoCreation: create,
      // Left out, both sides have one WWN: a host that sees the two takes them for paths to the same disk.
      ...(create ? { differentSecondaryWWN: true } : {}),
    },
  }, signal)
}

/** `removeSecondary`: the far volume goes, too. */
export const dismissVolume = async (api: Wsapi, group: string, volume: string, removeSecondary: boolean, signal: AbortSignal): Promise<void> => {
  await api.write({ method: 'DELETE', path: `${pathOf(group)}/volumes/${segment(volume)}${removeSecondary ? '?removeSecondaryVolume=true' : ''}`, what: `dismiss volume ${volume} from remote copy group ${group}` }, signal)
}

type PutAction = 'start' | 'stop' | 'synchronise'
type PostAction = 'reverse' | 'failover' | 'switchover' | 'recover' | 'restore' | 'overrideFailsafe'

export interface ActionOptions {
  readonly targetName?: string
  readonly skipStart?: boolean
  readonly skipSync?: boolean
  readonly skipPromote?: boolean
  readonly noSnapshot?: boolean
  readonly discardNewData?: boolean
  readonly stopGroups?: boolean
  readonly localGroupsDirection?: boolean
  readonly fullSync?: boolean
  readonly skipInitialSync?: boolean
}

export const runRcAction = async (api: Wsapi, group: string, action: PutAction | PostAction, options: ActionOptions, signal: AbortSignal): Promise<void> => {
  const put = action === 'start' || action === 'stop' || action === 'synchronise'
  await api.write({ method: put ? 'PUT' : 'POST', path: pathOf(group), body: { action: rcAction[action], ...options }, what: `${action} remote copy group ${group}` }, signal)
}
