/** What is special about VDIs that are logical volumes. */
import { describe, expect, it } from 'vitest'
import { GiB, MiB } from '../../../core/units.ts'
import { encodeTag } from '../../../host/lvm/tags.ts'
import { chunkSize, commit, extentSize, findGroups, newUuid, type FoundGroup } from '../../kit/fakes/lvm/groups.ts'
import { plug, sicken } from '../../kit/fakes/lvm/state.ts'
import { createModelFiles } from '../../kit/model/files.ts'
import { createProcess } from '../../kit/model/process.ts'
import { lvmWorld, other, sr, vdi, vg, type LvmWorld } from './world.ts'

const groupOf = (world: LvmWorld): FoundGroup => {
  const [found] = findGroups(world.state.root, world.disks)
  if (found === undefined) throw new Error('there is no group')
  return found
}

const tagsOf = (world: LvmWorld, uuid = vdi): readonly string[] => groupOf(world).group.lvs.find(({ name }) => name === `LV-${uuid}`)?.tags ?? []

const open = async (world: LvmWorld, path: string) => createModelFiles(world.machine.first.space, createProcess()).open(path, 'write')

const write = async (world: LvmWorld, offset: number, text: string, uuid = vdi): Promise<void> => {
  const { path } = await world.call('VDI.attach', { sr_uuid: sr, vdi_uuid: uuid })
  const file = await open(world, path)
  await file.write(offset, new TextEncoder().encode(text))
  await file.close()
  await world.call('VDI.detach', { sr_uuid: sr, vdi_uuid: uuid })
}

const read = async (world: LvmWorld, offset: number, length: number, uuid = vdi): Promise<string> => {
  const { path } = await world.call('VDI.attach', { sr_uuid: sr, vdi_uuid: uuid, mode: 'ro' })
  const file = await open(world, path)
  const bytes = await file.read(offset, length)
  await file.close()
  await world.call('VDI.detach', { sr_uuid: sr, vdi_uuid: uuid })
  return new TextDecoder().decode(bytes)
}

const lvmRuns = (world: LvmWorld): readonly string[] => world.ran.filter((line) => line.startsWith('lvm ')).map((line) => line.split(' ')[1] ?? '')

describe('the number of LVM processes', () => {
  it('is one for a scan, however many VDIs there are, in a fresh process too', async () => {
    const world = lvmWorld()
    await world.sr()
    const found = groupOf(world)
    for (let index = 0; index < 200; index += 1) {
      const uuid = `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`
      found.group.lvs.push({ name: `LV-${uuid}`, uuid: newUuid(), tags: [...encodeTag('name', `disk ${index}`)], writable: true, kind: 'linear', size: extentSize, segments: [{ pv: found.group.pvs[0]?.uuid ?? '', start: index, count: 1 }] })
    }
    commit(world.state.root, found)
    const fresh = world.process()
    expect((await fresh.call('SR.scan', { sr_uuid: sr })).vdis).toHaveLength(200)
    expect(lvmRuns(fresh)).toEqual(['lvs'])
    fresh.ran.length = 0
    await fresh.call('SR.stat', { sr_uuid: sr })
    await fresh.call('VDI.stat', { sr_uuid: sr, vdi_uuid: '00000000-0000-4000-8000-000000000007' })
    expect(lvmRuns(fresh)).toEqual(['lvs', 'lvs'])
  })

  it('is a look, the change and a look back for each change', async () => {
    const world = lvmWorld()
    await world.sr()
    await world.vdi()
    const count = async (work: () => Promise<unknown>): Promise<readonly string[]> => {
      world.ran.length = 0
      await work()
      return lvmRuns(world)
    }
    expect(await count(async () => world.vdi({ vdi_uuid: other }))).toEqual(['lvs', 'lvcreate', 'lvs'])
    expect(await count(async () => world.call('VDI.resize', { sr_uuid: sr, vdi_uuid: vdi, size: 16 * MiB }))).toEqual(['lvs', 'lvextend', 'lvs'])
    expect(await count(async () => world.call('VDI.set_names', { sr_uuid: sr, vdi_uuid: vdi, name: 'x' }))).toEqual(['lvs', 'lvchange', 'lvs'])
    expect(await count(async () => world.call('VDI.lock', { sr_uuid: sr, vdi_uuid: vdi, owner: 'x' }))).toEqual(['lvs', 'lvchange', 'lvs'])
    await world.call('VDI.attach', { sr_uuid: sr, vdi_uuid: vdi })
    expect(await count(async () => world.call('VDI.detach', { sr_uuid: sr, vdi_uuid: vdi }))).toEqual(['lvs', 'lvchange', 'lvs'])
    expect(await count(async () => world.call('VDI.attach', { sr_uuid: sr, vdi_uuid: vdi }))).toEqual(['lvs', 'lvchange', 'lvs'])
  })

  it('for ten attaches at once is that of two or three, not of ten', async () => {
    const world = lvmWorld()
    await world.sr()
    const disks: string[] = []
    for (let index = 0; index < 10; index += 1) disks.push((await world.call('VDI.create', { sr_uuid: sr, size: 4 * MiB })).uuid)
    const attach = async (vdi_uuid: string) => world.call('VDI.attach', { sr_uuid: sr, vdi_uuid })
    const detach = async (vdi_uuid: string) => world.call('VDI.detach', { sr_uuid: sr, vdi_uuid })
    const count = async (work: () => Promise<unknown>): Promise<number> => {
      world.ran.length = 0
      await work()
      return lvmRuns(world).length
    }
    const [first = ''] = disks
    // The head is zeroed at the first attach, which is one change more.
    const one = await count(async () => attach(first))
    await detach(first)
    await world.call('VDI.delete', { sr_uuid: sr, vdi_uuid: first })
    disks[0] = (await world.call('VDI.create', { sr_uuid: sr, size: 4 * MiB })).uuid
    const ten = await count(async () => expect(new Set((await Promise.all(disks.map(attach))).map(({ path }) => path)).size).toBe(10))
    expect(ten, `one attach: ${one} processes of LVM, ten: ${ten}`).toBeLessThanOrEqual(3 * one)
    expect(await count(async () => Promise.all(disks.map(detach)))).toBeLessThanOrEqual(8)
    expect((await world.call('SR.scan', { sr_uuid: sr })).vdis.filter(({ attached }) => attached !== undefined)).toEqual([])
  })

  it('changes nothing about who is told what: one of several that cannot be detached fails alone', async () => {
    const world = lvmWorld()
    await world.sr()
    const disks: string[] = []
    for (let index = 0; index < 4; index += 1) disks.push((await world.call('VDI.create', { sr_uuid: sr, size: 4 * MiB })).uuid)
    await Promise.all(disks.map(async (vdi_uuid) => world.call('VDI.attach', { sr_uuid: sr, vdi_uuid })))
    const held = [...world.state.active.values()].find(({ name }) => name === `LV-${disks[2] ?? ''}`)
    if (held !== undefined) held.open = 1
    const ended = await Promise.allSettled(disks.map(async (vdi_uuid) => world.call('VDI.detach', { sr_uuid: sr, vdi_uuid })))
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
    expect(ended[2]).toMatchObject({ reason: { kind: 'busy' } })
  })
})

describe('LVM is not believed', () => {
  it('when it says created on a disk that loses writes', async () => {
    const world = lvmWorld()
    await world.sr()
    sicken(world.state, world.disk(0), 'lies')
    await expect(world.vdi()).rejects.toMatchObject({ kind: 'ioError', message: expect.stringMatching(/said that it did, but the devices do not show it/), facts: { mayHaveChanged: true } })
    expect((await world.call('SR.scan', { sr_uuid: sr })).vdis).toEqual([])
  })

  it('when it fails after it has committed', async () => {
    const world = lvmWorld({ faults: [{ when: (step) => step.target.startsWith('lvm lvcreate'), fails: 'EIO', done: true, times: 1 }] })
    await world.sr()
    // The model's failure is the system's, not the tool's: the call fails, and the repeat finds what was made.
    await world.vdi().catch(() => undefined)
    await expect(world.vdi()).rejects.toMatchObject({ kind: 'alreadyExists' })
  })

  it('and a disk that fails writes leaves what was there', async () => {
    const world = lvmWorld()
    await world.sr()
    await world.vdi({ name: 'kept' })
    sicken(world.state, world.disk(0), 'fails-writes')
    await expect(world.call('VDI.resize', { sr_uuid: sr, vdi_uuid: vdi, size: 64 * MiB })).rejects.toMatchObject({ kind: 'ioError', facts: { layer: 'host:lvm' } })
    expect(await world.call('VDI.stat', { sr_uuid: sr, vdi_uuid: vdi })).toMatchObject({ size: 8 * MiB, name: 'kept' })
  })
})

describe('old content', () => {
  it('is overwritten before the space of a small deleted VDI is free again', async () => {
    const world = lvmWorld()
    await world.sr()
    await world.vdi()
    await write(world, 5 * MiB, 'secret')
    await world.call('VDI.delete', { sr_uuid: sr, vdi_uuid: vdi })
    expect(world.inventory().filter((line) => line.startsWith('volume'))).toEqual([])
    await world.vdi({ vdi_uuid: other })
    expect(await read(world, 5 * MiB, 6, other)).toBe('\0\0\0\0\0\0')
  })

  it('of a large one is overwritten by the collector, slice by slice, and its space is not used before', async () => {
    const world = lvmWorld({ disks: [4 * GiB] })
    await world.sr()
    await world.vdi({ size: 3 * GiB })
    await write(world, 5 * MiB, 'secret')
    await world.call('VDI.delete', { sr_uuid: sr, vdi_uuid: vdi })
    expect((await world.call('SR.scan', { sr_uuid: sr })).vdis).toEqual([])
    await expect(world.vdi({ vdi_uuid: other, size: 3 * GiB })).rejects.toMatchObject({ kind: 'noSpace' })
    expect(await world.call('SR.orphans', { sr_uuid: sr })).toMatchObject({ orphans: [{ bytes: 3 * GiB, collectable: true }] })
    expect((await world.call('SR.backlog', { sr_uuid: sr })).bytes).toBe(3 * GiB)
    world.ran.length = 0
    expect(await world.call('SR.collect', { sr_uuid: sr })).toMatchObject({ removed: 1 })
    expect(world.ran.filter((line) => line.startsWith('blkdiscard')).length).toBe(12)
    await world.vdi({ vdi_uuid: other, size: 3 * GiB })
    expect(await read(world, 5 * MiB, 6, other)).toBe('\0\0\0\0\0\0')
  })

  it('shows beyond the first MiB when the SR was told to leave it, and never in it', async () => {
    const world = lvmWorld()
    await world.sr({ device: '/dev/vda', wipe: 'head' })
    await world.vdi()
    await write(world, 0, 'boot')
    await write(world, 5 * MiB, 'secret')
    await world.call('VDI.delete', { sr_uuid: sr, vdi_uuid: vdi })
    await world.vdi({ vdi_uuid: other })
    expect(await read(world, 0, 4, other)).toBe('\0\0\0\0')
    expect(await read(world, 5 * MiB, 6, other)).toBe('secret')
  })

  it('is zeroed once: what a consumer wrote is not touched by the next attach', async () => {
    const world = lvmWorld()
    await world.sr()
    await world.vdi()
    expect(tagsOf(world)).toContain('sm.fresh=yes')
    await write(world, 0, 'boot')
    expect(tagsOf(world)).not.toContain('sm.fresh=yes')
    world.ran.length = 0
    expect(await read(world, 0, 4)).toBe('boot')
    expect(world.ran.filter((line) => line.startsWith('blkdiscard'))).toEqual([])
  })
})

describe('attaching', () => {
  it('answers the node that the SM API shows', async () => {
    const world = lvmWorld()
    await world.sr()
    await world.vdi()
    expect(await world.call('VDI.attach', { sr_uuid: sr, vdi_uuid: vdi })).toEqual({ path: `/dev/${vg}/LV-${vdi}`, content_type: 'aio', mode: 'rw', changed: true })
  })

  it('read-only lets the kernel refuse writes', async () => {
    const world = lvmWorld()
    await world.sr()
    await world.vdi()
    await world.call('VDI.attach', { sr_uuid: sr, vdi_uuid: vdi, mode: 'ro' })
    expect([...world.state.active.values()].map(({ readOnly }) => readOnly)).toEqual([true])
    await world.call('VDI.detach', { sr_uuid: sr, vdi_uuid: vdi })
    await world.call('VDI.attach', { sr_uuid: sr, vdi_uuid: vdi })
    expect([...world.state.active.values()].map(({ readOnly }) => readOnly)).toEqual([false])
  })

  it('resumes a map that a killed LVM left suspended', async () => {
    const world = lvmWorld()
    await world.sr()
    await world.vdi()
    await world.call('VDI.attach', { sr_uuid: sr, vdi_uuid: vdi })
    for (const active of world.state.active.values()) active.suspended = true
    expect((await world.call('SR.attach', { sr_uuid: sr })).recovered).toEqual([`Resumed volume LV-${vdi}`])
    expect([...world.state.active.values()].map(({ suspended }) => suspended)).toEqual([false])
  })

  it('leaves a volume that somebody has open alone: no detach, no delete', async () => {
    const world = lvmWorld()
    await world.sr()
    await world.vdi()
    await world.call('VDI.attach', { sr_uuid: sr, vdi_uuid: vdi })
    for (const active of world.state.active.values()) active.open = 1
    await expect(world.call('VDI.detach', { sr_uuid: sr, vdi_uuid: vdi })).rejects.toMatchObject({ kind: 'busy', message: expect.stringMatching(/is open/) })
    expect(world.state.active.size).toBe(1)
  })
})

describe('locks in tags', () => {
  it('say who holds them, in a form that people can read', async () => {
    const world = lvmWorld()
    await world.sr()
    await world.vdi()
    await world.call('VDI.lock', { sr_uuid: sr, vdi_uuid: vdi, owner: 'host7/vm3', ttl_seconds: 60 })
    expect(tagsOf(world).find((tag) => tag.startsWith('sm.lock='))).toMatch(/^sm\.lock=1=20\d+=20\d+=20host-1=20host7=2Fvm3$/)
  })

  it('that cannot be read may be held: only force takes them', async () => {
    const world = lvmWorld()
    await world.sr()
    await world.vdi()
    const found = groupOf(world)
    found.group.lvs[0]?.tags.push('sm.lock=garbled')
    commit(world.state.root, found)
    await expect(world.call('VDI.lock', { sr_uuid: sr, vdi_uuid: vdi, owner: 'me' })).rejects.toMatchObject({ kind: 'lockUnavailable' })
    await expect(world.call('VDI.resize', { sr_uuid: sr, vdi_uuid: vdi, size: GiB / 2 })).rejects.toMatchObject({ kind: 'imageCorrupt' })
    expect(await world.call('VDI.lock', { sr_uuid: sr, vdi_uuid: vdi, owner: 'me', force: true })).toMatchObject({ owner: 'me' })
    expect(await world.call('VDI.unlock', { sr_uuid: sr, vdi_uuid: vdi, owner: 'me' })).toEqual({ changed: true })
  })
})

describe('volumes of others in the group', () => {
  it('are no VDIs: they are told as orphans and keep the SR from being deleted', async () => {
    const world = lvmWorld()
    await world.sr()
    const found = groupOf(world)
    found.group.lvs.push({ name: `VHD-${vdi}`, uuid: newUuid(), tags: [], writable: true, kind: 'linear', size: extentSize, segments: [{ pv: found.group.pvs[0]?.uuid ?? '', start: 0, count: 1 }] })
    commit(world.state.root, found)
    expect((await world.call('SR.scan', { sr_uuid: sr })).vdis).toEqual([])
    expect(await world.call('SR.orphans', { sr_uuid: sr })).toMatchObject({ orphans: [{ where: `${vg}/VHD-${vdi}`, collectable: false }] })
    await expect(world.call('SR.delete', { sr_uuid: sr })).rejects.toMatchObject({ kind: 'notEmpty', message: expect.stringContaining(`VHD-${vdi}`) })
    expect(world.inventory()).toContain(`group ${vg}`)
  })

  it('made by hand under the name of a VDI are VDIs without names', async () => {
    const world = lvmWorld()
    await world.sr()
    const found = groupOf(world)
    found.group.lvs.push({ name: `LV-${vdi}`, uuid: newUuid(), tags: [], writable: true, kind: 'linear', size: extentSize, segments: [{ pv: found.group.pvs[0]?.uuid ?? '', start: 0, count: 1 }] })
    commit(world.state.root, found)
    expect((await world.call('SR.scan', { sr_uuid: sr })).vdis).toMatchObject([{ uuid: vdi, name: '', size: extentSize }])
  })
})

describe('a thin pool', () => {
  const thin = async (): Promise<LvmWorld> => {
    const world = lvmWorld({ type: 'lvmthin', disks: [256 * MiB] })
    await world.sr()
    return world
  }

  /** Lets VDIs of somebody else use so much of the pool. */
  const use = (world: LvmWorld, part: number): void => {
    const found = groupOf(world)
    const pool = found.group.lvs.find(({ kind }) => kind === 'pool')
    const chunks = Math.floor((pool?.size ?? 0) / chunkSize * part)
    found.group.lvs.push({ name: 'filler', uuid: newUuid(), tags: [], writable: true, kind: 'thin', size: extentSize, segments: [], pool: 'pool', map: Object.fromEntries(Array.from({ length: chunks }, (_, chunk) => [String(chunk), chunk])) })
    commit(world.state.root, found)
  }

  it('shows the space it promises beside the space it has', async () => {
    const world = await thin()
    await world.vdi({ size: 10 * GiB })
    await write(world, 0, 'x')
    const scan = await world.call('SR.scan', { sr_uuid: sr })
    expect(scan.virtual_allocation).toBe(10 * GiB)
    expect(scan.physical_size).toBeLessThan(256 * MiB)
    expect(scan.physical_utilisation).toBeGreaterThan(0)
    expect(scan.physical_utilisation).toBeLessThan(MiB)
    expect(scan.warnings).toBeUndefined()
  })

  it('warns before it is full, in scan and stat, and once in the log', async () => {
    const world = await thin()
    await world.vdi({ size: GiB })
    use(world, 0.85)
    const says = expect.stringMatching(/^The thin pool is 8[45] % full: .* are left, and its VDIs may grow to 1\.0 GiB in all$/)
    expect((await world.call('SR.scan', { sr_uuid: sr })).warnings).toEqual([says])
    expect((await world.call('SR.stat', { sr_uuid: sr })).warnings).toEqual([says])
    expect(world.logged().split('\n').filter((line) => line.includes('"level":40') && line.includes('thin pool'))).toHaveLength(1)
  })

  it('that is full takes no new VDI, snapshot or revert, and says so; deleting works and frees it', async () => {
    const world = await thin()
    await world.vdi({ size: GiB })
    await write(world, 0, 'x')
    const snapshot = await world.call('VDI.snapshot', { sr_uuid: sr, vdi_uuid: vdi })
    use(world, 1)
    expect((await world.call('SR.stat', { sr_uuid: sr })).warnings).toEqual([expect.stringMatching(/is stopped: out of data space/), expect.stringMatching(/100 % full/)])
    await expect(world.vdi({ vdi_uuid: other })).rejects.toMatchObject({ kind: 'noSpace' })
    await expect(world.call('VDI.snapshot', { sr_uuid: sr, vdi_uuid: vdi })).rejects.toMatchObject({ kind: 'noSpace' })
    await expect(world.call('VDI.revert', { sr_uuid: sr, vdi_uuid: vdi, snapshot_uuid: snapshot.uuid })).rejects.toMatchObject({ kind: 'noSpace' })
    await world.call('VDI.delete', { sr_uuid: sr, vdi_uuid: snapshot.uuid })
    const found = groupOf(world)
    found.group.lvs = found.group.lvs.filter(({ name }) => name !== 'filler')
    commit(world.state.root, found)
    await world.vdi({ vdi_uuid: other })
  })

  it('tells what a VDI uses while it is attached, and what it used last when it is not', async () => {
    const world = await thin()
    await world.vdi({ size: 16 * MiB })
    expect((await world.call('VDI.stat', { sr_uuid: sr, vdi_uuid: vdi })).utilisation).toBe(0)
    const { path } = await world.call('VDI.attach', { sr_uuid: sr, vdi_uuid: vdi })
    const file = await open(world, path)
    await file.write(0, new Uint8Array(2 * MiB).fill(1))
    await file.close()
    const used = (await world.call('VDI.stat', { sr_uuid: sr, vdi_uuid: vdi })).utilisation
    expect(used).toBe(2 * MiB)
    await world.call('VDI.detach', { sr_uuid: sr, vdi_uuid: vdi })
    expect((await world.call('VDI.stat', { sr_uuid: sr, vdi_uuid: vdi })).utilisation).toBe(used)
    expect(await world.call('VDI.snapshot', { sr_uuid: sr, vdi_uuid: vdi, dest_uuid: other })).toMatchObject({ kind: 'snapshot', read_only: true, utilisation: used, snapshot_of: vdi })
  })

  it('errors or waits when it is full, as the dconf says at each attach', async () => {
    const world = await thin()
    const whenFull = (): string | undefined => groupOf(world).group.lvs.find(({ kind }) => kind === 'pool')?.whenFull
    expect(whenFull()).toBe('error')
    await world.call('SR.detach', { sr_uuid: sr })
    await world.call('SR.attach', { sr_uuid: sr, type: 'lvmthin', device_config: { device: '/dev/vda', errorwhenfull: 'no' } })
    expect(whenFull()).toBe('queue')
  })

  it('can be given less than the whole group', async () => {
    const world = lvmWorld({ type: 'lvmthin' })
    await world.call('SR.create', { sr_uuid: sr, type: 'lvmthin', device_config: { device: '/dev/vda', metadatasize: '8M' }, size: 256 * MiB })
    await world.call('SR.attach', { sr_uuid: sr })
    expect((await world.call('SR.stat', { sr_uuid: sr })).physical_size).toBe(256 * MiB)
  })

  it('does not take the content of a snapshot of another VDI', async () => {
    const world = await thin()
    await world.vdi()
    await world.vdi({ vdi_uuid: other })
    const snapshot = await world.call('VDI.snapshot', { sr_uuid: sr, vdi_uuid: other })
    await expect(world.call('VDI.revert', { sr_uuid: sr, vdi_uuid: vdi, snapshot_uuid: snapshot.uuid })).rejects.toMatchObject({ kind: 'invalidArgument', facts: { field: 'snapshot_uuid' } })
  })
})

describe('a thick SR', () => {
  it('answers ENOSYS for snapshot and clone, as the SM API says of LVM', async () => {
    const world = lvmWorld()
    await world.sr()
    await world.vdi()
    await expect(world.call('VDI.snapshot', { sr_uuid: sr, vdi_uuid: vdi })).rejects.toMatchObject({ kind: 'notSupported' })
    await expect(world.call('VDI.clone', { sr_uuid: sr, vdi_uuid: vdi })).rejects.toMatchObject({ kind: 'notSupported' })
  })

  it('tells what is needed and what is free when a VDI does not fit', async () => {
    const world = lvmWorld()
    await world.sr()
    await expect(world.vdi({ size: 2 * GiB })).rejects.toMatchObject({ kind: 'noSpace', facts: { details: { needed: 2 * GiB, free: expect.any(Number) } } })
    await world.vdi()
    await expect(world.call('VDI.resize', { sr_uuid: sr, vdi_uuid: vdi, size: 2 * GiB })).rejects.toMatchObject({ kind: 'noSpace', facts: { details: { needed: 2 * GiB - 8 * MiB } } })
  })

  it('is not deleted while a device is missing, which would keep its metadata', async () => {
    const world = lvmWorld()
    await world.sr({ device: '/dev/vda,/dev/vdb' })
    plug(world.state, world.disk(1), false)
    await expect(world.call('SR.delete', { sr_uuid: sr })).rejects.toMatchObject({ kind: 'placeMissing' })
    plug(world.state, world.disk(1), true)
    expect(await world.call('SR.delete', { sr_uuid: sr })).toEqual({ changed: true })
  })
})
