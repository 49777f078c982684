/** Crashes of the iSCSI driver at every step: whatever a dead process left on the host is finished or taken back, and no session is left behind. */
import { describe, expect, it } from 'vitest'
import type { MethodName } from '../../core/methods/index.ts'
import { vdiOfLun, lunIdentity } from '../../host/scsi/identity.ts'
import iscsi from '../../drivers/iscsi/iscsi.driver.ts'
import { silentLog } from '../../host/log.ts'
import { naaOf } from '../kit/fakes/iscsi/array.ts'
import { iscsiOf } from '../kit/fakes/iscsi/model.ts'
import { iscsiConfig, iscsiMachine, modelIqn, serialOf, targetPlan } from '../kit/iscsi-harness.ts'
import { startEngine, type Machine, type ModelEngine } from '../kit/model/machine.ts'
import { buildMachine, inventoryOf, nothingSurvives } from '../kit/model/world.ts'

const sr_uuid = '1b4e28ba-2fa1-41d2-883f-0016d3cca427'
const identity = lunIdentity(`naa.${naaOf(serialOf(1))}`)
if (identity === undefined) throw new Error('the model LUN has no identity')
const vdi_uuid = vdiOfLun(identity, modelIqn)

interface Scenario {
  readonly name: string
  readonly multipath: 'yes' | 'no'
  readonly localIQN?: string
  readonly before: readonly (readonly [MethodName, Readonly<Record<string, unknown>>])[]
  readonly call: readonly [MethodName, Readonly<Record<string, unknown>>]
}

const one = { sr_uuid, vdi_uuid }
const attach = (): Scenario['call'] => ['SR.attach', { sr_uuid, type: 'iscsi' }]
const lock = (owner: string, force = false): Scenario['call'] => ['VDI.lock', { ...one, owner, force }]

const scenarios: readonly Scenario[] = [
  { name: 'registering an SR', multipath: 'no', before: [], call: ['SR.create', { sr_uuid, type: 'iscsi' }] },
  { name: 'probing a target', multipath: 'no', before: [], call: ['SR.probe', { type: 'iscsi' }] },
  { name: 'attaching an SR', multipath: 'no', before: [], call: attach() },
  { name: 'attaching an SR over two paths', multipath: 'yes', before: [], call: attach() },
  { name: 'attaching an SR under another initiator name', multipath: 'no', localIQN: 'iqn.2024-01.org.example:another', before: [], call: attach() },
  { name: 'detaching an SR', multipath: 'no', before: [attach()], call: ['SR.detach', { sr_uuid }] },
  { name: 'detaching an SR over two paths', multipath: 'yes', before: [attach()], call: ['SR.detach', { sr_uuid }] },
  { name: 'detaching an SR under another initiator name', multipath: 'no', localIQN: 'iqn.2024-01.org.example:another', before: [attach()], call: ['SR.detach', { sr_uuid }] },
  { name: 'attaching a VDI for reading', multipath: 'no', before: [attach()], call: ['VDI.attach', { ...one, mode: 'ro' }] },
  { name: 'detaching a VDI that was read', multipath: 'yes', before: [attach(), ['VDI.attach', { ...one, mode: 'ro' }]], call: ['VDI.detach', one] },
  { name: 'detaching a VDI', multipath: 'no', before: [attach(), ['VDI.attach', one]], call: ['VDI.detach', one] },
  { name: 'locking a VDI', multipath: 'yes', before: [attach()], call: lock('vm1') },
  { name: 'breaking a lock', multipath: 'no', before: [attach(), lock('vm1')], call: lock('vm2', true) },
  { name: 'unlocking a VDI', multipath: 'yes', before: [attach(), lock('vm1')], call: ['VDI.unlock', { ...one, owner: 'vm1' }] },
]

const configOf = ({ multipath, localIQN }: Scenario): Record<string, string> => ({ ...iscsiConfig, multipath, ...(localIQN === undefined ? {} : { localIQN }) })

const start = (machine: Machine, onStep?: (number: number, moment: 'before' | 'after') => void): ModelEngine =>
  startEngine(machine, machine.first, { driver: iscsi, log: silentLog, ...(onStep === undefined ? {} : { onStep: (_step, number, moment) => onStep(number, moment) }) })

const call = async (engine: ModelEngine, scenario: Scenario, [method, params]: Scenario['call']): Promise<unknown> =>
  engine.call(method, { ...params, ...('type' in params ? { device_config: configOf(scenario) } : {}) } as never)

const build = (scenario: Scenario): Machine => buildMachine({
  driver: iscsi, deviceConfig: configOf(scenario),
  ...iscsiMachine([targetPlan(3)], (machine) => {
    iscsiOf(machine).initiatorOf(machine.first).multipathd = scenario.multipath === 'yes'
  }),
})

const readied = async (scenario: Scenario): Promise<Machine> => {
  const machine = build(scenario)
  const engine = start(machine)
  for (const step of scenario.before) await call(engine, scenario, step)
  await engine.close()
  return machine
}

/** A new process brings everything to its end; then nothing may be there that was not there at the beginning. */
const finish = async (scenario: Scenario, machine: Machine): Promise<void> => {
  machine.clock.ms += 3 * 60 * 60_000
  const engine = start(machine)
  await call(engine, scenario, attach())
  const { vdis } = await engine.call('SR.scan', { sr_uuid })
  expect(vdis.map(({ problem }) => problem)).toEqual([undefined, undefined, undefined])
  await engine.call('VDI.attach', { ...one, mode: vdis.find(({ uuid }) => uuid === vdi_uuid)?.attached ?? 'rw' })
  await engine.call('VDI.detach', one)
  const lockNow = (await engine.call('VDI.stat', one)).lock
  if (lockNow !== undefined) await engine.call('VDI.unlock', { ...one, owner: lockNow.owner })
  expect((await engine.call('SR.orphans', { sr_uuid })).orphans).toEqual([])
  expect((await engine.call('SR.verify', { sr_uuid })).findings).toEqual([])
  expect(iscsiOf(machine).initiatorOf(machine.first).sessions.flatMap(({ disks }) => disks.map(({ readOnly }) => readOnly))).not.toContain(true)
  await engine.call('SR.detach', { sr_uuid })
  await engine.call('SR.forget', { sr_uuid })
  await engine.close()
  expect(inventoryOf(machine)).toEqual(inventoryOf(build(scenario)))
}

describe('crashes of the iSCSI driver', () => {
  it.each(scenarios.map((scenario) => [scenario.name, scenario] as const))('%s survives a crash at every step, and a power cut there', async (_name, scenario) => {
    const ready = await readied(scenario)
    const dry = ready.copy()
    const whole = start(dry)
    await call(whole, scenario, scenario.call)
    const steps = whole.process.steps.length
    await whole.close()
    expect(steps).toBeGreaterThan(0)
    await finish(scenario, dry)
    for (let step = 1; step <= steps; step += 1) {
      for (const moment of ['before', 'after'] as const) {
        for (const how of ['killed', 'power cut'] as const) {
          const machine = ready.copy()
          const engine = start(machine, (number, now) => {
            if (number === step && now === moment) engine.process.kill()
          })
          let ended = false
          call(engine, scenario, scenario.call).then(() => (ended = true), () => (ended = true))
          // Steps of two paths at once are not always counted alike: then the call ends by itself.
          while (engine.process.alive && !ended) await new Promise((resolve) => setImmediate(resolve))
          engine.process.kill()
          const wreck = how === 'killed' ? machine : machine.copy(nothingSurvives)
          await finish(scenario, wreck).catch((error: unknown) => {
            throw new Error(`${how} ${moment} step ${step} (${whole.process.steps[step - 1] ?? ''}): ${(error as Error).message}`, { cause: error })
          })
        }
      }
    }
  })
})
