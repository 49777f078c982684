/** dconf keys that both types share. */
import * as z from 'zod'
import { StorageError } from '../../core/errors.ts'

/** Names of devices go into lists that commas separate, and into filters of LVM. */
const devicePattern = /^\/dev\/[A-Za-z0-9_.:+@=/-]+(,\/dev\/[A-Za-z0-9_.:+@=/-]+)*$/

const flag = (description: string, standard: 'yes' | 'no') =>
  z.enum(['yes', 'no'], 'must be yes or no').default(standard).meta({ description, examples: [standard === 'yes' ? 'no' : 'yes'] })

const sharedKeys = {
  device: z.string().max(4000).regex(devicePattern, 'must be device nodes below /dev, several of them separated by commas').meta({
    description: 'The device node, or several separated by commas, that the volume group is on. Names below /dev/disk/by-id last across boots',
    examples: ['/dev/disk/by-id/wwn-0x5000c500a1b2c3d4', '/dev/sdb,/dev/sdc'],
  }),
  discard: flag('Tell the devices when space becomes free: good for SSDs and thin LUNs; some arrays handle it badly', 'no'),
}

export const thickKeys = z.strictObject({
  ...sharedKeys,
  wipe: z.enum(['full', 'head'], 'must be full or head').default('full').meta({
    description: 'full: all of a deleted VDI is overwritten with zeros before its space is used again, a large one by the collector. head: only the first MiB of a new VDI is zeroed, the rest shows what was there before',
    examples: ['head'],
  }),
})

export const thinKeys = z.strictObject({
  ...sharedKeys,
  errorwhenfull: flag('When the pool is full: yes lets writes fail at once with ENOSPC, no lets them wait for room (the kernel fails them after a minute)', 'yes'),
  metadatasize: z.string().regex(/^\d+(MiB|M|GiB|G)$/i, 'must be a size like 512M or 2G').optional().meta({
    description: 'Size of the metadata of the pool, for SR.create; LVM chooses one that fits the pool when absent. Many snapshots need more',
    examples: ['1G'],
  }),
})

/** The devices of a dconf, as they were written. */
export const devicesOf = (device: string): readonly string[] => {
  const devices = device.split(',')
  const twice = devices.find((name, index) => devices.indexOf(name) !== index)
  if (twice === undefined) return devices
  throw new StorageError('invalidArgument', `device names ${twice} twice`, { layer: 'driver:lvm', field: 'device_config.device', remedy: 'Name each device once' })
}
