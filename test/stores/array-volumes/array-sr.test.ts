/** SRs on array volumes beyond the kit: which side they follow, whom they take a VDI away from, and how many array calls they make. */
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../core/errors.ts'
import type { Engine } from '../../../core/caller.ts'
import { cutLink, restoreLink } from '../../../drivers/array-replication/model/world.ts'
import { silentLog } from '../../../host/log.ts'
import { arrayDriver, arrayMachine, plainConfig, replicatedConfig } from '../../kit/array-sr-harness.ts'
import { arraysOf, kitArrays, type ArraysModel } from '../../kit/fakes/arrays.ts'
import { startEngine, type Machine } from '../../kit/model/machine.ts'
import { buildMachine, openRawDisk } from '../../kit/model/world.ts'

const MiB = 2 ** 20
const sr_uuid = '1b4e28ba-2fa1-41d2-883f-0016d3cca427'
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

interface Scene {
  readonly machine: Machine
  readonly model: ArraysModel
  readonly engine: Engine
  /** On the second host, which has attached the SR, too. */
  readonly other: () => Promise<Engine>
  readonly write: (vdi: string, text: string) => Promise<string>
  readonly read: (vdi: string) => Promise<string>
  readonly unit: (array: 'left' | 'right') => Promise<string>
}

const scene = async (config: Record<string, string>): Promise<Scene> => {
  const arrays = await kitArrays()
  const machine = buildMachine({ driver: arrayDriver, deviceConfig: config, ...arrayMachine() })
  const engine = startEngine(machine, machine.first, { driver: arrayDriver, arrays, log: silentLog })
  await engine.call('SR.create', { sr_uuid, type: 'array', device_config: config })
  await engine.call('SR.attach', { sr_uuid })
  return {
    machine, engine, model: arraysOf(machine),
    async other() {
      const second = startEngine(machine, machine.second, { driver: arrayDriver, arrays, log: silentLog })
      await second.call('SR.attach', { sr_uuid, type: 'array', device_config: config })
      return second
    },
    async write(vdi, text) {
      const attached = await engine.call('VDI.attach', { sr_uuid, vdi_uuid: vdi })
      const disk = await openRawDisk(machine, attached)
      await disk.write(0, bytes(text))
      await disk.close()
      await engine.call('VDI.detach', { sr_uuid, vdi_uuid: vdi })
      return attached.path
    },
    async read(vdi) {
      const disk = await openRawDisk(machine, await engine.call('VDI.attach', { sr_uuid, vdi_uuid: vdi }))
      const found = new TextDecoder().decode(await disk.read(0, 5))
      await disk.close()
      await engine.call('VDI.detach', { sr_uuid, vdi_uuid: vdi })
      return found
    },
    async unit(array) {
      return (await engine.call('Replication.list', { array })).units[0]?.unit ?? ''
    },
  }
}

const failure = async (work: Promise<unknown>): Promise<StorageError> => {
  const thrown = await work.then((value) => value, (error: unknown) => error)
  if (thrown instanceof StorageError) return thrown
  throw new Error(`it succeeded with ${JSON.stringify(thrown)}`)
}

describe('a replicated SR', () => {
  it('is attached from the promoted side after a failover, never from the old one, and from the first again after going back', async () => {
    const { engine, write, read, unit } = await scene(replicatedConfig)
    const { uuid } = await engine.call('VDI.create', { sr_uuid, size: MiB })
    const near = await write(uuid, 'first')
    const both = { array: 'left', peer: 'right' }
    await engine.call('Replication.sync', { array: 'right', peer: 'left', unit: await unit('right') })
    await engine.call('Replication.prepare_failover', { ...both, units: [await unit('left')] })
    const prepared = await failure(engine.call('VDI.attach', { sr_uuid, vdi_uuid: uuid }))
    expect([prepared.kind, prepared.message]).toEqual(['wrongRole', expect.stringMatching(/left is demoted, right is target/)])
    expect(prepared.facts.remedy).toMatch(/smctl replication status left Test_RCG --peer right/)
    await engine.call('Replication.sync', { array: 'right', peer: 'left', unit: await unit('right') })
    await engine.call('Replication.failover', { array: 'right', peer: 'left', units: [await unit('right')] })
    expect(await read(uuid)).toBe('first')
    expect(await write(uuid, 'again')).not.toBe(near)
    expect((await engine.call('SR.stat', { sr_uuid })).warnings).toEqual(expect.arrayContaining([expect.stringMatching(/served by right/)]))
    expect((await failure(engine.call('VDI.create', { sr_uuid, size: MiB }))).kind).toBe('wrongRole')
    expect((await failure(engine.call('VDI.delete', { sr_uuid, vdi_uuid: uuid }))).kind).toBe('wrongRole')
    expect(await read(uuid)).toBe('again')
    await engine.call('Replication.reverse', { ...both, units: [await unit('left')] })
    await engine.call('Replication.sync', { ...both, unit: await unit('left') })
    await engine.call('Replication.prepare_failover', { array: 'right', peer: 'left', units: [await unit('right')] })
    await engine.call('Replication.sync', { ...both, unit: await unit('left') })
    await engine.call('Replication.failover', { ...both, units: [await unit('left')] })
    expect(await write(uuid, 'third')).toBe(near)
  })

  it('is not served by the receiving side while the source is silent, until somebody fails over', async () => {
    const { engine, model, write, read, unit } = await scene(replicatedConfig)
    const { uuid } = await engine.call('VDI.create', { sr_uuid, size: MiB, name: 'kept' })
    await write(uuid, 'first')
    await engine.call('Replication.sync', { array: 'right', peer: 'left', unit: await unit('right') })
    model.alive.delete('a')
    cutLink(model.pair)
    const silent = await failure(engine.call('VDI.attach', { sr_uuid, vdi_uuid: uuid }))
    expect([silent.kind, silent.facts.remedy]).toEqual(['wrongRole', expect.stringMatching(/smctl replication failover right --units .* --kind unplanned/)])
    const { plan } = await engine.call('Replication.plan', { array: 'right', unit: await unit('right'), operation: 'failover' })
    await engine.call('Replication.failover', { array: 'right', units: [await unit('right')], kind: 'unplanned', operator: 'alice', plan })
    expect(await read(uuid)).toBe('first')
    expect((await engine.call('SR.scan', { sr_uuid })).vdis.map(({ name }) => name)).toEqual(['kept'])
    await engine.call('VDI.set_names', { sr_uuid, vdi_uuid: uuid, name: 'renamed meanwhile' })
    // The old source is back: it does not know, and is not asked.
    model.alive.add('a')
    restoreLink(model.pair)
    expect(await read(uuid)).toBe('first')
    await engine.call('SR.detach', { sr_uuid })
    await engine.call('SR.attach', { sr_uuid })
    expect((await engine.call('SR.scan', { sr_uuid })).vdis.map(({ name }) => name)).toEqual(['renamed meanwhile'])
  })

  it('that is still attached through the array it was failed over from is not attached through the other one beside it', async () => {
    const { engine, model, read, unit } = await scene(replicatedConfig)
    const { uuid } = await engine.call('VDI.create', { sr_uuid, size: MiB })
    const near = await engine.call('VDI.attach', { sr_uuid, vdi_uuid: uuid })
    await engine.call('Replication.sync', { array: 'right', peer: 'left', unit: await unit('right') })
    model.alive.delete('a')
    cutLink(model.pair)
    const { plan } = await engine.call('Replication.plan', { array: 'right', unit: await unit('right'), operation: 'failover' })
    await engine.call('Replication.failover', { array: 'right', units: [await unit('right')], kind: 'unplanned', operator: 'alice', plan })
    const refused = await failure(engine.call('VDI.attach', { sr_uuid, vdi_uuid: uuid }))
    expect([refused.kind, refused.message, refused.facts.remedy]).toEqual(['busy', expect.stringMatching(/still holds its disk of another array/), expect.stringMatching(/smctl vdi detach/)])
    await engine.call('VDI.detach', { sr_uuid, vdi_uuid: uuid })
    const far = await engine.call('VDI.attach', { sr_uuid, vdi_uuid: uuid })
    expect(far.path).not.toBe(near.path)
    await engine.call('VDI.detach', { sr_uuid, vdi_uuid: uuid })
    expect(await read(uuid)).toBeDefined()
  })

  it('makes no VDI while its peer is silent, and leaves nothing of the attempt', async () => {
    const { engine, model } = await scene(replicatedConfig)
    model.alive.delete('b')
    expect((await failure(engine.call('VDI.create', { sr_uuid, size: MiB }))).kind).toBe('unreachable')
    model.alive.add('b')
    expect((await engine.call('SR.scan', { sr_uuid })).vdis).toEqual([])
    expect(model.inventory(arraysHost(model)).filter((line) => line.includes(' volume ') || line.includes(' op.'))).toEqual([])
  })
})

const arraysHost = (model: ArraysModel) => ({ id: 'host-1' }) as Parameters<typeof model.inventory>[0]

describe('a VDI that another host has', () => {
  it('is refused, and named with the group that has it', async () => {
    const { engine, other } = await scene(plainConfig)
    const { uuid } = await engine.call('VDI.create', { sr_uuid, size: MiB })
    await (await other()).call('VDI.attach', { sr_uuid, vdi_uuid: uuid })
    const error = await failure(engine.call('VDI.attach', { sr_uuid, vdi_uuid: uuid }))
    expect([error.kind, error.facts.remedy]).toEqual(['busy', expect.stringMatching(/mount_conflict_delay/)])
    expect((await failure(engine.call('VDI.delete', { sr_uuid, vdi_uuid: uuid }))).kind).toBe('busy')
  })

  it('is taken away from it after the delay that was set, and only then', async () => {
    const { engine, other, write } = await scene({ ...plainConfig, mount_conflict_delay: '0' })
    const { uuid } = await engine.call('VDI.create', { sr_uuid, size: MiB })
    await (await other()).call('VDI.attach', { sr_uuid, vdi_uuid: uuid })
    await write(uuid, 'mine')
    expect((await engine.call('SR.scan', { sr_uuid })).vdis[0]?.attached).toBeUndefined()
  })

  it('is shared when it is shareable', async () => {
    const { engine, other } = await scene(plainConfig)
    const { uuid } = await engine.call('VDI.create', { sr_uuid, size: MiB, shareable: true })
    const second = await other()
    await second.call('VDI.attach', { sr_uuid, vdi_uuid: uuid })
    await engine.call('VDI.attach', { sr_uuid, vdi_uuid: uuid })
    await engine.call('VDI.detach', { sr_uuid, vdi_uuid: uuid })
    await second.call('VDI.detach', { sr_uuid, vdi_uuid: uuid })
  })
})

describe('array calls', () => {
  it.each([['plain', plainConfig, 8], ['replicated', replicatedConfig, 12]] as const)('of a scan do not grow with the VDIs, %s', async (_kind, config, most) => {
    const { engine, model } = await scene({ ...config })
    const scanned = async (): Promise<number> => {
      const before = model.calls.length
      await engine.call('SR.scan', { sr_uuid })
      return model.calls.length - before
    }
    await engine.call('VDI.create', { sr_uuid, size: MiB })
    const one = await scanned()
    for (let more = 0; more < 8; more += 1) await engine.call('VDI.create', { sr_uuid, size: MiB })
    expect(await scanned()).toBe(one)
    expect(one).toBeLessThanOrEqual(most)
  })

  it('of an attachment are a constant, whatever else there is', async () => {
    const { engine, model } = await scene(plainConfig)
    const { uuid } = await engine.call('VDI.create', { sr_uuid, size: MiB })
    const attached = async (): Promise<number> => {
      const before = model.calls.length
      await engine.call('VDI.attach', { sr_uuid, vdi_uuid: uuid })
      await engine.call('VDI.detach', { sr_uuid, vdi_uuid: uuid })
      return model.calls.length - before
    }
    await attached()
    const one = await attached()
    for (let more = 0; more < 8; more += 1) await engine.call('VDI.create', { sr_uuid, size: MiB })
    expect(await attached()).toBe(one)
  })
})

describe('a device_config', () => {
  it.each([
    [{ ...plainConfig, group: 'g' }, 'device_config.peer'], [{ ...plainConfig, peer: 'right' }, 'device_config.group'], [{ ...replicatedConfig, peer: 'left' }, 'device_config.peer'],
    [{ ...replicatedConfig, sync_period: '900' }, 'device_config.sync_period'], [{ ...replicatedConfig, replication_mode: 'periodic', sync_period: '299' }, 'device_config.sync_period'],
    [{ backend: 'left', cpg: 'pool', chapuser: 'alice' }, 'device_config.chappassword'], [{ ...plainConfig, cpg: 'elsewhere' }, 'device_config.cpg'], [{ ...plainConfig, backend: 'nowhere' }, 'array'],
  ])('%j is refused by %s', async (config, field) => {
    const { engine } = await scene(plainConfig)
    const error = await failure(engine.call('SR.create', { type: 'array', device_config: config }))
    expect(error.facts.field).toBe(field)
    expect(error.facts.remedy ?? '').not.toBe('')
  })
})
