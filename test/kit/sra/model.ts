/** The play on the model array: two groups, one in each direction, and a standalone device. */
import { modelArray } from '../../../drivers/array-replication/model/driver.ts'
import { cutLink, cycle, isWritable, restoreLink } from '../../../drivers/array-replication/model/world.ts'
import { readState, writeState } from '../../../drivers/array-replication/model/state.ts'
import { createModelStand } from '../replication/model-stand.ts'
import { otherSite, type SiteName } from '../replication/world.ts'
import type { NewPlayWorld, PlayedUnit } from './world.ts'

const hosts = { a: { type: 'iSCSI', id: 'iqn.2026-01.test:host-a' }, b: { type: 'FC', id: '20:00:00:e0:8b:00:00:0b' } } as const
const kinds = { FC: 'fc', iSCSI: 'iscsi' } as const

const units = [
  { name: 'mail', kind: 'group', from: 'a', devices: 2 },
  { name: 'shop', kind: 'group', from: 'b', devices: 2 },
  { name: 'wiki', kind: 'device', from: 'a', devices: 1 },
] as const satisfies readonly (PlayedUnit & { readonly devices: number })[]

export const modelPlay: NewPlayWorld = async () => {
  const stand = createModelStand()
  const { ctx, pair, open } = stand
  const found = new Map<string, { readonly id: string; readonly volumes: readonly string[] }>()
  for (const { name, kind, from, devices } of units) {
    const [array, peer] = [await open(from), await open(otherSite(from))]
    const volumes = await stand.makeVolumes(array, Array.from({ length: devices }, (_, index) => `${name}-${index}`))
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
    write: async (site, unit, value) => stand.writeCounter(site, at(site, unit).volumes, value),
    counters: async (site, unit) => stand.counters(site, at(site, unit).volumes),
    writable: async (site, unit) => isWritable(pair[site], at(site, unit).id),
    cutLink: async () => cutLink(pair),
    restoreLink: async () => restoreLink(pair),
    slow: (polls) => [pair.a, pair.b].forEach((directory) => writeState(directory, { ...readState(directory), slowSync: polls })),
    save: stand.save,
    destroy: stand.destroy,
  }
}
