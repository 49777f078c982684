/**
 * A small model world: one or two hosts with volumes, host tools as models, records and locks. It can be copied at any
 * instant, as the death of a process or as a power cut leaves it; tests go on in the copy.
 */
import type { Arrays } from '../../../core/array/ports.ts'
import type { DriverRegistry } from '../../../core/call.ts'
import type { Engine } from '../../../core/caller.ts'
import type { Driver } from '../../../core/contract.ts'
import { checkDriver } from '../../../core/define-driver.ts'
import { createEngine } from '../../../core/engine.ts'
import { StorageError } from '../../../core/errors.ts'
import { createLockTable } from '../../../core/lock-table.ts'
import type { SrUuid } from '../../../core/ids.ts'
import type { Command, Exclusive, Files, Host, Isolate, Locks, Log, Run, RunResult, Scanner } from '../../../core/ports.ts'
import { createModelFiles, type Namespace } from './files.ts'
import { createProcess, type Fault, type ModelProcess, type ProcessWatch } from './process.ts'
import { copyRecords, createModelRecords, emptyRecords, type RecordState } from './records.ts'
import { createModelScanner, type ScannedFormats } from './scanner.ts'
import { addInode, assign, change, copyVolume, createVolume, syncContent, syncNames, type Fate, type Volume } from './volume.ts'

/** One family of host tools (mount, lvm, iscsiadm ...) and the state behind it. A run is one step of a process. */
export interface ToolModel {
  readonly tools: readonly string[]
  /** Whatever exit status; the model of `run` makes the errors. Options of the real tool that the model does not know must throw. */
  run(command: Command, host: ModelHost): RunResult | Promise<RunResult>
  /** What it adds to the inventory of the world. */
  inventory(host: ModelHost): readonly string[]
  /** Equal for equal states, so that the crash explorer judges none twice; absent: each state counts as another one. */
  fingerprint?(): string
  /** The same state, in a copied world; `volume` finds the copy of a volume. `rebooted`: volatile state is gone. */
  copy(volume: (original: Volume) => Volume, rebooted: boolean): ToolModel
}

export interface ModelHost {
  readonly id: string
  readonly bootId: string
  readonly space: Namespace
  readonly records: RecordState
  readonly locks: Locks
}

export interface Machine {
  readonly clock: { ms: number }
  readonly first: ModelHost
  readonly second: ModelHost
  readonly tools: readonly ToolModel[]
  /** As it is, or with a fate as a power cut of the first host leaves it, booted again. */
  copy(fate?: Fate): Machine
}

export const runDirectory = '/run/storage-manager'

/** A directory made by somebody else, long ago: durable. */
export const placeDirectory = (volume: Volume, path: string): void => {
  let at = volume.root
  for (const name of path.split('/').filter((part) => part !== '')) {
    const there = at.entries.get(name)
    const next = there ?? addInode(volume, 'directory', 0)
    if (there === undefined) assign(volume, [{ directory: at, name, to: next }], 0)
    syncNames(volume, at)
    at = next
  }
}

/** A file in the root directory of a volume, written by somebody else: replaces one of that name. Durable. */
export const addFile = (volume: Volume, name: string, text: string): void => {
  const file = volume.root.entries.get(name) ?? addInode(volume, 'file', 0)
  const bytes = new TextEncoder().encode(text)
  change(file, { kind: 'truncate', length: 0 }, 0)
  change(file, { kind: 'write', position: 0, bytes }, 0)
  syncContent(file)
  assign(volume, [{ directory: volume.root, name, to: file }], 0)
  syncNames(volume, volume.root)
}

const bootHost = (id: string, boot: number, root: Volume, clock: { ms: number }, records: RecordState): ModelHost => {
  placeDirectory(root, runDirectory)
  return {
    id, bootId: `boot-${boot}`, records, locks: createLockTable(),
    space: { mounts: new Map([['/', root]]), open: new Map(), now: () => clock.ms },
  }
}

export interface MachineOptions {
  readonly tools?: (first: ModelHost, second: ModelHost) => readonly ToolModel[]
  /** The root of the second host; the very volume of the first one when absent, so that both see the same directories. */
  readonly secondRoot?: Volume
  /** Mount points that the host itself mounts when it boots; all others are gone then. */
  readonly atBoot?: readonly string[]
}

export const createMachine = (options: MachineOptions = {}): Machine => {
  const clock = { ms: Date.UTC(2026, 0, 1) }
  const root = createVolume()
  const first = bootHost('host-1', 1, root, clock, emptyRecords())
  const second = bootHost('host-2', 1, options.secondRoot ?? root, clock, emptyRecords())
  return assemble(clock, first, second, options.tools?.(first, second) ?? [], 1, ['/', ...(options.atBoot ?? [])])
}

const assemble = (clock: { ms: number }, first: ModelHost, second: ModelHost, tools: readonly ToolModel[], boot: number, atBoot: readonly string[]): Machine => ({
  clock, first, second, tools,
  copy(fate) {
    const copies = new Map<Volume, Volume>()
    const volume = (original: Volume): Volume => {
      const known = copies.get(original) ?? copyVolume(original, fate)
      copies.set(original, known)
      return known
    }
    const ownClock = { ms: clock.ms }
    const rebooted = fate !== undefined
    const copyHost = (host: ModelHost, boots: boolean): ModelHost => {
      const mounts = new Map([...host.space.mounts].filter(([path]) => !boots || atBoot.includes(path)).map(([path, original]) => [path, volume(original)]))
      return {
        id: host.id, bootId: boots ? `boot-${boot + 1}` : host.bootId, records: copyRecords(host.records), locks: createLockTable(),
        space: { mounts, open: new Map(), now: () => ownClock.ms },
      }
    }
    const [one, two] = [copyHost(first, rebooted), copyHost(second, false)]
    return assemble(ownClock, one, two, tools.map((tool) => tool.copy(volume, rebooted)), rebooted ? boot + 1 : boot, atBoot)
  },
})

const registryOf = (driver: Driver): DriverRegistry => ({
  types: [driver.type],
  async load(type) {
    if (type !== driver.type) throw new StorageError('invalidArgument', `There is no SR type ${JSON.stringify(type)}`, { field: 'type', layer: 'engine', remedy: `The known types are: ${driver.type}` })
    checkDriver(driver)
    return driver
  },
})

const createModelRun = (machine: Machine, host: ModelHost, process: ModelProcess): Run => async (command, signal) => {
  signal.throwIfAborted()
  const [tool] = command.argv
  const model = machine.tools.find(({ tools }) => tools.includes(tool))
  const answer = await process.perform({ call: 'run', target: command.argv.join(' '), effect: command.effect }, async () => {
    if (model === undefined) throw new StorageError('toolMissing', `The host tool ${tool} cannot be started: it is not installed or not executable`, { layer: `host:${tool}`, remedy: 'smctl doctor names the missing packages', details: { tool } })
    return model.run(command, host)
  })
  if ((command.accept ?? [0]).includes(answer.exitCode)) return answer
  throw new StorageError('toolFailed', `${command.argv.slice(0, 3).join(' ')} failed with status ${answer.exitCode}: ${answer.stderr || answer.stdout || 'it said nothing'}`, {
    layer: `host:${tool}`, mayHaveChanged: command.effect === 'write', details: { tool, exit_code: answer.exitCode, stdout: answer.stdout.slice(-2000), stderr: answer.stderr.slice(-2000) },
  })
}

/** A lock of a dead process is nobody's. */
const createModelLocks = (host: ModelHost, process: ModelProcess): Locks => ({
  async acquire(request, waitMs, signal) {
    const held = await host.locks.acquire(request, waitMs, signal)
    process.atDeath(() => held.release())
    return held
  },
  forget: (sr) => host.locks.forget(sr),
})

const createModelExclusive = (host: ModelHost, process: ModelProcess): Exclusive => async (name, purpose, waitMs, signal) => {
  // The table is asked for an SR that no uuid can name.
  const held = await host.locks.acquire({ sr: `host lock ${name}` as SrUuid, srMode: 'exclusive', vdis: [], purpose }, waitMs, signal)
  process.atDeath(() => held.release())
  return held
}

/** Locks that live on a volume: whoever shares it shares them. */
const locksOfVolumes = new WeakMap<Volume, Locks>()

const locksAt = (host: ModelHost, path: string): Locks => {
  const [, volume] = [...host.space.mounts].filter(([mount]) => path.startsWith(mount)).reduce((best, entry) => (entry[0].length > best[0].length ? entry : best))
  const locks = locksOfVolumes.get(volume) ?? createLockTable()
  locksOfVolumes.set(volume, locks)
  return locks
}

/** Nothing hangs in the model: what is isolated is the process itself. */
const createModelIsolate = (host: ModelHost, process: ModelProcess, files: Files, scanner: Scanner): Isolate => () => ({
  files, scanner,
  async guard(lockFile, request, waitMs, signal) {
    const held = await locksAt(host, lockFile).acquire(request, waitMs, signal)
    process.atDeath(() => held.release())
    return held
  },
  stuck: () => 0,
  close: () => undefined,
})

export interface ModelEngine extends Engine {
  readonly process: ModelProcess
  readonly files: Files
}

export interface EngineSettings extends ProcessWatch {
  readonly driver: Driver
  readonly log: Log
  readonly formats?: ScannedFormats
  readonly memory?: 'kept' | 'lost'
  readonly lockWaitMs?: number
  /** That the hosts know; none when absent. */
  readonly arrays?: Arrays
  /** Faults of the world, beside those of this process. */
  readonly faults?: readonly Fault[]
}

/** Starts a process of the storage manager on one of the hosts. */
export const startEngine = (machine: Machine, host: ModelHost, settings: EngineSettings): ModelEngine => {
  const process = createProcess(settings)
  const files = createModelFiles(host.space, process)
  const records = settings.memory === 'lost' ? emptyRecords() : host.records
  const clock = { now: () => machine.clock.ms }
  const scanner = createModelScanner(files, settings.formats ?? {})
  const port: Host = {
    id: host.id, bootId: host.bootId, runDirectory,
    run: createModelRun(machine, host, process),
    files,
    scanner,
    isolate: createModelIsolate(host, process, files, scanner),
    exclusive: createModelExclusive(host, process),
  }
  const engine = createEngine({
    drivers: registryOf(settings.driver), host: port, locks: createModelLocks(host, process), records: createModelRecords(records, process, host.bootId),
    clock, log: settings.log, ...(settings.arrays === undefined ? {} : { arrays: settings.arrays }), version: '0.0.0', stateDirectory: '/var/lib/storage-manager', ...(settings.lockWaitMs === undefined ? {} : { lockWaitMs: settings.lockWaitMs }),
  })
  return { ...engine, process, files }
}
