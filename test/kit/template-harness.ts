/** The model world of the template driver, or of a variant of it: a directory that is a mount point of its own. */
import * as z from 'zod'
import type { DeviceConfig, Driver } from '../../core/contract.ts'
import { parseDconf } from '../../core/define-driver.ts'
import { jsonOf } from '../../drivers/template/vdi-file.ts'
import type { Trouble } from './case.ts'
import { addFile, type Machine } from './model/machine.ts'
import { createVolume, usedBytes, type Volume } from './model/volume.ts'
import { modelHarness } from './model/world.ts'

export const templatePlace = '/srv/disks'

/** The template has no use for a secret: this variant takes one, so that the suite can look for it. */
export const withSecret = (driver: Driver): Driver => {
  const dconf = driver.dconf.extend({ token: z.string().meta({ secret: true, description: 'A secret that must never be seen again' }) })
  const withoutToken = (raw: DeviceConfig): DeviceConfig => Object.fromEntries(Object.entries(raw).filter(([key]) => key !== 'token'))
  const inner = (raw: DeviceConfig): DeviceConfig => withoutToken(parseDconf(driver.type, dconf, raw) as DeviceConfig)
  return {
    ...driver,
    dconf,
    probe: async (ctx, partial) => driver.probe(ctx, withoutToken(partial)),
    prepare: async (ctx, raw, want) => driver.prepare?.(ctx, inner(raw), want),
    remove: async (ctx, raw) => driver.remove?.(ctx, inner(raw)),
    attach: async (ctx, raw) => driver.attach(ctx, inner(raw)),
    detach: async (ctx, raw) => driver.detach(ctx, inner(raw)),
    open: async (ctx, raw) => driver.open(ctx, inner(raw)),
    letGo: async (ctx, raw, vdi, attachment) => driver.letGo?.(ctx, inner(raw), vdi, attachment),
  }
}

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

/** `driver` is one that `withSecret` made. */
export const secretiveHarness = (driver: Driver) =>
  modelHarness({ driver, name: `${driver.type} with a secret`, ...templateSettings, deviceConfig: { location: templatePlace, token: 'hunter2-correct-horse' }, secrets: ['hunter2-correct-horse'] })
