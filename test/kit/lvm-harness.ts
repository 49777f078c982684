/** The LVM drivers in a model world. */
import lvm from '../../drivers/lvm/lvm.driver.ts'
import lvmthin from '../../drivers/lvm/lvmthin.driver.ts'
import { GiB } from '../../core/units.ts'
import type { Trouble } from './case.ts'
import { lvmState, lvmTools } from './fakes/lvm.ts'
import { makeExt4 } from './fakes/lvm/disks.ts'
import { chunkSize, commit, extentSize, findGroups, freeExtents, newUuid, usedChunks } from './fakes/lvm/groups.ts'
import { plug } from './fakes/lvm/state.ts'
import type { Machine } from './model/machine.ts'
import { modelHarness } from './model/world.ts'

/** A volume of somebody else takes all but `bytes`. */
const fill = (machine: Machine, bytes: number): (() => Promise<void>) => {
  const state = lvmState(machine)
  const find = () => {
    const [found] = findGroups(state.root, state.disks)
    if (found === undefined) throw new Error('there is no group to fill')
    return found
  }
  const found = find()
  const { group } = found
  const pool = group.lvs.find(({ kind }) => kind === 'pool')
  const base = { name: 'filler', uuid: newUuid(), tags: [], writable: true }
  if (pool === undefined) {
    const pv = group.pvs[0]?.uuid ?? ''
    group.lvs.push({ ...base, kind: 'linear', size: extentSize, segments: [{ pv, start: 10_000_000, count: freeExtents(group) - Math.floor(bytes / extentSize) }] })
  } else {
    const used = usedChunks(group, pool.name)
    const free = Array.from({ length: pool.size / chunkSize }, (_, chunk) => chunk).filter((chunk) => !used.has(chunk))
    const taken = free.reverse().slice(0, free.length - Math.floor(bytes / chunkSize))
    group.lvs.push({ ...base, kind: 'thin', size: extentSize, segments: [], pool: pool.name, map: Object.fromEntries(taken.map((chunk, index) => [String(index), chunk])) })
  }
  commit(state.root, found)
  return async () => {
    const now = find()
    now.group.lvs = now.group.lvs.filter(({ name }) => name !== 'filler')
    commit(state.root, now)
  }
}

const trouble = (machine: () => Machine): Trouble => ({
  async occupy() {
    const { root, disks: [disk] } = lvmState(machine())
    if (disk !== undefined) makeExt4(root, disk)
  },
  /** Unplugged, with everything on it. */
  async vanish() {
    const state = lvmState(machine())
    for (const disk of state.disks) plug(state, disk, false)
    return async () => {
      for (const disk of state.disks) plug(state, disk, true)
    }
  },
  fill: async (bytes) => fill(machine(), bytes),
})

const settings = { tools: lvmTools([GiB, GiB]), deviceConfig: { device: '/dev/disk/by-id/virtio-labdisk0,/dev/vdb' }, trouble }

export const lvmSettings = { driver: lvm, ...settings }
export const lvmthinSettings = { driver: lvmthin, ...settings }

export const lvmHarness = () => modelHarness(lvmSettings)
export const lvmthinHarness = () => modelHarness(lvmthinSettings)
