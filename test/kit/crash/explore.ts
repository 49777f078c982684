/**
 * Crashes at every step of a call, without a hook in the code under test: the call runs once in a model world, which is
 * copied before and after every step that changes something, as the death of the process and as power cuts would leave
 * it. Each copy is then brought up again and judged; so is each step of that recovery. And every step is made to fail,
 * done or not, with the process living on.
 *
 * The judgement, each time: what users see is wholly as before the call or wholly as after it; the check of the SR finds
 * nothing; a second recovery has nothing to do; the repeated call succeeds (or says that it was done) and then all is as
 * after the call; and after everything was deleted the place is as it was at the very beginning.
 */
import { StorageError } from '../../../core/errors.ts'
import { silentLog } from '../../../host/log.ts'
import type { Session } from '../case.ts'
import { startEngine, type Machine } from '../model/machine.ts'
import type { Fault, ProcessWatch, Step } from '../model/process.ts'
import { buildMachine, inventoryOf, openRawDisk, type ModelWorldOptions } from '../model/world.ts'
import { createTestSr, usualSize, type TestSr } from '../stage.ts'
import { fatesAt, fingerprint, lots } from './fates.ts'
import { difference, notThere, observe, same, type Observed } from './observe.ts'
import { srUuid, type Scenario } from './scenarios.ts'

export interface Exploration {
  /** Steps of the undisturbed call, in order. */
  readonly steps: readonly string[]
  /** How many worlds were brought up and judged. */
  readonly schedules: number
  readonly problems: readonly string[]
}

/** One world as a crash has left it. */
interface Wreck {
  readonly label: string
  readonly machine: Machine
  /** What must be seen after recovery; either when both are possible. */
  readonly wanted: 'before' | 'after' | 'either'
  /** The host was booted again: nothing is attached. */
  readonly rebooted: boolean
}

export interface ExploreOptions {
  /** Stop looking after so many problems. */
  readonly enough?: number
  /** Which part of all schedules is judged, drawn by lot: 1 when absent. Deaths of the process at each step are always judged. */
  readonly share?: number
  readonly seed?: number
}

/** All that is compared in one exploration. */
interface Frame {
  readonly world: ModelWorldOptions
  readonly scenario: Scenario
  readonly blank: readonly string[]
  readonly before: Observed
  readonly after: Observed
}

interface Running {
  readonly session: Session
  readonly sr: TestSr
  /** The process may have been closed by the scenario. */
  close(): Promise<void>
}

const bringUp = (world: ModelWorldOptions, machine: Machine, watch: ProcessWatch = {}): Running => {
  const engine = startEngine(machine, machine.first, {
    driver: world.driver, log: silentLog, ...(world.formats === undefined ? {} : { formats: world.formats }), ...watch,
  })
  const setting = {
    world: { disk: async (attachment: Parameters<typeof openRawDisk>[1]) => (world.disk ?? openRawDisk)(machine, attachment) },
    size: world.vdiSize ?? usualSize(world.driver), features: new Set(world.driver.features), taken: new Set<string>(),
  }
  return { session: engine, sr: createTestSr(setting, engine, srUuid), close: async () => engine.close() }
}

const placeOf = (world: ModelWorldOptions) => ({ type: world.driver.type, device_config: { ...world.deviceConfig } })

const make = async (frame: Pick<Frame, 'world' | 'scenario'>, running: Running): Promise<unknown> => {
  const [method, params] = frame.scenario.call
  return running.session.call(method, { ...params, ...(frame.scenario.withPlace === true ? placeOf(frame.world) : {}), sr_uuid: srUuid } as never)
}

/** Attaches and looks, in a copy: looking leaves no trace in what is judged. */
const look = async (world: ModelWorldOptions, machine: Machine): Promise<Observed> => {
  const copy = machine.copy()
  const running = bringUp(world, copy)
  try {
    await running.session.call('SR.attach', { sr_uuid: srUuid, ...placeOf(world) })
  } catch (error) {
    if (!notThere(error)) throw error
    return 'absent'
  }
  const seen = await observe(running.sr, async (attachment) => (world.disk ?? openRawDisk)(copy, attachment))
  await running.close()
  return seen
}

/** A call that was done already says so. */
const doneKinds: readonly string[] = ['alreadyExists', 'placeNotBlank']

const judge = async (frame: Frame, wreck: Wreck, running: Running): Promise<void> => {
  const { world, before, after } = frame
  const seen = await look(world, wreck.machine)
  const [isBefore, isAfter] = [same(seen, before), same(seen, after)]
  if (!(wreck.wanted === 'before' ? isBefore : wreck.wanted === 'after' ? isAfter : isBefore || isAfter)) {
    throw new Error(`users see neither the old nor the new state\n as wanted (${wreck.wanted}), against before:\n${difference(seen, before)}\n against after:\n${difference(seen, after)}`)
  }
  await healthy(frame, running, seen)
  await repeat(frame, running, isAfter)
  const last = await look(world, wreck.machine)
  if (!same(last, after)) throw new Error(`after the repeated call:\n${difference(last, after)}`)
  await clean(frame, wreck.machine, running)
}

const healthy = async (frame: Frame, running: Running, seen: Observed): Promise<void> => {
  if (seen === 'absent' || !frame.world.driver.features.includes('verify')) return
  const attached = (await running.session.call('SR.list', {})).srs.some((row) => row.uuid === srUuid && row.attached)
  if (!attached) return
  const { findings } = await running.sr.call('SR.verify', {})
  const bad = findings.filter((finding) => finding.weight !== 'note')
  if (bad.length > 0) throw new Error(`the check finds: ${bad.map((finding) => `${finding.where}: ${finding.what}`).join('; ')}`)
}

const repeat = async (frame: Frame, running: Running, done: boolean): Promise<void> => {
  try {
    await make(frame, running)
  } catch (error) {
    if (error instanceof StorageError && done && doneKinds.includes(error.kind)) return
    throw new Error(`the call cannot be repeated: ${error instanceof StorageError ? `${error.kind}: ${error.message}` : String(error)}`, { cause: error })
  }
}

/** Deletes all that is there; what is still in the place then was leaked. */
const clean = async (frame: Frame, machine: Machine, running: Running, givenUp = false): Promise<void> => {
  const { world, scenario } = frame
  const { features, srOperations } = world.driver
  const there = await running.session.call('SR.attach', { sr_uuid: srUuid, ...placeOf(world) }).then(() => true, (error: unknown) => {
    if (notThere(error)) return false
    throw error
  })
  if (there) {
    for (const vdi of (await running.sr.scan()).vdis) {
      if (vdi.attached !== undefined) await running.sr.call('VDI.detach', { vdi_uuid: vdi.uuid })
      if (vdi.lock !== undefined) await running.sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: vdi.lock.owner })
      if (vdi.kind !== 'base' && features.includes('destroy')) await running.sr.call('VDI.delete', { vdi_uuid: vdi.uuid })
    }
    if (features.includes('collect')) await running.sr.call('SR.collect', {})
    if (features.includes('verify')) {
      const { orphans } = await running.sr.call('SR.orphans', {})
      if (orphans.length > 0) throw new Error(`orphans are left: ${orphans.map((orphan) => `${orphan.where} (${orphan.why})`).join('; ')}`)
    }
    if (srOperations.includes('delete')) await running.sr.call('SR.delete', {})
  }
  await running.sr.call('SR.detach', {})
  await running.sr.call('SR.forget', {})
  if (!srOperations.includes('delete')) return
  const mayStay = givenUp || scenario.call[0] === 'SR.delete' ? world.blankRemains ?? [] : []
  const left = inventoryOf(machine).filter((line) => !frame.blank.includes(line) && !mayStay.includes(line))
  if (left.length > 0) throw new Error(`leaked: ${left.join('; ')}`)
}

/** Copies the world around every step of a process, as its death and as power cuts would leave it. */
const wreckEverywhere = (machine: Machine, says: string, which: 'all' | 'extremes', finish: () => boolean): { readonly watch: ProcessWatch; readonly wrecks: Wreck[]; readonly atEnd: () => void } => {
  const wrecks: Wreck[] = []
  const seen = new Set<string>()
  /** Many power cuts end alike: each state is judged once. */
  const isNew = (wreck: Wreck): boolean => {
    const mark = fingerprint(wreck.machine)
    if (mark === undefined) return true
    const key = `${wreck.wanted} ${mark}`
    return !seen.has(key) && seen.add(key).size > 0
  }
  const capture = (label: string, wanted: Wreck['wanted']): void => {
    wrecks.push({ label: `${says}killed ${label}`, machine: machine.copy(), wanted, rebooted: false })
    for (const { name, fate } of fatesAt(machine, wrecks.length, which)) {
      const wreck: Wreck = { label: `${says}power cut ${label}, ${name}`, machine: machine.copy(fate), wanted, rebooted: true }
      if (isNew(wreck)) wrecks.push(wreck)
    }
  }
  const describe = (step: Step, number: number): string => `step ${number} (${step.call} ${step.target})`
  return {
    wrecks,
    watch: {
      onStep: (step, number, moment) => {
        if (finish()) return
        // Before a step the world is as after the one before it.
        if (moment === 'before' && number === 1) capture(`before ${describe(step, number)}`, 'before')
        if (moment === 'after') capture(`after ${describe(step, number)}`, 'either')
      },
    },
    atEnd: () => capture('after the answer', 'after'),
  }
}

/** Brings a wreck up and judges it; answers the wrecks of its recovery, when they are wanted. */
const judgeWreck = async (frame: Frame, wreck: Wreck, deeper: boolean): Promise<readonly Wreck[]> => {
  const machine = wreck.machine
  let recovered = false
  const inner = wreckEverywhere(machine, `${wreck.label}; then in recovery `, wreck.rebooted ? 'extremes' : 'all', () => recovered || !deeper)
  const running = bringUp(frame.world, machine, inner.watch)
  const attach = async (): Promise<readonly string[] | undefined> =>
    running.session.call('SR.attach', { sr_uuid: srUuid, ...placeOf(frame.world) }).then((answer) => answer.recovered, (error: unknown) => {
      if (notThere(error)) return undefined
      throw error
    })
  await attach()
  recovered = true
  const again = await attach()
  if (again !== undefined && again.length > 0) throw new Error(`a second recovery still finds something to do: ${again.join('; ')}`)
  if (frame.scenario.sr !== 'none') await giveUp(frame, machine.copy())
  await judge(frame, wreck, running)
  await running.close()
  // What counts as before or after the call was decided by the crash; inside recovery both are possible as it was then.
  return inner.wrecks.map((one) => ({ ...one, wanted: wreck.wanted }))
}

/** Nobody repeats the call: what it left must go away all the same, but for what counts as blank. */
const giveUp = async (frame: Frame, machine: Machine): Promise<void> => {
  const running = bringUp(frame.world, machine)
  try {
    await clean(frame, machine, running, true)
  } catch (error) {
    throw new Error(`when the call is given up: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  await running.close()
}

/** A new process that does not know of the crash: the same host, the SR still attached, the call made again at once. */
const judgeRepeat = async (frame: Frame, wreck: Wreck): Promise<void> => {
  const running = bringUp(frame.world, wreck.machine)
  try {
    await make(frame, running)
  } catch (error) {
    if (!(error instanceof StorageError) || !doneKinds.includes(error.kind)) throw error
  }
  const last = await look(frame.world, wreck.machine)
  if (!same(last, frame.after)) throw new Error(`after the repeated call:\n${difference(last, frame.after)}`)
  await clean(frame, wreck.machine, running)
  await running.close()
}

/** The process lives, one step fails: the call may fail, with an error of the table, and everything else holds as for a crash. */
const judgeFault = async (frame: Frame, start: Machine, number: number, fault: Pick<Fault, 'fails' | 'done'>): Promise<void> => {
  const machine = start.copy()
  let writes = 0
  let armed = true
  const when = (step: Step): boolean => {
    if (!armed || step.effect !== 'write') return false
    writes += 1
    return writes === number
  }
  const running = bringUp(frame.world, machine, { faults: [{ when, ...fault }] })
  const outcome = await make(frame, running).then(() => 'done' as const, (error: unknown) => error)
  armed = false
  if (outcome !== 'done') {
    if (!(outcome instanceof StorageError) || outcome.kind === 'driverBug') throw new Error(`the call failed without a known kind: ${String(outcome)}`, { cause: outcome })
  }
  await judge(frame, { label: '', machine, wanted: outcome === 'done' ? 'after' : 'either', rebooted: false }, running)
  await running.close()
}

/** The state in which the call is made; all processes have ended. */
const setUp = async (world: ModelWorldOptions, scenario: Scenario, machine: Machine): Promise<void> => {
  if (scenario.sr === 'none') return
  const running = bringUp(world, machine)
  if (world.driver.srOperations.includes('create')) await running.session.call('SR.create', { ...placeOf(world), sr_uuid: srUuid, name: 'SR', description: 'of the tests' })
  else await running.session.call('SR.introduce', { ...placeOf(world), sr_uuid: srUuid })
  await running.sr.call('SR.attach', {})
  await scenario.setUp?.(running.sr)
  if (scenario.sr === 'detached') await running.sr.call('SR.detach', {})
  await running.close()
}

/** What keeps a driver out of a scenario; undefined when it can be explored. */
export const missingForScenario = (world: ModelWorldOptions, scenario: Scenario): string | undefined => {
  const feature = scenario.needs.find((need) => !world.driver.features.includes(need))
  if (feature !== undefined) return `no feature ${feature}`
  const operation = scenario.needsSr?.find((need) => !world.driver.srOperations.includes(need))
  return operation === undefined ? undefined : `no SR operation ${operation}`
}

export const explore = async (world: ModelWorldOptions, scenario: Scenario, options: ExploreOptions = {}): Promise<Exploration> => {
  const machine = buildMachine(world)
  const blank = inventoryOf(machine)
  await setUp(world, scenario, machine)
  const before = await look(world, machine)

  const undisturbed = machine.copy()
  const run = wreckEverywhere(undisturbed, '', 'all', () => false)
  const steps: string[] = []
  const running = bringUp(world, undisturbed, {
    onStep: (step, number, moment) => {
      if (moment === 'after') steps.push(`${step.call} ${step.target}`)
      run.watch.onStep?.(step, number, moment)
    },
  })
  await make({ world, scenario }, running)
  run.atEnd()
  await running.close()
  const after = await look(world, undisturbed)
  if (same(before, after) !== (scenario.invisible === true)) throw new Error(`${scenario.name}: the call ${scenario.invisible === true ? 'changes what users see' : 'changes nothing'}`)

  const frame: Frame = { world, scenario, blank, before, after }
  const problems: string[] = []
  let schedules = 0
  const enough = options.enough ?? 3
  const { share = 1, seed = 1 } = options
  const lot = lots(seed)
  const drawn = (): boolean => share >= 1 || lot() < share
  const judged = async (label: string, work: () => Promise<readonly Wreck[]>): Promise<readonly Wreck[]> => {
    if (problems.length >= enough) return []
    schedules += 1
    try {
      return await work()
    } catch (error) {
      problems.push(`${scenario.name}, ${label}: ${error instanceof Error ? error.message : String(error)}`)
      return []
    }
  }

  for (const wreck of run.wrecks) {
    if (wreck.rebooted && !drawn()) continue
    if (!wreck.rebooted && drawn()) {
      const copy = { ...wreck, machine: wreck.machine.copy() }
      await judged(`${wreck.label}, repeated at once`, async () => judgeRepeat(frame, copy).then(() => []))
    }
    for (const inner of await judged(wreck.label, async () => judgeWreck(frame, wreck, drawn()))) {
      if (drawn()) await judged(inner.label, async () => judgeWreck(frame, inner, false))
    }
  }
  for (const [index, step] of steps.entries()) {
    for (const [says, fault] of [['fails', { fails: 'EIO' }], ['is done but answers an error', { fails: 'ETIMEDOUT', done: true }]] as const) {
      if (drawn()) await judged(`step ${index + 1} (${step}) ${says}`, async () => judgeFault(frame, machine, index + 1, fault).then(() => []))
    }
  }
  return { steps, schedules, problems }
}

