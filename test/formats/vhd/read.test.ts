/** Images of others: built byte by byte from the facts about each program. */
import { describe, expect, it } from 'vitest'
import { MiB } from '../../../core/units.ts'
import { vhd } from '../../../formats/vhd/format.ts'
import { createMemoryFile } from '../memory-file.ts'
import { buildFooter, buildVhd, modelOf, resum, type Build } from './build-vhd.ts'
import { dialects, readChain, stamp, summarize } from './images.ts'

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && Buffer.compare(a, b) === 0
const dialect = (name: string): Build => {
  const found = dialects[name]
  if (found === undefined) throw new Error(`no dialect ${name}`)
  return found
}
const xapi = dialect('xapi, dynamic')
const fixed: Build = { type: 2, size: 2 * MiB, creator: 'win ', version: 0x00060001, id: '7'.repeat(32), content: stamp(3, 0, 2 * MiB) }

describe.each(Object.entries(dialects))('an image of %s', (_name, build) => {
  it('is summarized without complaint', () => {
    const summary = summarize(buildVhd(build).bytes)
    expect(summary).toMatchObject({ kind: build.type === 3 ? 'dynamic' : 'differencing', size: build.size, id: build.id, hidden: false, warnings: [], needsRepair: false })
    if (build.parent !== undefined) expect(summary.parent).toEqual({ id: build.parent.id, names: ['parent.vhd'] })
  })

  it('reads sector by sector, in one piece and in many', async () => {
    const image = await vhd.open(createMemoryFile(buildVhd(build).bytes))
    const below = build.type === 4 ? stamp(99, 0, build.size) : undefined
    const model = modelOf(build, below)
    const read = below?.slice() ?? new Uint8Array(build.size)
    for (const { offset, length } of await image.present(0, build.size)) read.set(await image.read(offset, length), offset)
    expect(same(read, model)).toBe(true)
    const alone = modelOf(build)
    for (let at = 0; at < build.size; at += 700_000) {
      const length = Math.min(700_000, build.size - at)
      expect(same(await image.read(at, length), alone.subarray(at, at + length))).toBe(true)
    }
  })

  it('is checked, and everything found is no more than a note', async () => {
    const image = await vhd.open(createMemoryFile(buildVhd(build).bytes))
    expect((await image.check()).filter((finding) => finding.weight !== 'note')).toEqual([])
  })

  it('is written, grown and read again without damage', async () => {
    const file = createMemoryFile(buildVhd(build).bytes)
    const model = modelOf(build)
    const larger = new Uint8Array(build.size + 300 * (build.blockSize ?? 2 * MiB))
    const image = await vhd.open(file)
    for (const at of [512, 5000 * 512, build.size - 1024]) {
      const bytes = stamp(50, at, 1024)
      await image.write(at, bytes)
      model.set(bytes, at)
    }
    larger.set(model)
    await image.grow(larger.length, file.redo)
    await image.write(larger.length - 512, stamp(51, larger.length - 512, 512))
    larger.set(stamp(51, larger.length - 512, 512), larger.length - 512)
    await image.sync()
    const again = await vhd.open(file)
    expect(again.summary).toMatchObject({ size: larger.length, needsRepair: false })
    if (build.parent !== undefined) expect(again.summary.parent).toEqual({ id: build.parent.id, names: ['parent.vhd'] })
    expect(same(await readChain([again]), larger)).toBe(true)
    expect((await again.check()).filter((finding) => finding.weight !== 'note')).toEqual([])
    expect(file.redo.record()).toBeUndefined()
  })
})

describe('present', () => {
  it('answers merged ranges, cut to what was asked for', async () => {
    const image = await vhd.open(createMemoryFile(buildVhd(xapi).bytes))
    // Block 0 has the bits 02 cb a8: sectors 6, 8, 9, 12, 14 to 16, 18, 20.
    const sectors = (await image.present(0, 2 * MiB)).map(({ offset, length }) => [offset / 512, length / 512])
    expect(sectors).toEqual([[6, 1], [8, 2], [12, 1], [14, 3], [18, 1], [20, 1]])
    expect(await image.present(9 * 512 + 100, 3 * 512)).toEqual([{ offset: 9 * 512 + 100, length: 412 }, { offset: 12 * 512, length: 100 }])
    expect(await image.present(2 * MiB, 8 * MiB)).toEqual([{ offset: 4 * MiB, length: 2 * MiB }])
    expect(await image.present(0, 0)).toEqual([])
  })

  it('believes a set bit of the batmap without looking at the bitmap', async () => {
    const built = buildVhd({ ...xapi, blocks: [{ block: 2, bitmap: [], data: stamp(1, 0, 2 * MiB) }] })
    const image = await vhd.open(createMemoryFile(built.bytes))
    expect(await image.present(0, 16 * MiB)).toEqual([{ offset: 4 * MiB, length: 2 * MiB }])
    expect(await image.check()).toContainEqual({ weight: 'damage', what: 'the batmap calls block 2 full, its bitmap does not' })
  })

  it('never relies on bits of the batmap that its checksum does not cover', async () => {
    // 8 GiB and one block: the map has 513 bytes, of which 512 are summed.
    const build: Build = { ...xapi, size: 4097 * 2 * MiB, batmap: { full: [4096] }, blocks: [{ block: 4096, bitmap: [0x80], data: stamp(1, 0, 512) }] }
    const image = await vhd.open(createMemoryFile(buildVhd(build).bytes))
    expect(await image.present(4096 * 2 * MiB, 2 * MiB)).toEqual([{ offset: 4096 * 2 * MiB, length: 512 }])
    expect(image.summary.needsRepair).toBe(false)
  })

  it('never looks past the entries that the header counts', async () => {
    const { bytes, tableAt } = buildVhd({ ...xapi, tablePadding: 0 })
    expect(bytes[tableAt + 4 * 8]).toBe(0)
    expect((await (await vhd.open(createMemoryFile(bytes))).check()).filter((finding) => finding.weight !== 'note')).toEqual([])
  })
})

describe('opening', () => {
  it('costs one page and one sector, and what a snapshot needs costs no more', async () => {
    const file = createMemoryFile(buildVhd(dialect('xapi, differencing')).bytes)
    const image = await vhd.open(file)
    expect(image.summary.size).toBe(8 * MiB)
    expect(file.reads).toMatchObject({ count: 2, bytes: vhd.headLength + vhd.tailLength })
    await image.setIdentity({ hidden: true })
    expect(file.reads.count).toBe(2)
  })
})

describe('a fixed image of others', () => {
  it('reads as its content', async () => {
    const image = await vhd.open(createMemoryFile(buildVhd(fixed).bytes))
    expect(image.summary).toMatchObject({ kind: 'fixed', size: 2 * MiB, creator: 'win 6.1', needsRepair: false })
    expect(await image.present(512, 1024)).toEqual([{ offset: 512, length: 1024 }])
    expect(same(await image.read(0, 2 * MiB), stamp(3, 0, 2 * MiB))).toBe(true)
    expect(await image.check()).toEqual([])
  })

  it('is fixed even when its content is a whole VHD, or begins with the cookie of one', async () => {
    const inner = buildVhd({ ...xapi, size: 2 * MiB, blocks: [] }).bytes
    for (const content of [inner, inner.subarray(0, 512), Buffer.from('conectix')]) {
      const bytes = buildVhd({ ...fixed, content }).bytes
      expect(summarize(bytes)).toMatchObject({ kind: 'fixed', id: '7'.repeat(32), needsRepair: false, warnings: [] })
      const image = await vhd.open(createMemoryFile(bytes))
      expect(same((await image.read(0, 2 * MiB)).subarray(0, content.length), content)).toBe(true)
    }
  })

  it('is refused when its end is cut off', () => {
    const bytes = buildVhd(fixed).bytes
    const short = new Uint8Array(MiB)
    short.set(bytes.subarray(bytes.length - 512), MiB - 512)
    expect(() => summarize(short)).toThrow(expect.objectContaining({ kind: 'imageCorrupt', message: expect.stringContaining('2097152') as string }))
  })
})

describe('footers', () => {
  const build: Build = { ...xapi, batmap: true }

  it('of 511 bytes are read and repaired', async () => {
    for (const want of [build, fixed]) {
      const { bytes } = buildVhd(want)
      const file = createMemoryFile(bytes.subarray(0, bytes.length - 1))
      expect((await vhd.open(file)).summary).toMatchObject({ size: want.size, needsRepair: true, warnings: ['the footer at its end is one byte short'] })
      expect(await vhd.repair(file, false)).toEqual([{ weight: 'repairable', what: 'the footer at its end is one byte short' }])
      expect(same(await file.read(0, bytes.length), bytes)).toBe(true)
      expect((await vhd.open(file)).summary.needsRepair).toBe(false)
    }
  })

  it('lost at the end are replaced by the copy, before and after a repair', async () => {
    const { bytes, footerAt } = buildVhd(build)
    for (const damaged of [bytes.subarray(0, footerAt), bytes.slice().fill(0xc7, footerAt), bytes.slice().fill(0, footerAt)]) {
      const file = createMemoryFile(damaged)
      const image = await vhd.open(file)
      expect(image.summary).toMatchObject({ size: build.size, needsRepair: true })
      expect(image.summary.warnings[0]).toContain('footer at its end is lost')
      expect(same(await readChain([image]), modelOf(build))).toBe(true)
      await expect(image.write(0, new Uint8Array(512))).rejects.toMatchObject({ kind: 'imageCorrupt', facts: { remedy: expect.stringContaining('epair') as string } })
      const told = await vhd.repair(file, true)
      expect(file.ops).toEqual([])
      expect(await vhd.repair(file, false)).toEqual(told)
      expect(same(await file.read(0, bytes.length), bytes)).toBe(true)
    }
  })

  it('bad at the start are replaced by the one at the end', async () => {
    const { bytes } = buildVhd(build)
    const damaged = bytes.slice().fill(0x55, 100, 200)
    const file = createMemoryFile(damaged)
    expect((await vhd.open(file)).summary).toMatchObject({ needsRepair: true, warnings: ['the copy of the footer at its start is bad'] })
    await vhd.repair(file, false)
    expect(same(await file.read(0, bytes.length), bytes)).toBe(true)
  })

  it('that differ only in `hidden` are hidden when the copy says so, which a full disk leaves behind', async () => {
    const { bytes } = buildVhd(build)
    const damaged = bytes.slice()
    damaged.set(buildFooter({ ...build, hidden: 1 }))
    const file = createMemoryFile(damaged)
    expect((await vhd.open(file)).summary).toMatchObject({ hidden: true, needsRepair: true })
    await vhd.repair(file, false)
    expect((await vhd.open(file)).summary).toMatchObject({ hidden: true, needsRepair: false })
    expect(same((await file.read(0, bytes.length)).subarray(bytes.length - 512), buildFooter({ ...build, hidden: 1 }))).toBe(true)
  })

  it('of xapi 1.1 are hidden by a copy whose checksum was not renewed, those of others are bad then', () => {
    const old = buildVhd({ ...build, version: 0x00010001, batmap: false }).bytes
    old[85] = 1
    expect(summarize(old)).toMatchObject({ hidden: true, needsRepair: true })
    const now = buildVhd(build).bytes
    now[85] = 1
    expect(summarize(now)).toMatchObject({ hidden: false, needsRepair: true, warnings: ['the copy of the footer at its start is bad'] })
  })

  it('with odd geometry, time, features and reserved bytes are read all the same', () => {
    const { bytes, footerAt } = buildVhd({ ...build, geometry: [65535, 16, 255], timestamp: 0xffffffff })
    for (const at of [0, footerAt]) {
      const footer = bytes.subarray(at, at + 512)
      footer.fill(0xee, 90, 500)
      footer[11] = 0xff
      resum(footer)
    }
    expect(summarize(bytes)).toMatchObject({ size: build.size, needsRepair: false, warnings: [] })
  })

  it('with v_poison in them are refused, with the way back', () => {
    for (const positions of [[0], [buildVhd(build).footerAt], [0, buildVhd(build).footerAt]]) {
      const { bytes } = buildVhd(build)
      for (const at of positions) bytes.set(Buffer.from('v_poison'), at)
      expect(() => summarize(bytes)).toThrow(expect.objectContaining({ kind: 'imageCorrupt', facts: expect.objectContaining({ remedy: expect.stringContaining('vhd-util revert') as string }) as object }))
    }
  })
})

describe('what is no VHD', () => {
  it.each([
    ['nothing at all', new Uint8Array(0)],
    ['one byte', new Uint8Array(1)],
    ['511 bytes of zeros', new Uint8Array(511)],
    ['a megabyte of zeros', new Uint8Array(MiB)],
    ['text', new Uint8Array(Buffer.from('hello '.repeat(1000)))],
  ])('is refused: %s', async (_name, bytes) => {
    expect(() => summarize(bytes)).toThrow(expect.objectContaining({ kind: 'imageCorrupt', facts: expect.objectContaining({ layer: 'format:vhd', remedy: expect.any(String) as string }) as object }))
    await expect(vhd.open(createMemoryFile(bytes))).rejects.toMatchObject({ kind: 'imageCorrupt' })
    await expect(vhd.repair(createMemoryFile(bytes), false)).rejects.toMatchObject({ kind: 'imageCorrupt' })
  })
})

describe('headers', () => {
  it.each<[string, (header: DataView) => void, string]>([
    ['a wrong cookie', (header) => header.setUint8(0, 0x58), 'no header'],
    ['a wrong version', (header) => header.setUint32(24, 0x00020000), 'version'],
    ['blocks that are no power of two', (header) => header.setUint32(32, 3 * MiB), 'power of two'],
    ['blocks of 256 bytes', (header) => header.setUint32(32, 256), 'power of two'],
    ['blocks of 2 GiB', (header) => header.setUint32(32, 0x80000000), 'power of two'],
    ['too few entries', (header) => header.setUint32(28, 7), '7 entries'],
    ['more entries than the file can hold', (header) => header.setUint32(28, 4_000_000), 'beyond'],
    ['more entries than are ever read', (header) => header.setUint32(28, 0xffffffff), 'larger than any'],
    ['a table inside the header', (header) => header.setBigUint64(16, 1024n), 'table'],
    ['a table at an odd offset', (header) => header.setBigUint64(16, 1537n), 'table'],
    ['a table beyond 2^63', (header) => header.setBigUint64(16, 0xfffffffffffffe00n), 'table'],
  ])('with %s are refused', (_name, change, says) => {
    const { bytes } = buildVhd(xapi)
    const header = bytes.subarray(512, 1536)
    change(new DataView(header.buffer, 512, 1024))
    resum(header)
    expect(() => summarize(bytes)).toThrow(expect.objectContaining({ kind: 'imageCorrupt', message: expect.stringContaining(says) as string }))
  })

  it('with a wrong checksum are refused', () => {
    const { bytes } = buildVhd(xapi)
    bytes[600] = 1
    expect(() => summarize(bytes)).toThrow(expect.objectContaining({ kind: 'imageCorrupt', message: expect.stringContaining('checksum') as string }))
  })
})

describe('names of parents', () => {
  it('are last components, without those that could lead elsewhere', () => {
    const windows = dialect('Windows 10, differencing')
    const names = (name: string, locator = ''): readonly string[] | undefined => summarize(buildVhd({
      ...windows, tableAt: 2048, parent: { id: 'b'.repeat(32), name },
      locators: locator === '' ? [] : [{ code: 'W2ru', space: 512, at: 1536, text: new Uint8Array(Buffer.from(locator, 'utf16le')) }],
    }).bytes).parent?.names
    expect(names('C:\\vm\\base.vhd')).toEqual(['base.vhd'])
    expect(names('/srv/x/base.vhd', '.\\moved.vhd')).toEqual(['base.vhd', 'moved.vhd'])
    expect(names('', '..\\..\\etc\\shadow')).toEqual(['shadow'])
    expect(names('..', 'a\\..')).toEqual([])
    expect(names('a\u0001b', '.\\x\ny')).toEqual([])
    expect(names('')).toEqual([])
  })
})

describe('a disk of no bytes', () => {
  it('can be read, which is nothing', async () => {
    const { bytes } = buildVhd({ type: 3, size: 0, creator: 'qem2', version: 0x00050003, id: '1'.repeat(32), entries: 0 })
    const image = await vhd.open(createMemoryFile(bytes))
    expect(image.summary.size).toBe(0)
    expect(await image.present(0, 0)).toEqual([])
    expect(await image.read(0, 0)).toHaveLength(0)
    expect((await image.check()).filter((finding) => finding.weight === 'damage')).toEqual([])
  })
})
