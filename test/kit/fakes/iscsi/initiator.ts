/** One host's side in the model: sessions, the disks that came with them, multipath maps; and all of it as /sys, /dev and /proc show it. */
import { addInode, assign, change, createVolume, syncContent, syncNames, type Inode, type Volume } from '../../model/volume.ts'
import type { ModelHost } from '../../model/machine.ts'
import { diskOf, naaOf, portalName, type ModelArray, type ModelPortal, type ModelTarget } from './array.ts'

export interface ModelDisk {
  /** `sda` */
  readonly name: string
  readonly lun: number
  /** What the kernel last heard: identity and size stay what they were until a rescan. */
  serial: string
  size: number
  readOnly: boolean
}

export interface ModelSession {
  readonly sid: number
  readonly target: string
  readonly portal: ModelPortal
  readonly initiator: string
  readonly face: string
  state: 'LOGGED_IN' | 'FAILED' | 'FREE'
  disks: ModelDisk[]
}

export interface ModelInitiator {
  readonly name: string
  sessions: ModelSession[]
  nextSid: number
  multipathd: boolean
  /** WWID -> what is told of the map; its paths are the disks of that identity. */
  readonly maps: Map<string, { readonly number: number; size: number; readOnly: boolean }>
  /** Devices that somebody built on a disk or map, by its name. */
  readonly builtOn: Map<string, string[]>
  /** Nodes that a process has open. */
  readonly open: Map<string, number>
}

export const createInitiator = (name: string): ModelInitiator => ({ name, sessions: [], nextSid: 1, multipathd: false, maps: new Map(), builtOn: new Map(), open: new Map() })

export const copyInitiator = (one: ModelInitiator, rebooted: boolean): ModelInitiator => {
  if (rebooted) return { ...createInitiator(one.name), multipathd: one.multipathd }
  return {
    ...one, sessions: one.sessions.map((session) => ({ ...session, disks: session.disks.map((disk) => ({ ...disk })) })),
    maps: new Map([...one.maps].map(([wwid, map]) => [wwid, { ...map }])), builtOn: new Map(one.builtOn), open: new Map(one.open),
  }
}

const targetOfSession = (array: ModelArray, session: ModelSession): ModelTarget | undefined => array.targets.find(({ iqn }) => iqn === session.target)

/** What the target shows to a session now. */
const offered = (array: ModelArray, session: ModelSession): ReadonlyMap<number, string> => {
  const target = targetOfSession(array, session)
  return (target?.masks === undefined ? target?.luns : target.masks.get(session.initiator)) ?? new Map()
}

export const answers = (array: ModelArray, session: ModelSession): boolean => targetOfSession(array, session)?.alive.has(portalName(session.portal)) === true

/** The unit serial that answers behind a disk now; undefined when nothing does. */
export const serialBehind = (array: ModelArray, initiator: ModelInitiator, disk: ModelDisk): string | undefined => {
  const session = initiator.sessions.find(({ disks }) => disks.includes(disk))
  return session === undefined || !answers(array, session) ? undefined : offered(array, session).get(disk.lun)
}

const freeName = (initiator: ModelInitiator): string => {
  const taken = new Set(initiator.sessions.flatMap(({ disks }) => disks.map(({ name }) => name)))
  const letters = 'abcdefghijklmnopqrstuvwxyz'.split('')
  for (const first of ['', ...letters]) for (const letter of letters) if (!taken.has(`sd${first}${letter}`)) return `sd${first}${letter}`
  throw new Error('the model has no more names for disks')
}

/** The kernel looks at all LUNs: new ones get a disk, known ones their present identity and size, gone ones size 0. */
export const rescanSession = (array: ModelArray, initiator: ModelInitiator, session: ModelSession): void => {
  const luns = offered(array, session)
  for (const disk of session.disks) {
    const serial = luns.get(disk.lun)
    disk.size = serial === undefined ? 0 : diskOf(array, serial).content.length
    if (serial !== undefined) disk.serial = serial
  }
  for (const [lun, serial] of luns) {
    if (session.disks.some((disk) => disk.lun === lun)) continue
    session.disks.push({ name: freeName(initiator), lun, serial, size: diskOf(array, serial).content.length, readOnly: false })
  }
}

/** multipathd makes a map of every identity it sees, and drops those without paths. */
export const remap = (initiator: ModelInitiator): void => {
  if (!initiator.multipathd) return
  for (const disk of initiator.sessions.flatMap(({ disks }) => disks)) {
    const wwid = `3${naaOf(disk.serial)}`
    if (initiator.maps.has(wwid) || disk.size === 0) continue
    const taken = new Set([...initiator.maps.values()].map(({ number }) => number))
    const number = Array.from({ length: taken.size + 1 }, (_, index) => index).find((index) => !taken.has(index)) ?? 0
    initiator.maps.set(wwid, { number, size: disk.size, readOnly: false })
  }
}

export const pathsOfMap = (initiator: ModelInitiator, wwid: string): readonly ModelDisk[] =>
  initiator.sessions.flatMap(({ disks }) => disks).filter((disk) => `3${naaOf(disk.serial)}` === wwid)

type Tree = Map<string, string | Inode>

const volumeOf = (tree: Tree): Volume => {
  const volume = createVolume()
  for (const [path, content] of tree) {
    const parts = path.split('/').filter((part) => part !== '')
    let at = volume.root
    for (const [index, name] of parts.entries()) {
      const last = index === parts.length - 1
      const next = at.entries.get(name) ?? (last && typeof content !== 'string' ? content : addInode(volume, last && content !== 'directory' ? 'file' : 'directory', 0))
      if (!at.entries.has(name)) assign(volume, [{ directory: at, name, to: next }], 0)
      if (last && typeof content === 'string' && content !== 'directory') {
        change(next, { kind: 'write', position: 0, bytes: new TextEncoder().encode(content) }, 0)
        syncContent(next)
      }
      at = next
    }
  }
  for (const directory of [volume.root]) syncNames(volume, directory)
  return volume
}

const put = (tree: Tree, path: string, values: Readonly<Record<string, string>>): void => {
  for (const [name, value] of Object.entries(values)) tree.set(`${path}/${name}`, value === '' ? '\n' : `${value}\n`)
}

export const minor = (name: string): number => name.slice(2).split('').reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 96, 0) * 16 - 16

let inodes = 0
const inodeIds = new WeakMap<Inode, number>()
const idOf = (inode: Inode): number => {
  const id = inodeIds.get(inode) ?? (inodes += 1)
  inodeIds.set(inode, id)
  return id
}

/** All that is shown, in short; where it is the same as before nothing is laid anew. */
const shownBy = (array: ModelArray, initiator: ModelInitiator, nodes: readonly (readonly [string, Inode])[]): string => {
  const disks = initiator.sessions.flatMap((session) => session.disks.map((disk) => {
    const serial = serialBehind(array, initiator, disk)
    return serial === undefined ? 'nothing' : idOf(diskOf(array, serial))
  }))
  return JSON.stringify([initiator.sessions, [...initiator.maps], [...initiator.builtOn], disks, nodes.map(([path, inode]) => [path, idOf(inode)])])
}
const shown = new WeakMap<object, string>()

/** Lays /sys, /dev and /proc of a host over its root, as they are now. */
export const show = (array: ModelArray, initiator: ModelInitiator, host: ModelHost): void => {
  const root = host.space.mounts.get('/')?.root
  // What other models have made in /dev and /proc of the host shows, too.
  const nodes = [...(root?.entries.get('dev')?.entries ?? [])].flatMap(([directory, { entries }]) => [...entries].map(([name, node]) => [`/${directory}/${name}`, node] as const))
  const now = shownBy(array, initiator, nodes)
  if (shown.get(host.space.mounts) === now) return
  shown.set(host.space.mounts, now)
  const sys: Tree = new Map([['/class/iscsi_session', 'directory'], ['/block', 'directory']])
  const dev: Tree = new Map([['/disk/by-id', 'directory']])
  const holdersOf = (disk: ModelDisk): readonly string[] => {
    const map = initiator.maps.get(`3${naaOf(disk.serial)}`)
    return [...(map === undefined ? [] : [`dm-${map.number}`]), ...(initiator.builtOn.get(disk.name) ?? [])]
  }
  for (const session of initiator.sessions) {
    const at = `/class/iscsi_session/session${session.sid}`
    put(sys, at, { targetname: session.target, initiatorname: session.initiator, ifacename: session.face, state: session.state })
    const connection = `${at}/device/connection${session.sid}:0/iscsi_connection/connection${session.sid}:0`
    put(sys, connection, { persistent_address: session.portal.address, persistent_port: String(session.portal.port) })
    for (const disk of session.disks) {
      const address = `${session.sid}:0:0`
      const lun = `${at}/device/target${address}/${address}:${disk.lun}`
      const block = `${lun}/block/${disk.name}`
      put(sys, lun, { type: '0', wwid: `naa.${naaOf(disk.serial)}`, state: session.state === 'LOGGED_IN' ? 'running' : 'transport-offline', vendor: 'LIO-ORG', model: 'FILEIO' })
      put(sys, block, { size: String(disk.size / 512), dev: `8:${minor(disk.name)}`, ro: disk.readOnly ? '1' : '0' })
      sys.set(`${block}/holders`, 'directory')
      for (const holder of holdersOf(disk)) sys.set(`${block}/holders/${holder}`, 'directory')
      for (const holder of initiator.builtOn.get(disk.name) ?? []) put(sys, `/block/${holder}/dm`, { name: `built-on-${disk.name}`, uuid: 'LVM-x' })
      const serial = serialBehind(array, initiator, disk)
      if (serial === undefined) continue
      const inode = diskOf(array, serial)
      const links = [`/${disk.name}`, `/disk/by-path/ip-${session.portal.address}:${session.portal.port}-iscsi-${session.target}-lun-${disk.lun}`]
      const byId = initiator.maps.has(`3${naaOf(disk.serial)}`) ? [] : [`/disk/by-id/scsi-3${naaOf(disk.serial)}`, `/disk/by-id/wwn-0x${naaOf(disk.serial)}`]
      for (const link of [...links, ...byId]) dev.set(link, inode)
    }
  }
  for (const [wwid, map] of initiator.maps) {
    const at = `/block/dm-${map.number}`
    put(sys, at, { size: String(map.size / 512), dev: `254:${map.number}`, ro: map.readOnly ? '1' : '0' })
    put(sys, `${at}/dm`, { name: wwid, uuid: `mpath-${wwid}` })
    sys.set(`${at}/holders`, 'directory')
    for (const holder of initiator.builtOn.get(`dm-${map.number}`) ?? []) sys.set(`${at}/holders/${holder}`, 'directory')
    const serial = pathsOfMap(initiator, wwid).map((disk) => serialBehind(array, initiator, disk)).find((found) => found !== undefined)
    if (serial === undefined) continue
    for (const link of [`/dm-${map.number}`, `/mapper/${wwid}`, `/disk/by-id/dm-uuid-mpath-${wwid}`, `/disk/by-id/wwn-0x${wwid.slice(1)}`]) dev.set(link, diskOf(array, serial))
  }
  for (const [path, node] of nodes) dev.set(path, node)
  host.space.mounts.set('/sys', volumeOf(sys))
  host.space.mounts.set('/dev', volumeOf(dev))
  if (root?.entries.get('proc')?.entries.get('self')?.entries.has('mountinfo') !== true) host.space.mounts.set('/proc', volumeOf(new Map([['/self/mountinfo', '22 1 252:1 / / rw,relatime - ext4 /dev/vda1 rw\n']])))
}
