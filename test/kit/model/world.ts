/** A conformance world in memory: what a driver's test builds in a few lines, on model files and model tools. */
import { Writable } from 'node:stream'
import { pino } from 'pino'
import type { Arrays } from '../../../core/array/ports.ts'
import type { DeviceConfig, Driver, Feature } from '../../../core/contract.ts'
import type { Result } from '../../../core/methods/index.ts'
import type { Log } from '../../../core/ports.ts'
import { pinoLog } from '../../../host/log.ts'
import type { Disk, Harness, Lack, Trouble, World, WorldOption } from '../case.ts'
import { createModelFiles } from './files.ts'
import { createMachine, placeDirectory, startEngine, type Machine, type MachineOptions, type ModelEngine } from './machine.ts'
import { createProcess } from './process.ts'
import type { ScannedFormats } from './scanner.ts'
import type { Inode, Volume } from './volume.ts'

/** Opens an attached VDI in a machine. */
export type OpenDisk = (machine: Machine, attachment: Result<'VDI.attach'>) => Promise<Disk>

export interface ModelWorldOptions extends MachineOptions {
  readonly driver: Driver
  readonly name?: string
  readonly deviceConfig: DeviceConfig
  readonly secrets?: readonly string[]
  readonly formats?: ScannedFormats
  /** Directories that are there from the start. */
  readonly directories?: readonly string[]
  /** Anything else that is there from the start. */
  readonly setUp?: (machine: Machine) => void
  /** A file or device of raw content when absent. */
  readonly disk?: OpenDisk
  readonly vdiSize?: number
  /** Lines of the inventory that a deletion of the SR may leave when it died near its end; the place counts as blank with them. */
  readonly blankRemains?: readonly string[]
  readonly lacks?: readonly Lack[]
  /** Both hosts reach the same storage. */
  readonly shared?: boolean
  readonly trouble?: (machine: () => Machine) => Trouble
  /** That both hosts know. */
  readonly arrays?: Arrays
  /** What an SR of this world offers, when that is less than its type can. */
  readonly features?: readonly Feature[]
}

/** The real log with its real masking, kept as text. */
export const createLogBook = (): { readonly log: Log; readonly text: () => string } => {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  return { log: pinoLog(pino({ level: 'debug' }, stream)), text: () => lines.join('') }
}

export const openRawDisk: OpenDisk = async (machine, attachment) => {
  const file = await createModelFiles(machine.first.space, createProcess()).open(attachment.path, attachment.mode === 'ro' ? 'read' : 'write')
  return {
    read: async (offset, length) => file.read(offset, length),
    write: async (offset, bytes) => file.write(offset, bytes),
    async close() {
      if (attachment.mode === 'rw') await file.sync()
      await file.close()
    },
  }
}

const treeOf = (volume: Volume, at: string): readonly string[] => {
  const lines = (inode: Inode, path: string): string[] =>
    [...inode.entries].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([name, child]) =>
      child.kind === 'directory' ? [`${path}/${name}/`, ...lines(child, `${path}/${name}`)] : [`${path}/${name} ${child.content.length}`])
  return lines(volume.root, at)
}

/** Files of all mounted volumes, mounts, and what the tools add, of both hosts. */
export const inventoryOf = (machine: Machine): readonly string[] =>
  [...new Set([machine.first, machine.second].flatMap((host) => [
    ...[...host.space.mounts].flatMap(([path, volume]) => [`${host.id} mount ${path}`, ...treeOf(volume, path === '/' ? '' : path)]),
    ...machine.tools.flatMap((tool) => tool.inventory(host)),
  ]))].sort()

/** Nothing that was not synced survives. */
export const nothingSurvives = { name: () => false, sector: () => false }

export const buildMachine = (options: ModelWorldOptions): Machine => {
  const machine = createMachine(options)
  const root = machine.first.space.mounts.get('/')
  for (const directory of options.directories ?? []) if (root !== undefined) placeDirectory(root, directory)
  options.setUp?.(machine)
  return machine
}

export const modelHarness = (options: ModelWorldOptions): Harness<ModelEngine> => {
  const trouble = options.trouble?.(() => buildMachine(options)) ?? {}
  const able: readonly WorldOption[] = [
    'reboot',
    ...(options.shared === true ? ['second host' as const] : []),
    ...((options.secrets ?? []).length > 0 ? ['secrets' as const] : []),
    ...(['occupy', 'damage', 'vanish', 'fill'] as const).filter((name) => trouble[name] !== undefined),
  ]
  return {
    driver: options.driver,
    options: able,
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.vdiSize === undefined ? {} : { vdiSize: options.vdiSize }),
    ...(options.lacks === undefined ? {} : { lacks: options.lacks }),
    ...(options.features === undefined ? {} : { features: options.features }),
    world: async (): Promise<World<ModelEngine>> => {
      let machine = buildMachine(options)
      const book = createLogBook()
      const running: ModelEngine[] = []
      return {
        deviceConfig: options.deviceConfig,
        ...(options.secrets === undefined ? {} : { secrets: options.secrets }),
        async start(how = {}) {
          const host = how.host === 'second' ? machine.second : machine.first
          const engine = startEngine(machine, host, {
            driver: options.driver, log: book.log,
            ...(options.arrays === undefined ? {} : { arrays: options.arrays }),
            ...(options.formats === undefined ? {} : { formats: options.formats }),
            ...(how.memory === undefined ? {} : { memory: how.memory }),
          })
          running.push(engine)
          return engine
        },
        disk: async (attachment) => (options.disk ?? openRawDisk)(machine, attachment),
        inventory: async () => inventoryOf(machine),
        logged: book.text,
        async pass(ms) {
          machine.clock.ms += ms
        },
        async reboot() {
          for (const engine of running.splice(0)) engine.process.kill()
          machine = machine.copy(nothingSurvives)
        },
        ...(options.trouble === undefined ? {} : { trouble: options.trouble(() => machine) }),
        async dispose() {
          await Promise.all(running.splice(0).filter((engine) => engine.process.alive).map(async (engine) => engine.close()))
        },
      }
    },
  }
}
