/** A block copy of an SR becomes an SR of its own, beside the original and without touching it. */
import { describe, expect, it } from 'vitest'
import { asSrUuid, asVdiUuid, copiedVdiUuid } from '../../../core/ids.ts'
import { GiB } from '../../../core/units.ts'
import { runLvm } from '../../kit/fakes/lvm/commands.ts'
import { readBytes, readText, writeBytes } from '../../kit/fakes/lvm/disks.ts'
import { cloneDisk } from '../../kit/fakes/lvm/state.ts'
import { createModelFiles } from '../../kit/model/files.ts'
import { createProcess } from '../../kit/model/process.ts'
import { lvmWorld, other, sr, vdi, type LvmWorld } from './world.ts'

const copySr = '11111111-2222-4333-8444-555555555555'
const copied = copiedVdiUuid(asSrUuid(copySr), asVdiUuid(vdi))
const types = ['lvm', 'lvmthin'] as const

const bytes = async (world: LvmWorld, ofSr: string, vdi_uuid: string, text?: string): Promise<string> => {
  const { path } = await world.call('VDI.attach', { sr_uuid: ofSr, vdi_uuid })
  const file = await createModelFiles(world.machine.first.space, createProcess()).open(path, 'write')
  if (text !== undefined) await file.write(8192, new TextEncoder().encode(text))
  const found = new TextDecoder().decode(await file.read(8192, 4))
  await file.close()
  await world.call('VDI.detach', { sr_uuid: ofSr, vdi_uuid })
  return found
}

/** An SR over two devices with two VDIs, locked and snapshotted, and its copy on two others. */
const withCopy = async (type: (typeof types)[number]): Promise<LvmWorld> => {
  const world = lvmWorld({ type, disks: [GiB, GiB, GiB, GiB] })
  await world.sr({ device: '/dev/vda,/dev/vdb' })
  await world.vdi({ name: 'root disk' })
  await bytes(world, sr, vdi, 'orig')
  if (type === 'lvmthin') await world.call('VDI.snapshot', { sr_uuid: sr, vdi_uuid: vdi, dest_uuid: other, name: 'before' })
  else await world.vdi({ vdi_uuid: other, name: 'data' })
  await world.call('VDI.lock', { sr_uuid: sr, vdi_uuid: vdi, owner: 'host7/vm3' })
  cloneDisk(world.state, world.disk(0), world.disk(2))
  cloneDisk(world.state, world.disk(1), world.disk(3))
  return world
}

const reidentify = async (world: LvmWorld, type: string, device = '/dev/vdc,/dev/vdd') =>
  world.call('SR.reidentify', { sr_uuid: copySr, type, device_config: { device }, original_uuid: sr })

describe.each(types)('SR.reidentify of a copied %s SR', (type) => {
  it('gives it new uuids all through, keeps names, drops locks, and lets both live side by side', async () => {
    const world = await withCopy(type)
    const before = await world.call('SR.scan', { sr_uuid: sr })
    await world.call('VDI.attach', { sr_uuid: sr, vdi_uuid: other })
    const texts = [0, 1].map((index) => readText(world.state.root, world.disk(index)))

    const { vdis } = await reidentify(world, type)
    expect(vdis).toEqual(expect.arrayContaining([{ vdi_uuid: copied, original_uuid: vdi }]))
    expect(vdis).toHaveLength(2)
    expect([0, 1].map((index) => readText(world.state.root, world.disk(index)))).toEqual(texts)

    await world.call('VDI.detach', { sr_uuid: sr, vdi_uuid: other })
    await world.call('SR.attach', { sr_uuid: copySr })
    const copy = await world.call('SR.scan', { sr_uuid: copySr })
    expect(copy.name).toBe(before.name)
    expect(new Set(copy.vdis.map(({ uuid, name, kind, locked }) => `${uuid} ${name} ${kind} ${locked}`))).toEqual(
      new Set(before.vdis.map(({ uuid, name, kind }) => `${copiedVdiUuid(asSrUuid(copySr), uuid)} ${name} ${kind} false`)),
    )
    const snapshot = copy.vdis.find(({ kind }) => kind === 'snapshot')
    if (type === 'lvmthin') expect(snapshot?.snapshot_of).toBe(copied)
    await world.call('VDI.unlock', { sr_uuid: sr, vdi_uuid: vdi, owner: 'host7/vm3' })
    expect(await bytes(world, copySr, copied, 'copy')).toBe('copy')
    expect(await bytes(world, sr, vdi)).toBe('orig')
  })

  it('can be repeated, and answers the same', async () => {
    const world = await withCopy(type)
    const first = await reidentify(world, type)
    expect(await reidentify(world, type)).toEqual(first)
    await world.call('SR.attach', { sr_uuid: copySr })
    expect((await world.call('SR.scan', { sr_uuid: copySr })).vdis).toHaveLength(2)
  })

  it('works on a copy of a copy', async () => {
    const world = lvmWorld({ type, disks: [GiB, GiB, GiB] })
    await world.sr({ device: '/dev/vda' })
    await world.vdi()
    cloneDisk(world.state, world.disk(0), world.disk(1))
    await reidentify(world, type, '/dev/vdb')
    cloneDisk(world.state, world.disk(1), world.disk(2))
    const third = '99999999-2222-4333-8444-555555555555'
    const { vdis } = await world.call('SR.reidentify', { sr_uuid: third, type, device_config: { device: '/dev/vdc' }, original_uuid: copySr })
    expect(vdis).toEqual([{ vdi_uuid: copiedVdiUuid(asSrUuid(third), copied), original_uuid: copied }])
  })

  it('is finished by a repeat after the process died at any step', async () => {
    const reference = await withCopy(type)
    const wanted = await reidentify(reference, type)
    const steps = reference.engine.process.steps.length - (await withCopy(type)).engine.process.steps.length
    expect(steps).toBeGreaterThan(6)
    for (let at = 1; at <= steps; at += 1) {
      for (const moment of ['before', 'after'] as const) {
        const world = await withCopy(type)
        const dying: LvmWorld = world.process({
          onStep: (_step, number, now) => {
            if (number === at && now === moment) dying.engine.process.kill()
          },
        })
        void reidentify(dying, type).catch(() => undefined)
        while (dying.engine.process.alive) await new Promise((resolve) => setImmediate(resolve))
        // No attach takes a half-changed copy for anything.
        const fresh = world.process()
        expect(await reidentify(fresh, type), `killed ${moment} step ${at}`).toEqual(wanted)
        await fresh.call('SR.attach', { sr_uuid: copySr })
        expect((await fresh.call('SR.scan', { sr_uuid: copySr })).vdis).toHaveLength(2)
        expect((await fresh.call('SR.scan', { sr_uuid: sr })).vdis).toHaveLength(2)
      }
    }
  })
})

/** What vgimportclone had written when the power went: labels first, device by device, then the headers. */
const interruptions = {
  'one label': [[512], []],
  'all labels': [[512], [512]],
  'all labels and one header': [[512, 4096], [512]],
} as const

describe.each(types)('a re-identification of a %s SR on several devices', (type) => {
  it.each(Object.entries(interruptions))('that was interrupted when LVM had written %s is finished by a repeat', async (_what, written) => {
    const wanted = await reidentify(await withCopy(type), type)
    const world = await withCopy(type)
    const dying: LvmWorld = world.process({
      onStep: (step, _number, now) => {
        if (now === 'before' && step.target.startsWith('lvm vgimportclone')) dying.engine.process.kill()
      },
    })
    void reidentify(dying, type).catch(() => undefined)
    while (dying.engine.process.alive) await new Promise((resolve) => setImmediate(resolve))
    const { root } = world.state
    const copies = [world.disk(2), world.disk(3)]
    const before = copies.map((disk) => new Map([512, 4096].map((at) => [at, readBytes(root, disk, at, 512)])))
    expect(runLvm(world.state, ['vgimportclone', '-qq', '--devices', '/dev/vdc,/dev/vdd', '--basevgname', `VG_XenStorage-${copySr}`, '/dev/vdc', '/dev/vdd']).exitCode).toBe(0)
    for (const [index, disk] of copies.entries()) {
      for (const [at, bytes] of before[index] ?? []) if (!(written[index] as readonly number[] | undefined)?.includes(at)) writeBytes(root, disk, at, bytes)
    }
    const fresh = world.process()
    expect(await reidentify(fresh, type)).toEqual(wanted)
    await fresh.call('SR.attach', { sr_uuid: copySr })
    expect((await fresh.call('SR.scan', { sr_uuid: copySr })).vdis).toHaveLength(2)
    expect(await bytes(fresh, copySr, copied)).toBe('orig')
    expect(await bytes(fresh, sr, vdi)).toBe('orig')
    // The sectors that were kept would undo the copy one day.
    for (const disk of copies) expect(readBytes(root, disk, 2048, 2048).every((byte) => byte === 0)).toBe(true)
  })
})

describe('SR.reidentify', () => {
  it('does not believe that a group of several devices is done while one of them still carries the old one', async () => {
    const wanted = await reidentify(await withCopy('lvm'), 'lvm')
    const world = await withCopy('lvm')
    const { root } = world.state
    const last = world.disk(3)
    let header: ReturnType<typeof readBytes> | undefined
    const unlucky: LvmWorld = world.process({
      onStep: (step, _number, now) => {
        if (!step.target.startsWith('lvm vgimportclone')) return
        if (now === 'before') header = readBytes(root, last, 4096, 512)
        else if (header !== undefined) writeBytes(root, last, 4096, header)
      },
    })
    await expect(reidentify(unlucky, 'lvm')).rejects.toMatchObject({ kind: 'ioError', message: expect.stringMatching(/did not reach every one of .*\/dev\/vdd.* carry VG_XenStorage-87b8646b/), facts: { mayHaveChanged: true, remedy: expect.stringMatching(/[Rr]epeat/) } })
    const fresh = world.process()
    expect(await reidentify(fresh, 'lvm')).toEqual(wanted)
    await fresh.call('SR.attach', { sr_uuid: copySr })
    expect(await bytes(fresh, copySr, copied)).toBe('orig')
  })

  it('refuses devices that carry something else, or nothing', async () => {
    const world = lvmWorld()
    await world.sr({ device: '/dev/vda' })
    await expect(reidentify(world, 'lvm', '/dev/vdb')).rejects.toMatchObject({ kind: 'identityMismatch', message: expect.stringMatching(/no volume group/) })
    await expect(world.call('SR.reidentify', { sr_uuid: copySr, type: 'lvm', device_config: { device: '/dev/vda' }, original_uuid: other })).rejects.toMatchObject({ kind: 'identityMismatch', message: expect.stringContaining(sr) })
  })

  it('refuses devices with something active on them: they may be the original', async () => {
    const world = lvmWorld()
    await world.sr({ device: '/dev/vda' })
    await world.vdi()
    await world.call('VDI.attach', { sr_uuid: sr, vdi_uuid: vdi })
    await expect(reidentify(world, 'lvm', '/dev/vda')).rejects.toMatchObject({ kind: 'busy', message: expect.stringMatching(/may be the original itself/) })
  })

  it('marks a copy before it changes it, so that no attach takes it for the original', async () => {
    const world = await withCopy('lvm')
    const dying: LvmWorld = world.process({
      onStep: (step, _number, now) => {
        if (now === 'before' && step.target.startsWith('lvm vgimportclone')) dying.engine.process.kill()
      },
    })
    void reidentify(dying, 'lvm').catch(() => undefined)
    while (dying.engine.process.alive) await new Promise((resolve) => setImmediate(resolve))
    const elsewhere = world.process()
    await elsewhere.call('SR.detach', { sr_uuid: sr })
    world.state.disks.splice(0, 2)
    await expect(elsewhere.call('SR.attach', { sr_uuid: sr, type: 'lvm', device_config: { device: '/dev/vdc,/dev/vdd' } })).rejects.toMatchObject({ kind: 'identityMismatch', message: expect.stringMatching(/re-identification was interrupted/) })
  })
})
