/** Conformance worlds of the iSCSI driver: a model array with a few LUNs, reached with mutual CHAP over one path, or over two with multipath. */
import iscsi from '../../drivers/iscsi/iscsi.driver.ts'
import { createArray, type ModelPortal, type TargetPlan } from './fakes/iscsi/array.ts'
import { createIscsiModel, iscsiOf, setUpIscsi } from './fakes/iscsi/model.ts'
import { placeDirectory, runDirectory, type Machine } from './model/machine.ts'
import { createVolume } from './model/volume.ts'
import { modelHarness, type ModelWorldOptions } from './model/world.ts'

const MiB = 2 ** 20

export const modelIqn = 'iqn.2024-01.org.example:disks'
const modelPortals: readonly ModelPortal[] = [{ address: '192.0.2.10', port: 3260 }, { address: '198.51.100.10', port: 3260 }]
export const serialOf = (index: number): string => `aaaaaaaa-${String(index).padStart(4, '0')}-4000-8000-${String(index).padStart(12, '0')}`

const modelSecrets = { chappassword: 'planted-secret-1', chappassword_in: 'planted-secret-2' } as const

export const targetPlan = (luns: number, more: Partial<TargetPlan> = {}): TargetPlan => ({
  iqn: modelIqn, portals: modelPortals, luns: Array.from({ length: luns }, (_, number) => ({ number, serial: serialOf(number), size: 16 * MiB })),
  chap: { user: 'alice', password: modelSecrets.chappassword }, mutual: { user: 'bob', password: modelSecrets.chappassword_in }, ...more,
})

/** Two hosts with roots of their own, and one array. */
export const iscsiMachine = (plans: readonly TargetPlan[], setUp?: (machine: Machine) => void): Pick<ModelWorldOptions, 'tools' | 'setUp' | 'shared'> => ({
  shared: true,
  tools: (first, second) => [createIscsiModel(createArray(plans), [first, second])],
  setUp(machine) {
    const root = createVolume()
    placeDirectory(root, runDirectory)
    machine.second.space.mounts.set('/', root)
    setUpIscsi(iscsiOf(machine), [machine.first, machine.second])
    setUp?.(machine)
  },
})

export const iscsiConfig = { target: '192.0.2.10', targetIQN: modelIqn, chapuser: 'alice', chapuser_in: 'bob', ...modelSecrets }

const onArray = (machine: () => Machine, change: (model: ReturnType<typeof iscsiOf>) => void): void => {
  const model = iscsiOf(machine())
  change(model)
  model.stir([machine().first, machine().second])
}

/** The array loses its network; all portals stop answering. */
const vanish: NonNullable<ModelWorldOptions['trouble']> = (machine) => ({
  vanish: async () => {
    const alive = iscsiOf(machine()).array.targets.map((target) => [...target.alive])
    onArray(machine, ({ array }) => array.targets.forEach((target) => target.alive.clear()))
    return async () => onArray(machine, ({ array }) => array.targets.forEach((target, index) => alive[index]?.forEach((portal) => target.alive.add(portal))))
  },
})

export const iscsiHarness = (paths: 'one path' | 'multipath') =>
  modelHarness({
    driver: iscsi, name: `iscsi over ${paths}, on a model array`, deviceConfig: { ...iscsiConfig, multipath: paths === 'multipath' ? 'yes' : 'no' },
    secrets: Object.values(modelSecrets), lacks: ['identity', 'lock text'], vdiSize: 16 * MiB, trouble: vanish,
    ...iscsiMachine([targetPlan(4)], (machine) => {
      for (const host of [machine.first, machine.second]) iscsiOf(machine).initiatorOf(host).multipathd = paths === 'multipath'
    }),
  })
