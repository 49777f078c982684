/**
 * Crashes on the way to LUNs: whatever a dead process left of sessions, claims and reservations is finished or taken back. What
 * happens on the devices is the stores', which lvm.test.ts and ext.test.ts explore.
 */
import { describe, expect, it } from 'vitest'
import type { MethodName } from '../../core/methods/index.ts'
import { StorageError } from '../../core/errors.ts'
import { silentLog } from '../../host/log.ts'
import { thickWorld } from '../kit/luns-harness.ts'
import { startEngine, type Machine, type ModelEngine, type ModelHost } from '../kit/model/machine.ts'
import { buildMachine, inventoryOf, nothingSurvives } from '../kit/model/world.ts'

const sr_uuid = '1b4e28ba-2fa1-41d2-883f-0016d3cca427'
const vdi_uuid = 'd1000000-0000-4000-8000-000000000001'
const place = { type: thickWorld.driver.type, device_config: { ...thickWorld.deviceConfig } }

type Call = readonly [MethodName, Readonly<Record<string, unknown>>]

interface Scenario {
  readonly name: string
  readonly before: readonly Call[]
  /** By another host, which has lost its power since. */
  readonly elsewhere?: readonly Call[]
  readonly call: Call
}

const create: Call = ['SR.create', { sr_uuid, ...place }]
const attach: Call = ['SR.attach', { sr_uuid, ...place }]
const disk: Call = ['VDI.create', { sr_uuid, vdi_uuid, size: 4 * 2 ** 20 }]
const takeOver: Call = ['SR.attach', { sr_uuid, ...place, take_over_from: 'iqn.2024-01.org.example:host-2' }]

const scenarios: readonly Scenario[] = [
  { name: 'creating an SR', before: [], call: create },
  { name: 'attaching an SR', before: [create, attach, disk, ['SR.detach', { sr_uuid }]], call: attach },
  { name: 'taking an SR over', before: [], elsewhere: [create, attach, disk], call: takeOver },
  { name: 'detaching an SR', before: [create, attach, disk], call: ['SR.detach', { sr_uuid }] },
  { name: 'deleting an SR', before: [create, attach], call: ['SR.delete', { sr_uuid }] },
]

const start = (machine: Machine, host: ModelHost, onStep?: (number: number) => void): ModelEngine =>
  startEngine(machine, host, { driver: thickWorld.driver, log: silentLog, ...(onStep === undefined ? {} : { onStep: (_step, number, moment) => (moment === 'after' ? onStep(number) : undefined) }) })

const make = async (engine: ModelEngine, [method, params]: Call): Promise<unknown> => engine.call(method, params as never)

const readied = async ({ before, elsewhere = [] }: Scenario): Promise<Machine> => {
  const machine = buildMachine(thickWorld)
  const other = start(machine, machine.second)
  for (const one of elsewhere) await make(other, one)
  other.process.kill()
  const engine = start(machine, machine.first)
  for (const one of before) await make(engine, one)
  await engine.close()
  return machine
}

const isGone = (error: unknown): boolean => error instanceof StorageError && ['notFound', 'placeMissing'].includes(error.kind)

/** A new process makes the call again and empties the SR; then nothing may be on the array or on this host that was not there at the beginning. */
const finish = async (scenario: Scenario, machine: Machine, left: (machine: Machine) => readonly string[]): Promise<void> => {
  machine.clock.ms += 3 * 60 * 60_000
  const engine = start(machine, machine.first)
  await make(engine, scenario.call).catch((error: unknown) => {
    if (!(error instanceof StorageError) || !['alreadyExists', 'placeNotBlank'].includes(error.kind) || scenario.call[0] !== 'SR.create') throw error
  })
  const there = await make(engine, scenario.elsewhere === undefined ? attach : takeOver).then(() => true, (error: unknown) => {
    if (scenario.call[0] === 'SR.delete' && isGone(error)) return false
    throw error
  })
  if (there) {
    const { vdis } = await engine.call('SR.scan', { sr_uuid })
    expect(vdis.map(({ uuid, problem }) => [uuid, problem])).toEqual([...scenario.before, ...(scenario.elsewhere ?? [])].includes(disk) ? [[vdi_uuid, undefined]] : [])
    expect((await engine.call('SR.verify', { sr_uuid })).findings).toEqual([])
    for (const { uuid } of vdis) await engine.call('VDI.delete', { sr_uuid, vdi_uuid: uuid })
    expect((await engine.call('SR.orphans', { sr_uuid })).orphans).toEqual([])
    await engine.call('SR.delete', { sr_uuid })
  }
  await engine.call('SR.forget', { sr_uuid })
  await engine.close()
  expect(left(machine)).toEqual(left(buildMachine(thickWorld)))
}

/** Of the other host, which is dead, only what it has on the array counts. */
const leftOn = (scenario: Scenario) => (machine: Machine): readonly string[] =>
  inventoryOf(machine).filter((line) => scenario.elsewhere === undefined || /^(disk|group|LUN|host-1 (session|map)) /.test(line))

describe('crashes on the way to LUNs', () => {
  it.each(scenarios.map((scenario) => [scenario.name, scenario] as const))('%s survives a crash after every step, and power cuts among them', async (_name, scenario) => {
    const ready = await readied(scenario)
    const dry = ready.copy()
    const whole = start(dry, dry.first)
    await make(whole, scenario.call)
    const steps = whole.process.steps.length
    await whole.close()
    expect(steps).toBeGreaterThan(10)
    await finish(scenario, dry, leftOn(scenario))
    for (let step = 1; step <= steps; step += 1) {
      for (const how of step % 3 === 0 ? ['killed', 'power cut'] as const : ['killed'] as const) {
        const machine = ready.copy()
        const engine = start(machine, machine.first, (number) => {
          if (number === step) engine.process.kill()
        })
        let ended = false
        make(engine, scenario.call).then(() => (ended = true), () => (ended = true))
        while (engine.process.alive && !ended) await new Promise((resolve) => setImmediate(resolve))
        engine.process.kill()
        await finish(scenario, how === 'killed' ? machine : machine.copy(nothingSurvives), leftOn(scenario)).catch((error: unknown) => {
          throw new Error(`${how} after step ${step} (${whole.process.steps[step - 1] ?? ''}): ${(error as Error).message}`, { cause: error })
        })
      }
    }
  })
})
