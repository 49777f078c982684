/** The kit's replication world on the model array over plain files. */
import { modelTraits } from '../../../drivers/array-replication/model/replication.ts'
import { cutLink, cycle, isWritable, restoreLink } from '../../../drivers/array-replication/model/world.ts'
import { createModelStand, modelVolumeSize } from './model-stand.ts'
import type { NewWorld } from './world.ts'

const names = ['disk-0', 'disk-1', 'disk-2'] as const
const hostsOf = { a: [{ kind: 'iscsi', id: 'iqn.2026-01.test:host-a' }], b: [{ kind: 'iscsi', id: 'iqn.2026-01.test:host-b' }] } as const

export const modelWorld: NewWorld = async ({ mode }) => {
  const stand = createModelStand()
  const { ctx, pair, open } = stand
  const a = await open('a')
  const volumes = await stand.makeVolumes(a, names)
  const unit = await a.replication?.create?.(ctx, { name: 'unit', kind: 'group', peer: 'model-b', mode, volumes })
  if (unit === undefined) throw new Error('the model made no unit')
  const twin = (await (await open('b')).replication?.units(ctx))?.[0]
  if (twin === undefined) throw new Error('the peer has no unit')
  await a.replication?.present(ctx, unit.id, { '': hostsOf.a })
  cycle(pair.a, unit.id)
  const ids = { a: unit.id, b: twin.id }
  const members = { a: unit.members.map(({ volume }) => volume), b: twin.members.map(({ volume }) => volume) }
  return {
    traits: modelTraits, mode, key: unit.key, open,
    idAt: (site) => ids[site],
    hosts: hostsOf, volumeSize: modelVolumeSize,
    write: async (site, value) => stand.writeCounter(site, members[site], value),
    counters: async (site) => stand.counters(site, members[site]),
    writable: async (site) => isWritable(pair[site], ids[site]),
    cutLink: async () => cutLink(pair),
    restoreLink: async () => restoreLink(pair),
    save: stand.save,
    destroy: stand.destroy,
  }
}
