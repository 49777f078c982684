/** LUNs of the model array with something on them: LVM or ext4 over the disks that a host has by its sessions. One tool model, so that it is copied as one. */
import type { Command, RunResult } from '../../../core/ports.ts'
import type { ModelHost } from '../model/machine.ts'
import type { Inode, Volume } from '../model/volume.ts'
import { diskOf, naaOf, reservationsOf, type ModelArray } from './iscsi/array.ts'
import { minor, serialBehind, show } from './iscsi/initiator.ts'
import type { IscsiModel } from './iscsi/model.ts'

/** A disk, or a map over several, as tools of a host find it. */
export interface SeenLun {
  /** `sda`, `dm-0` */
  readonly name: string
  readonly numbers: string
  readonly serial: string
  /** Other names that lead to it. */
  readonly names: readonly string[]
  /** undefined: nothing answers behind it. */
  readonly inode: Inode | undefined
}

/** What stands on the LUNs. */
export interface Upper {
  readonly tools: readonly string[]
  run(command: Command, host: ModelHost): RunResult | Promise<RunResult>
  /** The devices of a host are these now. */
  see(host: ModelHost, luns: readonly SeenLun[]): void
  /** What the kernel of a host has built on a device. */
  holders(host: ModelHost, name: string): readonly string[]
  /** A path that is not a LUN's. */
  owns(path: string): boolean
  inventory(host: ModelHost): readonly string[]
  copy(volume: (original: Volume) => Volume, rebooted: boolean): Upper
}

const seenBy = (array: ModelArray, iscsi: IscsiModel, host: ModelHost): readonly SeenLun[] => {
  const initiator = iscsi.initiatorOf(host)
  const disks = initiator.sessions.flatMap((session) => session.disks.map((disk) => ({ disk, up: session.state === 'LOGGED_IN' }))).filter(({ disk }) => disk.size > 0)
  const serials = [...new Set(disks.map(({ disk }) => disk.serial))]
  return serials.flatMap((serial): readonly SeenLun[] => {
    const paths = disks.filter(({ disk }) => disk.serial === serial)
    const [first] = paths
    const map = initiator.maps.get(`3${naaOf(serial)}`)
    const behind = paths.filter(({ up }) => up).map(({ disk }) => serialBehind(array, initiator, disk)).find((found) => found !== undefined)
    if (first === undefined) return []
    const inode = behind === undefined ? undefined : diskOf(array, behind)
    const byId = [`/dev/disk/by-id/scsi-3${naaOf(serial)}`, `/dev/disk/by-id/wwn-0x${naaOf(serial)}`]
    return map === undefined
      ? [{ name: first.disk.name, numbers: `8:${minor(first.disk.name)}`, serial, names: byId, inode }]
      : [{ name: `dm-${map.number}`, numbers: `254:${map.number}`, serial, names: [`/dev/disk/by-id/dm-uuid-mpath-3${naaOf(serial)}`, `/dev/mapper/3${naaOf(serial)}`, ...byId], inode }]
  })
}

/** Tools that both have: the path tells whose it is. */
const sharedTools = new Set(['blockdev'])

export const withUpper = (iscsi: IscsiModel, upper: Upper): IscsiModel => {
  const refresh = (host: ModelHost): void => {
    const initiator = iscsi.initiatorOf(host)
    const luns = seenBy(iscsi.array, iscsi, host)
    upper.see(host, luns)
    initiator.builtOn.clear()
    for (const lun of luns) {
      const holders = upper.holders(host, lun.name)
      if (holders.length > 0) initiator.builtOn.set(lun.name, [...holders])
    }
    show(iscsi.array, initiator, host)
  }
  const isUpper = ({ argv }: Command): boolean => {
    const [tool] = argv
    if (sharedTools.has(tool)) return upper.owns(argv.at(-1) ?? '')
    return upper.tools.includes(tool) && !iscsi.tools.includes(tool)
  }
  return {
    array: iscsi.array, initiatorOf: (host) => iscsi.initiatorOf(host),
    tools: [...new Set([...iscsi.tools, ...upper.tools])],
    async run(command, host) {
      refresh(host)
      const result = await (isUpper(command) ? upper.run(command, host) : iscsi.run(command, host))
      refresh(host)
      return result
    },
    stir(hosts) {
      iscsi.stir(hosts)
      for (const host of hosts) refresh(host)
    },
    inventory: (host) => [
      ...iscsi.inventory(host), ...upper.inventory(host),
      ...[...iscsi.array.disks.root.entries.keys()].flatMap((serial) => [...reservationsOf(iscsi.array, serial).registered].map(([nexus, key]) => `LUN ${serial} registered by ${nexus} with 0x${key.toString(16)}`)),
    ],
    copy: (volume, rebooted) => withUpper(iscsi.copy(volume, rebooted) as IscsiModel, upper.copy(volume, rebooted)),
  }
}

