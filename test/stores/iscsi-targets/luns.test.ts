/** What the way to the LUNs adds to an SR on them: who holds them, what is told of them, in whose words. Two model hosts and one array. */
import { describe, expect, it } from 'vitest'
import type { MethodName, ParamsIn, Result } from '../../../core/methods/index.ts'
import { StorageError } from '../../../core/errors.ts'
import { diskOf, reservationsOf } from '../../kit/fakes/iscsi/array.ts'
import { iscsiOf } from '../../kit/fakes/iscsi/model.ts'
import { modelFileWorld } from '../../kit/file-harness.ts'
import { modelIqn, serialOf } from '../../kit/iscsi-harness.ts'
import { extOnLunWorld, scsiIdOf, thickWorld } from '../../kit/luns-harness.ts'
import { silentLog } from '../../../host/log.ts'
import { startEngine, type Machine, type ModelHost } from '../../kit/model/machine.ts'
import { buildMachine, nothingSurvives, type ModelWorldOptions } from '../../kit/model/world.ts'

const sr_uuid = '1b4e28ba-2fa1-41d2-883f-0016d3cca427'
const other_uuid = '2b4e28ba-2fa1-41d2-883f-0016d3cca427'
const MiB = 2 ** 20
const firstInitiator = 'iqn.2024-01.org.example:host-1'

const worldOf = (world: ModelWorldOptions, given?: Machine) => {
  const machine = given ?? buildMachine(world)
  const hostOf = (host: ModelHost) => {
    const engine = startEngine(machine, host, { driver: world.driver, log: silentLog, ...(world.formats === undefined ? {} : { formats: world.formats }) })
    const call = async <M extends MethodName>(method: M, params: ParamsIn<M>): Promise<Result<M>> => engine.call(method, params)
    return {
      call,
      fails: async <M extends MethodName>(method: M, params: ParamsIn<M>): Promise<StorageError> => {
        const error = await call(method, params).then(() => undefined, (thrown: unknown) => thrown)
        if (error instanceof StorageError) return error
        throw new Error(`${method} did not fail as it should: ${String(error)}`)
      },
      sessions: () => iscsiOf(machine).initiatorOf(host).sessions.length,
    }
  }
  const place = (config: Readonly<Record<string, string>> = {}) => ({ type: world.driver.type, device_config: { ...world.deviceConfig, ...config } })
  return {
    machine, array: () => iscsiOf(machine).array, first: hostOf(machine.first), second: hostOf(machine.second), place,
    keys: (index: number) => [...reservationsOf(iscsiOf(machine).array, serialOf(index)).registered.values()],
  }
}

/** The SR is made, attached to the first host, and holds one VDI. */
const attached = async (world: ModelWorldOptions = thickWorld) => {
  const made = worldOf(world)
  await made.first.call('SR.create', { sr_uuid, ...made.place() })
  await made.first.call('SR.attach', { sr_uuid })
  const { uuid: vdi_uuid } = await made.first.call('VDI.create', { sr_uuid, size: 8 * MiB })
  return { ...made, vdi_uuid }
}

describe('an SR on LUNs belongs to one host at a time', () => {
  it('registers on every LUN while it is attached, and leaves no reservation behind', async () => {
    const { first, keys } = await attached()
    expect([keys(0).length, keys(1).length, keys(2).length]).toEqual([1, 1, 0])
    await first.call('SR.detach', { sr_uuid })
    expect([keys(0), keys(1), first.sessions()]).toEqual([[], [], 0])
  })

  it('refuses a second host, names the first one and the command that takes over, and changes nothing', async () => {
    const { second, place, keys } = await attached()
    const before = [keys(0), keys(1)]
    const error = await second.fails('SR.attach', { sr_uuid, ...place() })
    expect([error.kind, error.facts.details?.['held_by'], error.message.includes(firstInitiator)]).toEqual(['busy', firstInitiator, true])
    expect(error.facts.remedy).toContain(`smctl sr attach ${sr_uuid} --take-over-from "${firstInitiator}"`)
    expect([[keys(0), keys(1)], second.sessions()]).toEqual([before, 0])
  })

  it('refuses to be made anew on LUNs that another host holds', async () => {
    const { second, place } = await attached()
    expect((await second.fails('SR.create', { sr_uuid: other_uuid, ...place() })).kind).toBe('busy')
  })

  it('is taken over from the host that was named, and from no other', async () => {
    const { first, second, place, vdi_uuid } = await attached()
    expect((await second.fails('SR.attach', { sr_uuid, ...place(), take_over_from: 'iqn.2024-01.org.example:somebody' })).kind).toBe('busy')
    await first.call('VDI.attach', { sr_uuid, vdi_uuid })
    await second.call('SR.attach', { sr_uuid, ...place(), take_over_from: firstInitiator })
    expect((await second.call('SR.scan', { sr_uuid })).vdis.map(({ uuid }) => uuid)).toEqual([vdi_uuid])
    await second.call('VDI.create', { sr_uuid, size: 4 * MiB })
  })

  it('says on the host that lost it that it was taken over, lets that host go, and keeps the new one\'s reservation', async () => {
    const { first, second, place, vdi_uuid, keys } = await attached()
    await first.call('VDI.attach', { sr_uuid, vdi_uuid })
    await second.call('SR.attach', { sr_uuid, ...place(), take_over_from: firstInitiator })
    const held = [keys(0), keys(1)]
    for (const error of [await first.fails('SR.scan', { sr_uuid }), await first.fails('VDI.lock', { sr_uuid, vdi_uuid, owner: 'vm1' }), await first.fails('VDI.set_names', { sr_uuid, vdi_uuid, name: 'x' })]) {
      expect([error.kind, error.message.includes('was taken over')]).toEqual(['busy', true])
    }
    await first.call('VDI.detach', { sr_uuid, vdi_uuid })
    await first.call('SR.detach', { sr_uuid })
    expect([[keys(0), keys(1)], first.sessions()]).toEqual([held, 0])
    expect((await first.fails('SR.attach', { sr_uuid })).kind).toBe('busy')
    await second.call('SR.detach', { sr_uuid })
    await first.call('SR.attach', { sr_uuid })
  })

  it('comes back to its host after a power cut without anybody\'s word, with one registration a path', async () => {
    const { machine } = await attached()
    const { first, second, place, keys } = worldOf(thickWorld, machine.copy(nothingSurvives))
    expect((await second.fails('SR.attach', { sr_uuid, ...place() })).kind).toBe('busy')
    await first.call('SR.attach', { sr_uuid, ...place() })
    expect([keys(0).length, keys(1).length]).toEqual([1, 1])
  })

  it('loses registrations that somebody else left: whoever is registered may write', async () => {
    const { first, array, keys, place } = worldOf(thickWorld)
    reservationsOf(array(), serialOf(0)).registered.set('iqn.2024-01.org.example:dead,i,0x00023d000007', 0x1234n)
    await first.call('SR.create', { sr_uuid, ...place() })
    await first.call('SR.attach', { sr_uuid })
    expect(keys(0)).not.toContain(0x1234n)
  })

  it('reserves its LUNs again when the array has forgotten that, and says so', async () => {
    const { first, array, keys } = await attached()
    array().reservations.clear()
    await first.call('SR.attach', { sr_uuid })
    expect([keys(0).length, keys(1).length]).toEqual([1, 1])
  })

  it('is refused on an array without reservations, until the operator says that one host only has the LUNs', async () => {
    const { first, array, place } = worldOf(thickWorld)
    array().plain.add(serialOf(0)).add(serialOf(1))
    const error = await first.fails('SR.create', { sr_uuid, ...place() })
    expect([error.kind, error.facts.field]).toEqual(['notSupported', 'device_config.reservation'])
    expect(error.facts.remedy).toContain('reservation=no')
    await first.call('SR.create', { sr_uuid, ...place({ reservation: 'no' }) })
    await first.call('SR.attach', { sr_uuid })
  })

  it('is all that can be taken over: drivers that hold nothing for one host say so', async () => {
    const { first, place } = worldOf(modelFileWorld)
    await first.call('SR.create', { sr_uuid, ...place() })
    expect((await first.fails('SR.attach', { sr_uuid, take_over_from: firstInitiator })).kind).toBe('notSupported')
  })

  it('is not taken over by an attach that was done already', async () => {
    const { first } = await attached(extOnLunWorld)
    expect((await first.call('SR.attach', { sr_uuid, take_over_from: 'iqn.2024-01.org.example:somebody' })).changed).toBe(false)
  })
})

describe('an SR on LUNs is told in their words', () => {
  it('lists targets without targetIQN, LUNs without SCSIid, and puts the parts of one SR together', async () => {
    const { first, place } = await attached()
    const { targetIQN: _iqn, SCSIid: _ids, ...half } = place().device_config
    const targets = (await first.call('SR.probe', { type: thickWorld.driver.type, device_config: half })).candidates
    expect(targets.map(({ device_config, complete }) => [device_config['targetIQN'], complete])).toEqual([[modelIqn, false]])
    await first.call('SR.detach', { sr_uuid })
    const { candidates } = await first.call('SR.probe', { type: thickWorld.driver.type, device_config: { ...half, targetIQN: modelIqn } })
    expect(candidates.map(({ found, complete, device_config }) => [found, complete, device_config['SCSIid']])).toEqual([
      ['blank', true, scsiIdOf(2)], ['sr', true, `${scsiIdOf(0)},${scsiIdOf(1)}`],
    ])
    expect(candidates[0]?.says).toMatch(/LUN 2 of .*SCSI id .*, 64 MiB/)
    expect(first.sessions()).toBe(0)
  })

  it('names the key that was typed, and commands of its own type', async () => {
    const { first, array, place } = await attached()
    await first.call('SR.detach', { sr_uuid })
    const [from, to] = [diskOf(array(), serialOf(0)), diskOf(array(), serialOf(2))]
    for (const [page, bytes] of from.content.pages) to.content.pages.set(page, bytes)
    const error = await first.fails('SR.attach', { sr_uuid, ...place() })
    expect([error.kind, error.facts.field]).toEqual(['identityMismatch', 'device_config.SCSIid'])
    expect(error.facts.remedy).toContain(`smctl sr reidentify lvmoiscsi ${sr_uuid} SCSIid=`)
    expect(error.facts.remedy).not.toContain('device=')
  })

  it('refuses what says nothing, too much or one LUN twice, by field', async () => {
    const { first, place } = worldOf(thickWorld)
    const { SCSIid: _ids, ...without } = place().device_config
    for (const device_config of [without, { ...without, SCSIid: scsiIdOf(0), LUNid: '0' }, { ...without, LUNid: '0,0' }]) {
      const error = await first.fails('SR.attach', { sr_uuid, type: thickWorld.driver.type, device_config })
      expect([error.kind, error.facts.field?.startsWith('device_config.')]).toEqual(['invalidArgument', true])
    }
    const missing = await first.fails('SR.attach', { sr_uuid, ...place({ SCSIid: scsiIdOf(7) }) })
    expect([missing.kind, missing.facts.field, missing.message.includes(scsiIdOf(0))]).toEqual(['placeMissing', 'device_config.SCSIid', true])
    expect(first.sessions()).toBe(0)
  })

  it('shares a session with another SR of the target, and the last one logs out', async () => {
    const { first, place } = await attached()
    const { SCSIid: _ids, ...config } = place().device_config
    await first.call('SR.create', { sr_uuid: other_uuid, type: thickWorld.driver.type, device_config: { ...config, LUNid: '2' } })
    await first.call('SR.attach', { sr_uuid: other_uuid })
    expect(first.sessions()).toBe(1)
    await first.call('SR.detach', { sr_uuid })
    expect(first.sessions()).toBe(1)
    await first.call('SR.detach', { sr_uuid: other_uuid })
    expect(first.sessions()).toBe(0)
  })

  it('refuses another disk under the number of its LUN', async () => {
    const { first, array, place } = worldOf(thickWorld)
    const { SCSIid: _ids, ...config } = place().device_config
    const byNumber = { type: thickWorld.driver.type, device_config: { ...config, LUNid: '0' } }
    await first.call('SR.create', { sr_uuid, ...byNumber })
    const [target] = array().targets
    target?.luns.set(0, serialOf(2))
    const error = await first.fails('SR.attach', { sr_uuid, ...byNumber })
    expect(['notFound', 'placeMissing']).toContain(error.kind)
    expect(first.sessions()).toBe(0)
  })
})
