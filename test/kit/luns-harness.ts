/** Conformance worlds of the drivers that put a volume group or a file system on LUNs of a model array. */
import type { Driver } from '../../core/contract.ts'
import { MiB } from '../../core/units.ts'
import extoiscsi from '../../drivers/extoiscsi/driver.ts'
import lvmoiscsi from '../../drivers/lvmoiscsi/lvmoiscsi.driver.ts'
import lvmthinoiscsi from '../../drivers/lvmoiscsi/lvmthinoiscsi.driver.ts'
import { extOnLuns } from './fakes/ext-on-luns.ts'
import { createArray, naaOf, type TargetPlan } from './fakes/iscsi/array.ts'
import { createIscsiModel, iscsiOf, setUpIscsi } from './fakes/iscsi/model.ts'
import { withUpper } from './fakes/luns.ts'
import { lvmOnLuns } from './fakes/lvm-on-luns.ts'
import { formats } from './file-harness.ts'
import { openImage } from './image-disk.ts'
import { serialOf, targetPlan, iscsiConfig } from './iscsi-harness.ts'
import { createModelFiles } from './model/files.ts'
import { placeDirectory, runDirectory } from './model/machine.ts'
import { createProcess } from './model/process.ts'
import { createVolume } from './model/volume.ts'
import { srUuid } from './crash/scenarios.ts'
import { modelHarness, type ModelWorldOptions } from './model/world.ts'

export const scsiIdOf = (index: number): string => `3${naaOf(serialOf(index))}`

const planOf = (sizes: readonly number[]): TargetPlan => targetPlan(0, { luns: sizes.map((size, number) => ({ number, serial: serialOf(number), size })) })

const machineOf = (upper: 'lvm' | 'ext', sizes: readonly number[]): Pick<ModelWorldOptions, 'tools' | 'setUp'> => ({
  tools(first, second) {
    // Its own root, before anything looks at it.
    const root = createVolume()
    placeDirectory(root, runDirectory)
    second.space.mounts.set('/', root)
    for (const host of [first, second]) placeDirectory(host.space.mounts.get('/') ?? root, 'dev')
    const array = createArray([planOf(sizes)])
    const hosts = [first, second]
    return [withUpper(createIscsiModel(array, hosts), upper === 'lvm' ? lvmOnLuns(array, hosts) : extOnLuns(array.disks, hosts))]
  },
  setUp: (machine) => setUpIscsi(iscsiOf(machine), [machine.first, machine.second]),
})

/** The array loses its network, and comes back. */
const vanish: NonNullable<ModelWorldOptions['trouble']> = (machine) => ({
  async vanish() {
    const model = iscsiOf(machine())
    const hosts = [machine().first, machine().second]
    const alive = model.array.targets.map((target) => [...target.alive])
    for (const target of model.array.targets) target.alive.clear()
    model.stir(hosts)
    return async () => {
      const now = iscsiOf(machine())
      now.array.targets.forEach((target, index) => alive[index]?.forEach((portal) => target.alive.add(portal)))
      now.stir([machine().first, machine().second])
    }
  },
})

const base = { secrets: [iscsiConfig.chappassword, iscsiConfig.chappassword_in], trouble: vanish }
const config = { ...iscsiConfig, multipath: 'no' }

const lvmOnLunsWorld = (driver: Driver): ModelWorldOptions => ({
  ...base, driver, name: `${driver.type}, on two LUNs of a model array`, ...machineOf('lvm', [512 * MiB, 512 * MiB, 64 * MiB]),
  deviceConfig: { ...config, SCSIid: `${scsiIdOf(0)},${scsiIdOf(1)}` },
})

export const extOnLunWorld: ModelWorldOptions = {
  ...base, driver: extoiscsi, name: 'extoiscsi, on a LUN of a model array', ...machineOf('ext', [40 * MiB, 40 * MiB]),
  deviceConfig: { ...config, SCSIid: scsiIdOf(0) }, formats,
  directories: [`${runDirectory}/sr-mount`], blankRemains: [`${runDirectory}/sr-mount/${srUuid}/`],
  disk: async (machine, attachment) => openImage(createModelFiles(machine.first.space, createProcess()), attachment),
}

export const thickWorld = lvmOnLunsWorld(lvmoiscsi)
const thinWorld = lvmOnLunsWorld(lvmthinoiscsi)

export const thickHarness = () => modelHarness(thickWorld)
export const thinHarness = () => modelHarness(thinWorld)
export const extOnLunHarness = () => modelHarness(extOnLunWorld)
