/** Whole SRs against other programs: their images live in ours, and ours are read by them. */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { VdiUuid } from '../../core/ids.ts'
import { MiB } from '../../core/units.ts'
import { openDisk } from '../../stores/image-files/content.ts'
import { compare, expectedSector, histories, play, type Model } from '../stores/image-files/model.ts'
import { fileWorld, files, newVdi } from '../stores/image-files/world.ts'

const sector = 512

/** The content of a disk as 7-Zip sees it, through its whole chain. */
const by7zip = (directory: string, vdi: VdiUuid): Buffer =>
  execFileSync('7zz', ['e', '-so', '-tVHD', `${vdi}.vhd`], { cwd: directory, maxBuffer: 2 ** 30, stdio: ['ignore', 'pipe', 'ignore'] })

describe('7-Zip', () => {
  it('reads every disk of a random history as our model has it', async () => {
    await fc.assert(fc.asyncProperty(histories(12), async (history) => {
      const world = await fileWorld()
      try {
        const model: Model = new Map()
        // It does not read a child that is larger than its parent, nor spare room in a block table: disks are not grown here.
        for (const step of [{ do: 'create', size: 4 * MiB } as const, ...history.filter((one) => one.do !== 'grow')]) await play(world, model, step)
        await compare(world, model)
        for (const [vdi, disk] of model) {
          const content = by7zip(world.location, vdi)
          expect(content.length).toBe(disk.size)
          for (let at = 0; at < disk.size / sector; at += 1) {
            const fill = expectedSector(disk, at)
            if (content[at * sector] !== fill || content[at * sector + sector - 1] !== fill) expect(`sector ${at} of ${vdi}: ${content[at * sector]}`).toBe(`sector ${at} of ${vdi}: ${fill}`)
          }
        }
      } finally {
        await world.dispose()
      }
    }), { numRuns: 8 })
  }, 240_000)
})

describe.each([
  ['dynamic', 'subformat=dynamic,force_size=on'],
  ['fixed', 'subformat=fixed,force_size=on'],
  ['dynamic, of its own size', 'subformat=dynamic'],
])('an image of qemu-img (%s)', (_name, options) => {
  it.each([7 * MiB, 1 * MiB + 512, 64 * MiB])('of %d bytes is adopted, snapshotted, written, resized and coalesced without damage', async (size) => {
    const world = await fileWorld()
    try {
      const foreign = join(world.root, 'foreign')
      mkdirSync(foreign)
      const vdi = newVdi()
      const path = join(foreign, `${vdi}.vhd`)
      execFileSync('qemu-img', ['create', '-q', '-f', 'vpc', '-o', options, path, String(size)])
      execFileSync('qemu-io', ['-f', 'vpc', '-c', 'write -P 0x5a 0 64k', path], { stdio: 'ignore' })
      const { sr_uuid } = await world.engine.call('SR.introduce', { type: 'file', device_config: { location: foreign } })
      await world.engine.call('SR.attach', { sr_uuid })
      const before = await world.engine.call('VDI.stat', { sr_uuid, vdi_uuid: vdi })
      expect(before.problem).toBeUndefined()
      const withDisk = async (mode: 'read' | 'write', work: (disk: Awaited<ReturnType<typeof openDisk>>) => Promise<void>): Promise<void> => {
        const disk = await openDisk(files, foreign, vdi, mode)
        try {
          await work(disk)
        } finally {
          await disk.close()
        }
      }
      const snapshot = await world.engine.call('VDI.snapshot', { sr_uuid, vdi_uuid: vdi })
      expect(snapshot.size).toBe(before.size)
      await withDisk('write', async (disk) => {
        await disk.write(32 * 1024, new Uint8Array(64 * 1024).fill(0xa5))
        await disk.sync()
      })
      const clone = await world.engine.call('VDI.clone', { sr_uuid, vdi_uuid: vdi })
      const grown = await world.engine.call('VDI.resize', { sr_uuid, vdi_uuid: vdi, size: before.size + 3 * MiB })
      expect(grown.size).toBeGreaterThanOrEqual(before.size + 3 * MiB)
      for (const vdi_uuid of [snapshot.uuid, clone.uuid]) await world.engine.call('VDI.delete', { sr_uuid, vdi_uuid })
      expect(await world.engine.call('SR.collect', { sr_uuid })).toMatchObject({ blocked: 0 })
      const { vdis } = await world.engine.call('SR.scan', { sr_uuid })
      expect(vdis.map(({ uuid, kind, problem }) => ({ uuid, kind, problem }))).toEqual([{ uuid: vdi, kind: 'disk', problem: undefined }])
      expect((await world.engine.call('SR.verify', { sr_uuid })).findings.filter(({ weight }) => weight === 'damage')).toEqual([])
      await withDisk('read', async (disk) => {
        const content = await disk.read(0, 128 * 1024)
        expect(content.subarray(0, 32 * 1024).every((byte) => byte === 0x5a)).toBe(true)
        expect(content.subarray(32 * 1024, 96 * 1024).every((byte) => byte === 0xa5)).toBe(true)
        expect(content.subarray(96 * 1024).every((byte) => byte === 0)).toBe(true)
      })
    } finally {
      await world.dispose()
    }
  }, 120_000)
})
