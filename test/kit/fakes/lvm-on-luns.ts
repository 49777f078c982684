/** LVM of each host, over the LUNs that it has. */
import type { ModelHost } from '../model/machine.ts'
import { createVolume, type Volume } from '../model/volume.ts'
import type { ModelArray } from './iscsi/array.ts'
import type { Upper } from './luns.ts'
import { lvmToolNames, runLvmTool } from './lvm.ts'
import { inventoryLines, standingOn } from './lvm/device-tools.ts'
import { copyState, mapperNameOf, type LvmState } from './lvm/state.ts'

const build = (luns: Volume, states: ReadonlyMap<string, LvmState>): Upper => {
  const stateOf = (host: ModelHost): LvmState => {
    const state = states.get(host.id)
    if (state === undefined) throw new Error(`the model knows no host ${host.id}`)
    return state
  }
  return {
    tools: lvmToolNames,
    run: ({ argv }, host) => runLvmTool(stateOf(host), argv),
    see(host, seen) {
      const { disks } = stateOf(host)
      disks.splice(0, disks.length, ...seen.map(({ name, serial, names, inode }) =>
        ({ path: `/dev/${name}`, serial, names, ...(inode === undefined ? { ailment: 'fails' as const } : { inode }) })))
    },
    holders(host, name) {
      const state = stateOf(host)
      const disk = state.disks.find(({ path }) => path === `/dev/${name}`)
      return disk === undefined ? [] : standingOn(state, disk).map((active) => `dm-${100 + [...state.active.values()].indexOf(active)}`)
    },
    owns: (path) => !/^\/dev\/(sd|dm-|disk\/|mapper\/3)/.test(path),
    inventory(host) {
      // What is on the array, whoever is logged in.
      const all = [...luns.root.entries].map(([serial, inode]) => ({ path: `/array/${serial}`, serial, names: [], inode }))
      return [
        ...inventoryLines({ root: createVolume(), disks: all, active: new Map(), missingTools: new Set() }),
        ...[...stateOf(host).active.values()].map((active) => `${host.id} map ${mapperNameOf(active)}`),
      ]
    },
    copy: (volume, rebooted) => build(volume(luns), new Map([...states].map(([id, state]) => [id, copyState(state, volume(state.root), rebooted && id === 'host-1')]))),
  }
}

const rootOf = (host: ModelHost): Volume => host.space.mounts.get('/') ?? createVolume()

export const lvmOnLuns = (array: ModelArray, hosts: readonly ModelHost[]): Upper =>
  build(array.disks, new Map(hosts.map((host) => [host.id, { root: rootOf(host), disks: [], active: new Map(), missingTools: new Set() }])))
