/** Small calls over the daemon's transports. */
import { join } from 'node:path'
import type { Bench, Measured, Missing } from '../row.ts'
import { quantile, timed } from '../measure.ts'
import { createHttpClient } from '../../rpc/client-http.ts'
import { adopted, scratch, startDaemon, startLibvirt } from '../world.ts'

const count = 3000

const p50 = async (call: () => Promise<unknown>): Promise<number> => {
  const times: number[] = []
  for (let index = 0; index < count; index += 1) times.push(await timed(call))
  return quantile(times.slice(count / 10), 0.5) * 1000
}

export const calls: Bench = {
  name: 'calls',
  says: 'small validated calls over each transport',
  async run() {
    const place = scratch()
    const daemon = await startDaemon(join(place.path, 'state'))
    const found: (Measured | Missing)[] = []
    try {
      const directory = join(place.path, 'disks')
      await adopted(daemon, directory, 100)
      const unix = await p50(async () => daemon.client.call('Host.status', {}))
      const http = createHttpClient({ url: daemon.httpUrl, token: daemon.token })
      const overHttp = await p50(async () => http.call('Host.status', {}))
      await http.close()
      found.push({ quantity: 'small call over HTTP, keep-alive', ours: overHttp, unit: 'us', against: 'our own unix socket', theirs: unix, hold: 5, aim: 3.5 })
      const libvirt = await startLibvirt()
      if (typeof libvirt === 'string') {
        found.push({ quantity: 'small call over the unix socket', missing: libvirt })
      } else {
        await libvirt.ask(['pool', 'small', directory])
        const theirs = ((await libvirt.ask(['info', 'small', String(count)]))['p50'] ?? Number.NaN) * 1000
        const again = await p50(async () => daemon.client.call('Host.status', {}))
        await libvirt.ask(['close', 'small'])
        await libvirt.stop()
        found.push({ quantity: 'small call over the unix socket, p50', ours: Math.min(unix, again), unit: 'us', against: 'libvirt vol.info', theirs, hold: 1, aim: 0.6 })
      }
    } finally {
      await daemon.stop()
      place.remove()
    }
    return found
  },
}
