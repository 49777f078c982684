import { copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { asSrUuid, copiedVdiUuid, type VdiUuid } from '../../../core/ids.ts'
import { MiB } from '../../../core/units.ts'
import { fileWorld, newVdi, type FileWorld } from './world.ts'

let world: FileWorld
beforeEach(async () => {
  world = await fileWorld()
})
afterEach(async () => world.dispose())

const image = (vdi: VdiUuid): string => join(world.location, `${vdi}.vhd`)
const own = (...parts: string[]): string => join(world.location, '.storage-manager', ...parts)
const create = async (size = 4 * MiB, more: { readonly name?: string } = {}): Promise<VdiUuid> => {
  const vdi = newVdi()
  await world.engine.call('VDI.create', { sr_uuid: world.sr, vdi_uuid: vdi, size, ...more })
  return vdi
}
const scan = async () => (await world.engine.call('SR.scan', { sr_uuid: world.sr })).vdis
const sectorsOf = (fill: number): Uint8Array => new Uint8Array(1024).fill(fill)

describe('a snapshot', () => {
  it('takes the data under its own name and leaves an empty child under the old one', async () => {
    const disk = await create()
    await world.write(disk, 0, sectorsOf(7))
    const inode = statSync(image(disk)).ino
    const { uuid } = await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: disk })
    expect(statSync(image(uuid)).ino).toBe(inode)
    expect((await scan()).find((vdi) => vdi.uuid === disk)).toMatchObject({ kind: 'disk', parent: uuid })
    expect((await scan()).find((vdi) => vdi.uuid === uuid)).toMatchObject({ kind: 'snapshot', read_only: true, snapshot_of: disk })
  })

  it('of a snapshot is a child of it, and the original is not touched', async () => {
    const disk = await create()
    const first = await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: disk })
    const before = readFileSync(image(first.uuid))
    const second = await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: first.uuid })
    expect(second).toMatchObject({ kind: 'snapshot', parent: first.uuid })
    expect(readFileSync(image(first.uuid)).equals(before)).toBe(true)
  })
})

describe('a clone', () => {
  it('puts the data into a base that nobody can write, under two children', async () => {
    const disk = await create()
    await world.write(disk, 4096, sectorsOf(9))
    const made = await world.engine.call('VDI.clone', { sr_uuid: world.sr, vdi_uuid: disk, name: 'twin' })
    const base = (await scan()).find((vdi) => vdi.kind === 'base')
    expect(base).toBeDefined()
    expect(made).toMatchObject({ kind: 'disk', name: 'twin', parent: base?.uuid })
    await expect(world.engine.call('VDI.attach', { sr_uuid: world.sr, vdi_uuid: base?.uuid ?? '', mode: 'rw' })).rejects.toMatchObject({ kind: 'readOnly' })
    expect(await world.read(made.uuid, 4096, 1024)).toEqual(sectorsOf(9))
  })
})

describe('the limit of chains', () => {
  it('refuses one image too many, and says what to do', async () => {
    const disk = await create(2 * MiB)
    for (let depth = 1; depth < 30; depth += 1) await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: disk })
    await expect(world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: disk })).rejects.toMatchObject({
      kind: 'limitExceeded', facts: { remedy: expect.stringContaining('smctl sr collect') },
    })
    for (const vdi of await scan()) if (vdi.kind === 'snapshot') await world.engine.call('VDI.delete', { sr_uuid: world.sr, vdi_uuid: vdi.uuid })
    await world.engine.call('SR.collect', { sr_uuid: world.sr })
    expect(await scan()).toHaveLength(1)
    await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: disk })
  })
})

describe('deleting', () => {
  it('several collectors may work on the same chains at once: what one has merged is no failure of the others', async () => {
    const { engine, sr } = world
    const collectors = [engine, await world.restart(), await world.restart()]
    for (let chain = 0; chain < 3; chain += 1) {
      const { uuid } = await engine.call('VDI.create', { sr_uuid: sr, size: 8 * MiB })
      for (let level = 0; level < 4; level += 1) {
        const { uuid: snapshot } = await engine.call('VDI.snapshot', { sr_uuid: sr, vdi_uuid: uuid })
        await engine.call('VDI.delete', { sr_uuid: sr, vdi_uuid: snapshot })
      }
    }
    const done = await Promise.all(collectors.map(async (one) => one.call('SR.collect', { sr_uuid: sr })))
    expect(done.reduce((sum, { coalesced }) => sum + coalesced, 0)).toBe(12)
    expect((await engine.call('SR.scan', { sr_uuid: sr })).vdis).toHaveLength(3)
  })

  it('a snapshot that others read through keeps its data as a base until the collector can merge it', async () => {
    const disk = await create()
    await world.write(disk, 0, sectorsOf(1))
    const { uuid } = await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: disk })
    await world.write(disk, 512, sectorsOf(2))
    await world.engine.call('VDI.delete', { sr_uuid: world.sr, vdi_uuid: uuid })
    expect((await scan()).find((vdi) => vdi.uuid === uuid)?.kind).toBe('base')
    const backlog = await world.engine.call('SR.backlog', { sr_uuid: world.sr })
    expect(backlog).toMatchObject({ longest_chain: 2, steps: [{ action: 'coalesce', vdi_uuid: uuid, child_uuid: disk, blocked_by: [] }] })
    expect(await world.engine.call('SR.collect', { sr_uuid: world.sr })).toMatchObject({ coalesced: 1, blocked: 0 })
    expect((await scan()).map((vdi) => vdi.uuid)).toEqual([disk])
    expect(await world.read(disk, 0, 1536)).toEqual(new Uint8Array([...new Uint8Array(512).fill(1), ...sectorsOf(2)]))
  })

  it('waits for the user of a disk, and names it', async () => {
    const disk = await create()
    const { uuid } = await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: disk })
    await world.engine.call('VDI.delete', { sr_uuid: world.sr, vdi_uuid: uuid })
    await world.engine.call('VDI.attach', { sr_uuid: world.sr, vdi_uuid: disk })
    expect(await world.engine.call('SR.collect', { sr_uuid: world.sr })).toMatchObject({ coalesced: 0, blocked: 1 })
    const backlog = await world.engine.call('SR.backlog', { sr_uuid: world.sr })
    expect(backlog.steps[0]?.blocked_by).toEqual([expect.stringContaining(disk)])
  })

  it('never removes a file that came from elsewhere while something reads through it', async () => {
    const disk = await create()
    const { uuid } = await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: disk })
    // As if the chain had been made by other tools: no marks of ours.
    rmSync(own('vdis'), { recursive: true })
    mkdirSync(own('vdis'))
    await expect(world.engine.call('VDI.delete', { sr_uuid: world.sr, vdi_uuid: uuid })).rejects.toMatchObject({ kind: 'hasDependents' })
    expect((await scan()).find((vdi) => vdi.uuid === uuid)?.kind).toBe('base')
    await expect(world.engine.call('VDI.resize', { sr_uuid: world.sr, vdi_uuid: uuid, size: 8 * MiB })).rejects.toMatchObject({ kind: 'readOnly' })
  })
})

describe('a scan', () => {
  it('tells the damaged from the sound, and is spoilt by neither', async () => {
    const [sound, torn, empty] = [await create(), await create(), newVdi()]
    truncateSync(image(torn), 700)
    writeFileSync(image(empty), '')
    const folder = newVdi()
    mkdirSync(image(folder))
    const link = newVdi()
    symlinkSync('/etc/passwd', image(link))
    const found = new Map((await scan()).map((vdi) => [vdi.uuid, vdi]))
    expect(found.get(sound)?.problem).toBeUndefined()
    for (const bad of [torn, empty, folder, link]) expect(found.get(bad)?.problem).toMatchObject({ kind: 'imageCorrupt', remedy: expect.any(String) })
    expect(await world.engine.call('VDI.stat', { sr_uuid: world.sr, vdi_uuid: torn })).toMatchObject({ problem: { kind: 'imageCorrupt' } })
    await expect(world.engine.call('VDI.attach', { sr_uuid: world.sr, vdi_uuid: torn })).rejects.toMatchObject({ kind: 'imageCorrupt' })
  })

  it('tells a missing parent, and a parent that is another image than it was', async () => {
    const disk = await create()
    const { uuid: snapshot } = await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: disk })
    const other = await create()
    renameSync(image(snapshot), `${image(snapshot)}.away`)
    expect((await scan()).find((vdi) => vdi.uuid === disk)?.problem?.message).toContain('not there')
    copyFileSync(image(other), image(snapshot))
    expect((await scan()).find((vdi) => vdi.uuid === disk)?.problem?.message).toContain('has id')
    await expect(world.engine.call('VDI.attach', { sr_uuid: world.sr, vdi_uuid: disk })).rejects.toMatchObject({ kind: 'imageCorrupt' })
  })

  it('tells a circle instead of running in it', async () => {
    const disk = await create()
    const { uuid: snapshot } = await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: disk })
    const { uuid: second } = await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: disk })
    rmSync(image(snapshot))
    copyFileSync(image(disk), image(snapshot))
    const problems = (await scan()).flatMap((vdi) => (vdi.problem === undefined ? [] : [vdi.uuid]))
    expect(problems).toEqual(expect.arrayContaining([disk, second]))
  })

  it('fails when the place has lost its identity: that is no empty SR', async () => {
    await create()
    renameSync(own('sr.json'), own('sr.away'))
    await expect(scan()).rejects.toMatchObject({ kind: 'placeMissing' })
    await expect(world.engine.call('VDI.stat', { sr_uuid: world.sr, vdi_uuid: newVdi() })).rejects.toMatchObject({ kind: 'placeMissing' })
  })

  it('lists a VDI whose facts are damaged with that problem, and lets nobody change it', async () => {
    const disk = await create(4 * MiB, { name: 'precious' })
    writeFileSync(own('vdis', `${disk}.json`), '{"format":1,"kind":')
    expect((await scan())[0]?.problem?.message).toContain('damaged')
    await expect(world.engine.call('VDI.resize', { sr_uuid: world.sr, vdi_uuid: disk, size: 8 * MiB })).rejects.toMatchObject({ kind: 'imageCorrupt' })
  })
})

describe('verify and orphans', () => {
  it('find what belongs to nobody and two VDIs on one file', async () => {
    const disk = await create()
    writeFileSync(join(world.location, 'notes.txt'), 'hello')
    linkSync(image(disk), image(newVdi()))
    expect((await world.engine.call('SR.orphans', { sr_uuid: world.sr })).orphans).toMatchObject([{ where: 'notes.txt', collectable: false }])
    const { findings } = await world.engine.call('SR.verify', { sr_uuid: world.sr })
    expect(findings).toMatchObject([{ weight: 'damage', what: expect.stringContaining('two names of one file') }])
  })

  it('mend a lost footer, after telling so in a dry run that changes nothing', async () => {
    const disk = await create()
    await world.write(disk, 0, sectorsOf(3))
    const path = image(disk)
    truncateSync(path, statSync(path).size - 512)
    const before = readFileSync(path)
    const dry = await world.engine.call('SR.verify', { sr_uuid: world.sr, repair: 'dry-run' })
    expect(dry.findings).toMatchObject([{ vdi_uuid: disk, weight: 'repairable', repaired: true }])
    expect(readFileSync(path).equals(before)).toBe(true)
    await world.engine.call('SR.verify', { sr_uuid: world.sr, repair: 'yes' })
    expect((await world.engine.call('SR.verify', { sr_uuid: world.sr })).findings).toEqual([])
    expect(await world.read(disk, 0, 1024)).toEqual(sectorsOf(3))
  })
})

describe('adopting', () => {
  it('makes an SR of a directory of images and lets no parent be written', async () => {
    const disk = await create()
    const { uuid: snapshot } = await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: disk })
    const foreign = join(world.root, 'foreign')
    mkdirSync(foreign)
    for (const vdi of [disk, snapshot]) copyFileSync(image(vdi), join(foreign, `${vdi}.vhd`))
    const probed = await world.engine.call('SR.probe', { type: 'file', device_config: { location: foreign } })
    expect(probed.candidates).toMatchObject([{ found: 'adoptable', complete: true }])
    await expect(world.engine.call('SR.create', { type: 'file', device_config: { location: foreign } })).rejects.toMatchObject({ kind: 'placeNotBlank' })
    const { sr_uuid, adopted } = await world.engine.call('SR.introduce', { type: 'file', device_config: { location: foreign }, name: 'found' })
    expect(adopted).toBe(true)
    await world.engine.call('SR.attach', { sr_uuid })
    const { vdis } = await world.engine.call('SR.scan', { sr_uuid })
    expect(new Map(vdis.map((vdi) => [vdi.uuid, vdi.kind]))).toEqual(new Map([[disk, 'disk'], [snapshot, 'base']]))
  })
})

describe('a copy of the directory', () => {
  it('becomes an SR of its own beside the original, with the same content under new uuids', async () => {
    const disk = await create(4 * MiB, { name: 'root' })
    await world.write(disk, 0, sectorsOf(5))
    const { uuid: snapshot } = await world.engine.call('VDI.snapshot', { sr_uuid: world.sr, vdi_uuid: disk })
    await world.write(disk, 0, sectorsOf(6))
    await world.engine.call('VDI.lock', { sr_uuid: world.sr, vdi_uuid: disk, owner: 'vm1' })
    const copy = join(world.root, 'copy')
    const { cpSync } = await import('node:fs')
    cpSync(world.location, copy, { recursive: true })
    const device_config = { location: copy }
    const own_uuid = asSrUuid(crypto.randomUUID())
    await expect(world.engine.call('SR.attach', { sr_uuid: own_uuid, type: 'file', device_config })).rejects.toMatchObject({ kind: 'identityMismatch' })
    const made = await world.engine.call('SR.reidentify', { sr_uuid: own_uuid, type: 'file', device_config, original_uuid: world.sr })
    expect(await world.engine.call('SR.reidentify', { sr_uuid: own_uuid, type: 'file', device_config, original_uuid: world.sr })).toEqual(made)
    await world.engine.call('SR.attach', { sr_uuid: own_uuid })
    const vdis = new Map((await world.engine.call('SR.scan', { sr_uuid: own_uuid })).vdis.map((vdi) => [vdi.uuid, vdi]))
    const [newDisk, newSnapshot] = [copiedVdiUuid(own_uuid, disk), copiedVdiUuid(own_uuid, snapshot)]
    expect(made.vdis).toEqual(expect.arrayContaining([{ vdi_uuid: newDisk, original_uuid: disk }, { vdi_uuid: newSnapshot, original_uuid: snapshot }]))
    expect(vdis.get(newDisk)).toMatchObject({ name: 'root', parent: newSnapshot, locked: false })
    expect(vdis.get(newSnapshot)).toMatchObject({ kind: 'snapshot', snapshot_of: newDisk })
    expect((await world.engine.call('SR.verify', { sr_uuid: own_uuid })).findings).toEqual([])
    expect((await scan()).map((vdi) => vdi.uuid).sort()).toEqual([disk, snapshot].sort())
  })
})

describe('a place', () => {
  it.each([
    ['that is a symbolic link', (path: string) => symlinkSync(world.location, path), 'placeNotBlank'],
    ['that is a file', (path: string) => writeFileSync(path, ''), 'placeNotBlank'],
    ['that holds something else', (path: string) => { mkdirSync(path); writeFileSync(join(path, 'x'), '') }, 'placeNotBlank'],
    ['whose parent is missing', () => undefined, 'placeMissing'],
  ])('%s is refused and left as it is', async (what, make, kind) => {
    const location = join(world.root, what === 'whose parent is missing' ? 'no/where' : 'place')
    make(location)
    const before = existsSync(location) && statSync(location).isDirectory() ? readdirSync(location) : []
    await expect(world.engine.call('SR.create', { type: 'file', device_config: { location } })).rejects.toMatchObject({ kind, facts: { remedy: expect.any(String) } })
    expect(existsSync(location) && statSync(location).isDirectory() ? readdirSync(location) : []).toEqual(what === 'that is a symbolic link' ? readdirSync(world.location) : before)
  })

  it.each(['relative/path', '/', '/a//b', '/a/../etc', '/a/', '/a\nb', ''])('cannot be written as %j', async (location) => {
    await expect(world.engine.call('SR.create', { type: 'file', device_config: { location } })).rejects.toMatchObject({ kind: 'invalidArgument', facts: { field: 'device_config.location' } })
  })

  it('is clean after the SR is deleted: another one can be made there', async () => {
    const disk = await create()
    await world.engine.call('VDI.lock', { sr_uuid: world.sr, vdi_uuid: disk, owner: 'vm1' })
    await world.engine.call('VDI.unlock', { sr_uuid: world.sr, vdi_uuid: disk, owner: 'vm1' })
    await expect(world.engine.call('SR.delete', { sr_uuid: world.sr })).rejects.toMatchObject({ kind: 'notEmpty' })
    await world.engine.call('VDI.delete', { sr_uuid: world.sr, vdi_uuid: disk })
    await world.engine.call('SR.delete', { sr_uuid: world.sr })
    expect(readdirSync(world.location)).toEqual([])
    await world.engine.call('SR.create', { type: 'file', device_config: { location: world.location } })
  })
})

describe('persistent locks', () => {
  it('are won by exactly one of many that try at once', async () => {
    const disk = await create()
    const engines = await Promise.all([1, 2, 3].map(async () => world.restart()))
    const results = await Promise.allSettled(engines.flatMap((engine, host) =>
      Array.from({ length: 5 }, async (_, vm) => engine.call('VDI.lock', { sr_uuid: world.sr, vdi_uuid: disk, owner: `host${host}/vm${vm}` }))))
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ kind: 'lockUnavailable' })
  })

  it('keep counting owners after an unlock', async () => {
    const disk = await create()
    const first = await world.engine.call('VDI.lock', { sr_uuid: world.sr, vdi_uuid: disk, owner: 'a' })
    await world.engine.call('VDI.unlock', { sr_uuid: world.sr, vdi_uuid: disk, owner: 'a' })
    const second = await world.engine.call('VDI.lock', { sr_uuid: world.sr, vdi_uuid: disk, owner: 'b' })
    const third = await world.engine.call('VDI.lock', { sr_uuid: world.sr, vdi_uuid: disk, owner: 'c', force: true })
    expect([first.epoch, second.epoch, third.epoch]).toEqual([1, 2, 3])
  })
})
