/** What a model array shows of a unit, and the cycles that move its data. */
import { join } from 'node:path'
import type { DeviceIdentity, ReplicationUnit, SyncSession } from '../../../core/array/replication.ts'
import { StorageError } from '../../../core/errors.ts'
import { contentFile, copyDirectory, makeCopy, removeCopy } from './data.ts'
import { layer, linkIsUp, newId, peerOf, tick, type Firmware, type ModelState, type ModelUnit } from './state.ts'

export const peerUnit = (peer: ModelState | undefined, key: string): ModelUnit | undefined =>
  peer === undefined ? undefined : Object.values(peer.units).find((unit) => unit.key === key)

const identityOf = (state: ModelState, volume: string): DeviceIdentity | undefined => {
  const presentations = state.volumes[volume]?.presentations ?? []
  return presentations.length === 0 ? undefined : { kind: 'lun', luns: presentations.map(({ lun, group }) => ({ lun, initiatorGroup: group })) }
}

export const shownUnit = ({ own, peer }: Firmware, id: string, unit: ModelUnit): ReplicationUnit => {
  const other = peerUnit(peer, unit.key)
  const up = linkIsUp(own)
  const last = unit.lastConsistentMs === undefined ? { kind: 'never' as const } : { kind: 'time' as const, ms: unit.lastConsistentMs }
  const flowing = unit.transfer === 'running' || unit.transfer === 'initial'
  const synced = unit.transfer === 'running' && unit.role !== 'promoted'
  return {
    id, key: unit.key, kind: unit.kind, name: unit.name, peer: own.peer.id, mode: unit.mode,
    ...(unit.periodSeconds === undefined ? {} : { periodSeconds: unit.periodSeconds }),
    settings: { mode: unit.mode }, naturalRole: unit.naturalRole, role: unit.role,
    transfer: flowing && !up ? 'interrupted' : unit.transfer, link: up ? 'up' : 'down',
    members: unit.members.map(({ volume, key }) => {
      const identity = identityOf(own, volume)
      return {
        volume, key, name: own.volumes[volume]?.name ?? volume, size: own.volumes[volume]?.size ?? 0, sync: synced && up ? 'synced' : 'stale', lastConsistent: last,
        ...(identity === undefined ? {} : { identity }),
      }
    }),
    lastConsistent: last,
    ...(unit.demotedMs === undefined ? {} : { demotedMs: unit.demotedMs }),
    splitBrain: false,
    testCopies: unit.tests.map(({ id: test, complete, point, copies }) => ({
      id: test, complete, recoveryPoint: point,
      members: copies.map(({ key, volume }) => {
        const identity = identityOf(own, volume)
        return { key, copy: volume, ...(identity === undefined ? {} : { identity }) }
      }),
    })),
    peerView: other === undefined ? { reachable: false } : { reachable: true, role: other.role, marks: other.marks },
    marks: unit.marks,
  }
}

/** The files of a replicating side's members, under the names of the receiving side. */
const filesFor = (from: { directory: string; state: ModelState; unit: ModelUnit }, to: ModelUnit): { from: string; as: string }[] =>
  from.unit.members.flatMap(({ volume, key }) => {
    const other = to.members.find((member) => member.key === key)
    return other === undefined ? [] : [{ from: contentFile(from.directory, from.state, volume), as: other.volume }]
  })

const notFlowing = (unit: ModelUnit): StorageError =>
  new StorageError('wrongRole', `${unit.name} is not replicating (${unit.role}, ${unit.transfer})`, { layer, remedy: 'Resume it, or look at the roles of both arrays' })

const ends = (firmware: Firmware, unit: ModelUnit): { source: { directory: string; state: ModelState; unit: ModelUnit }; target: { directory: string; state: ModelState; unit: ModelUnit } } => {
  const peer = peerOf(firmware)
  const other = peerUnit(peer, unit.key)
  const mine = { directory: firmware.directory, state: firmware.own, unit }
  if (other === undefined) throw new StorageError('notReplicated', `${firmware.own.peer.name} does not know ${unit.name}`, { layer, remedy: 'Look at both arrays' })
  const theirs = { directory: firmware.own.peer.directory, state: peer, unit: other }
  const pair = unit.role === 'target' ? { source: theirs, target: mine } : { source: mine, target: theirs }
  const flows = (pair.source.unit.role === 'source' || pair.source.unit.role === 'demoted') && pair.target.unit.role === 'target'
  if (!flows || ![pair.source.unit, pair.target.unit].every(({ transfer }) => transfer === 'running' || transfer === 'initial')) throw notFlowing(unit)
  return pair
}

/** The cycle counts from here: one write of the state makes all members new at once. */
const flip = (pair: ReturnType<typeof ends>, cycle: string, startedMs: number): void => {
  const { source, target } = pair
  const old = target.unit.current
  target.unit.current = cycle
  // Each side by its own clock.
  target.unit.lastConsistentMs = tick(target.state)
  source.unit.lastConsistentMs = startedMs
  target.unit.transfer = 'running'
  source.unit.transfer = 'running'
  if (old !== undefined && old !== cycle) removeCopy(target.directory, old)
}

/** Freezes the source's content as a cycle of the target; it counts when it is finished. */
const freeze = (pair: ReturnType<typeof ends>): { cycle: string; startedMs: number } => {
  const cycle = newId(pair.target.state, 'cycle')
  makeCopy(pair.target.directory, cycle, filesFor(pair.source, pair.target.unit))
  return { cycle, startedMs: tick(pair.source.state) }
}

export const runCycle = (firmware: Firmware, unit: ModelUnit): void => {
  const pair = ends(firmware, unit)
  const { cycle, startedMs } = freeze(pair)
  flip(pair, cycle, startedMs)
}

const shownSession = (id: string, session: ModelUnit['sessions'][string], total: number, joined: boolean): SyncSession => ({
  id, state: session.state, joined,
  ...(session.state === 'running' ? { percent: Math.min(99, Math.round((1 - session.polls / Math.max(1, total)) * 100)), remainingSeconds: session.polls } : {}),
})

export const startSync = (firmware: Firmware, unit: ModelUnit): SyncSession => {
  const { own } = firmware
  const running = Object.entries(unit.sessions).find(([, session]) => session.state === 'running')
  if (running !== undefined) return shownSession(running[0], running[1], own.slowSync, true)
  const pair = ends(firmware, unit)
  const frozen = freeze(pair)
  const id = `${own.id}-${newId(own, 'sync')}`
  const session = { polls: own.slowSync, ...frozen, state: 'running' as SyncSession['state'] }
  unit.sessions[id] = session
  if (own.slowSync === 0) {
    session.state = 'complete'
    flip(pair, session.cycle, session.startedMs)
  }
  return shownSession(id, session, own.slowSync, false)
}

export const syncStatus = (firmware: Firmware, unit: ModelUnit, id: string): SyncSession => {
  const session = Object.hasOwn(unit.sessions, id) ? unit.sessions[id] : undefined
  if (session === undefined) throw new StorageError('notFound', `There is no sync ${JSON.stringify(id.slice(0, 64))} of ${unit.name}`, { layer, field: 'session', remedy: 'Start one' })
  if (session.state === 'running' && (session.polls -= 1) <= 0) {
    try {
      const pair = ends(firmware, unit)
      flip(pair, session.cycle, session.startedMs)
      session.state = 'complete'
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      session.state = 'failed'
    }
  }
  return shownSession(id, session, firmware.own.slowSync, false)
}

/** Where a copy of the unit's content (a point or a cycle) has a volume's bytes. */
export const inCopy = (directory: string, copy: string, volume: string): string => join(copyDirectory(directory, copy), volume)
