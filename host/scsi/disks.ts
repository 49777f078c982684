/** SCSI disks as the kernel shows them in sysfs. Reading here starts no process and asks no disk anything. */
import { isSystemError } from '../../core/errors.ts'
import type { Files } from '../../core/ports.ts'
import { lunIdentity, type LunIdentity } from './identity.ts'

export interface ScsiDisk {
  /** `sda`: good for this moment only. */
  readonly name: string
  readonly node: string
  /** `major:minor` */
  readonly device: string
  /** Directory of the LUN in sysfs. */
  readonly directory: string
  readonly lun: number
  /** What the kernel last heard of its identity; undefined when it states none. */
  readonly identity: LunIdentity | undefined
  /** Bytes. 0: the kernel has seen that the LUN is gone, and would answer reads with nothing at all. */
  readonly size: number
  readonly readOnly: boolean
  /** `running`, `blocked` (its session is being recovered), `transport-offline`, `offline` ... */
  readonly state: string
  readonly vendor: string
  readonly model: string
  /** Unit serial number (VPD page 80h); undefined when it states none. */
  readonly serial: string | undefined
  /** Devices built on it: `dm-0`, partitions excepted. */
  readonly holders: readonly string[]
}

const attributeLimit = 4096

/** One attribute; undefined when the device or the attribute is not there, or the kernel has nothing to say. */
export const attribute = async (files: Files, path: string): Promise<string | undefined> => {
  try {
    return (await files.readText(path, attributeLimit))?.trim()
  } catch (error) {
    if (isSystemError(error) && ['EINVAL', 'ENXIO', 'ENODEV', 'ENOTCONN', 'EIO', 'ENODATA'].includes(error.code)) return undefined
    throw error
  }
}

/** What the kernel last heard of VPD page 80h (SPC-4, 7.8.13): four bytes of header, then the serial number in ASCII. */
const unitSerial = async (files: Files, directory: string): Promise<string | undefined> => {
  const path = `${directory}/vpd_pg80`
  if ((await files.stat(path)) === undefined) return undefined
  const file = await files.open(path, 'read')
  try {
    const serial = Buffer.from(await file.read(0, 256)).subarray(4).toString('latin1').replace(/[^ -~]/g, '').trim()
    return serial === '' ? undefined : serial
  } catch (error) {
    if (isSystemError(error)) return undefined
    throw error
  } finally {
    await file.close()
  }
}

/** Peripheral device type 0 (SPC-4, table 139). Controllers and tapes are no disks. */
const isDisk = async (files: Files, directory: string): Promise<boolean> => (await attribute(files, `${directory}/type`)) === '0'

/**
 * The disk of a LUN directory (`.../0:0:0:1`). `pending`: the LUN is there, its disk not yet: the kernel looks for disks in the
 * background. undefined: it is no disk, or it vanished meanwhile.
 */
export const readDisk = async (files: Files, directory: string): Promise<ScsiDisk | 'pending' | undefined> => {
  if (!(await isDisk(files, directory))) return undefined
  const [name] = (await files.list(`${directory}/block`)) ?? []
  if (name === undefined) return 'pending'
  const block = `${directory}/block/${name}`
  const [size, device, readOnly, wwid, state, vendor, model, holders, serial] = await Promise.all([
    attribute(files, `${block}/size`), attribute(files, `${block}/dev`), attribute(files, `${block}/ro`), attribute(files, `${directory}/wwid`), attribute(files, `${directory}/state`),
    attribute(files, `${directory}/vendor`), attribute(files, `${directory}/model`), files.list(`${block}/holders`), unitSerial(files, directory),
  ])
  if (size === undefined || state === undefined) return undefined
  return {
    name, node: `/dev/${name}`, device: device ?? '', directory, lun: Number(directory.slice(directory.lastIndexOf(':') + 1)),
    identity: wwid === undefined ? undefined : lunIdentity(wwid), size: Number(size) * 512, readOnly: readOnly === '1', state,
    vendor: vendor ?? '', model: model ?? '', serial, holders: holders ?? [],
  }
}

/** A multipath map, as far as sysfs tells. */
export interface MapDevice {
  /** `dm-0` */
  readonly name: string
  readonly node: string
  readonly device: string
  /** Name of the map in /dev/mapper. */
  readonly map: string
  /** WWID after `mpath-`. */
  readonly wwid: string
  readonly size: number
  readonly readOnly: boolean
  readonly holders: readonly string[]
}

/** The multipath map on a disk, found by who holds it: no name and no configuration is trusted. */
export const mapOn = async (files: Files, disk: ScsiDisk): Promise<MapDevice | undefined> => {
  for (const name of disk.holders) {
    const uuid = await attribute(files, `/sys/block/${name}/dm/uuid`)
    if (uuid?.startsWith('mpath-') !== true) continue
    const [map, device, size, readOnly, holders] = await Promise.all([
      attribute(files, `/sys/block/${name}/dm/name`), attribute(files, `/sys/block/${name}/dev`), attribute(files, `/sys/block/${name}/size`), attribute(files, `/sys/block/${name}/ro`), files.list(`/sys/block/${name}/holders`),
    ])
    return {
      name, node: `/dev/${name}`, device: device ?? '', map: map ?? '', wwid: uuid.slice('mpath-'.length), size: Number(size ?? 0) * 512, readOnly: readOnly === '1', holders: holders ?? [],
    }
  }
  return undefined
}
