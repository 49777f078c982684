/**
 * What a model array remembers: one JSON document a directory, replaced atomically, so that a kill at any moment leaves the old or the
 * new one (a power cut may take the last changes: it is a model). Both arrays of a pair share one lock in the link directory: their "firmware" runs inside whoever calls.
 */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { RecoveryPoint, ReplicationMode, SyncSession, Transfer, UnitRole } from '../../../core/array/replication.ts'
import type { Initiator, StoragePort } from '../../../core/array/types.ts'
import { StorageError } from '../../../core/errors.ts'

export const layer = 'array:model'

export interface ModelVolume {
  name: string
  number: number
  size: number
  provisioning: 'thin' | 'full'
  online: boolean
  parent?: string
  qos?: string
  presentations: { group: string; lun: number }[]
}

export interface ModelSnapshot {
  name: string
  createdMs: number
  volumes: string[]
  /** By volume; each can be presented by itself. */
  parts: Record<string, Pick<ModelVolume, 'number' | 'size' | 'presentations'>>
}

export interface ModelTest {
  id: string
  complete: boolean
  point: { id: string; timeMs: number }
  copies: { key: string; volume: string }[]
}

export interface ModelUnit {
  key: string
  kind: 'group' | 'device'
  name: string
  mode: ReplicationMode
  periodSeconds?: number
  naturalRole: 'source' | 'target'
  role: UnitRole
  transfer: Transfer
  members: { volume: string; key: string }[]
  /** Of a target: the cycle whose files are its content. */
  current?: string
  lastConsistentMs?: number
  demotedMs?: number
  reversePrepared: boolean
  marks: Record<string, string>
  points: RecoveryPoint[]
  tests: ModelTest[]
  sessions: Record<string, { polls: number; cycle: string; startedMs: number; state: SyncSession['state'] }>
}

export interface ModelState {
  id: string
  name: string
  peer: { id: string; name: string; directory: string }
  link: string
  /** Never goes back; every event has a time of its own. */
  clock: number
  next: number
  /** How often a sync is asked for before it has ended: 0 ends at once. */
  slowSync: number
  capacity: number
  volumes: Record<string, ModelVolume>
  groups: Record<string, Initiator[]>
  snapshots: Record<string, ModelSnapshot>
  units: Record<string, ModelUnit>
  /** Splits of clones; each ends when it was asked for often enough. */
  jobs: Record<string, { clone: string; polls: number }>
  ports: StoragePort[]
  /** Of hosts, by key. */
  metadata: Record<string, string>
}

const stateFile = (directory: string): string => join(directory, 'array.json')

export const readState = (directory: string): ModelState => {
  try {
    return JSON.parse(readFileSync(stateFile(directory), 'utf8')) as ModelState
  } catch (error) {
    throw new StorageError('unreachable', `There is no model array in ${directory}`, { layer, remedy: 'Make a pair first: createModelPair (drivers/array-replication/model/world.ts)', cause: error })
  }
}

export const writeState = (directory: string, state: ModelState): void => {
  const path = stateFile(directory)
  const file = openSync(`${path}.new`, 'w', 0o600)
  writeSync(file, JSON.stringify(state))
  closeSync(file)
  renameSync(`${path}.new`, path)
}

export const linkIsUp = (state: ModelState): boolean => !existsSync(join(state.link, 'cut'))

/** The array's time: real, but strictly growing. */
export const tick = (state: ModelState): number => (state.clock = Math.max(Date.now(), state.clock + 1))

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** A lock file that names its holder; a dead holder's is taken over. */
const lock = (directory: string): (() => void) => {
  const path = join(directory, 'lock')
  mkdirSync(directory, { recursive: true })
  const until = Date.now() + 10_000
  for (;;) {
    try {
      const file = openSync(path, 'wx', 0o600)
      writeSync(file, String(process.pid))
      closeSync(file)
      return () => unlinkSync(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    try {
      const pid = Number(readFileSync(path, 'utf8'))
      const old = Date.now() - statSync(path).mtimeMs > 1000
      if (pid > 0 ? !alive(pid) : old) unlinkSync(path)
    } catch {
      continue
    }
    if (Date.now() > until) throw new StorageError('unreachable', `The model array in ${directory} is busy`, { layer, remedy: 'Try again' })
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
  }
}

/** Both arrays of the pair while `work` runs. `peer` is absent while the link is cut. */
export interface Firmware {
  readonly directory: string
  readonly own: ModelState
  readonly peer?: ModelState
}

/** Reads, works, writes back. The peer is written first: half a role change is finished by repeating it at this array. */
export const withFirmware = <T>(directory: string, work: (firmware: Firmware) => T, effect: 'read' | 'write' = 'write'): T => {
  const { link } = readState(directory)
  const unlock = lock(link)
  try {
    const own = readState(directory)
    const peer = linkIsUp(own) ? readState(own.peer.directory) : undefined
    const before = peer === undefined ? '' : JSON.stringify(peer)
    const result = work({ directory, own, ...(peer === undefined ? {} : { peer }) })
    if (effect === 'write') {
      if (peer !== undefined && JSON.stringify(peer) !== before) writeState(own.peer.directory, peer)
      writeState(directory, own)
    }
    return result
  } finally {
    unlock()
  }
}

export const peerOf = (firmware: Firmware): ModelState => {
  if (firmware.peer !== undefined) return firmware.peer
  throw new StorageError('unreachable', `${firmware.own.name} does not reach ${firmware.own.peer.name}: the link is down`, { layer, remedy: 'Repair the link between the arrays, then repeat it' })
}

/** Ids come from callers and become file names. */
export const known = <T>(table: Readonly<Record<string, T>>, id: string, what: string): T => {
  const found = Object.hasOwn(table, id) ? table[id] : undefined
  if (found !== undefined) return found
  throw new StorageError('notFound', `There is no ${what} ${JSON.stringify(id.slice(0, 64))} on this array`, { layer, field: what, remedy: 'List them and take one of those ids' })
}

/** Of the part of a snapshot; it goes by the id of the snapshot and the volume. */
export const partId = (snapshot: string, volume: string): string => `${snapshot}/${volume}`

/** A volume or the part of a snapshot. */
export const presentable = (state: ModelState, id: string): Pick<ModelVolume, 'presentations'> => {
  const [snapshot = '', volume] = id.split('/')
  return volume === undefined ? known(state.volumes, id, 'volume') : known(known(state.snapshots, snapshot, 'snapshot').parts, volume, 'volume')
}

/** All that can be presented, by id. */
export const presentables = (state: ModelState): readonly (readonly [id: string, Pick<ModelVolume, 'presentations'>])[] =>
  [...Object.entries(state.volumes), ...Object.entries(state.snapshots).flatMap(([snapshot, { parts }]) => Object.entries(parts).map(([volume, part]) => [partId(snapshot, volume), part] as const))]

export const newId = (state: ModelState, kind: string): string => {
  state.next += 1
  return `${kind}-${state.next}`
}
