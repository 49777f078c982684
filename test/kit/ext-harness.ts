/** Worlds of the ext driver on model devices. */
import ext from '../../drivers/ext/driver.ts'
import { MiB } from '../../core/units.ts'
import type { Trouble } from './case.ts'
import { createExtModel, type ExtModel } from './fakes/ext.ts'
import { createMountModel, type MountModel } from './fakes/mount.ts'
import { formats } from './file-harness.ts'
import { openImage } from './image-disk.ts'
import { srUuid } from './crash/scenarios.ts'
import { createModelFiles } from './model/files.ts'
import { runDirectory, type Machine } from './model/machine.ts'
import { createProcess } from './model/process.ts'
import { usedBytes } from './model/volume.ts'
import { modelHarness, type ModelWorldOptions } from './model/world.ts'

/** Close to the smallest that the driver takes: everything is copied before each step of a crash test. */
const deviceSize = 40 * MiB

const extToolsOf = (machine: Machine): MountModel<ExtModel> => machine.tools[0] as MountModel<ExtModel>

const trouble = (machine: () => Machine): Trouble => ({
  occupy: async () => extToolsOf(machine()).backend.format('sdb', 'xfs'),
  async damage(_sr, vdi) {
    const volume = extToolsOf(machine()).backend.volumeOf('sdb')
    const image = volume.root.entries.get(`${vdi}.vhd`)
    if (image === undefined) throw new Error(`there is no image of ${vdi}`)
    image.content.pages.clear()
    image.changes += 1
  },
  /** Unmounted and unplugged behind our back: the empty directory below the mount shows. */
  async vanish() {
    const { first } = machine()
    const tools = extToolsOf(machine())
    const plugIn = tools.backend.unplug('sdb')
    for (const { mountPoint } of tools.mounted(first)) tools.takeAway(first, mountPoint)
    // The disk comes back; nobody mounts it.
    return async () => plugIn()
  },
  async fill(bytes) {
    const volume = extToolsOf(machine()).backend.volumeOf('sdb')
    const { capacity } = volume
    volume.capacity = usedBytes(volume) + bytes
    return async () => {
      volume.capacity = capacity
    }
  },
})

export const extWorld: ModelWorldOptions = {
  driver: ext,
  name: 'ext, on model devices',
  deviceConfig: { device: '/dev/sdb' },
  formats,
  directories: [`${runDirectory}/sr-mount`],
  // An empty mount point. The model keeps /run over a power cut and loses its last changes; the real one is in memory and starts empty.
  blankRemains: [`${runDirectory}/sr-mount/${srUuid}/`],
  tools: (first) => [createMountModel([first], createExtModel(first, { sdb: deviceSize, sdc: deviceSize }))],
  disk: async (machine, attachment) => openImage(createModelFiles(machine.first.space, createProcess()), attachment),
  trouble,
}

export const modelExtHarness = () => modelHarness(extWorld)
