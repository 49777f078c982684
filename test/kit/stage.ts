/** What a case works with: a started world, helpers for the usual sequences, and a memory of all that was made. */
import assert from 'node:assert/strict'
import type { CallOptions } from '../../core/caller.ts'
import type { DriverDescriptor, Feature } from '../../core/contract.ts'
import { reportError, StorageError, type ErrorKind } from '../../core/errors.ts'
import type { MethodName, ParamsIn, Result } from '../../core/methods/index.ts'
import type { VdiInfo } from '../../core/methods/wire.ts'
import { MiB, roundUp } from '../../core/units.ts'
import type { Harness, Session, StartOptions, World } from './case.ts'
import { firstDifference, pattern, regionsOf, zeros } from './pattern.ts'

/** Params of a call on one SR, without naming it. */
type OfSr<M extends MethodName> = Omit<ParamsIn<M>, 'sr_uuid'>
type Region = { readonly offset: number; readonly length: number }

/** One SR, called through one session. */
export interface TestSr {
  readonly uuid: string
  /** The same SR through another session. */
  at(session: Session): TestSr
  call<M extends MethodName>(method: M, params: OfSr<M>, options?: CallOptions): Promise<Result<M>>
  /** A new disk, or one that is there already where the driver cannot create any. Its first bytes read as zeros. */
  disk(more?: Partial<OfSr<'VDI.create'>>): Promise<VdiInfo>
  /** Attaches, writes the pattern of `seed` into the regions, detaches. */
  stamp(vdi: VdiInfo, seed: string, regions?: readonly Region[]): Promise<void>
  /** Attaches, compares with the pattern of `seed` (`zeros`: nothing was ever written), detaches. */
  holds(vdi: VdiInfo, seed: string, regions?: readonly Region[]): Promise<void>
  scan(): Promise<Result<'SR.scan'>>
  /** The row of a scan; fails when it is missing. */
  row(vdi: string): Promise<VdiInfo>
}

export interface Stage {
  readonly driver: DriverDescriptor
  readonly world: World
  readonly features: ReadonlySet<Feature>
  /** What SR.create, SR.attach and SR.probe want to know. */
  readonly place: { readonly type: string; readonly device_config: Record<string, string> }
  /** Bytes that a case asks for when it makes a disk. */
  readonly size: number
  /** The first process. */
  readonly main: Session
  start(options?: StartOptions): Promise<Session>
  /** Creates (or introduces) the SR, and attaches it unless told not to. */
  sr(more?: { readonly name?: string; readonly description?: string; readonly detached?: true }): Promise<TestSr>
  /** The same SR by uuid through a session, wherever it came from. */
  srAt(session: Session, uuid: string): TestSr
}

export interface StageControl extends Stage {
  /** How many calls the case made. */
  calls(): number
  /** Deletes everything that was made and checks that the place is as before. */
  finish(): Promise<void>
  closeSessions(): Promise<void>
}

/** Fails unless `work` fails with an error of that kind; answers the error, for more questions. */
export const rejects = async (kind: ErrorKind | readonly ErrorKind[], work: Promise<unknown>): Promise<StorageError> => {
  const kinds = typeof kind === 'string' ? [kind] : kind
  const outcome = await work.then((value) => ({ value }), (error: unknown) => ({ error }))
  if (!('error' in outcome)) assert.fail(`expected ${kinds.join(' or ')}, but it succeeded with ${JSON.stringify(outcome.value)}`)
  const { error } = outcome
  if (!(error instanceof StorageError)) assert.fail(`expected ${kinds.join(' or ')}, but it threw ${String(error)}`)
  assert.ok(kinds.includes(error.kind), `expected ${kinds.join(' or ')}, but it failed with ${error.kind}: ${error.message}`)
  assert.ok(error.message.length > 10, `the error says nothing: ${JSON.stringify(error.message)}`)
  return error
}

const withoutLeaks = (world: World, method: string, what: string, text: string): void => {
  for (const secret of world.secrets ?? []) assert.ok(!text.includes(secret), `${what} of ${method} shows a secret of the device_config`)
}

const guarded = (world: World, session: Session, count: () => void): Session => ({
  async call(method, params, options) {
    count()
    try {
      const answer = await session.call(method, params, options)
      withoutLeaks(world, method, 'the answer', JSON.stringify(answer) ?? '')
      return answer
    } catch (error) {
      if (error instanceof StorageError) withoutLeaks(world, method, 'the error', JSON.stringify(reportError(error)))
      throw error
    }
  },
  close: async () => session.close(),
})

const compare = (found: Uint8Array, wanted: Uint8Array, vdi: string, offset: number, seed: string): void => {
  const at = firstDifference(found, wanted)
  assert.equal(at, undefined, `VDI ${vdi} does not hold what was expected (${seed}): ${found.length} bytes read, first difference at byte ${offset + (at ?? 0)}`)
}

interface SrSetting {
  readonly world: Pick<World, 'disk'>
  readonly size: number
  readonly features: ReadonlySet<Feature>
  /** VDIs that a case has been given, where none can be created. */
  readonly taken: Set<string>
}

export const createTestSr = (stage: SrSetting, session: Session, uuid: string): TestSr => {
  const { world } = stage
  const call: TestSr['call'] = async (method, params, options) =>
    session.call(method, { ...params, sr_uuid: uuid } as unknown as ParamsIn<typeof method>, options)

  const withDisk = async (vdi: VdiInfo, mode: 'ro' | 'rw', work: (disk: Awaited<ReturnType<World['disk']>>) => Promise<void>): Promise<void> => {
    const before = vdi.attached ?? (await call('VDI.stat', { vdi_uuid: vdi.uuid })).attached
    const disk = await world.disk(await call('VDI.attach', { vdi_uuid: vdi.uuid, ...(before === undefined ? { mode } : {}) }))
    try {
      await work(disk)
    } finally {
      await disk.close()
      if (before === undefined) await call('VDI.detach', { vdi_uuid: vdi.uuid })
    }
  }

  const sr: TestSr = {
    uuid,
    at: (other) => createTestSr(stage, other, uuid),
    call,
    async disk(more = {}) {
      if (stage.features.has('create')) return call('VDI.create', { size: stage.size, ...more })
      const free = (await sr.scan()).vdis.find((vdi) => !stage.taken.has(vdi.uuid) && vdi.problem === undefined)
      assert.ok(free, 'the place of this harness holds too few VDIs for this case')
      stage.taken.add(free.uuid)
      return free
    },
    stamp: async (vdi, seed, regions = regionsOf(vdi.size)) =>
      withDisk(vdi, 'rw', async (disk) => {
        for (const { offset, length } of regions) await disk.write(offset, pattern(seed, offset, length))
      }),
    holds: async (vdi, seed, regions = regionsOf(vdi.size)) =>
      withDisk(vdi, 'ro', async (disk) => {
        for (const { offset, length } of regions) {
          compare(await disk.read(offset, length), seed === 'zeros' ? zeros(length) : pattern(seed, offset, length), vdi.uuid, offset, seed)
        }
      }),
    scan: async () => call('SR.scan', {}),
    async row(vdi) {
      const found = (await sr.scan()).vdis.find((row) => row.uuid === vdi)
      assert.ok(found, `the scan does not list VDI ${vdi}`)
      return found
    },
  }
  return sr
}

export const usualSize = (driver: DriverDescriptor): number => Math.max(driver.limits.minVdiSize, roundUp(4 * MiB, driver.limits.sizeStep))

export const createStage = async (harness: Harness, world: World): Promise<StageControl> => {
  const { driver } = harness
  const features = new Set(harness.features ?? driver.features)
  const size = harness.vdiSize ?? usualSize(driver)
  const taken = new Set<string>()
  const sessions: Session[] = []
  const made = new Set<string>()
  let calls = 0

  const start = async (options?: StartOptions): Promise<Session> => {
    const session = guarded(world, await world.start(options), () => {
      calls += 1
    })
    sessions.push(session)
    return session
  }
  const place = { type: driver.type, device_config: { ...world.deviceConfig } }
  const before = await world.inventory()
  const main = await start()
  const srAt = (session: Session, uuid: string): TestSr => createTestSr({ world, size, features, taken }, session, uuid)

  /** Everything is deleted through a fresh process with no memory but the one on disk. */
  const emptySr = async (session: Session, uuid: string): Promise<void> => {
    const sr = srAt(session, uuid)
    for (const vdi of (await sr.scan()).vdis) {
      if (vdi.attached !== undefined) await sr.call('VDI.detach', { vdi_uuid: vdi.uuid })
      if (vdi.lock !== undefined) await sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: vdi.lock.owner })
      if (vdi.kind !== 'base' && features.has('destroy')) await sr.call('VDI.delete', { vdi_uuid: vdi.uuid })
    }
    if (features.has('collect')) await sr.call('SR.collect', {})
    if (features.has('verify')) {
      const { orphans } = await sr.call('SR.orphans', {})
      assert.deepEqual(orphans, [], 'after all VDIs were deleted and collected, something is left that belongs to none')
    }
  }

  return {
    driver, world, features, place, size, main, start, srAt,
    async sr(more = {}) {
      const { detached, ...names } = more
      const { sr_uuid } = driver.srOperations.includes('create')
        ? await main.call('SR.create', { ...place, ...names })
        : await main.call('SR.introduce', { ...place, ...names })
      made.add(sr_uuid)
      if (detached !== true) await main.call('SR.attach', { sr_uuid })
      return srAt(main, sr_uuid)
    },
    calls: () => calls,
    async finish() {
      await Promise.all(sessions.splice(0).map(async (session) => session.close()))
      withoutLeaks(world, 'all calls', 'the log', world.logged?.() ?? '')
      const session = await start()
      const known = new Set([...made, ...(await session.call('SR.list', {})).srs.map((sr) => sr.uuid)])
      for (const uuid of known) {
        const there = await session.call('SR.attach', { sr_uuid: uuid, ...place }).then(() => true, (error: unknown) => {
          if (error instanceof StorageError && (error.kind === 'notFound' || error.kind === 'placeMissing')) return false
          throw error
        })
        if (there) {
          await emptySr(session, uuid)
          if (driver.srOperations.includes('delete')) await session.call('SR.delete', { sr_uuid: uuid })
          else await session.call('SR.detach', { sr_uuid: uuid })
        }
        await session.call('SR.forget', { sr_uuid: uuid })
      }
      await session.close()
      if (driver.srOperations.includes('delete') || !driver.srOperations.includes('create') || harness.lacks?.includes('identity') === true) {
        assert.deepEqual(await world.inventory(), before, 'after everything was deleted, the place is not as it was before')
      }
    },
    async closeSessions() {
      await Promise.all(sessions.splice(0).map(async (session) => session.close()))
    },
  }
}
