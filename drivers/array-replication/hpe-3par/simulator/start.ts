/**
 * The simulator as a library: a pair (or more) of arrays that speak WSAPI over HTTPS, with volumes that hold real bytes, under
 * one state directory that survives the death of the process at any moment. docs/array-simulator.md tells what is as in life.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { StorageError } from '../../../../core/errors.ts'
import { holdFile } from '../../../../host/lock-file.ts'
import { openBlockStore } from './blocks.ts'
import { certificateOf } from './certificate.ts'
import type { Fault, PlannedFault } from './faults.ts'
import { serveIscsi, type IscsiTarget } from './iscsi/target.ts'
import { openJournal } from './journal.ts'
import { bytesKey, nextId, tablesOf, type Durations, type SimArray, type World } from './model.ts'
import { profiles, type ProfileName } from './profiles.ts'
import { serveArray, type ArrayServer } from './server.ts'
import { applyOnline } from './tasks.ts'
import { catchUp, commit } from './time.ts'
import { bytesPerMiB, needVolume } from './volume-records.ts'
import { readVolume, seenVolume, writeVolume } from './host-io.ts'
import { isPeriodic, pairsOf } from './remote-copy/find.ts'
import { completeFills, loseLinks, regainLinks } from './remote-copy/roles.ts'
import { mirrorOf } from './remote-copy/transfers.ts'

export interface ArrayWishes {
  readonly name?: string
  /** System id, decimal. */
  readonly id?: number
  readonly profile?: ProfileName
  readonly user?: string
  readonly password?: string
  /** Default: the golden one, which is all of them. */
  readonly licences?: readonly string[]
  readonly capacityMiB?: number
  readonly maxSessions?: number
  readonly port?: number
  /** Addresses of its iSCSI ports; default 127.0.<n>.1 and .2 for the n-th array. */
  readonly iscsiAddresses?: readonly string[]
}

export interface StartOptions {
  readonly arrays: number | readonly ArrayWishes[]
  readonly stateDirectory: string
  /** Where to listen; default 127.0.0.1. */
  readonly address?: string
  /** Port of the first array, the next ones follow; 0 (the default) takes free ones. */
  readonly port?: number
  /** Milliseconds since 1970; tests that own the clock need not sleep. */
  readonly now?: () => number
  readonly durations?: Partial<Durations>
  /** Arrays close the connection after every answer; true keeps it, for many requests in a short time. */
  readonly keepAlive?: boolean
  /** TCP port of all iSCSI ports, usually 3260; 0 takes a free one. Left out, there is no iSCSI. */
  readonly iscsiPort?: number
}

export interface RunningArray {
  readonly url: string
  readonly name: string
  readonly id: number
  readonly user: string
  readonly password: string
  readonly certificate: { readonly pem: string; readonly fingerprint: string }
  /** `address:port` of its iSCSI ports, when iSCSI was asked for. */
  readonly portals: readonly string[]
  fault(fault: Fault): PlannedFault
  clearFaults(): void
  /** `METHOD /pattern` -> how many requests have come. */
  requests(): Readonly<Record<string, number>>
  endSessions(): void
  latency(milliseconds: number): void
  /** False: dead to clients, hosts and the other array. Its state stays. */
  power(on: boolean): void
  /** As a host: refused (`notFound`, `unreachable`, `wrongRole`, `readOnly`, `noSpace`) where an array would not serve it. Bytes. */
  read(seen: Seen, offset: number, length: number): Promise<Buffer>
  /** Acknowledged when it resolves: in a synchronous group both sides have it then. */
  write(seen: Seen, offset: number, data: Buffer): Promise<void>
  /** What a volume holds, whoever may see it: for tests. */
  inspect(volume: string, offset: number, length: number): Buffer
  /** Volume -> the file with its bytes; a base volume's file is its whole content. */
  files(): Readonly<Record<string, string>>
}

/** Where a host's read or write goes: through a VLUN of the host (its name, IQN or WWN of a port) to the volume with the WWN. */
export interface Seen {
  readonly host: string
  readonly wwn: string
}

export interface Link {
  /** Milliseconds that a write to a synchronous group waits for the other side. */
  latencyMs: number
  /** No array reaches another any more; started groups stop, each side by itself. */
  cut(): void
  restore(): void
}

export interface RunningArrays {
  readonly arrays: readonly RunningArray[]
  readonly link: Link
  /** Makes happen what the clock says is due; every request and every write does it, too. */
  catchUp(): void
  /** JSON with URL, user, password and certificate of every array; only its owner can read it. */
  readonly credentialsFile: string
  close(): Promise<void>
}

const defaultDurations: Durations = { copyMs: 2000, promoteMs: 2000, syncMs: 2000 }
const firstId = 100_001
const defaultCapacityMiB = 100 * 1024 * 1024

/** Passwords are made once per state directory and kept where only the owner reads. */
const passwordsOf = (directory: string, names: readonly string[]): Readonly<Record<string, string>> => {
  const path = join(directory, 'passwords.json')
  const known = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, string>>) : {}
  const all = { ...Object.fromEntries(names.map((name) => [name, randomBytes(12).toString('base64url')])), ...known }
  writeFileSync(`${path}.new`, JSON.stringify(all), { mode: 0o600 })
  renameSync(`${path}.new`, path)
  return all
}

/** A new array has CPGs, knows the others as targets, and has done a task. */
const furnish = (array: SimArray, others: readonly SimArray[], now: number): void => {
  const { tables } = array
  if (tables.values.get('furnished') === undefined) {
    tables.values.put('furnished', 1)
    for (const name of ['SSD_r6', 'FC_r5']) {
      tables.cpgs.put(name, { id: nextId(tables, 'cpg'), name, uuid: randomUUID(), growthIncrementMiB: 8192, layout: { RAIDType: name === 'SSD_r6' ? 4 : 3, setSize: name === 'SSD_r6' ? 8 : 4, HA: 2, diskPatterns: [{ diskType: name === 'SSD_r6' ? 3 : 1 }] } })
    }
    tables.tasks.put('1', { id: nextId(tables, 'task'), type: 15, name: 'check_slow_disk', user: '3parsys', status: 1, startMs: now, endMs: now, kind: 'system' })
  }
  for (const other of others) if (tables.targets.get(other.name) === undefined) tables.targets.put(other.name, { name: other.name, peer: other.index, mirrorConfig: true })
}

/** Steps of a start after a kill: 1. volumes know their parents; 2. files without a record go; 3. what was under way is done; 4. synchronous
 * sides are made equal: one may have a write more, which was not acknowledged. */
const revive = (world: World, directory: string): void => {
  const wanted = new Set<string>()
  for (const array of world.arrays) {
    for (const volume of array.tables.volumes.all()) {
      const key = bytesKey(array, volume.id)
      wanted.add(key)
      if (!existsSync(world.blocks.path(key))) world.blocks.create(key, volume.sizeMiB * bytesPerMiB)
      world.blocks.adopt(key, volume.parent === undefined ? undefined : bytesKey(array, volume.parent))
    }
  }
  for (const name of readdirSync(directory)) {
    const key = name.replace(/\.(img|map)$/, '')
    if (!wanted.has(key)) world.blocks.remove(key)
  }
  for (const array of world.arrays) {
    applyOnline(world, array)
    completeFills(world, array)
    for (const group of array.tables.groups.all()) {
      if (group.role !== 1 || group.state !== 3 || isPeriodic(group)) continue
      for (const { volume, here, there } of pairsOf(world, { array, group })) if (volume.syncStatus === 3) world.blocks.copy(here, there)
    }
  }
  commit(world)
  catchUp(world)
}

const changeLink = (world: World, change: (world: World) => void): void => {
  change(world)
  commit(world)
}

/** The link outlives the process: a cut stays a cut. */
const linkOf = (world: World, first: SimArray): Link => {
  const set = (cut: boolean): void => {
    if (world.linkCut === cut) return
    catchUp(world)
    world.linkCut = cut
    first.tables.values.put('linkCut', cut ? 1 : 0)
    changeLink(world, cut ? loseLinks : regainLinks)
  }
  return { latencyMs: 0, cut: () => set(true), restore: () => set(false) }
}

const running = (world: World, link: Link, array: SimArray, server: ArrayServer, iscsi: IscsiTarget | undefined, certificate: { readonly cert: string; readonly fingerprint: string }): RunningArray => ({
  url: server.url, name: array.name, id: array.id, user: array.user, password: array.password, certificate: { pem: certificate.cert, fingerprint: certificate.fingerprint },
  portals: iscsi?.portals ?? [],
  fault: (fault) => server.faults.add(fault),
  clearFaults: () => server.faults.clear(),
  requests: () => Object.fromEntries(server.counts),
  endSessions: () => server.sessions.endAll(),
  latency: (milliseconds) => {
    server.latencyMs = milliseconds
  },
  power: (on) => {
    catchUp(world)
    array.powered = on
    if (on) return changeLink(world, regainLinks)
    server.drop()
    iscsi?.drop()
    server.sessions.endAll()
    changeLink(world, loseLinks)
  },
  read: async ({ host, wwn }, offset, length) => readVolume(world, array, seenVolume(world, array, host, wwn), offset, length),
  write: async ({ host, wwn }, offset, data) => {
    const volume = seenVolume(world, array, host, wwn)
    const { latencyMs } = link
    if (latencyMs > 0 && mirrorOf(world, array, volume) !== undefined) await sleep(latencyMs)
    writeVolume(world, array, volume, offset, data)
  },
  inspect: (name, offset, length) => {
    catchUp(world)
    return readVolume(world, array, needVolume(array, name), offset, length)
  },
  files: () => Object.fromEntries(array.tables.volumes.all().map(({ name, id }) => [name, world.blocks.path(bytesKey(array, id))])),
})

/**
 * Starts arrays on `stateDirectory`, which is made when it is not there. Errors: `busy` when another simulator runs on it.
 */
export const startArrays = async (options: StartOptions): Promise<RunningArrays> => {
  const directory = options.stateDirectory
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const held = holdFile(join(directory, 'lock'))
  if (held === undefined) throw new StorageError('busy', `Another simulator runs on ${directory}`, { field: 'state', layer: 'simulator', remedy: 'Stop it, or give another directory: sim-arrays --state DIRECTORY' })
  const wishes = typeof options.arrays === 'number' ? Array.from({ length: options.arrays }, (): ArrayWishes => ({})) : options.arrays
  const names = wishes.map(({ name }, index) => name ?? `array-${String.fromCharCode(97 + index)}`)
  const passwords = passwordsOf(directory, names)
  const journal = openJournal(directory)
  const blocks = openBlockStore(join(directory, 'volumes'))
  const arrays = wishes.map((wish, index): SimArray => ({
    index, id: wish.id ?? firstId + index, name: names[index] ?? '', profile: profiles[wish.profile ?? '3par-3.3.1'], user: wish.user ?? '3paradm', password: wish.password ?? passwords[names[index] ?? ''] ?? '',
    licences: new Set(wish.licences ?? ['Golden License']), capacityMiB: wish.capacityMiB ?? defaultCapacityMiB, maxSessions: wish.maxSessions ?? 72,
    iscsiAddresses: wish.iscsiAddresses ?? [`127.0.${index + 1}.1`, `127.0.${index + 1}.2`], tables: tablesOf(journal, index), powered: true,
  }))
  const world: World = { now: options.now ?? Date.now, journal, blocks, arrays, durations: { ...defaultDurations, ...options.durations }, linkCut: false, afterCommit: [], onDiscard: [] }
  world.linkCut = arrays[0]?.tables.values.get('linkCut') === 1
  for (const array of arrays) furnish(array, arrays.filter((other) => other !== array), world.now())
  revive(world, join(directory, 'volumes'))

  const [first] = arrays
  if (first === undefined) throw new StorageError('invalidArgument', 'A simulator of no arrays was asked for', { field: 'arrays', layer: 'simulator', remedy: 'Give at least one: sim-arrays --arrays 2' })
  const link = linkOf(world, first)
  const servers: { readonly server: ArrayServer; readonly iscsi: IscsiTarget | undefined; readonly array: RunningArray }[] = []
  for (const [index, array] of arrays.entries()) {
    const certificate = certificateOf(directory, array.name)
    const port = wishes[index]?.port ?? (options.port === undefined || options.port === 0 ? 0 : options.port + index)
    const server = await serveArray({ world, array, certificate, address: options.address ?? '127.0.0.1', port, keepAlive: options.keepAlive === true })
    const iscsi = options.iscsiPort === undefined ? undefined : await serveIscsi({ world, array, port: options.iscsiPort, linkLatencyMs: () => link.latencyMs })
    servers.push({ server, iscsi, array: running(world, link, array, server, iscsi, certificate) })
  }
  const credentialsFile = join(directory, 'credentials.json')
  writeFileSync(credentialsFile, `${JSON.stringify({ arrays: servers.map(({ array: { name, id, url, user, password, certificate } }) => ({ name, id, url, user, password, ...certificate })) }, null, 2)}\n`, { mode: 0o600 })
  chmodSync(credentialsFile, 0o600)
  return {
    arrays: servers.map(({ array }) => array),
    credentialsFile,
    link,
    catchUp: () => catchUp(world),
    close: async () => {
      for (const { server, iscsi } of servers) {
        await iscsi?.close()
        await server.close()
      }
      journal.close()
      blocks.close()
      held.release()
    },
  }
}
