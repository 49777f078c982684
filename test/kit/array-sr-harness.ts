/** Conformance worlds of SRs on array volumes: a pair of model arrays behind model targets, two hosts; plain, or replicated in a group. */
import type { Driver } from '../../core/contract.ts'
import array from '../../drivers/array/driver.ts'
import { arrayPlans, arraysOf, createArraysModel, kitArrays } from './fakes/arrays.ts'
import { createArray } from './fakes/iscsi/array.ts'
import { createIscsiModel, iscsiOf, setUpIscsi } from './fakes/iscsi/model.ts'
import { placeDirectory, runDirectory, type Machine } from './model/machine.ts'
import { createVolume } from './model/volume.ts'
import { modelHarness, type ModelWorldOptions } from './model/world.ts'

const MiB = 2 ** 20

const replicatedFeatures = array.features.filter((feature) => feature !== 'revert')

const chap = { user: 'alice', password: 'planted-secret-1' } as const
/** In steps of the model array: what an SR rounds to is up to its array. */
export const arrayDriver: Driver = { ...array, limits: { ...array.limits, sizeStep: 4096 } }

export const plainConfig = { backend: 'left', cpg: 'pool', multipath: 'no', chapuser: chap.user, chappassword: chap.password }
export const replicatedConfig = { ...plainConfig, peer: 'right', group: 'Test_RCG', replication_mode: 'asynchronous' }

/** The network of both arrays is gone, for their calls as for their targets. */
const vanish: NonNullable<ModelWorldOptions['trouble']> = (machine) => ({
  async vanish() {
    const model = arraysOf(machine())
    const { targets } = model.array
    const [alive, portals] = [[...model.alive], targets.map((target) => [...target.alive])]
    const stir = (): void => model.stir([machine().first, machine().second])
    model.alive.clear()
    for (const target of targets) target.alive.clear()
    stir()
    return async () => {
      for (const site of alive) model.alive.add(site)
      for (const [index, target] of targets.entries()) for (const portal of portals[index] ?? []) target.alive.add(portal)
      stir()
    }
  },
})

export const arrayMachine = (): Pick<ModelWorldOptions, 'tools' | 'setUp' | 'shared'> => ({
  shared: true,
  tools: (first, second) => [createArraysModel(createIscsiModel(createArray(arrayPlans().map((plan) => ({ ...plan, chap }))), [first, second]))],
  setUp(machine: Machine) {
    const root = createVolume()
    placeDirectory(root, runDirectory)
    machine.second.space.mounts.set('/', root)
    setUpIscsi(iscsiOf(machine), [machine.first, machine.second])
  },
})

export const arraySrHarness = async (kind: 'plain' | 'replicated') =>
  modelHarness({
    driver: arrayDriver, name: `array, ${kind}, on model arrays`, deviceConfig: kind === 'plain' ? plainConfig : replicatedConfig, secrets: [chap.password, 'planted-secret-3'], vdiSize: MiB,
    arrays: await kitArrays(), trouble: vanish, ...(kind === 'plain' ? {} : { features: replicatedFeatures }), ...arrayMachine(),
  })
