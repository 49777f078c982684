/** The lvm driver on real device-mapper. */
import assert from 'node:assert/strict'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { asSrUuid, asVdiUuid, copiedVdiUuid } from '../../../core/ids.ts'
import { MiB } from '../../../core/units.ts'
import { cutCases, cutEntries } from '../fixtures/lvm-cuts.ts'
import { pitfalls } from '../fixtures/lvm-pitfalls.ts'
import { blank, lvmStand, sr_uuid } from '../fixtures/lvm-stand.ts'
import { having, labDisk, must, settle, type Fixture } from '../fixtures/tool.ts'
import { suite } from '../suite.ts'

const copySr = '11111111-2222-4333-8444-555555555555'

/** Offsets of the sectors that LVM had written on each device when the power went: labels first, headers of the metadata then. */
const interruptions: Readonly<Record<string, readonly [readonly number[], readonly number[]]>> = {
  'one label': [[512], []],
  'all labels': [[512], [512]],
  'all labels and one header': [[512, 4096], [512]],
}

/** While it is there, vgimportclone does its work, loses what is not in `written`, and fails. */
const tornImport = async (devices: readonly string[], written: readonly (readonly number[])[]): Promise<Fixture> => {
  const path = (await must(['sh', '-c', 'readlink -f $(command -v lvm)'])).trim()
  mkdirSync('/run/real', { recursive: true })
  await must(['cp', '-n', path, '/run/real/lvm'])
  const lost = devices.flatMap((device, index) => [512, 4096].filter((at) => written[index]?.includes(at) !== true).map((at) => ({ device, sector: at / 512, file: `/run/real/${index}-${at}` })))
  const dd = (from: string, to: string, more: string): string => `dd if=${from} of=${to} bs=512 count=1 conv=notrunc,fsync status=none ${more}`
  renameSync(path, `${path}.away`)
  writeFileSync(path, [
    '#!/bin/sh', 'if [ "$1" != vgimportclone ]; then exec /run/real/lvm "$@"; fi',
    ...lost.map(({ device, sector, file }) => dd(device, file, `skip=${sector}`)),
    '/run/real/lvm "$@"',
    ...lost.map(({ device, sector, file }) => dd(file, device, `seek=${sector}`)),
    'exit 5', '',
  ].join('\n'), { mode: 0o755 })
  return {
    async dispose() {
      renameSync(`${path}.away`, path)
      await settle()
    },
  }
}

export default suite({
  name: 'lvm',
  driver: 'lvm',
  seconds: 240,
  disks: [128 * MiB, 128 * MiB, 128 * MiB, 128 * MiB],
  cases: [
    ...pitfalls.lvm,
    {
      name: 'nothing of a deleted VDI is ever readable through a new or a grown one',
      run: async () => lvmStand([labDisk(0)], async ({ engine, sr, vdi, withDisk }) => {
        await sr('lvm', { device: labDisk(0) })
        const [first, old] = [await vdi(4), await vdi(12)]
        await withDisk(old, async (io) => io.write(0, Buffer.alloc(12 * MiB, 's')))
        await engine.call('VDI.delete', { sr_uuid, vdi_uuid: old })
        assert.equal((await engine.call('VDI.resize', { sr_uuid, vdi_uuid: first, size: 8 * MiB })).size, 8 * MiB)
        const next = await vdi(8)
        for (const uuid of [first, next]) {
          await withDisk(uuid, async (io) => assert.ok(Buffer.from(await io.read(0, 8 * MiB)).every((byte) => byte === 0), `${uuid} shows old content`))
        }
      }),
    },
    {
      name: 'a re-identification of several devices that was interrupted inside LVM, wherever, is finished by a repeat',
      run: async () => {
        const [a, b, c, d] = [0, 1, 2, 3].map(labDisk) as [string, string, string, string]
        await lvmStand([a, b, c, d], async ({ engine, sr, vdi, withDisk }) => {
          await sr('lvm', { device: `${a},${b}` })
          const disk = await vdi(8)
          await withDisk(disk, async (io) => io.write(0, Buffer.alloc(4096, 'o')))
          await engine.call('SR.detach', { sr_uuid })
          for (const [what, written] of Object.entries(interruptions)) {
            for (const [from, to] of [[a, c], [b, d]] as const) await must(['dd', `if=${from}`, `of=${to}`, 'bs=1M', 'oflag=direct', 'status=none'])
            await settle()
            const again = async (): Promise<unknown> => engine.call('SR.reidentify', { sr_uuid: copySr, type: 'lvm', device_config: { device: `${c},${d}` }, original_uuid: sr_uuid })
            await having(tornImport([c, d], written), async () => {
              await assert.rejects(again())
            })
            assert.deepEqual(await again(), { sr_uuid: copySr, vdis: [{ vdi_uuid: copiedVdiUuid(asSrUuid(copySr), asVdiUuid(disk)), original_uuid: disk }] }, what)
            await engine.call('SR.attach', { sr_uuid: copySr, type: 'lvm', device_config: { device: `${c},${d}` } })
            const carried = (await must(['pvs', '--noheadings', '-o', 'vg_name', c, d])).trim().split(/\s+/)
            assert.deepEqual(carried, [0, 1].map(() => `VG_XenStorage-${copySr}`), what)
            assert.deepEqual((await engine.call('SR.verify', { sr_uuid: copySr })).findings.filter(({ weight }) => weight !== 'note'), [], what)
            const { path } = await engine.call('VDI.attach', { sr_uuid: copySr, vdi_uuid: copiedVdiUuid(asSrUuid(copySr), asVdiUuid(disk)), mode: 'ro' })
            assert.equal(await must(['dd', `if=${path}`, 'bs=16', 'count=1', 'status=none']), 'o'.repeat(16))
            await engine.call('VDI.detach', { sr_uuid: copySr, vdi_uuid: copiedVdiUuid(asSrUuid(copySr), asVdiUuid(disk)) })
            await engine.call('SR.detach', { sr_uuid: copySr })
            await engine.call('SR.forget', { sr_uuid: copySr })
          }
          await blank([c, d])
          await engine.call('SR.attach', { sr_uuid })
          await withDisk(disk, async (io) => assert.deepEqual(Buffer.from(await io.read(0, 4096)), Buffer.alloc(4096, 'o')))
        })
      },
    },
  ],
  entries: cutEntries('lvm'),
  host: cutCases,
})
