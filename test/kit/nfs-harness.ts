/** Worlds of the NFS driver: two model hosts that share an export. */
import nfs from '../../drivers/nfs/driver.ts'
import type { Trouble } from './case.ts'
import { createMountModel, type MountModel } from './fakes/mount.ts'
import { createNfsModel, type NfsModel } from './fakes/nfs.ts'
import { formats } from './file-harness.ts'
import { openImage } from './image-disk.ts'
import { createModelFiles } from './model/files.ts'
import { placeDirectory, runDirectory, type Machine, type ModelHost } from './model/machine.ts'
import { createProcess } from './model/process.ts'
import { createVolume, usedBytes, type Inode, type Volume } from './model/volume.ts'
import { modelHarness, type ModelWorldOptions } from './model/world.ts'

const server = '127.0.0.1'
const path = '/srv/sr'

const toolsOf = (machine: Machine): MountModel<NfsModel> => machine.tools[0] as MountModel<NfsModel>

const exported = (machine: Machine): Volume => {
  const volume = toolsOf(machine).backend.exports.get(path)
  if (volume === undefined) throw new Error(`${path} is not exported`)
  return volume
}

const find = (at: Inode, ...names: readonly string[]): Inode => names.reduce((inode, name) => {
  const next = inode.entries.get(name)
  if (next === undefined) throw new Error(`there is no ${name}`)
  return next
}, at)

const trouble = (machine: () => Machine): Trouble => ({
  async damage(sr, vdi) {
    const image = find(exported(machine()).root, sr, `${vdi}.vhd`)
    image.content.pages.clear()
    image.changes += 1
  },
  /** The server is down, and the mount went with it. */
  async vanish() {
    const { first } = machine()
    const tools = toolsOf(machine())
    tools.backend.state.up = false
    for (const { mountPoint } of tools.mounted(first)) tools.takeAway(first, mountPoint)
    return async () => {
      tools.backend.state.up = true
    }
  },
  async fill(bytes) {
    const volume = exported(machine())
    const { capacity } = volume
    volume.capacity = usedBytes(volume) + bytes
    return async () => {
      volume.capacity = capacity
    }
  },
})

/** Hosts share what a server exports and nothing else. */
const ownRoot = (host: ModelHost): void => {
  const root = createVolume()
  placeDirectory(root, `${runDirectory}/sr-mount`)
  host.space.mounts.set('/', root)
}

/** `port`: where something answers as an NFS server does. */
const nfsWorld = (port: number): ModelWorldOptions => ({
  driver: nfs,
  name: 'nfs, on a model server',
  deviceConfig: { server, serverpath: path, port: String(port) },
  formats,
  shared: true,
  directories: [`${runDirectory}/sr-mount`],
  tools: (first, second) => {
    ownRoot(second)
    return [createMountModel([first, second], createNfsModel(server, new Map([[path, createVolume(2 ** 30)]])))]
  },
  disk: async (machine, attachment) => openImage(createModelFiles(machine.first.space, createProcess()), attachment),
  trouble,
})

export const modelNfsHarness = (port: number) => modelHarness(nfsWorld(port))
