/** mount(8), umount(8) and the mount table of each model host, over devices or servers that can be mounted. */
import type { Command, RunResult } from '../../../core/ports.ts'
import { addInode, assign, change, syncContent, syncNames, type Volume } from '../model/volume.ts'
import { placeDirectory, type ModelHost, type ToolModel } from '../model/machine.ts'
import { complains, says, unknownUse } from './answer.ts'

export interface MountRequest {
  readonly fsType: string
  readonly source: string
  readonly options: readonly string[]
}

/** What there is to mount. */
export interface Mountable {
  readonly volume: Volume
  /** `major:minor` in the mount table. */
  readonly device: string
  readonly options: readonly string[]
}

export interface Mounted {
  readonly source: string
  readonly mountPoint: string
}

/** Devices or servers behind the mounts, with tools of their own. */
export interface Backend {
  readonly tools: readonly string[]
  run(command: Command, host: ModelHost, mounted: readonly Mounted[]): RunResult
  /** A result is a failure of mount(8). */
  offer(request: MountRequest, host: ModelHost): Mountable | RunResult
  inventory(host: ModelHost): readonly string[]
  copy(volume: (original: Volume) => Volume): Backend
}

interface Row extends MountRequest {
  readonly mountPoint: string
  readonly device: string
}

const write = (volume: Volume, directory: string, name: string, text: string): void => {
  placeDirectory(volume, directory)
  const at = directory.split('/').filter((part) => part !== '').reduce((inode, part) => inode.entries.get(part) ?? inode, volume.root)
  const file = at.entries.get(name) ?? addInode(volume, 'file', 0)
  change(file, { kind: 'truncate', length: 0 }, 0)
  change(file, { kind: 'write', position: 0, bytes: new TextEncoder().encode(text) }, 0)
  syncContent(file)
  assign(volume, [{ directory: at, name, to: file }], 0)
  syncNames(volume, at)
}

const tableOf = (rows: readonly Row[]): string =>
  ['1 0 254:0 / / rw - ext4 /dev/vda1 rw', ...rows.map((row, index) => `${index + 2} 1 ${row.device} / ${row.mountPoint} ${row.options.includes('ro') ? 'ro' : 'rw'} - ${row.fsType} ${row.source} ${row.options.join(',')}`)].join('\n').concat('\n')

interface State {
  /** By host. */
  readonly rows: Map<string, Row[]>
  /** The root of each host, which its mount table is a file in. */
  readonly roots: Map<string, Volume>
}

export interface MountModel<B extends Backend = Backend> extends ToolModel {
  readonly backend: B
  mounted(host: ModelHost): readonly Mounted[]
  /** Something else than umount takes a mount away, without a word; answers what brings it back. */
  takeAway(host: ModelHost, mountPoint: string): () => void
}

const build = <B extends Backend>(state: State, backend: B): MountModel<B> => {
  const rowsOf = (host: ModelHost): Row[] => {
    const rows = state.rows.get(host.id) ?? []
    state.rows.set(host.id, rows)
    return rows
  }
  const tell = (host: ModelHost): void => {
    const root = state.roots.get(host.id)
    if (root !== undefined) write(root, 'proc/self', 'mountinfo', tableOf(rowsOf(host)))
  }
  const put = (host: ModelHost, row: Row, volume: Volume): void => {
    rowsOf(host).push(row)
    host.space.mounts.set(row.mountPoint, volume)
    tell(host)
  }
  const drop = (host: ModelHost, row: Row): void => {
    rowsOf(host).splice(rowsOf(host).indexOf(row), 1)
    host.space.mounts.delete(row.mountPoint)
    tell(host)
  }

  const mount = ({ argv }: Command, host: ModelHost): RunResult => {
    const [, t, fsType, o, options, dashes, source, target, ...more] = argv
    if (t !== '-t' || o !== '-o' || dashes !== '--' || fsType === undefined || options === undefined || source === undefined || target === undefined || more.length > 0) return unknownUse(argv)
    const request = { fsType, source, options: options.split(',') }
    const found = backend.offer(request, host)
    if ('exitCode' in found) return found
    put(host, { ...request, options: found.options, mountPoint: target, device: found.device }, found.volume)
    return says('')
  }

  const umount = ({ argv }: Command, host: ModelHost): RunResult => {
    const target = argv.at(-1) ?? ''
    const flags = argv.slice(1, -2)
    if (argv.at(-2) !== '--' || flags.some((flag) => !['-i', '-c', '-f', '-l'].includes(flag))) return unknownUse(argv)
    const row = rowsOf(host).findLast((one) => one.mountPoint === target)
    if (row === undefined) return complains(`umount: ${target}: not mounted.`, 32)
    const volume = host.space.mounts.get(target)
    if (volume !== undefined && (host.space.open.get(volume) ?? 0) > 0 && !flags.includes('-l')) return complains(`umount: ${target}: target is busy.`, 32)
    drop(host, row)
    return says('')
  }

  return {
    backend,
    tools: ['mount', 'umount', ...backend.tools],
    run(command, host) {
      const [tool] = command.argv
      if (tool === 'mount') return mount(command, host)
      return tool === 'umount' ? umount(command, host) : backend.run(command, host, rowsOf(host))
    },
    inventory: (host) => [...rowsOf(host).map((row) => `${host.id} mounted ${row.source} on ${row.mountPoint}`), ...backend.inventory(host)],
    mounted: rowsOf,
    takeAway(host, mountPoint) {
      const row = rowsOf(host).find((one) => one.mountPoint === mountPoint)
      const volume = host.space.mounts.get(mountPoint)
      if (row === undefined || volume === undefined) throw new Error(`nothing is mounted on ${mountPoint}`)
      drop(host, row)
      return () => {
        // Somebody may have mounted it in the meantime.
        if (!rowsOf(host).some((one) => one.mountPoint === mountPoint)) put(host, row, volume)
      }
    },
    copy(volume, rebooted) {
      const copied: State = {
        // The model reboots its first host only.
        rows: new Map([...state.rows].map(([id, rows]) => [id, rebooted && id === 'host-1' ? [] : [...rows]])),
        roots: new Map([...state.roots].map(([id, root]) => [id, volume(root)])),
      }
      for (const [id, root] of copied.roots) write(root, 'proc/self', 'mountinfo', tableOf(copied.rows.get(id) ?? []))
      return build(copied, backend.copy(volume) as B)
    },
  }
}

export const createMountModel = <B extends Backend>(hosts: readonly ModelHost[], backend: B): MountModel<B> => {
  const roots = new Map(hosts.flatMap((host) => {
    const root = host.space.mounts.get('/')
    return root === undefined ? [] : [[host.id, root] as const]
  }))
  for (const root of roots.values()) write(root, 'proc/self', 'mountinfo', tableOf([]))
  return build({ rows: new Map(), roots }, backend)
}
