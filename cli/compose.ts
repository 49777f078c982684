/** The one place that joins the rooms: driver registry, this machine, its locks and records, and the engine. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createArrayRegistry, type Arrays } from '../core/array/ports.ts'
import type { DriverRegistry } from '../core/call.ts'
import type { CallTrace, Engine } from '../core/caller.ts'
import type { Driver } from '../core/contract.ts'
import { checkDriver } from '../core/define-driver.ts'
import { createEngine } from '../core/engine.ts'
import { StorageError } from '../core/errors.ts'
import type { Clock, Host, Log, Scanner } from '../core/ports.ts'
import { builtinArrays } from '../drivers/array-replication/arrays.ts'
import { builtinDrivers } from '../drivers/registry.gen.ts'
import { createArrayRecords } from '../host/array-records.ts'
import { systemClock } from '../host/clock.ts'
import { createExclusive } from '../host/exclusive.ts'
import { createFiles } from '../host/files/files.ts'
import { bootId, hostId } from '../host/identity.ts'
import { createIsolation } from '../host/isolated-files/isolated-place.ts'
import { createKernelLocks } from '../host/kernel-locks.ts'
import { createHostRecords } from '../host/records.ts'
import { createRun, workerStarter } from '../host/run.ts'
import { version } from './version.ts'

export interface ComposeOptions {
  /** Private directory for records, locks and the like. */
  readonly stateDirectory: string
  readonly log: Log
  /** How whole directories are read: a live worker in the daemon, directly in a short process. */
  readonly scanner: Scanner
  /** Drivers from outside: a folder that holds driver.js, or the name of an npm package in the state directory or beside this one. */
  readonly externalDrivers?: readonly string[]
  readonly onTrace?: (trace: CallTrace) => void
}

/** From sources it is TypeScript; the bundle has it beside every other chunk. */
const filesWorker = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './files-worker.ts' : './files-worker.js', import.meta.url))

type Loader = () => Promise<Driver>

interface Registry extends DriverRegistry {
  /** The Debian package of a tool that a loaded driver starts. */
  readonly packageOf: (tool: string) => string | undefined
}

/** Known types at once, code of a driver when its type is first asked for, checked against the contract then. */
const createRegistry = (loaders: ReadonlyMap<string, Loader>): Registry => {
  const loaded = new Map<string, Promise<Driver>>()
  const packages = new Map<string, string>()
  return {
    types: [...loaders.keys()],
    packageOf: (tool) => packages.get(tool),
    async load(type) {
      const loader = loaders.get(type)
      if (loader === undefined) {
        throw new StorageError('invalidArgument', `There is no SR type ${JSON.stringify(type)}`, { field: 'type', layer: 'engine', remedy: `The known types are: ${[...loaders.keys()].join(', ')}` })
      }
      const known = loaded.get(type)
      if (known !== undefined) return known
      const loading = loader().then((driver) => {
        checkDriver(driver)
        for (const { name, debianPackage } of driver.tools) packages.set(name, debianPackage)
        return driver
      })
      loaded.set(type, loading)
      loading.catch(() => loaded.delete(type))
      return loading
    },
  }
}

const registryFor = async (external: readonly string[], stateDirectory: string): Promise<Registry> => {
  const loaders = new Map<string, Loader>(Object.entries(builtinDrivers))
  if (external.length > 0) {
    const { loadExternalDriver } = await import('./external-drivers.ts')
    for (const source of external) {
      const driver = await loadExternalDriver(source, stateDirectory)
      if (loaders.has(driver.type)) {
        throw new StorageError('alreadyExists', `The driver ${source} has the type ${driver.type}, which is taken`, { field: 'drivers', layer: 'engine', remedy: 'Remove one of them from the configuration' })
      }
      loaders.set(driver.type, async () => driver)
    }
  }
  return createRegistry(loaders)
}

/** This machine as drivers use it. */
const composeHost = ({ stateDirectory, log, scanner }: ComposeOptions, boot: string, packageOf: (tool: string) => string | undefined): Host => {
  const runDirectory = join(stateDirectory, 'run')
  mkdirSync(runDirectory, { recursive: true, mode: 0o700 })
  let id: string | undefined
  return {
    // A digest: most calls never ask for it.
    get id() {
      return (id ??= hostId())
    },
    bootId: boot,
    runDirectory,
    run: createRun(log, packageOf),
    files: createFiles(),
    scanner,
    exclusive: createExclusive(join(stateDirectory, 'locks')),
    isolate: createIsolation({ start: workerStarter(filesWorker), log }),
  }
}

const composeArrays = (stateDirectory: string): Arrays => ({ registry: createArrayRegistry(builtinArrays), records: createArrayRecords(stateDirectory) })

/** For what talks to arrays and to no SR: the machine and the arrays, without an engine. */
export const composeForArrays = (options: ComposeOptions): { readonly host: Host; readonly arrays: Arrays; readonly clock: Clock } =>
  ({ host: composeHost(options, bootId(), () => undefined), arrays: composeArrays(options.stateDirectory), clock: systemClock })

export const composeEngine = async (options: ComposeOptions): Promise<Engine> => {
  const { stateDirectory, log } = options
  const drivers = await registryFor(options.externalDrivers ?? [], stateDirectory)
  const boot = bootId()
  return createEngine({
    drivers,
    arrays: composeArrays(stateDirectory),
    siteRecovery: async (...asked) => (await import('../sra/for-engine.ts')).answerInEngine(...asked),
    host: composeHost(options, boot, drivers.packageOf),
    locks: createKernelLocks(join(stateDirectory, 'locks')),
    records: createHostRecords(stateDirectory, boot),
    clock: systemClock,
    log,
    version,
    stateDirectory,
    ...(options.onTrace === undefined ? {} : { onTrace: options.onTrace }),
  })
}
