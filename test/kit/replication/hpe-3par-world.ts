/** The kit's replication world on the 3PAR-class driver and two simulated arrays. */
import type { OpenArray } from '../../../core/array/contract.ts'
import { traits } from '../../../drivers/array-replication/hpe-3par/replication/section.ts'
import { startHpe3parStand, volumeSize } from './hpe-3par-stand.ts'
import type { NewWorld, SiteName } from './world.ts'

const volumes = ['disk-0', 'disk-1', 'disk-2'] as const
const hosts = { a: [{ kind: 'iscsi', id: 'iqn.2026-01.test:host-a' }], b: [{ kind: 'iscsi', id: 'iqn.2026-01.test:host-b' }] } as const

export const hpe3parWorld: NewWorld = async ({ mode }) => {
  const stand = await startHpe3parStand(mode, [hosts.a[0].id, hosts.b[0].id])
  const { ctx, running, sim, connect } = stand
  const ids = { a: 'unit', b: `unit.r${sim('a').id}` }
  const [a, b] = [await connect('a'), await connect('b')]
  for (const name of volumes) await a.create(ctx, { name, size: volumeSize, provisioning: 'thin' })
  await a.replication?.create?.(ctx, { name: 'unit', kind: 'group', peer: sim('b').name, mode, volumes })
  const unitAt = async (array: OpenArray, site: SiteName) => {
    const unit = await array.replication?.unit(ctx, ids[site])
    if (unit === undefined) throw new Error(`no unit at ${site}`)
    return unit
  }
  await a.replication?.present(ctx, 'unit', { '': hosts.a })
  await stand.settled(a, 'unit')
  const { key } = await unitAt(a, 'a')
  const wwns = { a: await stand.wwnsOf(a, ids.a, volumes), b: await stand.wwnsOf(b, ids.b, volumes) }
  return {
    traits, mode, key, hosts, volumeSize, silentMs: 3_000,
    open: connect,
    idAt: (site) => ids[site],
    write: async (site, value) => stand.writeCounter(site, wwns[site], value),
    counters: async (site) => stand.counters(site, volumes),
    writable: async (site) => stand.isWritable(site, wwns[site][0] ?? ''),
    cutLink: async () => running.link.cut(),
    async restoreLink() {
      running.link.restore()
      // As the array's policy auto_recover does: what the link stopped starts again. Not what was paused, and not after a failover.
      const [one, two] = [await unitAt(await connect('a'), 'a'), await unitAt(await connect('b'), 'b')]
      for (const [site, unit, peer] of [['a', one, two], ['b', two, one]] as const) {
        if ((unit.role === 'source' || unit.role === 'demoted') && peer.role === 'target' && unit.transfer === 'interrupted') await (await connect(site)).replication?.resume(ctx, ids[site])
      }
    },
    destroy: stand.destroy,
  }
}
