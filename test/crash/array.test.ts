/**
 * Crashes of SRs on array volumes: before and after every array call and every step on the host. A new process brings everything to its end:
 * disks and snapshots that were there are there and whole, and when all is deleted nothing is left on either array or on the host. Every
 * `stride`-th step, each scenario from another one on; ARRAY_CRASHES=full takes them all.
 */
import { describe, expect, it } from 'vitest'
import type { Arrays } from '../../core/array/ports.ts'
import type { MethodName } from '../../core/methods/index.ts'
import { silentLog } from '../../host/log.ts'
import { arrayDriver, arrayMachine, plainConfig, replicatedConfig } from '../kit/array-sr-harness.ts'
import { kitArrays } from '../kit/fakes/arrays.ts'
import { startEngine, type Machine, type ModelEngine } from '../kit/model/machine.ts'
import { buildMachine, inventoryOf, nothingSurvives } from '../kit/model/world.ts'

const MiB = 2 ** 20
const sr_uuid = '1b4e28ba-2fa1-41d2-883f-0016d3cca427'
const vdi_uuid = '6ba7b810-9dad-41d1-80b4-00c04fd430c8'
const dest_uuid = '6ba7b811-9dad-41d1-80b4-00c04fd430c8'

type Step = readonly [MethodName, Readonly<Record<string, unknown>>]

interface Scenario {
  readonly name: string
  readonly config: Readonly<Record<string, string>>
  readonly before: readonly Step[]
  readonly call: Step
}

const one = { sr_uuid, vdi_uuid }
const place = { sr_uuid, type: 'array' }
const made: readonly Step[] = [['SR.create', place], ['SR.attach', { sr_uuid }]]
const disk: Step = ['VDI.create', { ...one, size: MiB, name: 'disk' }]
const snapshot: Step = ['VDI.snapshot', { ...one, dest_uuid }]

const on = (config: Scenario['config'], kind: string): readonly Scenario[] => [
  { name: `creating an SR, ${kind}`, config, before: [], call: ['SR.create', place] },
  { name: `deleting an SR, ${kind}`, config, before: made, call: ['SR.delete', { sr_uuid }] },
  { name: `creating a VDI, ${kind}`, config, before: made, call: disk },
  { name: `deleting a VDI, ${kind}`, config, before: [...made, disk], call: ['VDI.delete', one] },
  { name: `attaching a VDI, ${kind}`, config, before: [...made, disk], call: ['VDI.attach', one] },
  { name: `detaching a VDI, ${kind}`, config, before: [...made, disk, ['VDI.attach', one]], call: ['VDI.detach', one] },
  { name: `cloning, ${kind}`, config, before: [...made, disk], call: ['VDI.clone', { ...one, dest_uuid }] },
]

const scenarios: readonly Scenario[] = [
  ...on(plainConfig, 'plain'), ...on(replicatedConfig, 'replicated'),
  { name: 'taking a snapshot', config: plainConfig, before: [...made, disk], call: snapshot },
  { name: 'deleting a VDI that has a snapshot', config: plainConfig, before: [...made, disk, snapshot], call: ['VDI.delete', one] },
  { name: 'deleting the snapshot of a deleted VDI', config: plainConfig, before: [...made, disk, snapshot, ['VDI.delete', one]], call: ['VDI.delete', { sr_uuid, vdi_uuid: dest_uuid }] },
  { name: 'going back to a snapshot', config: plainConfig, before: [...made, disk, snapshot], call: ['VDI.revert', { ...one, snapshot_uuid: dest_uuid }] },
  { name: 'locking', config: plainConfig, before: [...made, disk], call: ['VDI.lock', { ...one, owner: 'vm1' }] },
  { name: 'naming', config: replicatedConfig, before: [...made, disk], call: ['VDI.set_names', { ...one, name: 'other' }] },
]

const start = (arrays: Arrays, machine: Machine, onStep?: (number: number, moment: 'before' | 'after') => void): ModelEngine =>
  startEngine(machine, machine.first, { driver: arrayDriver, arrays, log: silentLog, ...(onStep === undefined ? {} : { onStep: (_step, number, moment) => onStep(number, moment) }) })

const call = async (engine: ModelEngine, { config }: Scenario, [method, params]: Step): Promise<unknown> =>
  engine.call(method, { ...params, ...('type' in params ? { device_config: config } : {}) } as never)

const build = ({ config }: Scenario): Machine => buildMachine({ driver: arrayDriver, deviceConfig: config, ...arrayMachine() })

/** Whole rows, everything deletable, and nothing left. */
const finish = async (arrays: Arrays, scenario: Scenario, machine: Machine): Promise<void> => {
  machine.clock.ms += 3 * 60 * 60_000
  const engine = start(arrays, machine)
  const there = await engine.call('SR.attach', { ...place, device_config: { ...scenario.config } }).then(() => true, () => false)
  if (there) {
    const { vdis } = await engine.call('SR.scan', { sr_uuid })
    expect(vdis.map(({ problem }) => problem)).toEqual(vdis.map(() => undefined))
    const before = scenario.before.some(([method]) => method === 'VDI.create')
    const deleting = scenario.call[0] === 'VDI.delete' || scenario.before.some(([method]) => method === 'VDI.delete')
    if (before && !deleting) expect(vdis.map(({ uuid }) => uuid)).toContain(vdi_uuid)
    for (const { uuid, lock, kind } of vdis) {
      const id = { sr_uuid, vdi_uuid: uuid }
      await engine.call('VDI.attach', { ...id, ...(vdis.find((row) => row.uuid === uuid)?.attached === undefined ? { mode: kind === 'snapshot' ? 'ro' : 'rw' } : {}) })
      await engine.call('VDI.detach', id)
      if (lock !== undefined) await engine.call('VDI.unlock', { ...id, owner: lock.owner })
      await engine.call('VDI.delete', id)
    }
    expect((await engine.call('SR.orphans', { sr_uuid })).orphans).toEqual([])
    expect((await engine.call('SR.verify', { sr_uuid })).findings).toEqual([])
  }
  await engine.call('SR.delete', { ...place, device_config: { ...scenario.config } })
  await engine.close()
  expect(inventoryOf(machine)).toEqual(inventoryOf(build(scenario)))
}

const full = process.env['ARRAY_CRASHES'] === 'full'

describe('crashes of SRs on array volumes', () => {
  it.each(scenarios.map((scenario, index) => [scenario.name, scenario, index] as const))('%s survives a crash at every step, and a power cut there', async (_name, scenario, index) => {
    const arrays = await kitArrays()
    const ready = build(scenario)
    const engine = start(arrays, ready)
    for (const step of scenario.before) await call(engine, scenario, step)
    await engine.close()
    const dry = ready.copy()
    const whole = start(arrays, dry)
    await call(whole, scenario, scenario.call)
    const steps = whole.process.steps.length
    await whole.close()
    expect(steps).toBeGreaterThan(0)
    await finish(arrays, scenario, dry)
    const stride = full ? 1 : 5
    for (let step = 1 + (full ? 0 : index % stride); step <= steps; step += stride) {
      for (const moment of ['before', 'after'] as const) {
        for (const how of full ? (['killed', 'power cut'] as const) : [(step + Number(moment === 'after')) % 2 === 0 ? 'killed' : 'power cut'] as const) {
          const machine = ready.copy()
          const doomed = start(arrays, machine, (number, now) => {
            if (number === step && now === moment) doomed.process.kill()
          })
          let ended = false
          call(doomed, scenario, scenario.call).then(() => (ended = true), () => (ended = true))
          while (doomed.process.alive && !ended) await new Promise((resolve) => setImmediate(resolve))
          doomed.process.kill()
          const wreck = how === 'killed' ? machine : machine.copy(nothingSurvives)
          await finish(arrays, scenario, wreck).catch((error: unknown) => {
            throw new Error(`${how} ${moment} step ${step} (${whole.process.steps[step - 1] ?? ''}): ${(error as Error).message}`, { cause: error })
          })
        }
      }
    }
  })
})
