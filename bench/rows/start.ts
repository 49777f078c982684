/** What a shell waits for: whole processes, in CPU time, against an empty Node process. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { Bench } from '../row.ts'
import { cpuOf, inTurn, median, timed } from '../measure.ts'
import { adopted, bin, scratch, startDaemon } from '../world.ts'

const node = process.execPath

export const start: Bench = {
  name: 'start',
  says: 'whole processes in CPU time',
  async run() {
    const place = scratch()
    try {
      const daemon = await startDaemon(join(place.path, 'state'))
      const { sr, vdis } = await adopted(daemon, join(place.path, 'disks'), 10)
      await daemon.stop()
      const alone = { STORAGE_MANAGER_STATE: join(place.path, 'state') }
      const dconf = `<dconf><location>${join(place.path, 'disks')}</location></dconf>`
      const without = await inTurn(11, {
        empty: () => cpuOf([node, '-e', '0']),
        executable: () => cpuOf([node, bin('FileSR'), dconf, 'vdi_attach', sr, vdis[0] ?? ''], alone),
      })
      const again = await startDaemon(join(place.path, 'state'))
      const thin = await inTurn(11, {
        empty: () => cpuOf([node, '-e', '0']),
        cli: () => cpuOf([node, bin('smctl'), 'vdi', 'stat', sr, vdis[0] ?? ''], alone),
      })
      await again.stop()
      const ready: number[] = []
      const emptyWall: number[] = []
      for (let round = 0; round < 7; round += 1) {
        emptyWall.push(await timed(() => spawnSync(node, ['-e', '0'])))
        const one = await startDaemon(join(place.path, 'state'))
        ready.push(one.readyMs)
        await one.stop()
      }
      return [
        { quantity: 'driver executable, no daemon', ours: without.executable, unit: 'ms', against: 'node -e 0', theirs: without.empty, hold: 1.8, aim: 1.4 },
        { quantity: 'smctl through the daemon, one call', ours: thin.cli, unit: 'ms', against: 'node -e 0', theirs: thin.empty, hold: 1.35, aim: 1.2 },
        { quantity: 'daemon ready', ours: median(ready), unit: 'ms', against: 'node -e 0, wall clock', theirs: median(emptyWall), hold: 8, aim: 5 },
      ]
    } finally {
      place.remove()
    }
  },
}
