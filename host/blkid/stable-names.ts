/** Names of devices that last across boots, from /dev/disk/by-id. */
import type { Host } from '../../core/ports.ts'
import { realpathCommand } from './build.ts'
import type { BlockDevice } from './parse.ts'

const directory = '/dev/disk/by-id'

/** Kinds of names, best first: identities that storage gives itself, then model and serial number, then names of maps. */
const ranks = ['dm-uuid-mpath-', 'wwn-', 'nvme-eui.', 'nvme-uuid.', 'scsi-3', 'scsi-2', 'nvme-', 'scsi-', 'ata-', 'virtio-', 'md-uuid-', 'dm-name-', 'dm-uuid-']

const rankOf = (name: string): number => {
  const rank = ranks.findIndex((start) => name.startsWith(start))
  return rank < 0 ? ranks.length : rank
}

/** Device number -> its best name; devices without one are not in it. `lvm-pv-uuid-` names content, no device. */
export const stableNames = async (host: Host, devices: readonly BlockDevice[], signal: AbortSignal): Promise<ReadonlyMap<string, string>> => {
  const names = [...(await host.files.list(directory) ?? [])].filter((name) => !name.startsWith('lvm-pv-uuid-') && /^[A-Za-z0-9_.:+@=-]+$/.test(name))
  if (names.length === 0) return new Map()
  const best = new Map<string, string>()
  const sorted = names.sort((a, b) => rankOf(a) - rankOf(b) || (a < b ? -1 : 1)).map((name) => `${directory}/${name}`)
  const targets = (await host.run(realpathCommand(sorted), signal)).stdout.trimEnd().split('\n')
  for (const [index, target] of targets.entries()) {
    const device = devices.find(({ node }) => node === target)
    const name = sorted[index]
    if (device !== undefined && name !== undefined && !best.has(device.device)) best.set(device.device, name)
  }
  return best
}
