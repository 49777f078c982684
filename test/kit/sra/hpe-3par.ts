/** The play on the 3PAR-class driver and two simulated arrays: groups only, in each direction, found by their WWN. */
import hpe3par from '../../../drivers/array-replication/hpe-3par/hpe-3par.array.ts'
import { startHpe3parStand, volumeSize } from '../replication/hpe-3par-stand.ts'
import { otherSite, type SiteName } from '../replication/world.ts'
import type { NewPlayWorld } from './world.ts'

const hosts = { a: { type: 'iSCSI', id: 'iqn.2026-01.test:host-a' }, b: { type: 'iSCSI', id: 'iqn.2026-01.test:host-b' } } as const
const units = [{ name: 'mail', from: 'a', volumes: ['mail-0', 'mail-1'] }, { name: 'shop', from: 'b', volumes: ['shop-0'] }] as const

export const hpe3parPlay: NewPlayWorld = async () => {
  const stand = await startHpe3parStand('periodic', [hosts.a.id, hosts.b.id])
  const { ctx, running, sim, connect } = stand
  const wwns = new Map<string, readonly string[]>()
  const arrays = { a: await connect('a'), b: await connect('b') }
  const idAt = (site: SiteName, unit: (typeof units)[number]): string => (site === unit.from ? unit.name : `${unit.name}.r${sim(unit.from).id}`)
  for (const unit of units) {
    const array = arrays[unit.from]
    for (const name of unit.volumes) await array.create(ctx, { name, size: volumeSize, provisioning: 'thin' })
    await array.replication?.create?.(ctx, { name: unit.name, kind: 'group', peer: sim(otherSite(unit.from)).name, mode: 'periodic', volumes: unit.volumes })
    await array.replication?.present(ctx, unit.name, { '': [{ kind: 'iscsi', id: hosts[unit.from].id }] })
    await stand.settled(array, unit.name)
    for (const site of ['a', 'b'] as const) wwns.set(`${site}/${unit.name}`, await stand.wwnsOf(arrays[site], idAt(site, unit), unit.volumes))
  }
  const at = (site: SiteName, unit: string): readonly string[] => wwns.get(`${site}/${unit}`) ?? []
  const arrayIds = { a: (await arrays.a.info(ctx)).id, b: (await arrays.b.info(ctx)).id }
  return {
    driver: hpe3par, units: units.map(({ name, from }) => ({ name, kind: 'group', from })), arrayIds, hosts,
    open: connect,
    write: async (site, unit, value) => stand.writeCounter(site, at(site, unit), value),
    counters: async (site, unit) => stand.counters(site, units.find(({ name }) => name === unit)?.volumes ?? []),
    writable: async (site, unit) => stand.isWritable(site, at(site, unit)[0] ?? ''),
    cutLink: async () => running.link.cut(),
    restoreLink: async () => running.link.restore(),
    destroy: stand.destroy,
  }
}
