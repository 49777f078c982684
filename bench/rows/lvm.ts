/**
 * LVM SRs against the commands that an administrator would type. Needs device-mapper and the blank first disk of the lab, by the
 * name that no other machine has: npm run lab -- run -- npx tsx bench/main.ts lvm
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { composeEngine } from '../../cli/compose.ts'
import { MiB } from '../../core/units.ts'
import { silentLog } from '../../host/log.ts'
import { createDirectScanner } from '../../stores/image-files/scan/direct.ts'
import { inTurn, timed } from '../measure.ts'
import type { Bench } from '../row.ts'

const device = '/dev/disk/by-id/virtio-labdisk0'
const volumes = 50

const run = (...argv: readonly [string, ...string[]]): void => {
  const [name, ...args] = argv
  const { status, stderr } = spawnSync(name, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`)
}

export const lvm: Bench = {
  name: 'lvm',
  says: 'LVM SRs against plain LVM, in the lab',
  async run() {
    if (!existsSync(device)) return [{ quantity: 'LVM', missing: 'needs device-mapper and a disk of the lab: npm run lab -- run -- npx tsx bench/main.ts lvm' }]
    run('modprobe', 'dm-mod')
    const stateDirectory = mkdtempSync(join(tmpdir(), 'bench-lvm-'))
    const engine = await composeEngine({ stateDirectory, log: silentLog, scanner: createDirectScanner() })
    try {
      const { sr_uuid } = await engine.call('SR.create', { type: 'lvm', device_config: { device } })
      const vg = `VG_XenStorage-${sr_uuid}`
      await engine.call('SR.attach', { sr_uuid })
      const lvs = async (): Promise<number> => timed(() => run('lvs', '--devices', device, '--reportformat', 'json', '-o', 'lv_name,lv_size,lv_attr,lv_tags', vg))
      const made: string[] = []
      const creations = await inTurn(9, {
        ours: async () => timed(async () => void made.push((await engine.call('VDI.create', { sr_uuid, size: 4 * MiB })).uuid)),
        floor: async () => timed(() => run('lvcreate', '-qq', '--devices', device, '-an', '-Zn', '-Wn', '-L', '4m', '-n', `plain${made.length}`, vg)),
      })
      const few = await inTurn(5, { ours: async () => timed(async () => engine.call('SR.scan', { sr_uuid })) })
      while (made.length < volumes) made.push((await engine.call('VDI.create', { sr_uuid, size: 4 * MiB })).uuid)
      const scans = await inTurn(7, { ours: async () => timed(async () => engine.call('SR.scan', { sr_uuid })), floor: lvs })
      const attachAll = async (vdis: readonly string[]): Promise<number> => {
        const ms = await timed(async () => Promise.all(vdis.map(async (vdi_uuid) => engine.call('VDI.attach', { sr_uuid, vdi_uuid }))))
        await Promise.all(vdis.map(async (vdi_uuid) => engine.call('VDI.detach', { sr_uuid, vdi_uuid })))
        return ms
      }
      const attaches = await inTurn(3, { ten: async () => attachAll(made.slice(0, 10)), one: async () => attachAll(made.slice(0, 1)) })
      return [
        { quantity: `scan of ${volumes} volumes`, ours: scans.ours, unit: 'ms', against: 'lvs', theirs: scans.floor, hold: 1.5, aim: 1.1 },
        { quantity: `scan, from 10 to ${volumes} volumes`, ours: scans.ours, unit: 'ms', against: 'the same with 10', theirs: few.ours, hold: 1.5, aim: 1.1 },
        { quantity: 'create: a look, the change, a look back', ours: creations.ours, unit: 'ms', against: 'lvcreate', theirs: creations.floor, hold: 3.5, aim: 2.5 },
        { quantity: 'ten attaches at once', ours: attaches.ten, unit: 'ms', against: 'one attach', theirs: attaches.one, hold: 4, aim: 2 },
      ]
    } finally {
      await engine.close()
      rmSync(stateDirectory, { recursive: true, force: true })
    }
  },
}
