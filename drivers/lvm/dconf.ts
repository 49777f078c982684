/** dconf keys that both types share. */
import * as z from 'zod'
import { StorageError } from '../../core/errors.ts'
import { thickOptions, thinOptions } from '../../stores/logical-volumes/options.ts'

/** Names of devices go into lists that commas separate, and into filters of LVM. */
const devicePattern = /^\/dev\/[A-Za-z0-9_.:+@=/-]+(,\/dev\/[A-Za-z0-9_.:+@=/-]+)*$/

const sharedKeys = {
  device: z.string().max(4000).regex(devicePattern, 'must be device nodes below /dev, several of them separated by commas').meta({
    description: 'The device node, or several separated by commas, that the volume group is on. Names below /dev/disk/by-id last across boots',
    examples: ['/dev/disk/by-id/wwn-0x5000c500a1b2c3d4', '/dev/sdb,/dev/sdc'],
  }),
}

export const thickKeys = z.strictObject({ ...sharedKeys, ...thickOptions })

export const thinKeys = z.strictObject({ ...sharedKeys, ...thinOptions })

/** The devices of a dconf, as they were written. */
export const devicesOf = (device: string): readonly string[] => {
  const devices = device.split(',')
  const twice = devices.find((name, index) => devices.indexOf(name) !== index)
  if (twice === undefined) return devices
  throw new StorageError('invalidArgument', `device names ${twice} twice`, { layer: 'driver:lvm', field: 'device_config.device', remedy: 'Name each device once' })
}
