/** What check finds, what repair mends, and what it leaves alone because it would be a guess. */
import { describe, expect, it, vi } from 'vitest'
import { vhd } from '../../../formats/vhd/format.ts'
import type { Finding } from '../../../formats/format.ts'
import { contentOf, crashStates, createMemoryFile } from '../memory-file.ts'
import { buildVhd, modelOf, resum, type Build } from './build-vhd.ts'
import { recover, sameAs } from './crashes.ts'
import { stamp } from './images.ts'

// Thousands of crashes, or of images: on a busy machine that takes a while.
vi.setConfig({ testTimeout: 300_000 })

const block = 4096
const build: Build = {
  type: 3, size: 16 * block, creator: 'tap\0', version: 0x00010003, id: 'a'.repeat(32), blockSize: block, alignment: 4096, batmap: { full: [2] },
  blocks: [{ block: 2, bitmap: [0xff], data: stamp(1, 2 * block, block) }, { block: 9, bitmap: [0x0f], data: stamp(2, 9 * block, block).fill(0, 0, 2048) }],
}
const child: Build = {
  ...build, type: 4, parent: { id: 'b'.repeat(32), name: 'parent.vhd' },
  locators: [
    { code: 'MacX', space: 512, at: 3072, text: new Uint8Array(Buffer.from('file://./parent.vhd')) },
    { code: 'W2ru', space: 512, at: 3584, text: new Uint8Array(Buffer.from('.\\parent.vhd', 'utf16le')) },
  ],
}

/** Findings after a change of the bytes. */
const found = async (want: Build, change: (bytes: Uint8Array, view: DataView) => void): Promise<readonly Finding[]> => {
  const { bytes } = buildVhd(want)
  change(bytes, new DataView(bytes.buffer))
  return (await vhd.open(createMemoryFile(bytes))).check()
}
const setEntry = (entry: number, value: number) => (_: Uint8Array, view: DataView): void => view.setUint32(1536 + 4 * entry, value)
const inHeader = (change: (bytes: Uint8Array, view: DataView) => void) => (bytes: Uint8Array, view: DataView): void => {
  change(bytes, view)
  resum(bytes.subarray(512, 1536))
}
const inFooters = (change: (footer: Uint8Array) => void) => (bytes: Uint8Array): void => {
  for (const at of [0, bytes.length - 512]) {
    change(bytes.subarray(at, at + 512))
    resum(bytes.subarray(at, at + 512))
  }
}

describe('a healthy image', () => {
  it.each([['dynamic', build], ['differencing', child]])('has no findings (%s)', async (_name, want) => {
    expect(await found(want, () => undefined)).toEqual([])
  })
})

describe('damage', () => {
  const { places } = buildVhd(build)
  it.each<[string, (bytes: Uint8Array, view: DataView) => void, string]>([
    ['a block inside the header', setEntry(2, 1), 'block 2 lies at 512, inside the header'],
    ['a block inside the table', setEntry(2, 3), 'inside the table'],
    ['a block at the start', setEntry(2, 0), 'inside the copy of the footer'],
    ['a block beyond the end', setEntry(2, 0x7fffffff), 'beyond'],
    ['a block over the footer', setEntry(9, ((places.get(9) ?? 0) + 512) / 512), 'beyond'],
    ['a block inside the batmap', setEntry(2, 4), 'overlaps the batmap'],
    ['two blocks in one place', setEntry(3, (places.get(2) ?? 0) / 512), 'Two blocks overlap'],
    ['two blocks that overlap in part', setEntry(3, (places.get(2) ?? 0) / 512 + 3), 'Two blocks overlap'],
  ])('is found: %s; nothing is written then, and nothing repaired', async (_name, change, says) => {
    const findings = await found(build, change)
    expect(findings.filter((finding) => finding.weight === 'damage').map((finding) => finding.what).join('\n')).toContain(says)
    const { bytes } = buildVhd(build)
    change(bytes, new DataView(bytes.buffer))
    const file = createMemoryFile(bytes)
    const image = await vhd.open(file)
    await expect(image.write(0, new Uint8Array(512))).rejects.toMatchObject({ kind: 'imageCorrupt' })
    await expect(image.grow(4 * 1024 * 1024, file.redo)).rejects.toMatchObject({ kind: 'imageCorrupt' })
    expect(file.ops.filter((op) => op.kind !== 'sync')).toEqual([])
  })

  it('in one block leaves the others readable', async () => {
    const { bytes } = buildVhd(build)
    setEntry(9, 0x7fffffff)(bytes, new DataView(bytes.buffer))
    const image = await vhd.open(createMemoryFile(bytes))
    await expect(image.read(9 * block + 2048, 512)).rejects.toMatchObject({ kind: 'imageCorrupt', facts: { remedy: expect.stringContaining('other blocks') as string } })
    await expect(image.present(0, build.size)).rejects.toMatchObject({ kind: 'imageCorrupt' })
    expect(await image.present(0, 9 * block)).toEqual([{ offset: 2 * block, length: block }])
    expect(Buffer.compare(await image.read(0, 9 * block), modelOf(build).subarray(0, 9 * block))).toBe(0)
  })

  it('of very many blocks is told in a few lines', async () => {
    const many: Build = { ...build, size: 100 * block, blocks: Array.from({ length: 100 }, (_, at) => ({ block: at, bitmap: [0xff], data: new Uint8Array(0) })), batmap: false, creator: 'vbox' }
    const findings = await found(many, (_, view) => {
      for (let entry = 0; entry < 100; entry += 1) view.setUint32(1536 + 4 * entry, 0x70000000 + entry)
    })
    expect(findings.length).toBeLessThan(30)
    expect(findings.map((finding) => finding.what)).toContain('and 80 more like these')
  })
})

describe('notes', () => {
  it.each<[string, Build, (bytes: Uint8Array, view: DataView) => void, string]>([
    ['data under clear bits', build, (bytes) => bytes.fill(1, buildVhd(build).places.get(9) ?? 0, (buildVhd(build).places.get(9) ?? 0) + 1) && bytes.fill(0x55, (buildVhd(build).places.get(9) ?? 0) + 512, (buildVhd(build).places.get(9) ?? 0) + 513), 'data in sectors that its bitmap calls absent'],
    ['an identity of zeros', build, inFooters((footer) => footer.fill(0, 68, 84)), 'all zeros'],
    ['reserved bytes in the footer', build, inFooters((footer) => footer.fill(1, 200, 201)), 'reserved'],
    ['a saved state of 7', build, inFooters((footer) => footer.fill(7, 84, 85)), 'saved'],
    ['a hidden byte of 7', build, inFooters((footer) => footer.fill(7, 85, 86)), 'hidden'],
    ['reserved bytes in the header', build, inHeader((bytes) => bytes.fill(1, 512 + 900, 512 + 901)), 'header has bytes in a reserved area'],
    ['spare entries that are not free', { ...build, entries: 64 }, setEntry(40, 0x00100000), 'beyond the end of the disk'],
    ['a locator outside of the file', child, inHeader((_, view) => view.setBigUint64(512 + 576 + 16, 0x7000000000n)), 'MacX lies outside'],
    ['a locator that names another file', child, (bytes) => bytes.set(Buffer.from('.\\barent.vhd', 'utf16le'), 3584), 'names "barent.vhd"'],
    ['two locators of one code', child, inHeader((bytes) => bytes.set(bytes.subarray(512 + 600, 512 + 604), 512 + 576)), 'two parent locators W2ru'],
    ['a locator longer than its space', child, inHeader((_, view) => view.setUint32(512 + 576 + 8, 513)), 'longer than its space'],
    ['no name of the parent', child, inHeader((bytes) => bytes.fill(0, 512 + 64, 512 + 128)), 'names no parent'],
    ['a large geometry that qemu would believe', { ...build, creator: 'vbox', batmap: false, geometry: [65535, 16, 255] }, () => undefined, 'geometry is larger'],
  ])('are made of %s', async (_name, want, change, says) => {
    const findings = await found(want, change)
    expect(findings).toContainEqual({ weight: 'note', what: expect.stringContaining(says) as string })
    expect(findings.filter((finding) => finding.weight !== 'note')).toEqual([])
  })
})

describe('repair', () => {
  const cases: Readonly<Record<string, { readonly want: Build; readonly change: (bytes: Uint8Array, view: DataView) => void; readonly says: string }>> = {
    'a bad batmap': { want: { ...build, batmap: { full: [2], damage: true } }, change: () => undefined, says: 'its batmap is bad' },
    'a batmap without its cookie': { want: build, change: (bytes) => bytes.fill(0xee, 2048, 2056), says: 'its batmap is bad' },
    'a batmap whose map would be outside of the file': { want: build, change: (_, view) => view.setBigUint64(2056, 0x7fffffffffff0000n), says: 'its batmap is bad' },
    'a batmap that calls an absent block full': { want: { ...build, batmap: { full: [2, 5] } }, change: () => undefined, says: 'calls 1 blocks full' },
    'a geometry that is too large': { want: { ...build, geometry: [65535, 16, 255] }, change: () => undefined, says: 'geometry' },
    'a lost footer': { want: build, change: (bytes) => bytes.fill(0, bytes.length - 512), says: 'footer at its end is lost' },
    'a bad copy': { want: build, change: (bytes) => bytes.fill(9, 40, 50), says: 'copy of the footer' },
    'both batmap and footer': { want: { ...build, batmap: { full: [2], damage: true } }, change: (bytes) => bytes.fill(0, bytes.length - 512), says: 'its batmap is bad' },
  }

  it.each(Object.entries(cases))('mends %s, tells the same in a dry run, and can be interrupted anywhere', async (_name, { want, change, says }) => {
    const { bytes } = buildVhd(want)
    change(bytes, new DataView(bytes.buffer))
    const file = createMemoryFile(bytes)
    const before = (await (await vhd.open(file)).check()).filter((finding) => finding.weight === 'repairable')
    expect(before.map((finding) => finding.what).join('; ')).toContain(says)
    expect(await vhd.repair(file, true)).toEqual(before)
    expect(file.ops).toEqual([])
    expect(await vhd.repair(file, false)).toEqual(before)
    const mended = await vhd.open(file)
    expect(await mended.check()).toEqual([])
    expect(mended.summary).toMatchObject({ size: want.size, needsRepair: false })
    expect(await sameAs(mended, modelOf(want))).toBe(true)
    await mended.write(0, stamp(5, 0, 512))
    await mended.sync()
    for (const state of crashStates(contentOf(bytes), file.ops, { random: 2, seed: 1 })) {
      if (file.ops.slice(0, state.step).some((op) => op.kind === 'write' && op.bytes[0] === 0xa5)) break
      const { image } = await recover(state)
      expect(Buffer.compare((await image.read(block, 15 * block)), modelOf(want).subarray(block))).toBe(0)
    }
  })

  it('rebuilds the batmap from the bitmaps, and keeps the hash of a key', async () => {
    const { bytes, batmapAt } = buildVhd({ ...build, batmap: { full: [], damage: true } })
    bytes.fill(0xab, batmapAt + 28, batmapAt + 94)
    const file = createMemoryFile(bytes)
    await vhd.repair(file, false)
    const after = await file.read(batmapAt, 1024)
    expect(after[512]).toBe(0b0010_0000)
    expect(after.subarray(28, 94).every((byte) => byte === 0xab)).toBe(true)
  })

  it('leaves a batmap alone when blocks lie in its place, as after a program that does not know it', async () => {
    const { bytes } = buildVhd({ ...build, batmap: false, alignment: 512 })
    const file = createMemoryFile(bytes)
    const image = await vhd.open(file)
    expect(image.summary).toMatchObject({ needsRepair: true })
    expect(await sameAs(image, modelOf(build))).toBe(true)
    expect(await vhd.repair(file, false)).toEqual([])
    expect(file.ops).toEqual([])
    expect(await image.check()).toContainEqual({ weight: 'damage', what: 'its batmap is bad, and something else lies in its place' })
    await expect(image.write(0, new Uint8Array(512))).rejects.toMatchObject({ kind: 'imageCorrupt' })
  })

  it('keeps the geometry of programs whose size qemu would then misjudge', async () => {
    const file = createMemoryFile(buildVhd({ ...build, creator: 'vpc ', batmap: false, geometry: [65535, 16, 255] }).bytes)
    expect(await vhd.repair(file, false)).toEqual([])
    expect(file.ops).toEqual([])
  })

  it('puts a lost footer behind the last block that the end of the file cut short, but not when data was cut off', async () => {
    const { bytes, places } = buildVhd({ ...build, blocks: [...(build.blocks ?? [])].reverse().map((one) => (one.block === 2 ? { ...one, bitmap: [0xf0], data: one.data.slice().fill(0, 2048) } : one)), batmap: true })
    const dataAt = (places.get(2) ?? 0) + 512
    const harmless = createMemoryFile(bytes.subarray(0, dataAt + 2048))
    expect(await (await vhd.open(harmless)).check()).toEqual([{ weight: 'repairable', what: 'the footer at its end is lost; its copy at the start is used' }])
    await vhd.repair(harmless, false)
    expect(Buffer.compare(await harmless.read(0, bytes.length), bytes)).toBe(0)
    const cut = createMemoryFile(bytes.subarray(0, dataAt + 1536))
    expect(await vhd.repair(cut, false)).toEqual([])
    expect(cut.ops).toEqual([])
    expect(await (await vhd.open(cut)).check()).toContainEqual({ weight: 'damage', what: 'block 2 is cut off by the end of the file' })
    await expect((await vhd.open(cut)).read(2 * block, block)).rejects.toMatchObject({ kind: 'imageCorrupt' })
  })

  it('puts the footer at the end of a volume that was enlarged', async () => {
    const { bytes } = buildVhd(build)
    const volume = new Uint8Array(bytes.length + 40 * 1024).fill(0xdd, bytes.length)
    volume.set(bytes)
    const file = createMemoryFile(volume)
    expect((await vhd.open(file)).summary.needsRepair).toBe(true)
    await vhd.repair(file, false)
    expect(await file.length()).toBe(volume.length)
    expect(Buffer.compare(await file.read(volume.length - 512, 512), bytes.subarray(0, 512))).toBe(0)
    expect(await sameAs(await vhd.open(file), modelOf(build))).toBe(true)
  })
})

describe('ranges', () => {
  it.each([[-512, 512], [0, 16 * block + 512], [16 * block, 512], [0.5, 512], [0, -512], [NaN, 512]])('outside of the disk are refused (%d, %d)', async (offset, length) => {
    for (const want of [build, { ...build, type: 2 as const }]) {
      const image = await vhd.open(createMemoryFile(buildVhd(want).bytes))
      await expect(image.present(offset, length)).rejects.toMatchObject({ kind: 'invalidArgument' })
      await expect(image.read(offset, length)).rejects.toMatchObject({ kind: 'invalidArgument' })
      if (length > 0) await expect(image.write(offset, new Uint8Array(length))).rejects.toMatchObject({ kind: 'invalidArgument' })
    }
  })

  it('that are no whole sectors are refused when writing', async () => {
    const image = await vhd.open(createMemoryFile(buildVhd(build).bytes))
    await expect(image.write(100, new Uint8Array(512))).rejects.toMatchObject({ kind: 'invalidArgument' })
    await expect(image.write(0, new Uint8Array(100))).rejects.toMatchObject({ kind: 'invalidArgument' })
  })
})
