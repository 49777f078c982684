/** lsblk, blkid, wipefs, blkdiscard and the like on the model's disks and active volumes. */
import type { RunResult } from '../../../../core/ports.ts'
import { pageSize } from '../../model/content.ts'
import { diskInode, nodeAt, readBytes, signatureOf, zeroBytes, DiskError, type Disk } from './disks.ts'
import { extentSize, findGroups, sizeOf } from './groups.ts'
import { answer } from './commands.ts'
import { readArguments } from './options.ts'
import { byIdPath, deactivateNode, findActive, findDisk, keyOf, mapperNameOf, type ActiveVolume, type LvmState } from './state.ts'

const minorOf = (state: LvmState, disk: Disk): string => `254:${state.disks.indexOf(disk) * 16}`

const plugged = (state: LvmState): readonly Disk[] => state.disks.filter((disk) => disk.pulled === undefined)

/** Volumes whose segments, or whose pool's, are on the disk. */
export const standingOn = (state: LvmState, disk: Disk): readonly ActiveVolume[] =>
  findGroups(state.root, plugged(state)).flatMap((found) => {
    const here = [...found.disks.values()].find((pv) => pv.disk === disk)
    if (here === undefined) return []
    return found.group.lvs.flatMap((lv) => {
      const active = state.active.get(keyOf(found.group.uuid, lv.uuid))
      const segments = lv.kind === 'thin' ? found.group.lvs.find(({ name }) => name === lv.pool)?.segments ?? [] : lv.segments
      return active !== undefined && segments.some(({ pv }) => pv === here.label.pv) ? [active] : []
    })
  })

const blockRow = (columns: readonly string[], values: Readonly<Record<string, unknown>>, children: readonly object[]): object => ({
  ...Object.fromEntries(columns.map((column) => {
    const key = column.toLowerCase()
    if (!(key in values)) throw new Error(`the model of lsblk does not know the column ${column}`)
    return [key, values[key]]
  })),
  ...(children.length === 0 ? {} : { children }),
})

const lsblk = (state: LvmState, argv: readonly string[]): RunResult => {
  const args = readArguments('lsblk', argv, ['--output'], ['--json', '--bytes', '--paths'])
  const columns = (args.value('--output') ?? '').split(',')
  const volumeRow = (active: ActiveVolume): object => blockRow(columns, {
    'name': `/dev/mapper/${mapperNameOf(active)}`, 'kname': `/dev/dm-${[...state.active.values()].indexOf(active)}`, 'path': `/dev/mapper/${mapperNameOf(active)}`,
    'maj:min': `253:${[...state.active.values()].indexOf(active)}`, 'type': 'lvm', 'size': active.size, 'ro': active.readOnly, 'mountpoints': [null], 'fstype': null, 'uuid': null, 'model': null, 'serial': null,
  }, [])
  const diskRow = (disk: Disk): object => {
    const believed = disk.ailment === 'fails' ? undefined : signatureOf(state.root, disk)
    return blockRow(columns, {
      'name': disk.path, 'kname': disk.path, 'path': disk.path, 'maj:min': minorOf(state, disk), 'type': 'disk', 'size': sizeOf(state.root, disk), 'ro': false, 'mountpoints': [null],
      'fstype': believed?.type ?? null, 'uuid': believed?.uuid ?? null, 'model': null, 'serial': disk.serial,
    }, disk.ailment === 'fails' ? [] : standingOn(state, disk).map(volumeRow))
  }
  const [wanted] = args.operands
  if (wanted === undefined) return answer(JSON.stringify({ blockdevices: plugged(state).map(diskRow) }))
  const disk = findDisk(state, wanted)
  if (disk !== undefined) return answer(JSON.stringify({ blockdevices: [diskRow(disk)] }))
  const active = findActive(state, wanted)
  if (active !== undefined) return answer(JSON.stringify({ blockdevices: [volumeRow(active)] }))
  return answer('{\n   "blockdevices": [\n\n   ]\n}\n', `lsblk: ${wanted}: not a block device\n`, 32)
}

/** Of a device that fails every read, blkid says the same as of one without a signature (lab). */
const blkid = (state: LvmState, argv: readonly string[]): RunResult => {
  const args = readArguments('blkid', argv, ['--output'], ['--probe'])
  const disk = findDisk(state, args.operands[0] ?? '')
  if (disk === undefined || disk.ailment === 'fails') return answer('', '', 2)
  const found = signatureOf(state.root, disk)
  return found === undefined ? answer('', '', 2) : answer(`DEVNAME=${disk.path}\n${found.uuid === undefined ? '' : `UUID=${found.uuid}\n`}TYPE=${found.type}\n`)
}

const wipefs = (state: LvmState, argv: readonly string[]): RunResult => {
  const args = readArguments('wipefs', argv, [], ['--no-act', '--json'])
  const disk = findDisk(state, args.operands[0] ?? '')
  if (disk === undefined) return answer('', `wipefs: error: ${args.operands[0] ?? ''}: probing initialization failed: No such file or directory\n`, 1)
  const found = disk.ailment === 'fails' ? undefined : signatureOf(state.root, disk)
  return answer(JSON.stringify({ signatures: found === undefined ? [] : [{ device: disk.path.slice(5), offset: found.type === 'ext4' ? '0x438' : '0x218', type: found.type, uuid: found.uuid ?? null, label: null }] }))
}

const dd = (state: LvmState, argv: readonly string[]): RunResult => {
  const source = argv.find((arg) => arg.startsWith('if='))?.slice(3) ?? ''
  const disk = findDisk(state, source)
  if (disk === undefined) return answer('', `dd: failed to open '${source}': No such file or directory\n`, 1)
  try {
    readBytes(state.root, disk, 0, 512)
    return answer('')
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
    return answer('', `dd: error reading '${source}': ${error.message}\n`, 1)
  }
}

/** Zeros a stretch of a volume, through its own pages where it is thin. */
const zeroVolume = (state: LvmState, active: ActiveVolume, offset: number, length: number): void => {
  const found = findGroups(state.root, plugged(state)).find(({ group }) => group.uuid === active.vgUuid)
  const lv = found?.group.lvs.find(({ uuid }) => uuid === active.uuid)
  if (found === undefined || lv === undefined) throw new DiskError('Input/output error')
  if (lv.kind === 'thin') {
    const pages = nodeAt(state.root, `/dev/${active.vg}/${active.name}`)?.content.pages
    for (let at = offset; at < offset + length; at += pageSize) pages?.set(at / pageSize, new Uint8Array(pageSize))
    return
  }
  let start = 0
  for (const segment of lv.segments) {
    const end = start + segment.count * extentSize
    const [from, to] = [Math.max(offset, start), Math.min(offset + length, end)]
    const pv = found.group.pvs.find(({ uuid }) => uuid === segment.pv)
    const disk = found.disks.get(segment.pv)?.disk
    if (from < to && (pv === undefined || disk === undefined)) throw new DiskError('Input/output error')
    if (from < to && pv !== undefined && disk !== undefined) zeroBytes(state.root, disk, pv.dataStart + segment.start * extentSize + from - start, to - from)
    start = end
  }
}

const blkdiscard = (state: LvmState, argv: readonly string[]): RunResult => {
  const args = readArguments('blkdiscard', argv, ['--offset', '--length'], ['--zeroout'])
  const path = args.operands[0] ?? ''
  if (!args.has('--zeroout')) throw new Error('the model of blkdiscard writes zeros only')
  const [offset, length] = [Number(args.value('--offset')), Number(args.value('--length'))]
  try {
    const disk = findDisk(state, path)
    const active = findActive(state, path)
    if (disk !== undefined && (disk.held === true || standingOn(state, disk).length > 0)) return answer('', `blkdiscard: cannot open ${path}: Device or resource busy\n`, 1)
    if (disk !== undefined) zeroBytes(state.root, disk, offset, length)
    else if (active !== undefined) zeroVolume(state, active, offset, length)
    else return answer('', `blkdiscard: cannot open ${path}: No such file or directory\n`, 1)
    return answer('')
  } catch (error) {
    if (!(error instanceof Error) || !(error instanceof DiskError || 'code' in error)) throw error
    return answer('', `blkdiscard: ${path}: BLKZEROOUT ioctl failed: ${error.message}\n`, 1)
  }
}

const realpath = (state: LvmState, argv: readonly string[]): RunResult => {
  const args = readArguments('realpath', argv, [], ['--canonicalize-missing'])
  return answer(args.operands.map((path) => `${findDisk(state, path)?.path ?? path}\n`).join(''))
}

const blockdev = (state: LvmState, argv: readonly string[]): RunResult => {
  const args = readArguments('blockdev', argv, [], ['--setro', '--setrw'])
  const active = findActive(state, args.operands[0] ?? '')
  if (active === undefined) return answer('', `blockdev: cannot open ${args.operands[0] ?? ''}: No such file or directory\n`, 1)
  active.readOnly = args.has('--setro')
  return answer('')
}

const dmUuid = (active: ActiveVolume): string => {
  const [, lv = '', suffix = ''] = /^(.*?)(-tpool)?$/.exec(active.uuid) ?? []
  return `LVM-${active.vgUuid.replaceAll('-', '')}${lv.replaceAll('-', '')}${suffix}`
}

const dmsetup = (state: LvmState, argv: readonly string[]): RunResult => {
  const [verb, ...rest] = argv
  const args = readArguments(`dmsetup ${verb ?? ''}`, rest, ['--separator', '-o'], ['--columns', '--noheadings', '--retry'])
  if (verb === 'info') {
    const lines = [...state.active.values()].map((active) => `${mapperNameOf(active)}|${dmUuid(active)}|${active.open}|${active.suspended ? 'Suspended' : 'Active'}`)
    return answer(lines.length === 0 ? 'No devices found\n' : `${lines.join('\n')}\n`)
  }
  const active = [...state.active.values()].find((one) => mapperNameOf(one) === args.operands[0])
  if (active === undefined) return answer('', `Device ${args.operands[0] ?? ''} not found\nCommand failed.\n`, 1)
  if (verb === 'resume') active.suspended = false
  else if (verb === 'remove') {
    if (active.open > 0) return answer('', `device-mapper: remove ioctl on ${mapperNameOf(active)}  failed: Device or resource busy\nCommand failed.\n`, 1)
    deactivateNode(state, keyOf(active.vgUuid, active.uuid))
  } else throw new Error(`the model of dmsetup does not know ${verb ?? ''}`)
  return answer('')
}

const udevadm = (_state: LvmState, argv: readonly string[]): RunResult => {
  if (argv[0] !== 'settle') throw new Error(`the model of udevadm does not know ${argv[0] ?? ''}`)
  return answer('')
}

export const deviceTools: Readonly<Record<string, (state: LvmState, argv: readonly string[]) => RunResult>> = {
  lsblk, blkid, wipefs, dd, blkdiscard, realpath, blockdev, dmsetup, udevadm,
}

/** What is on the disks and active, a line each. */
export const inventoryLines = (state: LvmState): readonly string[] => [
  ...plugged(state).map((disk) => {
    if (disk.ailment === 'fails') return `disk ${disk.path} fails`
    const last = sizeOf(state.root, disk) / pageSize
    const clean = ![...diskInode(state.root, disk).content.pages].some(([page, bytes]) => (page < 256 || page >= last - 256) && bytes.some((byte) => byte !== 0))
    return `disk ${disk.path} ${byIdPath(disk)} ${signatureOf(state.root, disk)?.type ?? (clean ? 'blank' : 'data')}`
  }),
  ...findGroups(state.root, plugged(state).filter((disk) => disk.ailment !== 'fails')).flatMap(({ group }) => [`group ${group.name}`, ...group.lvs.map((lv) => `volume ${group.name}/${lv.name} ${lv.size}`)]),
  ...[...state.active.values()].map((active) => `map ${mapperNameOf(active)}`),
]
