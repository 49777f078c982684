/** The lvmthin driver on real device-mapper. */
import assert from 'node:assert/strict'
import { statSync, writeFileSync } from 'node:fs'
import { MiB } from '../../../core/units.ts'
import { loopDevice, type LoopDevice } from '../fixtures/loop.ts'
import { cutCases, cutEntries } from '../fixtures/lvm-cuts.ts'
import { pitfalls } from '../fixtures/lvm-pitfalls.ts'
import { lvmStand, sr_uuid, vg, type LvmStand } from '../fixtures/lvm-stand.ts'
import { fails } from '../fixtures/iscsi-stand.ts'
import { must, tool, waitFor } from '../fixtures/tool.ts'
import { suite } from '../suite.ts'

/** A small thin SR on a device that can grow, with two VDIs that do not both fit. */
const tightPool = async (device_config: Record<string, string>, work: (stand: LvmStand, loop: LoopDevice, disks: readonly [string, string]) => Promise<void>): Promise<void> => {
  const loop = await loopDevice(96 * MiB)
  try {
    await lvmStand([loop.path], async (stand) => {
      await stand.sr('lvmthin', { device: loop.path, ...device_config })
      await work(stand, loop, [await stand.vdi(72), await stand.vdi(72)])
    })
  } finally {
    await loop.dispose()
  }
}

const write = async (path: string, mib: number): Promise<Awaited<ReturnType<typeof tool>>> =>
  tool(['sh', '-c', `tr '\\0' 'w' </dev/zero | dd of=${path} bs=1M count=${mib} iflag=fullblock oflag=direct conv=notrunc status=none`])

export default suite({
  name: 'lvm-thin',
  driver: 'lvmthin',
  seconds: 240,
  disks: [128 * MiB, 128 * MiB, 128 * MiB],
  cases: [
    ...pitfalls.lvmthin,
    {
      name: 'a pool is told before it is full; when it is, writes fail at once, reads and deletions go on, and growing it is enough',
      run: async () => tightPool({}, async ({ engine, withDisk, vdi }, loop, [one, two]) => {
        const warnings = async (): Promise<string> => (await engine.call('SR.scan', { sr_uuid })).warnings?.join('\n') ?? ''
        assert.equal(await warnings(), '')
        await withDisk(one, async (_, path) => assert.equal((await write(path, 72)).code, 0))
        assert.match(await warnings(), /thin pool is \d\d % full/)
        await withDisk(two, async (_, path) => {
          const { code, stderr } = await write(path, 72)
          assert.notEqual(code, 0)
          assert.match(stderr, /No space left/)
        })
        assert.match(await warnings(), /thin pool is (100 % full|stopped)/)
        for (const work of [async () => vdi(), async () => engine.call('VDI.snapshot', { sr_uuid, vdi_uuid: one }), async () => engine.call('VDI.clone', { sr_uuid, vdi_uuid: one })]) await fails('noSpace', work())
        await withDisk(one, async (io) => assert.deepEqual(Buffer.from(await io.read(71 * MiB, MiB)), Buffer.alloc(MiB, 'w')))
        await engine.call('VDI.delete', { sr_uuid, vdi_uuid: two })
        const three = await vdi(72)
        await withDisk(three, async (_, path) => assert.equal((await write(path, 4)).code, 0))
        await withDisk(three, async (_, path) => assert.notEqual((await write(path, 72)).code, 0))

        await engine.call('SR.detach', { sr_uuid })
        await loop.grow(256 * MiB)
        await engine.call('SR.attach', { sr_uuid })
        assert.equal(await warnings(), '')
        await withDisk(three, async (_, path) => assert.equal((await write(path, 72)).code, 0))
        await withDisk(one, async (io) => assert.deepEqual(Buffer.from(await io.read(0, MiB)), Buffer.alloc(MiB, 'w')))
        assert.deepEqual((await engine.call('SR.verify', { sr_uuid })).findings.filter(({ weight }) => weight !== 'note'), [])
      }),
    },
    {
      name: 'with errorwhenfull=no a writer waits while the pool is full, and goes on when a VDI is deleted',
      run: async () => tightPool({ errorwhenfull: 'no' }, async ({ engine, withDisk }, _, [one, two]) => {
        writeFileSync('/sys/module/dm_thin_pool/parameters/no_space_timeout', '600')
        await withDisk(one, async (_disk, path) => void await write(path, 72))
        await withDisk(two, async (_disk, path) => {
          let ended = false
          const writing = write(path, 40).then((result) => {
            ended = true
            return result
          })
          await waitFor('the pool to be full', async () => (await engine.call('SR.stat', { sr_uuid })).free === 0)
          assert.equal(ended, false)
          await engine.call('VDI.delete', { sr_uuid, vdi_uuid: one })
          assert.equal((await writing).code, 0)
        })
      }),
    },
    {
      name: 'a pool whose metadata is full is told before and takes no changes; its disks can be read, and the command of the remedy is enough',
      run: async () => tightPool({}, async ({ engine, withDisk }, loop, [one]) => {
        const warnings = async (): Promise<string> => (await engine.call('SR.scan', { sr_uuid })).warnings?.join('\n') ?? ''
        await withDisk(one, async (io) => io.write(0, Buffer.alloc(MiB, 'w')))
        // Volumes that LVM knows nothing of take a block of metadata each, until the pool has none.
        const map = `${vg.replaceAll('-', '--')}-pool-tpool`
        const told = new Set<string>()
        const make = async (from: number, count: number): Promise<boolean> =>
          (await tool(['sh', '-c', `for id in $(seq ${from} ${from + count - 1}); do dmsetup message ${map} 0 "create_thin $id" || exit 1; done`])).code === 0
        for (let id = 1000; await make(id, 100); id += 100) {
          for (const text of (await warnings()).split('\n')) told.add(text.replace(/[\d.]+ %/, 'much'))
          assert.ok(id < 20_000, 'the metadata does not run full')
        }
        assert.ok(told.has('The metadata of the thin pool is much full; enlarge it with lvextend --poolmetadatasize before it stops'), [...told].join('\n'))
        for (const work of [async () => engine.call('VDI.create', { sr_uuid, size: 4 * MiB }), async () => engine.call('VDI.snapshot', { sr_uuid, vdi_uuid: one })]) {
          assert.match((await fails('noSpace', work())).facts.remedy ?? '', /lvextend --poolmetadatasize/)
        }
        await withDisk(one, async (io) => assert.deepEqual(Buffer.from(await io.read(0, MiB)), Buffer.alloc(MiB, 'w')))

        await engine.call('SR.detach', { sr_uuid })
        await loop.grow(160 * MiB)
        await must(['pvresize', '-qq', loop.path])
        await must(['lvextend', '-qq', '--poolmetadatasize', '+16m', `${vg}/pool`])
        await engine.call('SR.attach', { sr_uuid })
        assert.equal(await warnings(), '')
        const snapshot = (await engine.call('VDI.snapshot', { sr_uuid, vdi_uuid: one })).uuid
        await withDisk(snapshot, async (io) => assert.deepEqual(Buffer.from(await io.read(0, MiB)), Buffer.alloc(MiB, 'w')))
        assert.deepEqual((await engine.call('SR.verify', { sr_uuid })).findings.filter(({ weight }) => weight !== 'note'), [])
      }),
    },
    {
      name: 'what a guest discards is free in the pool, and with discard=yes on the device below',
      run: async () => tightPool({ discard: 'yes' }, async ({ engine, withDisk }, loop, [one]) => {
        const used = async (): Promise<number> => (await engine.call('SR.stat', { sr_uuid })).physical_utilisation
        const onDevice = (): number => statSync(loop.file).blocks * 512
        await withDisk(one, async (_, path) => {
          assert.equal((await write(path, 32)).code, 0)
          const [usedBefore, deviceBefore] = [await used(), onDevice()]
          await must(['blkdiscard', path])
          await must(['sync'])
          assert.ok(await used() <= usedBefore - 31 * MiB, `the pool still uses ${await used()} of ${usedBefore}`)
          await waitFor('the device to be told', () => onDevice() <= deviceBefore - 31 * MiB)
        })
      }),
    },
  ],
  entries: cutEntries('lvmthin'),
  host: cutCases,
})
