/** Growing, changing identity and re-parenting, interrupted at any write, and finished by what a store does afterwards. */
import { describe, expect, it, vi } from 'vitest'
import { GiB, MiB } from '../../../core/units.ts'
import { vhd } from '../../../formats/vhd/format.ts'
import { contentOf, crashStates, createMemoryFile, type CrashState } from '../memory-file.ts'
import { buildVhd, modelOf, type Build } from './build-vhd.ts'
import { recover, sameAs, serious } from './crashes.ts'
import { dialects, readChain, stamp } from './images.ts'

// Thousands of crashes a test: on a busy machine that takes a while.
vi.setConfig({ testTimeout: 300_000 })

const block = 4096
const blocks = [
  { block: 100, bitmap: [0xff], data: stamp(1, 100 * block, block) },
  { block: 3, bitmap: [0x5a], data: stamp(2, 3 * block, block) },
  { block: 127, bitmap: [0xff], data: stamp(3, 127 * block, block) },
  { block: 0, bitmap: [0x81], data: stamp(4, 0, block) },
]
/** 128 entries fill one sector of the table: whatever is added moves all that lies behind it, and the lowest blocks. */
const full: Build = { type: 3, size: 128 * block, creator: 'tap\0', version: 0x00010003, id: 'a'.repeat(32), blockSize: block, alignment: 4096, batmap: { full: [100] }, blocks }
const text = new Uint8Array(Buffer.from('.\\parent.vhd', 'utf16le'))
const windows = dialects['Windows 10, differencing']

const starts: Readonly<Record<string, Build>> = {
  'with a full table': full,
  'with a full table and nothing in it': { ...full, blocks: [], batmap: true },
  'with room in the last sector of the table': { ...full, size: 100 * block, blocks: blocks.filter((one) => one.block < 100) , batmap: true },
  'with spare entries': { ...full, entries: 3000 },
  'that ends inside a block with something behind its end': {
    ...full, size: 127 * block + 512, entries: 128, batmap: true,
  },
  'with spare entries that ends inside a block': {
    ...full, size: 127 * block + 512, entries: 3000, batmap: true,
  },
  'of xapi 1.1, without a batmap': { ...full, version: 0x00010001, batmap: false },
  'of another program, packed by 512': { ...full, creator: 'vbox', alignment: 512, batmap: false },
  'differencing': {
    ...full, type: 4, parent: { id: 'b'.repeat(32), name: 'parent.vhd' },
    locators: [{ code: 'MacX', space: 512, at: 3072, text: new Uint8Array(Buffer.from('file://./parent.vhd')) }, { code: 'W2ku', space: 1, at: 3584, text }, { code: 'W2ru', space: 1024, at: 4096, text }],
  },
  ...(windows === undefined ? {} : { 'of Windows, differencing, with locators around the table': { ...windows, blockSize: block, size: 128 * block, blocks } }),
}

const target = 2 * MiB + 40 * block

/** The disk after a grow to `size`; before, it is the first part of that. */
const grownModel = (build: Build, size: number): Uint8Array => {
  const model = new Uint8Array(size)
  model.set(modelOf(build))
  return model
}

/** What a crash left, made whole again: old or new, nothing between. */
const expectOldOrNew = async (state: CrashState, build: Build, model: Uint8Array): Promise<'old' | 'new'> => {
  const { image, file } = await recover(state)
  const size = model.length
  const now = image.summary.size
  const where = `${state.how} at operation ${state.step}`
  expect([build.size, size], where).toContain(now)
  if (state.record !== undefined) expect(now, `${where}: a record is finished`).toBe(size)
  expect(await sameAs(image, model.subarray(0, now)), where).toBe(true)
  if (build.parent !== undefined) expect(image.summary.parent, where).toEqual({ id: build.parent.id, names: ['parent.vhd'] })
  if (state.record !== undefined) {
    // A record that somebody forgot to discard does no harm to what was written since.
    await image.write(size - 512, stamp(9, size - 512, 512))
    await image.write(2 * block, stamp(9, 2 * block, 512))
    await image.sync()
    const after = createMemoryFile(file.content())
    await vhd.replay(after, state.record)
    expect(after.ops, where).toEqual([])
  }
  return now === size ? 'new' : 'old'
}

describe.each(Object.entries(starts))('an image %s', (_name, build) => {
  it('is the old or the new one after a crash at any write of a grow', async () => {
    const { bytes } = buildVhd(build)
    const file = createMemoryFile(bytes)
    const image = await vhd.open(file)
    await image.grow(target, file.redo)
    expect(image.summary).toMatchObject({ size: target, needsRepair: false })
    const seen = new Set<string>()
    const model = grownModel(build, target)
    for (const state of crashStates(contentOf(bytes), file.ops, { random: 3, seed: 1 })) seen.add(await expectOldOrNew(state, build, model))
    expect(seen).toEqual(new Set(['old', 'new']))
  })

  it('can be read at any instant between, unless its header tears', async () => {
    const { bytes } = buildVhd(build)
    const file = createMemoryFile(bytes)
    await (await vhd.open(file)).grow(target, file.redo)
    const old = modelOf(build)
    for (const state of crashStates(contentOf(bytes), file.ops, { random: 2, seed: 2 })) {
      const now = createMemoryFile(state.content)
      const opened = await vhd.open(now).catch((error: Error) => error)
      if (opened instanceof Error) {
        expect(opened).toMatchObject({ kind: 'imageCorrupt', message: expect.stringContaining('header') as string })
        expect(build.type, 'only locators make a header change in both its sectors').toBe(4)
        expect(state.record).toBeDefined()
      } else {
        expect(Buffer.compare(await readChain([opened], old.length), old), `${state.how} at operation ${state.step}`).toBe(0)
      }
    }
  })
})

describe('a crash inside of a replay', () => {
  it.each(['with a full table', 'differencing'])('is finished by the next one (image %s)', async (name) => {
    const build = starts[name]
    if (build === undefined) throw new Error(name)
    const { bytes } = buildVhd(build)
    const file = createMemoryFile(bytes)
    await (await vhd.open(file)).grow(target, file.redo)
    const model = grownModel(build, target)
    let inner = 0
    for (const state of crashStates(contentOf(bytes), file.ops, { random: 0, seed: 3 })) {
      if (state.record === undefined || state.how === 'record came back') continue
      const first = createMemoryFile(state.content)
      await vhd.replay(first, state.record)
      for (const again of crashStates(state.content, first.ops, { random: 1, seed: 4 })) {
        inner += 1
        if (inner % 11 === 0) await expectOldOrNew({ ...again, record: state.record, how: `${state.how}, then ${again.how}` }, build, model)
      }
    }
    expect(inner).toBeGreaterThan(100)
  })
})

describe('a grow', () => {
  it('moves whole blocks of 2 MiB, keeps xapi\'s alignment, exact entries and equal sizes', async () => {
    const file = createMemoryFile(vhd.create({ size: 256 * MiB, id: 'a'.repeat(32), createdMs: 0 }))
    const image = await vhd.open(file)
    for (let i = 0; i < 4; i += 1) await image.write(i * 2 * MiB + 4096, stamp(i + 1, i * 2 * MiB + 4096, 8192))
    await image.grow(2040 * GiB, file.redo)
    await image.write(2040 * GiB - 512, stamp(9, 2040 * GiB - 512, 512))
    await image.sync()
    const again = await vhd.open(file)
    expect(again.summary).toMatchObject({ size: 2040 * GiB, needsRepair: false, warnings: [] })
    expect(await again.present(0, 2040 * GiB)).toEqual([0, 1, 2, 3].map((i) => ({ offset: i * 2 * MiB + 4096, length: 8192 })).concat({ offset: 2040 * GiB - 512, length: 512 }))
    for (let i = 0; i < 4; i += 1) expect(Buffer.compare(await again.read(i * 2 * MiB + 4096, 8192), stamp(i + 1, i * 2 * MiB + 4096, 8192))).toBe(0)
    expect(await serious(again)).toEqual([])
    const head = await file.read(0, 1536)
    const view = new DataView(head.buffer, head.byteOffset)
    expect(view.getUint32(512 + 28)).toBe(2040 * 512)
    expect(view.getBigUint64(40)).toBe(BigInt(2040 * GiB))
    expect(view.getBigUint64(48)).toBe(BigInt(2040 * GiB))
    const table = await file.read(1536, 4 * 2040 * 512)
    const tableView = new DataView(table.buffer, table.byteOffset)
    for (const entry of [0, 1, 2, 3, 2040 * 512 - 1]) expect((tableView.getUint32(4 * entry) * 512) % 4096).toBe(3584)
    // The new metadata reaches to 4,310,528: the first three blocks began before that and are now behind the fourth.
    const places = [0, 1, 2, 3].map((entry) => tableView.getUint32(4 * entry) * 512)
    expect(places).toEqual([4, 5, 6, 3].map((position) => 3584 + position * (2 * MiB + 4096)))
  })

  it('to the same size is done already, to a smaller one is refused', async () => {
    for (const bytes of [buildVhd(full).bytes, buildVhd({ type: 2, size: 2 * MiB, creator: 'tap\0', version: 0x00010003, id: 'a'.repeat(32) }).bytes]) {
      const file = createMemoryFile(bytes)
      const image = await vhd.open(file)
      await expect(image.grow(512, file.redo)).rejects.toMatchObject({ kind: 'sizeOutOfRange' })
      await expect(image.grow(3 * MiB + 1, file.redo)).rejects.toMatchObject({ kind: 'sizeOutOfRange' })
      await expect(image.grow(2041 * GiB, file.redo)).rejects.toMatchObject({ kind: 'sizeOutOfRange' })
      expect(file.ops.filter((op) => op.kind !== 'sync')).toEqual([])
    }
    const file = createMemoryFile(vhd.create({ size: 2 * MiB, id: 'a'.repeat(32), createdMs: 0 }))
    await (await vhd.open(file)).grow(2 * MiB, file.redo)
    expect(file.ops.filter((op) => op.kind !== 'sync')).toEqual([])
  })

  it('keeps writes that were not synced before', async () => {
    const file = createMemoryFile(vhd.create({ size: 2 * MiB, id: 'a'.repeat(32), createdMs: 0 }))
    const image = await vhd.open(file)
    await image.write(512, stamp(1, 512, 512))
    await image.grow(600 * MiB, file.redo)
    await image.write(599 * MiB, stamp(2, 599 * MiB, 512))
    await image.sync()
    expect(await (await vhd.open(file)).present(0, 600 * MiB)).toEqual([{ offset: 512, length: 512 }, { offset: 599 * MiB, length: 512 }])
  })

  it('refuses to make content of blocks that lie beyond the end of the disk', async () => {
    const file = createMemoryFile(buildVhd({ ...full, size: 100 * block, entries: 128, batmap: true }).bytes)
    await expect((await vhd.open(file)).grow(target, file.redo)).rejects.toMatchObject({ kind: 'imageCorrupt' })
    expect(file.ops.filter((op) => op.kind !== 'sync')).toEqual([])
  })
})

describe('a redo log that fails', () => {
  it('before it has saved leaves the old image, which can be grown later', async () => {
    const file = createMemoryFile(buildVhd(full).bytes)
    const image = await vhd.open(file)
    await expect(image.grow(target, { save: async () => Promise.reject(new Error('ENOSPC')), clear: async () => undefined })).rejects.toThrow('ENOSPC')
    expect(image.summary.size).toBe(full.size)
    expect(await sameAs(await vhd.open(file), modelOf(full))).toBe(true)
    await image.grow(target, file.redo)
    expect((await vhd.open(file)).summary.size).toBe(target)
    expect(await serious(await vhd.open(file))).toEqual([])
  })

  it('to clear leaves the new image, on which its record does nothing', async () => {
    const file = createMemoryFile(buildVhd(full).bytes)
    const image = await vhd.open(file)
    await expect(image.grow(target, { save: async (record) => file.redo.save(record), clear: async () => Promise.reject(new Error('EIO')) })).rejects.toThrow('EIO')
    expect(image.summary.size).toBe(target)
    await image.write(5 * block, stamp(9, 5 * block, 512))
    await image.sync()
    const later = createMemoryFile(file.content())
    await vhd.replay(later, file.redo.record() ?? new Uint8Array(0))
    expect(later.ops).toEqual([])
  })
})

describe('a fixed image', () => {
  const size = 2 * MiB
  const build: Build = { type: 2, size, creator: 'win ', version: 0x00060001, id: 'c'.repeat(32), content: stamp(1, 0, size) }
  const model = (now: number): Uint8Array => {
    const bytes = new Uint8Array(now)
    bytes.set(stamp(1, 0, size))
    return bytes
  }

  it.each([
    ['by much', 0, size + MiB],
    ['by one sector', 0, size + 512],
    ['within a larger device', 5 * MiB, size + MiB],
    ['within a larger device, up to its end', MiB, size + MiB],
    ['beyond a larger device', MiB / 2, size + MiB],
  ])('is the old or the new one after a crash at any write of a grow %s', async (_name, slack, larger) => {
    const { bytes } = buildVhd(build)
    const device = new Uint8Array(bytes.length + slack).fill(0xdd, size)
    device.set(bytes.subarray(0, size))
    device.set(bytes.subarray(size), device.length - 512)
    const file = createMemoryFile(device)
    await (await vhd.open(file)).grow(larger, file.redo)
    expect(file.redo.record()).toBeUndefined()
    const seen = new Set<number>()
    for (const state of crashStates(contentOf(device), file.ops, { random: 1, seed: 5 })) {
      // Only a power cut can lose the footer at the new end together with the growth of the file.
      if (state.how === 'killed') expect([size, larger]).toContain((await vhd.open(createMemoryFile(state.content))).summary.size)
      const { image, file: after } = await recover(state)
      const now = image.summary.size
      seen.add(now)
      if (state.record !== undefined) expect(now).toBe(larger)
      expect(Buffer.compare(await image.read(0, now), model(now)), `${state.how} at operation ${state.step}`).toBe(0)
      if (state.record !== undefined) {
        await image.write(size, stamp(9, size, 512))
        await image.sync()
        const later = createMemoryFile(after.content())
        await vhd.replay(later, state.record)
        expect(later.ops).toEqual([])
      }
    }
    expect(seen).toEqual(new Set([size, larger]))
  })
})

describe('redo records', () => {
  const grown = async (build: Build): Promise<Uint8Array> => {
    const file = createMemoryFile(buildVhd(build).bytes)
    await (await vhd.open(file)).grow(4 * MiB, file.redo)
    const saved = file.ops.find((op) => op.kind === 'save')
    if (saved?.kind !== 'save') throw new Error('nothing was saved')
    return saved.record
  }
  const fixed: Build = { type: 2, size: 2 * MiB, creator: 'tap\0', version: 0x00010003, id: 'c'.repeat(32) }

  it.each([['sparse', full], ['fixed', fixed]])('that are torn or foreign are refused, and nothing is written (%s)', async (_name, build) => {
    const record = await grown(build)
    const cases: readonly (readonly [Uint8Array, Build, string])[] = [
      [new Uint8Array(0), build, 'imageCorrupt'],
      [record.subarray(0, record.length - 1), build, 'imageCorrupt'],
      [record.map((byte, index) => (index === 200 ? byte ^ 1 : byte)), build, 'imageCorrupt'],
      [new Uint8Array(record.length), build, 'imageCorrupt'],
      [record, { ...build, id: 'e'.repeat(32) }, 'identityMismatch'],
    ]
    for (const [bytes, image, kind] of cases) {
      const file = createMemoryFile(buildVhd(image).bytes)
      await expect(vhd.replay(file, bytes)).rejects.toMatchObject({ kind, facts: { remedy: expect.any(String) as string } })
      expect(file.ops).toEqual([])
    }
  })

  it('never let anything be written over a block that was put in their way', async () => {
    const record = await grown(full)
    // The image as it was before the grow: blocks lie where the larger table wants to be.
    const file = createMemoryFile(buildVhd(full).bytes)
    await expect(vhd.replay(file, record)).rejects.toMatchObject({ kind: 'staleGeneration' })
    expect(file.ops).toEqual([])
  })
})

describe('a change of identity', () => {
  it.each([['sparse', full], ['fixed', { ...full, type: 2 as const, size: 64 * 512, content: stamp(1, 0, 64 * 512) }]])('is old or new as a whole after a crash at any write (%s)', async (_name, build) => {
    const { bytes } = buildVhd(build)
    const file = createMemoryFile(bytes)
    const image = await vhd.open(file)
    await image.setIdentity({ id: 'd'.repeat(32), hidden: true })
    expect(image.summary).toMatchObject({ id: 'd'.repeat(32), hidden: true })
    for (const state of crashStates(contentOf(bytes), file.ops, { random: 2, seed: 6 })) {
      const { image: after } = await recover(state)
      expect([['a'.repeat(32), false], ['d'.repeat(32), true]]).toContainEqual([after.summary.id, after.summary.hidden])
    }
    await image.setIdentity({ hidden: false })
    expect((await vhd.open(file)).summary).toMatchObject({ id: 'd'.repeat(32), hidden: false, needsRepair: false })
    await expect(image.setIdentity({ id: '0'.repeat(32) })).rejects.toMatchObject({ kind: 'invalidArgument' })
  })
})

describe('re-parenting', () => {
  const names = { xapi: 'fedcba98-7654-4210-8edc-ba9876543210.vhd', short: 'p.vhd' }

  it.each(Object.keys(dialects).filter((name) => dialects[name]?.type === 4))('leaves the old or the new parent after a crash at any write (%s)', async (name) => {
    const build = dialects[name]
    if (build === undefined) throw new Error(name)
    for (const fileName of Object.values(names)) {
      const { bytes } = buildVhd(build)
      const file = createMemoryFile(bytes)
      const image = await vhd.open(file)
      await image.reparent({ id: 'd'.repeat(32), fileName }, file.redo)
      expect(image.summary.parent).toEqual({ id: 'd'.repeat(32), names: [fileName] })
      expect(file.redo.record()).toBeUndefined()
      const again = await vhd.open(file)
      expect(again.summary.parent).toEqual({ id: 'd'.repeat(32), names: [fileName] })
      expect((await again.check()).filter((finding) => finding.what.includes('locator'))).toEqual([])
      expect(await sameAs(again, modelOf(build))).toBe(true)
      for (const state of crashStates(contentOf(bytes), file.ops, { random: 3, seed: 7 })) {
        const { image: after } = await recover(state)
        const parent = after.summary.parent
        expect([['b'.repeat(32), 'parent.vhd'], ['d'.repeat(32), fileName]]).toContainEqual([parent?.id, parent?.names[0]])
        if (state.record !== undefined) expect(parent?.id).toBe('d'.repeat(32))
      }
    }
  })

  it('between names of equal length is one sector of the header, and needs no record', async () => {
    const uuid = (digit: string): string => `${digit.repeat(8)}-0000-4000-8000-000000000000.vhd`
    const file = createMemoryFile(vhd.create({ size: 4 * MiB, id: 'a'.repeat(32), createdMs: 0, parent: { id: 'b'.repeat(32), fileName: uuid('b') } }))
    await (await vhd.open(file)).reparent({ id: 'c'.repeat(32), fileName: uuid('c') }, file.redo)
    expect(file.ops.map((op) => (op.kind === 'write' ? [op.at, op.bytes.length] : op.kind))).toEqual([[3072, 512], [3584, 512], [4096, 512], 'sync', [512, 512], 'sync'])
    expect(await serious(await vhd.open(file))).toEqual([])
  })

  it('drops locators that cannot carry the new name', async () => {
    const build: Build = {
      ...full, type: 4, creator: 'vbox', batmap: false, parent: { id: 'b'.repeat(32), name: 'parent.vhd' },
      locators: [{ code: 'Mac ', space: 512, at: 2048, text: new Uint8Array(100) }, { code: 'W2ru', space: 512, at: 2560, text }, { code: 'Wi2r', space: 512, at: 3072, text }],
    }
    const { bytes } = buildVhd(build)
    // One more, whose place is far outside of the file.
    bytes.set(Buffer.from('57326b75000002000000001800000000000000ffffffff00', 'hex'), 512 + 576 + 72)
    const header = bytes.subarray(512, 1536)
    const view = new DataView(header.buffer, 512)
    view.setUint32(36, 0)
    view.setUint32(36, ~header.reduce((sum, byte) => sum + byte, 0) >>> 0)
    const file = createMemoryFile(bytes)
    const image = await vhd.open(file)
    await image.reparent({ id: 'd'.repeat(32), fileName: 'new.vhd' }, file.redo)
    const entries = Buffer.from((await file.read(512 + 576, 96)))
    expect(entries.subarray(0, 24).every((byte) => byte === 0)).toBe(true)
    expect(entries.subarray(24, 28).toString()).toBe('W2ru')
    expect(entries.subarray(48).every((byte) => byte === 0)).toBe(true)
    expect(await sameAs(await vhd.open(file), modelOf(build))).toBe(true)
  })

  it('of an image without a parent is refused', async () => {
    const file = createMemoryFile(buildVhd(full).bytes)
    await expect((await vhd.open(file)).reparent({ id: 'd'.repeat(32), fileName: 'x.vhd' }, file.redo)).rejects.toMatchObject({ kind: 'invalidArgument' })
  })
})
