/** discoverArrays: the arrays behind the connections that replicate, each with its peers. One without a peer is left out. */
import { replicationOf } from '../../core/replication/site.ts'
import { withArrays } from '../arrays.ts'
import { shown } from '../log/log.ts'
import type { ArrayRun } from './index.ts'

export const run: ArrayRun<'discoverArrays'> = async (request, world) => withArrays(request.connections, world, async (reached, driver) => {
  const found = await Promise.all(reached.map(async ({ array, info }) => ({ info, peers: await replicationOf(array).peers(world.ctx) })))
  for (const { info, peers } of found) {
    world.log.write('verbose', peers.length === 0 ? `Excluded: array ${shown(info.id)} has no peer` : `Array ${shown(info.id)} (${shown(info.name)}) replicates with ${peers.map(({ id }) => shown(id)).join(', ')}`)
  }
  // Two connections to one array show it once.
  const once = [...new Map(found.map((one) => [one.info.id, one])).values()]
  return {
    arrays: once.filter(({ peers }) => peers.length > 0).map(({ info, peers }) => ({
      id: info.id, name: info.name, model: { name: info.model, vendor: { text: info.vendor } },
      replicationSoftware: { name: driver.title, version: info.version }, peerArrays: [...new Set(peers.map(({ id }) => id))].map((id) => ({ id })),
    })),
  }
})
