/** The play on the model array: two groups, one in each direction, and a standalone device. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StorageError } from '../../../core/errors.ts'
import { modelArray } from '../../../drivers/array-replication/model/driver.ts'
import { createModelPair, cutLink, cycle, hostWrite, isWritable, readContent, restoreLink } from '../../../drivers/array-replication/model/world.ts'
import { readState, writeState } from '../../../drivers/array-replication/model/state.ts'
import { createMachine, ctxOn, type SiteName } from '../replication/world.ts'
import { otherSite, type NewPlayWorld, type PlayedUnit } from './world.ts'

const size = 4096
const hosts = { a: { type: 'iSCSI', id: 'iqn.2026-01.test:host-a' }, b: { type: 'FC', id: '20:00:00:e0:8b:00:00:0b' } } as const
const kinds = { FC: 'fc', iSCSI: 'iscsi' } as const

const units = [
  { name: 'mail', kind: 'group', from: 'a', devices: 2 },
  { name: 'shop', kind: 'group', from: 'b', devices: 2 },
  { name: 'wiki', kind: 'device', from: 'a', devices: 1 },
] as const satisfies readonly (PlayedUnit & { readonly devices: number })[]

export const modelPlay: NewPlayWorld = async () => {
  const root = mkdtempSync(join(tmpdir(), 'play-'))
  const saved: string[] = []
  const pair = createModelPair(root)
  const ctx = ctxOn(createMachine('maker'))
  const open = async (site: SiteName) => modelArray.connect(ctx, { directory: pair[site] })
  const found = new Map<string, { readonly id: string; readonly volumes: readonly string[] }>()
  for (const { name, kind, from, devices } of units) {
    const [array, peer] = [await open(from), await open(otherSite(from))]
    const volumes: string[] = []
    for (let index = 0; index < devices; index += 1) {
      const made = await array.create(ctx, { name: `${name}-${index}`, size, provisioning: 'thin' })
      if (made.kind === 'done') volumes.push(made.value.id)
    }
    const unit = await array.replication?.create?.(ctx, { name, kind, peer: `model-${otherSite(from)}`, mode: 'asynchronous', volumes })
    const twin = (await peer.replication?.units(ctx))?.find((one) => one.key === unit?.key)
    if (unit === undefined || twin === undefined) throw new Error(`the model made no ${name}`)
    const host = hosts[from]
    await array.replication?.present(ctx, unit.id, { '': [{ kind: kinds[host.type], id: host.id }] })
    cycle(pair[from], unit.id)
    found.set(`${from}/${name}`, { id: unit.id, volumes: unit.members.map(({ volume }) => volume) })
    found.set(`${otherSite(from)}/${name}`, { id: twin.id, volumes: twin.members.map(({ volume }) => volume) })
  }
  const at = (site: SiteName, unit: string) => {
    const one = found.get(`${site}/${unit}`)
    if (one === undefined) throw new Error(`there is no ${unit} at ${site}`)
    return one
  }
  return {
    driver: modelArray, units: units.map(({ name, kind, from }) => ({ name, kind, from })), arrayIds: { a: 'model-a', b: 'model-b' }, hosts, open,
    async write(site, unit, value) {
      const array = await open(site)
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(BigInt(value))
      const { volumes } = at(site, unit)
      const presentations = (await array.access?.presentations(ctx, volumes)) ?? []
      for (const volume of volumes) {
        const group = presentations.find((one) => one.volume === volume)?.group
        if (group === undefined) return false
        try {
          hostWrite(pair[site], volume, group, 0, bytes)
        } catch (error) {
          if (error instanceof StorageError) return false
          throw error
        }
      }
      return true
    },
    counters: async (site, unit) => at(site, unit).volumes.map((volume) => Number(Buffer.from(readContent(pair[site], volume, 0, 8)).readBigUInt64LE())),
    writable: async (site, unit) => isWritable(pair[site], at(site, unit).id),
    cutLink: async () => cutLink(pair),
    restoreLink: async () => restoreLink(pair),
    slow: (polls) => [pair.a, pair.b].forEach((directory) => writeState(directory, { ...readState(directory), slowSync: polls })),
    async save() {
      const kept = mkdtempSync(join(tmpdir(), 'play-kept-'))
      cpSync(root, kept, { recursive: true })
      saved.push(kept)
      return async () => {
        rmSync(root, { recursive: true, force: true })
        cpSync(kept, root, { recursive: true })
      }
    },
    async destroy() {
      for (const directory of [root, ...saved]) rmSync(directory, { recursive: true, force: true })
    },
  }
}
