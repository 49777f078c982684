/**
 * A pair of model arrays as one host tool: every array call is a run of it, a step of the calling process like any other, so that crashes come before
 * and after it and a copied world has arrays of its own. What the arrays present are LUNs of the model targets.
 */
import { closeSync, cpSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OpenArray } from '../../../core/array/contract.ts'
import { defineArray } from '../../../core/array/define-array.ts'
import { createArrayRegistry, type ArrayRecord, type Arrays } from '../../../core/array/ports.ts'
import type { ArrayCtx } from '../../../core/array/types.ts'
import { errorFromReport, reportError, StorageError, toStorageError, type ErrorReport } from '../../../core/errors.ts'
import { modelArray } from '../../../drivers/array-replication/model/driver.ts'
import { contentFile, copyDirectory } from '../../../drivers/array-replication/model/data.ts'
import { partId, readState, type ModelState } from '../../../drivers/array-replication/model/state.ts'
import { createModelPair, type ModelPair } from '../../../drivers/array-replication/model/world.ts'
import { createMachine, ctxOn } from '../replication/world.ts'
import { pageSize, readContent } from '../model/content.ts'
import type { Machine } from '../model/machine.ts'
import { change, syncContent, type Inode } from '../model/volume.ts'
import { diskOf, setSize, type TargetPlan } from './iscsi/array.ts'
import type { IscsiModel } from './iscsi/model.ts'

export type SiteName = 'a' | 'b'
const sites: readonly SiteName[] = ['a', 'b']
const tool = 'model-array'

/** Places of the pairs of this process; a copy is a directory of its own. */
const root = mkdtempSync(join(tmpdir(), 'kit-arrays-'))
process.once('exit', () => rmSync(root, { recursive: true, force: true }))
let places = 0
const newPlace = (): string => {
  places += 1
  return join(root, String(places))
}

const iqnOf = (site: SiteName): string => `iqn.2026-01.org.example:model-${site}`
const portalOf = (site: SiteName): { readonly address: string; readonly port: number } => ({ address: site === 'a' ? '192.0.2.10' : '198.51.100.10', port: 3260 })

/** The model of iSCSI with these arrays behind its targets. */
export interface ArraysModel extends IscsiModel {
  /** Arrays that answer. */
  readonly alive: Set<SiteName>
  /** Every call so far, as `site section.function`. */
  readonly calls: string[]
  directory(site: SiteName): string
  readonly pair: ModelPair
}

/** As the model target makes its identity of a serial. */
const serialOf = (wwid: string): string => wwid.replace('naa.6001405', '')

const objectsOf = (directory: string, state: ModelState): readonly { readonly id: string; readonly number: number; readonly file: string; readonly presentations: ModelState['volumes'][string]['presentations'] }[] => [
  ...Object.entries(state.volumes).map(([id, { number, presentations }]) => ({ id, number, presentations, file: contentFile(directory, state, id) })),
  ...Object.entries(state.snapshots).flatMap(([snapshot, { parts }]) => Object.entries(parts).map(([volume, { number, presentations }]) => ({ id: partId(snapshot, volume), number, presentations, file: join(copyDirectory(directory, snapshot), volume) }))),
]

/** As the model array does: its name, and the number of the object. */
const wwidOf = (state: ModelState, number: number): string => {
  let hash = 0x811c9dc5
  for (const char of state.id) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0
  return `naa.6001405${'0'.repeat(9)}${hash.toString(16).padStart(8, '0')}${number.toString(16).padStart(8, '0')}`
}

const writeBack = (inode: Inode, file: string): void => {
  const handle = openSync(file, 'r+')
  ftruncateSync(handle, inode.content.length)
  for (const page of inode.content.pages.keys()) writeSync(handle, readContent(inode.content, page * pageSize, pageSize), 0, undefined, page * pageSize)
  closeSync(handle)
}

const zeros = Buffer.alloc(pageSize)

const readIn = (inode: Inode, file: string): void => {
  const bytes = readFileSync(file)
  change(inode, { kind: 'truncate', length: bytes.length }, 0)
  for (let at = 0; at < bytes.length; at += pageSize) {
    const page = bytes.subarray(at, at + pageSize)
    const there = inode.content.pages.get(at / pageSize)
    if (there === undefined ? page.equals(zeros) : Buffer.from(there.subarray(0, page.length)).equals(page)) continue
    change(inode, { kind: 'write', position: at, bytes: new Uint8Array(page) }, 0)
  }
  syncContent(inode)
}

const assemble = (place: string, iscsi: IscsiModel, alive: Set<SiteName>): ArraysModel => {
  const pair = { a: join(place, 'a'), b: join(place, 'b'), link: join(place, 'link') }
  const known = new Map<string, { changes: number; modified: number }>()
  const { array } = iscsi
  const each = (work: (serial: string, file: string, presentations: ModelState['volumes'][string]['presentations'], site: SiteName, state: ModelState) => void): void => {
    for (const site of sites) {
      const state = readState(pair[site])
      for (const { number, file, presentations } of objectsOf(pair[site], state)) work(serialOf(wwidOf(state, number)), file, presentations, site, state)
    }
  }
  /** What hosts have written goes into the files. */
  const bring = (): void => each((serial, file) => {
    const inode = array.disks.root.entries.get(serial)
    if (inode === undefined || known.get(serial)?.changes === inode.changes) return
    writeBack(inode, file)
    known.set(serial, { changes: inode.changes, modified: statSync(file).mtimeMs })
  })
  /** What a call has changed comes back, and presentations become LUNs. */
  const spread = (): void => {
    const masks = new Map<SiteName, Map<string, Map<number, string>>>(sites.map((site) => [site, new Map()]))
    each((serial, file, presentations, site, state) => {
      if (presentations.length > 0) {
        if (array.disks.root.entries.get(serial) === undefined) setSize(array, serial, statSync(file).size)
        const modified = statSync(file).mtimeMs
        if (known.get(serial)?.modified !== modified) {
          const inode = diskOf(array, serial)
          readIn(inode, file)
          known.set(serial, { changes: inode.changes, modified })
        }
      }
      for (const { group, lun } of presentations) {
        for (const { id } of state.groups[group] ?? []) masks.get(site)?.set(id, (masks.get(site)?.get(id) ?? new Map<number, string>()).set(lun, serial))
      }
    })
    for (const site of sites) {
      const target = array.targets.find(({ iqn }) => iqn === iqnOf(site))
      if (target !== undefined) target.masks = masks.get(site) ?? new Map()
    }
  }
  const model: ArraysModel = {
    ...iscsi, alive, calls: [], pair, directory: (site) => pair[site], tools: [...iscsi.tools, tool],
    async run(command, host) {
      const [name, site, path = '', text = '[]'] = command.argv as readonly [string, SiteName, string?, string?]
      if (name !== tool) return iscsi.run(command, host)
      model.calls.push(`${site} ${path}`)
      const answer = (exitCode: number, value: unknown) => ({ exitCode, stdout: JSON.stringify(value), stderr: '', durationMs: 0 })
      if (!alive.has(site)) return answer(1, reportError(new StorageError('unreachable', `The model array ${site} does not answer`, { layer: 'array:model', remedy: 'Bring it back' })))
      try {
        bring()
        const ctx = ctxOn(createMachine('array'))
        const open = await modelArray.connect(ctx, { directory: pair[site] })
        const found = path.split('.').reduce<unknown>((at, one) => (at as Record<string, unknown>)[one], open) as (...args: readonly unknown[]) => Promise<unknown>
        const value = await found(ctx, ...(JSON.parse(text) as readonly unknown[]).map((one) => one ?? undefined))
        return answer(0, value instanceof Map ? { map: [...value] } : { value })
      } catch (error) {
        return answer(1, reportError(toStorageError(error, 'array:model')))
      } finally {
        spread()
        iscsi.stir([host])
      }
    },
    inventory: (host) => [...iscsi.inventory(host), ...sites.flatMap((site) => {
      const state = readState(pair[site])
      return [
        ...Object.values(state.volumes).map(({ name, size, presentations }) => `array ${site} volume ${name} ${size} presented to ${presentations.map(({ group }) => group).join() || 'none'}`),
        ...Object.values(state.snapshots).map(({ name, parts }) => `array ${site} snapshot ${name} presented to ${Object.values(parts).flatMap(({ presentations }) => presentations.map(({ group }) => group)).join() || 'none'}`),
        ...Object.values(state.units).map(({ name, role, members }) => `array ${site} group ${name} ${role} of ${members.length}`),
        ...Object.keys(state.groups).map((group) => `array ${site} access group ${group}`), ...Object.keys(state.metadata).map((key) => `array ${site} text ${key}`),
      ]
    })],
    copy(volume, rebooted) {
      bring()
      const to = newPlace()
      cpSync(place, to, { recursive: true })
      for (const site of sites) {
        const file = join(to, site, 'array.json')
        writeFileSync(file, readFileSync(file, 'utf8').replaceAll(`${place}/`, `${to}/`))
      }
      return assemble(to, iscsi.copy(volume, rebooted) as IscsiModel, new Set(alive))
    },
  }
  return model
}

/** `iscsi` has the targets of `arrayPlans`. */
export const createArraysModel = (iscsi: IscsiModel): ArraysModel => {
  const place = newPlace()
  createModelPair(place)
  return assemble(place, iscsi, new Set(sites))
}

export const arrayPlans = (): readonly TargetPlan[] => sites.map((site) => ({ iqn: iqnOf(site), portals: [portalOf(site)], luns: [] }))

export const arraysOf = (machine: Machine): ArraysModel => {
  const found = machine.tools.find(({ tools }) => tools.includes(tool))
  if (found === undefined) throw new Error('the machine has no arrays')
  return found as ArraysModel
}

const sections = ['access', 'snapshots', 'clones', 'qos', 'replication', 'metadata'] as const
const reads = new Set(['capabilities', 'info', 'status', 'storageNames', 'pools', 'ports', 'list', 'volume', 'updateVolumes', 'groups', 'presentations', 'limit', 'snapable', 'current', 'planRestore', 'cloneable', 'splittable', 'peers', 'units', 'unit', 'points', 'syncStatus'])

/** The driver of this array type: its calls are runs of the tool on the machine of the caller. */
const kitArray = (model: OpenArray) => defineArray({
  ...modelArray, connection: modelArray.connection,
  async connect(ctx, connection) {
    const site = connection['directory'] === '/a' ? 'a' : 'b'
    const call = (path: string) => async (at: ArrayCtx, ...args: readonly unknown[]): Promise<unknown> => {
      const name = path.split('.').at(-1) ?? ''
      const { exitCode, stdout } = await at.host.run({ argv: [tool, site, path, JSON.stringify(args)], timeoutMs: 1000, effect: reads.has(name) ? 'read' : 'write', accept: [0, 1] }, at.signal)
      if (exitCode !== 0) throw errorFromReport(JSON.parse(stdout) as ErrorReport)
      const answer = JSON.parse(stdout) as { readonly value?: unknown; readonly map?: readonly (readonly [string, string])[] }
      return answer.map === undefined ? answer.value : new Map(answer.map)
    }
    const remote = (of: object, prefix: string): Record<string, unknown> => Object.fromEntries(Object.entries(of).map(([name, value]) => [name, typeof value === 'function' ? call(`${prefix}${name}`) : value]))
    const open = { ...remote(model, ''), close: async () => undefined, ...Object.fromEntries(sections.map((name) => [name, name === 'metadata' ? { ...remote(model.metadata ?? {}, 'metadata.'), maxValue: model.metadata?.maxValue } : remote(model[name] ?? {}, `${name}.`)])) }
    await call('status')(ctx)
    return open as unknown as OpenArray
  },
})

/** Both arrays under the names left and right, as every host of the world knows them. */
export const kitArrays = async (): Promise<Arrays> => {
  const place = newPlace()
  createModelPair(place)
  const model = await modelArray.connect(ctxOn(createMachine('maker')), { directory: join(place, 'a') })
  const records: readonly ArrayRecord[] = [{ name: 'left', type: 'model', connection: { directory: '/a', password: 'planted-secret-3' } }, { name: 'right', type: 'model', connection: { directory: '/b' } }]
  const driver = kitArray(model)
  return {
    registry: createArrayRegistry({ model: async () => driver }),
    records: { list: () => records, get: (name) => records.find((one) => one.name === name), put: () => undefined, remove: () => false },
  }
}
