/** Durable changes of VDIs in the daemon, against a bare server that does nothing but the system calls they cannot do without. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { MiB } from '../../core/units.ts'
import type { Bench, Measured, Missing } from '../row.ts'
import { inTurn, timed } from '../measure.ts'
import { adopted, scratch, startBareServer, startDaemon, startLibvirt } from '../world.ts'

export const operations: Bench = {
  name: 'operations',
  says: 'durable create, resize, snapshot, clone and delete',
  async run() {
    const place = scratch()
    const daemon = await startDaemon(join(place.path, 'state'))
    const found: (Measured | Missing)[] = []
    try {
      const directory = join(place.path, 'disks')
      const { sr } = await adopted(daemon, directory, 100)
      const floor = await startBareServer(join(place.path, 'floor'))
      const client = daemon.client
      const create = async (): Promise<string> => (await client.call('VDI.create', { sr_uuid: sr, size: 64 * MiB })).uuid
      const rounds = 15
      const one = await inTurn(rounds, {
        create: async () => timed(create),
        createFloor: async () => timed(async () => floor.ask('create')),
        snapshot: async () => {
          const vdi_uuid = await create()
          return timed(async () => client.call('VDI.snapshot', { sr_uuid: sr, vdi_uuid }))
        },
        snapshotFloor: async () => {
          const disk = await floor.ask('create')
          return timed(async () => floor.ask('snapshot', disk))
        },
        clone: async () => {
          const vdi_uuid = await create()
          return timed(async () => client.call('VDI.clone', { sr_uuid: sr, vdi_uuid }))
        },
        cloneFloor: async () => {
          const disk = await floor.ask('create')
          return timed(async () => floor.ask('clone', disk))
        },
        resize: async () => {
          const vdi_uuid = await create()
          return timed(async () => client.call('VDI.resize', { sr_uuid: sr, vdi_uuid, size: 66 * MiB }))
        },
        resizeFloor: async () => {
          const disk = await floor.ask('create')
          return timed(async () => floor.ask('resize', disk))
        },
        remove: async () => {
          const vdi_uuid = await create()
          return timed(async () => client.call('VDI.delete', { sr_uuid: sr, vdi_uuid }))
        },
        removeFloor: async () => {
          const disk = await floor.ask('create')
          return timed(async () => floor.ask('remove', disk))
        },
        unknown: async () => timed(async () => client.call('VDI.stat', { sr_uuid: sr, vdi_uuid: crypto.randomUUID() }).catch(() => undefined)),
        unknownFloor: async () => timed(async () => floor.ask('read', join(directory, '.storage-manager', 'sr.json'))),
      })
      const against = 'a server of its bare system calls'
      for (const [quantity, ours, theirs] of [['create', one.create, one.createFloor], ['snapshot', one.snapshot, one.snapshotFloor], ['clone', one.clone, one.cloneFloor], ['resize', one.resize, one.resizeFloor], ['delete', one.remove, one.removeFloor]] as const) {
        found.push({ quantity: `${quantity}, durable`, ours, unit: 'ms', against, theirs, hold: 3, aim: 1.5 })
      }
      found.push({ quantity: 'a VDI that is not there', ours: one.unknown, unit: 'ms', against: 'a server that reads one file', theirs: one.unknownFloor, hold: 3, aim: 1 })
      const big = await adopted(daemon, join(place.path, 'many'), 10_000)
      const growth = await inTurn(rounds, {
        small: async () => timed(create),
        big: async () => timed(async () => client.call('VDI.create', { sr_uuid: big.sr, size: 64 * MiB })),
      })
      found.push({ quantity: 'create among 10,000', ours: growth.big, unit: 'ms', against: 'create among 100', theirs: growth.small, hold: 1.5, aim: 1 })
      const libvirt = await startLibvirt()
      if (typeof libvirt === 'string') {
        found.push({ quantity: 'create, durable, against libvirt', missing: libvirt })
      } else {
        const theirsAt = join(place.path, 'theirs')
        mkdirSync(theirsAt)
        await libvirt.ask(['pool', 'creates', theirsAt])
        const theirs = (await libvirt.ask(['create', 'creates', '15']))['ms'] ?? Number.NaN
        await libvirt.ask(['close', 'creates'])
        await libvirt.stop()
        found.push({ quantity: 'create, durable', ours: one.create, unit: 'ms', against: 'libvirt vol-create, kept connection', theirs, hold: 0.3, aim: 0.1 })
      }
      await floor.stop()
    } finally {
      await daemon.stop()
      place.remove()
    }
    return found
  },
}
