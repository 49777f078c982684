/** The model world of the driver, or of a variant of it: a directory that is a mount point of its own. */
import type { Driver } from '../../core/contract.ts'
import { jsonOf } from '../../drivers/template/vdi-file.ts'
import type { Trouble } from './case.ts'
import { addFile, type Machine } from './model/machine.ts'
import { createVolume, usedBytes, type Volume } from './model/volume.ts'
import { modelHarness } from './model/world.ts'

export const templatePlace = '/srv/disks'

const volumeOf = (machine: Machine): Volume => {
  const volume = machine.first.space.mounts.get(templatePlace)
  if (volume === undefined) throw new Error(`nothing is mounted at ${templatePlace}`)
  return volume
}

const trouble = (machine: () => Machine): Trouble => ({
  async occupy() {
    addFile(volumeOf(machine()), 'holiday.jpg', 'not a disk')
  },
  async damage(_sr, vdi) {
    addFile(volumeOf(machine()), jsonOf('', vdi).slice(1), 'not what it was')
  },
  /** Unmounted: the empty directory below shows. */
  async vanish() {
    const { mounts } = machine().first.space
    const volume = volumeOf(machine())
    mounts.delete(templatePlace)
    return async () => void mounts.set(templatePlace, volume)
  },
  async fill(bytes) {
    const volume = volumeOf(machine())
    const { capacity } = volume
    volume.capacity = usedBytes(volume) + bytes
    return async () => {
      volume.capacity = capacity
    }
  },
})

export const templateSettings = {
  deviceConfig: { location: templatePlace },
  directories: [templatePlace],
  setUp: (machine: Machine): void => {
    machine.first.space.mounts.set(templatePlace, createVolume(2 ** 30))
  },
  /** Of this place: it is in fstab. */
  atBoot: [templatePlace],
}

export const templateHarness = (driver: Driver) => modelHarness({ driver, ...templateSettings, trouble })
