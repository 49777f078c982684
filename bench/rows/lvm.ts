/**
 * LVM and ext SRs against the commands that an administrator would type. Needs device-mapper and the two blank disks of the lab, by the
 * name that no other machine has: npm run lab -- run --disk 5G --disk 256M -- npx tsx bench/main.ts lvm
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { composeEngine } from '../../cli/compose.ts'
import type { Engine } from '../../core/caller.ts'
import type { Log } from '../../core/ports.ts'
import { MiB } from '../../core/units.ts'
import { silentLog } from '../../host/log.ts'
import { createDirectScanner } from '../../stores/image-files/scan/direct.ts'
import { inTurn, timed } from '../measure.ts'
import type { Bench, Measured } from '../row.ts'

const device = '/dev/disk/by-id/virtio-labdisk0'
const second = '/dev/disk/by-id/virtio-labdisk1'
const volumes = 1000
const few = 10

const run = (...argv: readonly [string, ...string[]]): void => {
  const [name, ...args] = argv
  const { status, stderr } = spawnSync(name, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`)
}

/** Hands everything on to nobody, and counts the tools that were run. */
const countingLog = (): { readonly log: Log; readonly since: () => number } => {
  let runs = 0
  const log: Log = {
    ...silentLog,
    debug(_facts, message) {
      if (message === 'ran a tool') runs += 1
    },
    child: () => log,
  }
  return {
    log,
    since() {
      const seen = runs
      runs = 0
      return seen
    },
  }
}

/** VDIs by one process of LVM: a thousand creations of ours would take the emulated machine an hour. */
const fillGroup = (vg: string, count: number): void => {
  const lines = Array.from({ length: count }, () => `lvcreate -qq --devices ${device} -an -Zn -Wn -L4m -n LV-${crypto.randomUUID()} ${vg}`)
  // Its status is that of nothing in particular; the scans count what is there.
  spawnSync('lvm', [], { encoding: 'utf8', input: `${lines.join('\n')}\n`, maxBuffer: 64 * MiB })
}

export const lvm: Bench = {
  name: 'lvm',
  says: 'LVM and ext SRs against plain commands, in the lab',
  async run() {
    if (!existsSync(device)) return [{ quantity: 'LVM', missing: 'needs device-mapper and a disk of the lab: npm run lab -- run --disk 5G --disk 256M -- npx tsx bench/main.ts lvm' }]
    run('modprobe', 'dm-mod')
    const stateDirectory = mkdtempSync(join(tmpdir(), 'bench-lvm-'))
    const { log, since } = countingLog()
    const engine = await composeEngine({ stateDirectory, log, scanner: createDirectScanner() })
    try {
      const { sr_uuid } = await engine.call('SR.create', { type: 'lvm', device_config: { device } })
      const vg = `VG_XenStorage-${sr_uuid}`
      await engine.call('SR.attach', { sr_uuid })
      const made: string[] = []
      let plain = 0
      const creations = await inTurn(few - 1, {
        ours: async () => timed(async () => void made.push((await engine.call('VDI.create', { sr_uuid, size: 4 * MiB })).uuid)),
        floor: async () => timed(() => run('lvcreate', '-qq', '--devices', device, '-an', '-Zn', '-Wn', '-L', '4m', '-n', `plain${plain += 1}`, vg)),
      })
      const attachAll = async (vdis: readonly string[]): Promise<{ readonly ms: number; readonly runs: number }> => {
        since()
        const ms = await timed(async () => Promise.all(vdis.map(async (vdi_uuid) => engine.call('VDI.attach', { sr_uuid, vdi_uuid }))))
        const runs = since()
        await Promise.all(vdis.map(async (vdi_uuid) => engine.call('VDI.detach', { sr_uuid, vdi_uuid })))
        return { ms, runs }
      }
      // The first attach of a VDI also zeroes it, which is no part of the question.
      await attachAll(made)
      const counts = { ten: (await attachAll(made)).runs, one: (await attachAll(made.slice(0, 1))).runs }
      const attaches = await inTurn(3, { ten: async () => (await attachAll(made)).ms, one: async () => (await attachAll(made.slice(0, 1))).ms })
      const scan = async (): Promise<number> => timed(async () => engine.call('SR.scan', { sr_uuid }))
      const small = await inTurn(5, { ours: scan })
      since()
      await scan()
      const reports = since()
      fillGroup(vg, volumes - made.length)
      const { vdis } = await engine.call('SR.scan', { sr_uuid })
      if (vdis.length !== volumes) throw new Error(`${volumes} volumes were to be there, and ${vdis.length} are`)
      const lvs = async (): Promise<number> => timed(() => run('lvs', '--devices', device, '--reportformat', 'json', '-o', 'lv_name,lv_size,lv_attr,lv_tags', vg))
      const scans = await inTurn(5, { ours: scan, floor: lvs })
      since()
      await scan()
      const largeReports = since()
      await engine.call('SR.detach', { sr_uuid })
      return [
        { quantity: `scan of ${volumes} volumes`, ours: scans.ours, unit: 'ms', against: 'lvs', theirs: scans.floor, hold: 1.5, aim: 1.1 },
        { quantity: `tool runs of a scan of ${volumes} volumes`, ours: largeReports, unit: 'x', against: `the same with ${made.length}`, theirs: reports, hold: 1, aim: 1 },
        { quantity: `scan, from ${made.length} to ${volumes} volumes`, ours: scans.ours, unit: 'ms', against: `the same with ${made.length}`, theirs: small.ours, hold: 5, aim: 3 },
        { quantity: 'create: a look, the change, a look back', ours: creations.ours, unit: 'ms', against: 'lvcreate', theirs: creations.floor, hold: 3.5, aim: 2.5 },
        { quantity: `${made.length} attaches at once`, ours: attaches.ten, unit: 'ms', against: 'one attach', theirs: attaches.one, hold: 4, aim: 2 },
        { quantity: `tool runs of ${made.length} attaches at once`, ours: counts.ten, unit: 'x', against: 'one attach', theirs: counts.one, hold: 4, aim: 2 },
        ...(existsSync(second) ? [await attachOfExt(engine)] : []),
      ]
    } finally {
      await engine.close()
      rmSync(stateDirectory, { recursive: true, force: true })
    }
  },
}

/** An ext SR is found by its label, looked at and mounted; the floor is the mount alone. */
const attachOfExt = async (engine: Engine): Promise<Measured> => {
  const { sr_uuid } = await engine.call('SR.create', { type: 'ext', device_config: { device: second } })
  const found = await inTurn(5, {
    ours: async () => {
      const ms = await timed(async () => engine.call('SR.attach', { sr_uuid }))
      await engine.call('SR.detach', { sr_uuid })
      return ms
    },
    floor: async () => {
      const ms = await timed(() => run('mount', second, '/mnt'))
      run('umount', '/mnt')
      return ms
    },
  })
  return { quantity: 'attach of an ext SR', ours: found.ours, unit: 'ms', against: 'mount', theirs: found.floor, hold: 8, aim: 4 }
}
