/** Durable changes of VDIs in the daemon, against the system calls that they cannot do without. */
import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, readSync, renameSync, rmSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { MiB } from '../../core/units.ts'
import { vhd } from '../../formats/vhd/format.ts'
import type { Bench, Measured, Missing } from '../row.ts'
import { inTurn, timed } from '../measure.ts'
import { adopted, scratch, startDaemon, startLibvirt } from '../world.ts'

/** The writes, names and syncs of an operation, done bare and in the same order. */
const bare = (directory: string) => {
  mkdirSync(directory, { recursive: true })
  const image = vhd.create({ size: 64 * MiB, id: '1'.repeat(32), createdMs: 1_700_000_000_000 })
  const facts = Buffer.alloc(200, 120)
  let number = 0
  const sync = (): void => {
    const fd = openSync(directory, 'r')
    fsyncSync(fd)
    closeSync(fd)
  }
  const file = (bytes: Uint8Array): string => {
    number += 1
    const path = join(directory, `floor-${number}`)
    const fd = openSync(path, 'wx')
    writeSync(fd, bytes)
    fsyncSync(fd)
    closeSync(fd)
    return path
  }
  const named = (path: string): string => {
    linkSync(path, `${path}.n`)
    sync()
    unlinkSync(path)
    return `${path}.n`
  }
  const overwrite = (path: string, bytes: Uint8Array): void => {
    const fd = openSync(path, 'r+')
    writeSync(fd, bytes)
    fsyncSync(fd)
    closeSync(fd)
  }
  return {
    create: () => named(file(image)),
    /** An empty child, facts, a second name, a rename. */
    snapshot(disk: string) {
      const child = file(image)
      sync()
      renameSync(file(facts), `${child}.facts`)
      sync()
      linkSync(disk, `${child}.snapshot`)
      sync()
      renameSync(child, disk)
      sync()
    },
    clone(disk: string) {
      const child = file(image)
      const twin = file(image)
      sync()
      renameSync(file(facts), `${child}.facts`)
      sync()
      linkSync(disk, `${child}.base`)
      linkSync(twin, `${child}.clone`)
      sync()
      renameSync(child, disk)
      sync()
      unlinkSync(twin)
    },
    resize(disk: string) {
      overwrite(disk, image.subarray(0, 512))
      overwrite(disk, image.subarray(0, 512))
    },
    remove(disk: string) {
      renameSync(disk, `${disk}.gone`)
      sync()
      sync()
      unlinkSync(`${disk}.gone`)
    },
    readOne(path: string) {
      if (!existsSync(path)) return
      const fd = openSync(path, 'r')
      readSync(fd, Buffer.alloc(512))
      closeSync(fd)
    },
    clean: () => rmSync(directory, { recursive: true, force: true }),
  }
}

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
      const floor = bare(join(place.path, 'floor'))
      const client = daemon.client
      const create = async (): Promise<string> => (await client.call('VDI.create', { sr_uuid: sr, size: 64 * MiB })).uuid
      const rounds = 15
      const one = await inTurn(rounds, {
        create: async () => timed(create),
        createFloor: async () => timed(() => floor.create()),
        snapshot: async () => {
          const vdi_uuid = await create()
          return timed(async () => client.call('VDI.snapshot', { sr_uuid: sr, vdi_uuid }))
        },
        snapshotFloor: async () => {
          const disk = floor.create()
          return timed(() => floor.snapshot(disk))
        },
        clone: async () => {
          const vdi_uuid = await create()
          return timed(async () => client.call('VDI.clone', { sr_uuid: sr, vdi_uuid }))
        },
        cloneFloor: async () => {
          const disk = floor.create()
          return timed(() => floor.clone(disk))
        },
        resize: async () => {
          const vdi_uuid = await create()
          return timed(async () => client.call('VDI.resize', { sr_uuid: sr, vdi_uuid, size: 66 * MiB }))
        },
        resizeFloor: async () => {
          const disk = floor.create()
          return timed(() => floor.resize(disk))
        },
        remove: async () => {
          const vdi_uuid = await create()
          return timed(async () => client.call('VDI.delete', { sr_uuid: sr, vdi_uuid }))
        },
        removeFloor: async () => {
          const disk = floor.create()
          return timed(() => floor.remove(disk))
        },
        unknown: async () => timed(async () => client.call('VDI.stat', { sr_uuid: sr, vdi_uuid: crypto.randomUUID() }).catch(() => undefined)),
        unknownFloor: async () => timed(() => floor.readOne(join(directory, '.storage-manager', 'sr.json'))),
      })
      const against = 'its bare system calls'
      for (const [quantity, ours, theirs] of [['create', one.create, one.createFloor], ['snapshot', one.snapshot, one.snapshotFloor], ['clone', one.clone, one.cloneFloor], ['resize', one.resize, one.resizeFloor], ['delete', one.remove, one.removeFloor]] as const) {
        found.push({ quantity: `${quantity}, durable`, ours, unit: 'ms', against, theirs, hold: 3, aim: 1.5 })
      }
      found.push({ quantity: 'a VDI that is not there', ours: one.unknown, unit: 'ms', against: 'one read', theirs: one.unknownFloor, hold: 3, aim: 1 })
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
      floor.clean()
    } finally {
      await daemon.stop()
      place.remove()
    }
    return found
  },
}
