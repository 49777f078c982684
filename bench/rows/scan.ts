/** Scans of ten thousand images in the daemon, against a C program that only reads them, and against libvirt on the same files. */
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench, Measured, Missing } from '../row.ts'
import { inTurn, median, memoryOf, quantile, timed } from '../measure.ts'
import { adopted, compiled, scratch, connectRaw, startDaemon, startLibvirt, type BenchDaemon, type Libvirt } from '../world.ts'

const many = 10_000

const dropCaches = (): boolean => {
  if (process.getuid?.() !== 0 || !existsSync('/proc/sys/vm/drop_caches')) return false
  spawnSync('sync')
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3')
    return true
  } catch {
    return false
  }
}

const floorMs = (program: string, directory: string): number => Number(spawnSync(program, [directory], { encoding: 'utf8' }).stdout.split(' ')[0])

/** Times of small calls while `busy` goes on. */
const smallCallsDuring = async (small: () => Promise<number>, busy: () => Promise<unknown>, rounds: number): Promise<readonly number[]> => {
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    let ended = false
    const going = busy().then(() => {
      ended = true
    })
    while (!ended) {
      times.push(await small())
      await new Promise((resolve) => {
        setTimeout(resolve, 1)
      })
    }
    await going
  }
  return times
}

const compareWithLibvirt = async (daemon: BenchDaemon, libvirt: Libvirt, sr: string, vdi: string, directory: string): Promise<readonly Measured[]> => {
  await libvirt.ask(['pool', 'big', directory])
  const scans = await inTurn(5, {
    ours: async () => timed(async () => daemon.client.call('SR.scan', { sr_uuid: sr })),
    refresh: async () => (await libvirt.ask(['refresh', 'big']))['ms'] ?? Number.NaN,
    records: async () => (await libvirt.ask(['refresh_and_records', 'big']))['ms'] ?? Number.NaN,
  })
  // The answer is only read to its end: taking it apart in this process would hold up the small calls that it measures.
  const second = await connectRaw(daemon.socket)
  const during = await smallCallsDuring(
    async () => timed(async () => daemon.client.call('VDI.stat', { sr_uuid: sr, vdi_uuid: vdi })),
    async () => second.call('SR.scan', { sr_uuid: sr }), 8)
  second.close()
  const theirRefresh = scans.refresh
  const memory = (await libvirt.ask(['memory']))['mib'] ?? Number.NaN
  await libvirt.ask(['close', 'big'])
  return [
    { quantity: 'rescan of 10,000, warm', ours: scans.ours, unit: 'ms', against: 'libvirt pool-refresh', theirs: theirRefresh, hold: 1.5, aim: 1 },
    { quantity: 'rescan and all records, one connection', ours: scans.ours, unit: 'ms', against: 'libvirt refresh, list, info each', theirs: scans.records, hold: 0.4, aim: 0.2 },
    { quantity: 'small call p99 during a rescan', ours: quantile(during, 0.99), unit: 'ms', against: 'libvirt blocks for its refresh', theirs: theirRefresh, hold: 1 / 10, aim: 1 / 30 },
    { quantity: 'daemon memory with 10,000 VDIs', ours: memoryOf(daemon.pid), unit: 'MiB', against: 'libvirtd', theirs: memory, hold: 2, aim: 1.3 },
  ]
}

export const scan: Bench = {
  name: 'scan',
  says: 'scans of 10,000 images in the daemon',
  async run() {
    const place = scratch()
    const found: (Measured | Missing)[] = []
    const daemon = await startDaemon(join(place.path, 'state'))
    try {
      const directory = join(place.path, 'disks')
      const { sr, vdis } = await adopted(daemon, directory, many)
      const few = await adopted(daemon, join(place.path, 'few'), many / 10)
      const scanMs = async (uuid: string): Promise<number> => timed(async () => daemon.client.call('SR.scan', { sr_uuid: uuid }))
      const floor = compiled('scan', place.path)
      if (floor === undefined) {
        found.push({ quantity: 'rescan of 10,000 against C', missing: 'needs a C compiler (gcc)' })
      } else {
        const warm = await inTurn(7, { ours: async () => scanMs(sr), floor: () => floorMs(floor, directory) })
        found.push({ quantity: 'rescan of 10,000, warm', ours: warm.ours, unit: 'ms', against: 'C: open, read, sum', theirs: warm.floor, hold: 4, aim: 2.5 })
        if (dropCaches()) {
          const ours: number[] = []
          const theirs: number[] = []
          for (let round = 0; round < 3; round += 1) {
            dropCaches()
            theirs.push(floorMs(floor, directory))
            dropCaches()
            const fresh = await startDaemon(join(place.path, `state-${round}`))
            await fresh.client.call('SR.introduce', { type: 'file', device_config: { location: directory } })
            ours.push(await timed(async () => fresh.client.call('SR.attach', { sr_uuid: sr })))
            await fresh.stop()
          }
          found.push({ quantity: 'attach and first scan, cold caches', ours: median(ours), unit: 'ms', against: 'C: open, read, sum, cold', theirs: median(theirs), hold: 1.6, aim: 1 })
        } else {
          found.push({ quantity: 'cold scan', missing: 'needs root, to drop the page cache' })
        }
      }
      const growth = await inTurn(7, { many: async () => scanMs(sr), few: async () => scanMs(few.sr) })
      found.push({ quantity: 'scan, from 1,000 to 10,000', ours: growth.many, unit: 'ms', against: 'the same with 1,000', theirs: growth.few, hold: 11, aim: 10 })
      const libvirt = await startLibvirt()
      if (typeof libvirt === 'string') {
        found.push({ quantity: 'scans against libvirt', missing: libvirt })
      } else {
        found.push(...(await compareWithLibvirt(daemon, libvirt, sr, vdis[0] ?? '', directory)))
        await libvirt.stop()
      }
    } finally {
      await daemon.stop()
      place.remove()
    }
    return found
  },
}
