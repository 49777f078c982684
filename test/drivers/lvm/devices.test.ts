/** What an LVM SR does with its devices: refuses, recognises, erases, takes what they gain. */
import { describe, expect, it } from 'vitest'
import { GiB, MiB } from '../../../core/units.ts'
import { encodeTags } from '../../../host/lvm/tags.ts'
import { makeExt4, readLabel, writeBytes } from '../../kit/fakes/lvm/disks.ts'
import { allocate, commit, extentSize, findGroups, newUuid } from '../../kit/fakes/lvm/groups.ts'
import { cloneDisk, growDisk, plug, sicken } from '../../kit/fakes/lvm/state.ts'
import { lvmWorld, other, sr, vdi, vg, type LvmWorld } from './world.ts'

const create = async (world: LvmWorld, device: string, more: { readonly size?: number; readonly uuid?: string } = {}) =>
  world.call('SR.create', { sr_uuid: more.uuid ?? sr, type: 'lvm', device_config: { device }, ...(more.size === undefined ? {} : { size: more.size }) })

describe('SR.create on devices', () => {
  it.each([
    ['carry a file system', (world: LvmWorld) => makeExt4(world.state.root, world.disk(0)), 'placeNotBlank', /ext4/],
    ['carry bytes of no known format', (world: LvmWorld) => writeBytes(world.state.root, world.disk(0), GiB - 4096, Uint8Array.from([1])), 'placeNotBlank', /data of no known format/],
    ['cannot be read', (world: LvmWorld) => sicken(world.state, world.disk(0), 'fails'), 'ioError', /cannot be told/],
    ['are not there', (world: LvmWorld) => plug(world.state, world.disk(0), false), 'placeMissing', /no block device \/dev\/vda/],
  ] as const)('that %s is refused, and nothing is changed', async (_what, spoil, kind, says) => {
    const world = lvmWorld()
    spoil(world)
    const before = world.inventory()
    await expect(create(world, '/dev/vda,/dev/vdb')).rejects.toMatchObject({ kind, message: expect.stringMatching(says), facts: { field: 'device_config.device', remedy: expect.any(String) } })
    expect(world.inventory()).toEqual(before)
    expect(world.engine.process.steps.filter((step) => step.startsWith('run'))).toEqual([])
  })

  it('that belong to another SR is refused, and the SR is named', async () => {
    const world = lvmWorld()
    await create(world, '/dev/vda')
    await expect(create(world, '/dev/vda', { uuid: other })).rejects.toMatchObject({ kind: 'placeNotBlank', message: expect.stringContaining(`belongs to SR ${sr}`), facts: { remedy: `Attach that SR: smctl sr attach ${sr}` } })
  })

  it('that are one device by two names is refused', async () => {
    await expect(create(lvmWorld(), '/dev/vda,/dev/disk/by-id/virtio-labdisk0')).rejects.toMatchObject({ kind: 'invalidArgument', message: expect.stringMatching(/same device/) })
    await expect(create(lvmWorld(), '/dev/vda,/dev/vda')).rejects.toMatchObject({ kind: 'invalidArgument', message: expect.stringMatching(/twice/) })
  })

  it('that are too small, or smaller than asked for, is refused with figures', async () => {
    await expect(create(lvmWorld({ disks: [16 * MiB] }), '/dev/vda')).rejects.toMatchObject({ kind: 'sizeOutOfRange' })
    await expect(create(lvmWorld(), '/dev/vda', { size: 2 * GiB })).rejects.toMatchObject({ kind: 'noSpace', facts: { details: { size: 2 * GiB, room: GiB } } })
  })

  it('takes several devices as one place, and deletes it from all of them', async () => {
    const world = lvmWorld()
    const blank = world.inventory()
    await world.sr({ device: '/dev/vda,/dev/vdb' })
    expect((await world.call('SR.stat', { sr_uuid: sr })).physical_size).toBeGreaterThan(2 * GiB - 32 * MiB)
    await world.call('SR.delete', { sr_uuid: sr })
    expect(world.inventory()).toEqual(blank)
  })

  it.each([
    ['the metadata of a thin pool that lvcreate has not finished', 'made', 'lvol0', []],
    ['the data of a thin pool that lvcreate has not finished', 'made', 'pool', []],
    ['a volume that somebody else has put there', 'refused', 'mine', []],
    ['a volume of such a name that somebody has marked', 'refused', 'lvol0', ['keep']],
  ] as const)('whose earlier attempt was interrupted, leaving %s, is %s', async (_what, outcome, name, tags) => {
    const world = lvmWorld({ type: 'lvmthin' })
    const again = async () => world.call('SR.create', { sr_uuid: sr, type: 'lvmthin', device_config: { device: '/dev/vda' } })
    await again()
    await world.call('SR.forget', { sr_uuid: sr })
    const found = findGroups(world.state.root, world.disks)[0]
    if (found === undefined) throw new Error('no group')
    found.group.tags = [...encodeTags({ state: 'preparing', name: '', description: '', pool: 'whole' })]
    found.group.lvs = [{ name, uuid: newUuid(), tags: [...tags], writable: true, kind: 'linear', size: extentSize, segments: allocate({ ...found.group, lvs: [] }, 1) ?? [] }]
    commit(world.state.root, found)
    if (outcome === 'made') {
      await again()
      await world.call('SR.attach', { sr_uuid: sr })
    } else {
      await expect(again()).rejects.toMatchObject({ kind: 'placeNotBlank' })
    }
  })

  it('of a uuid that exists on other devices of this host is refused, whatever this host remembers', async () => {
    const world = lvmWorld()
    await create(world, '/dev/vda')
    await world.call('SR.forget', { sr_uuid: sr })
    await expect(create(world, '/dev/vdb')).rejects.toMatchObject({ kind: 'alreadyExists' })
  })

  it('does not believe LVM: on a disk that loses writes nothing is called created', async () => {
    const world = lvmWorld()
    sicken(world.state, world.disk(0), 'lies')
    await expect(create(world, '/dev/vda')).rejects.toMatchObject({ kind: expect.stringMatching(/ioError|notFound|toolFailed/) })
    expect((await world.call('SR.list', {})).srs).toEqual([])
  })

  it.each([['lvm'], ['lsblk'], ['blkid'], ['wipefs']])('without %s says what is missing, and changes nothing', async (tool) => {
    const world = lvmWorld()
    world.state.missingTools.add(tool)
    const before = world.inventory()
    await expect(create(world, '/dev/vda')).rejects.toMatchObject({ kind: 'toolMissing', facts: { details: { tool } } })
    expect(world.inventory()).toEqual(before)
  })
})

describe('SR.delete', () => {
  it('erases nothing that somebody began to use behind our back, and goes on when he is gone', async () => {
    const world = lvmWorld()
    await world.sr()
    world.disk(0).held = true
    await expect(world.call('SR.delete', { sr_uuid: sr })).rejects.toMatchObject({ kind: 'busy', message: expect.stringMatching(/is in use, so it is not erased/), facts: { remedy: expect.stringMatching(/lsblk/) } })
    expect(readLabel(world.state.root, world.disk(0))).toBeDefined()
    delete world.disk(0).held
    expect(await world.call('SR.delete', { sr_uuid: sr })).toEqual({ changed: true })
    expect(readLabel(world.state.root, world.disk(0))).toBeUndefined()
  })
})

describe('SR.attach', () => {
  it('refuses an SR whose device exists twice, names both, and says how to make the copy its own', async () => {
    const world = lvmWorld()
    await create(world, '/dev/vda')
    cloneDisk(world.state, world.disk(0), world.disk(1))
    await expect(world.call('SR.attach', { sr_uuid: sr })).rejects.toMatchObject({
      kind: 'identityMismatch', message: expect.stringMatching(/\/dev\/vda and \/dev\/vdb/), facts: { remedy: expect.stringContaining(`smctl sr reidentify lvm ${sr} device=/dev/vdb`) },
    })
  })

  it('names the physical volume that is missing, and where it was last seen', async () => {
    const world = lvmWorld()
    await create(world, '/dev/vda,/dev/vdb')
    const uuid = readLabel(world.state.root, world.disk(1))?.pv ?? ''
    plug(world.state, world.disk(1), false)
    await expect(world.call('SR.attach', { sr_uuid: sr, type: 'lvm', device_config: { device: '/dev/vda' } })).rejects.toMatchObject({
      kind: 'placeMissing', message: expect.stringMatching(new RegExp(`${uuid}, last seen on /dev/vdb`)),
    })
    await expect(world.call('SR.attach', { sr_uuid: sr })).rejects.toMatchObject({ kind: 'placeMissing', message: expect.stringMatching(/no block device \/dev\/vdb/) })
  })

  it('refuses a device that is none of the SR', async () => {
    const world = lvmWorld()
    await create(world, '/dev/vda')
    await expect(world.call('SR.attach', { sr_uuid: sr, type: 'lvm', device_config: { device: '/dev/vda,/dev/vdb' } })).rejects.toMatchObject({ kind: 'identityMismatch', message: expect.stringMatching(/\/dev\/vdb: no physical volume/) })
  })

  it('tells a device that fails every read from one that holds no SR', async () => {
    const world = lvmWorld()
    await create(world, '/dev/vda')
    sicken(world.state, world.disk(0), 'fails')
    await expect(world.call('SR.attach', { sr_uuid: sr })).rejects.toMatchObject({ kind: 'placeMissing', message: expect.stringMatching(/cannot be read/) })
    await expect(world.call('SR.attach', { sr_uuid: sr, type: 'lvm', device_config: { device: '/dev/vdb' } })).rejects.toMatchObject({ kind: 'notFound', message: expect.stringMatching(/no volume group/) })
  })

  it('refuses an SR of the other type', async () => {
    const world = lvmWorld({ type: 'lvmthin' })
    await world.sr()
    await world.call('SR.detach', { sr_uuid: sr })
    const found = findGroups(world.state.root, world.disks)[0]
    if (found === undefined) throw new Error('no group')
    found.group.lvs = []
    commit(world.state.root, found)
    await expect(world.call('SR.attach', { sr_uuid: sr })).rejects.toMatchObject({ kind: 'identityMismatch', message: expect.stringMatching(/no thin pool/) })
  })

  it('keeps udev from activating the group, also one that was made elsewhere', async () => {
    const world = lvmWorld()
    await create(world, '/dev/vda')
    const found = findGroups(world.state.root, world.disks)[0]
    if (found === undefined) throw new Error('no group')
    found.group.autoactivation = true
    commit(world.state.root, found)
    await world.call('SR.attach', { sr_uuid: sr })
    expect(findGroups(world.state.root, world.disks)[0]?.group.autoactivation).toBe(false)
  })

  it('makes no volume of a VDI active', async () => {
    const world = lvmWorld({ type: 'lvmthin' })
    await world.sr()
    await world.vdi()
    await world.call('SR.detach', { sr_uuid: sr })
    expect([...world.state.active.keys()]).toEqual([])
    await world.call('SR.attach', { sr_uuid: sr })
    expect([...world.state.active.values()].map(({ name }) => name)).toEqual(['pool'])
  })

  it.each(['lvm', 'lvmthin'] as const)('takes what a device has gained (%s)', async (type) => {
    const world = lvmWorld({ type })
    await world.sr()
    const before = await world.call('SR.stat', { sr_uuid: sr })
    await world.call('SR.detach', { sr_uuid: sr })
    growDisk(world.state, world.disk(0), 2 * GiB)
    await world.call('SR.attach', { sr_uuid: sr })
    expect((await world.call('SR.stat', { sr_uuid: sr })).physical_size).toBe(before.physical_size + GiB)
  })

  it('refuses a device that has shrunk below its physical volume', async () => {
    const world = lvmWorld()
    await create(world, '/dev/vda')
    growDisk(world.state, world.disk(0), GiB / 2)
    await expect(world.call('SR.attach', { sr_uuid: sr })).rejects.toMatchObject({ kind: 'identityMismatch', message: expect.stringMatching(/shrunk/) })
  })

  it('refuses a group that was given another uuid by hand', async () => {
    const world = lvmWorld()
    await create(world, '/dev/vda')
    const found = findGroups(world.state.root, world.disks)[0]
    if (found === undefined) throw new Error('no group')
    found.group.uuid = 'aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa'
    commit(world.state.root, found)
    await expect(world.call('SR.attach', { sr_uuid: sr })).rejects.toMatchObject({ kind: 'identityMismatch', message: expect.stringMatching(/copy that was renamed by hand/) })
  })
})

describe('an SR while a device is gone', () => {
  it('shows its VDIs with their problem, warns, and creates nothing', async () => {
    const world = lvmWorld()
    await world.sr({ device: '/dev/vda,/dev/vdb' })
    await world.vdi()
    plug(world.state, world.disk(0), false)
    const { vdis, warnings } = await world.call('SR.scan', { sr_uuid: sr })
    expect(vdis).toMatchObject([{ uuid: vdi, problem: { kind: 'placeMissing' } }])
    expect(warnings).toEqual([`1 physical volume is missing from volume group ${vg}`])
    await expect(world.vdi({ vdi_uuid: other })).rejects.toMatchObject({ kind: 'placeMissing' })
  })

  it('lets go of an attached VDI by the map in the kernel, and of nothing else', async () => {
    const world = lvmWorld()
    await world.sr()
    await world.vdi()
    await world.call('VDI.attach', { sr_uuid: sr, vdi_uuid: vdi })
    plug(world.state, world.disk(0), false)
    for (const active of world.state.active.values()) active.open = 1
    await expect(world.call('VDI.detach', { sr_uuid: sr, vdi_uuid: vdi })).rejects.toMatchObject({ kind: 'busy' })
    for (const active of world.state.active.values()) active.open = 0
    expect(await world.call('VDI.detach', { sr_uuid: sr, vdi_uuid: vdi })).toEqual({ changed: true })
    expect(world.state.active.size).toBe(0)
    expect(await world.call('SR.detach', { sr_uuid: sr })).toEqual({ changed: true })
  })
})

describe('SR.probe', () => {
  it('lists every device with what it holds, and the SR with its name, by names that last', async () => {
    const world = lvmWorld({ disks: [GiB, GiB, GiB, GiB] })
    await world.sr({ device: '/dev/vda,/dev/vdb' })
    await world.vdi()
    makeExt4(world.state.root, world.disk(2))
    const { candidates, tried } = await world.call('SR.probe', { type: 'lvm', device_config: {} })
    expect(candidates.map(({ found, complete, device_config: { device }, sr: about }) => [found, complete, device, about?.name, about?.vdis])).toEqual([
      ['sr', true, '/dev/vda,/dev/vdb', 'disks', 1],
      ['occupied', false, '/dev/vdc', undefined, undefined],
      ['blank', true, '/dev/vdd', undefined, undefined],
    ])
    expect(tried.map(({ step }) => step)).toEqual(expect.arrayContaining(['lsblk', 'pvs', `lvs ${vg}`, 'look at /dev/vdc']))
  })

  it('tells a thin SR from a thick one', async () => {
    const world = lvmWorld({ type: 'lvmthin' })
    await world.sr()
    const { candidates } = await world.call('SR.probe', { type: 'lvmthin', device_config: { device: '/dev/vda' } })
    expect(candidates).toMatchObject([{ found: 'sr', complete: true, sr: { uuid: sr, name: 'disks' } }])
  })

  it('never offers a device that cannot be read', async () => {
    const world = lvmWorld()
    sicken(world.state, world.disk(0), 'fails')
    const { candidates } = await world.call('SR.probe', { type: 'lvm', device_config: { device: '/dev/vda' } })
    expect(candidates).toMatchObject([{ found: 'unknown', complete: false }])
  })
})
