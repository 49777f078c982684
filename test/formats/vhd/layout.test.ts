/** The bytes of what we write, against the facts about the format: worked out by hand, not by the code under test. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../core/errors.ts'
import { GiB, MiB } from '../../../core/units.ts'
import { vhd } from '../../../formats/vhd/format.ts'
import { geometryOf } from '../../../formats/vhd/geometry.ts'
import { byteSum } from '../../../formats/vhd/wire.ts'
import { createMemoryFile } from '../memory-file.ts'
import { summarize } from './images.ts'

const id = '0123456789abcdef0123456789abcdef'
const createdMs = Date.UTC(2024, 0, 2, 3, 4, 5)
const parent = { id: 'fedcba9876543210fedcba9876543210', fileName: 'parent.vhd' }
const hexOf = (bytes: Uint8Array, from: number, to: number): string => Buffer.from(bytes.subarray(from, to)).toString('hex')

const dynamicFooter = [
  '636f6e6563746978', // conectix
  '00000002', '00010000', // features, version
  '0000000000000200', // header at 512
  '2d2639a5', // 757,479,845 seconds after 2000-01-01
  '74617000', '00010003', '00000000', // tap, 1.3, no host OS
  '0000000004000000', '0000000004000000', // original and current size, 64 MiB
  '03c30811', // 963 cylinders, 8 heads, 17 sectors
  '00000003', // dynamic
  'fffff1b9', // checksum
  '0123456789abcdef0123456789abcdef',
  '0000', // saved state, hidden
].join('')

describe('a new dynamic image of 64 MiB', () => {
  const bytes = vhd.create({ size: 64 * MiB, id, createdMs })

  it('has the footer of the facts, twice and equal', () => {
    expect(hexOf(bytes, 0, 86)).toBe(dynamicFooter)
    expect(bytes.subarray(86, 512).every((byte) => byte === 0)).toBe(true)
    expect(hexOf(bytes, bytes.length - 512, bytes.length)).toBe(hexOf(bytes, 0, 512))
  })

  it('has header, table of 32 free entries, batmap and footer behind each other', () => {
    expect(bytes.length).toBe(512 + 1024 + 512 + 512 + 512 + 512)
    expect(hexOf(bytes, 512, 512 + 36)).toBe('6378737061727365' + 'ffffffffffffffff' + '0000000000000600' + '00010000' + '00000020' + '00200000')
    expect(bytes.subarray(512 + 40, 1536).every((byte) => byte === 0)).toBe(true)
    expect(hexOf(bytes, 1536, 2048)).toBe('ff'.repeat(512))
    expect(hexOf(bytes, 2048, 2048 + 28)).toBe('7464626174 6d6170 0000000000000a00 00000001 00010002 ffffffff'.replaceAll(' ', ''))
    expect(bytes.subarray(2048 + 28, 3072).every((byte) => byte === 0)).toBe(true)
  })
})

describe('a new differencing image of 64 MiB', () => {
  const bytes = vhd.create({ size: 64 * MiB, id, createdMs, parent })

  it('names its parent in the header and in three relative locators of one sector each, in bytes', () => {
    expect(hexOf(bytes, 512, 512 + 84)).toBe([
      '6378737061727365', 'ffffffffffffffff', '0000000000000600', '00010000', '00000020', '00200000',
      'ffffe338', // checksum
      'fedcba9876543210fedcba9876543210',
      '00000000', '00000000', // no time of the parent, reserved
      '0070006100720065006e0074002e007600680064',
    ].join(''))
    expect(hexOf(bytes, 512 + 576, 512 + 576 + 72)).toBe([
      '4d616358', '00000200', '00000013', '00000000', '0000000000000c00',
      '57326b75', '00000200', '00000018', '00000000', '0000000000000e00',
      '57327275', '00000200', '00000018', '00000000', '0000000000001000',
    ].join(''))
    const text = (at: number, length: number, encoding: 'utf8' | 'utf16le'): string => Buffer.from(bytes.subarray(at, at + length)).toString(encoding)
    expect(text(3072, 0x13, 'utf8')).toBe('file://./parent.vhd')
    expect(text(3584, 0x18, 'utf16le')).toBe('.\\parent.vhd')
    expect(text(4096, 0x18, 'utf16le')).toBe('.\\parent.vhd')
    expect(bytes.length).toBe(4608 + 512)
  })

  it('is summarized with parent and names', () => {
    expect(summarize(bytes)).toEqual({
      kind: 'differencing', size: 64 * MiB, id, parent: { id: parent.id, names: ['parent.vhd'] },
      hidden: false, creator: 'tap 1.3', warnings: [], needsRepair: false,
    })
  })
})

describe('a block that is written for the first time', () => {
  it('lies with its bitmap at 3584 and its data at 4096, and the next one 2 MiB and 4096 bytes further', async () => {
    const file = createMemoryFile(vhd.create({ size: 64 * MiB, id, createdMs }))
    const image = await vhd.open(file)
    await image.write(6 * MiB + 512, new Uint8Array(512).fill(7))
    await image.write(0, new Uint8Array(1024).fill(8))
    await image.sync()
    const bytes = await file.read(0, await file.length())
    expect(hexOf(bytes, 1536, 1536 + 16)).toBe('0000100f' + 'ffffffff' + 'ffffffff' + '00000007')
    expect(hexOf(bytes, 3584, 3586)).toBe('4000')
    expect(bytes[4096]).toBe(0)
    expect(bytes[4096 + 512]).toBe(7)
    expect(hexOf(bytes, 3584 + 2 * MiB + 4096, 3584 + 2 * MiB + 4097)).toBe('c0')
    expect(bytes[2 * MiB + 8192]).toBe(8)
    expect(bytes.length).toBe(4 * MiB + 8192 + 512)
    // The footers that stood in between are gone.
    expect(bytes.subarray(3072, 3584).every((byte) => byte === 0)).toBe(true)
    expect(bytes.subarray(2 * MiB + 4096, 2 * MiB + 4096 + 3584).every((byte) => byte === 0)).toBe(true)
    expect(hexOf(bytes, bytes.length - 512, bytes.length)).toBe(hexOf(bytes, 0, 512))
  })
})

describe('a fixed image', () => {
  it('is the content and a footer without a header', async () => {
    const file = createMemoryFile()
    await vhd.createFixed(file, { size: 2 * MiB, id, createdMs })
    const bytes = await file.read(0, 4 * MiB)
    expect(bytes.length).toBe(2 * MiB + 512)
    expect(hexOf(bytes, 2 * MiB, 2 * MiB + 86)).toBe([
      '636f6e6563746978', '00000002', '00010000', 'ffffffffffffffff', '2d2639a5', '74617000', '00010003', '00000000',
      '0000000000200000', '0000000000200000', '003c0411', '00000002', 'ffffea1a', id, '0000',
    ].join(''))
    expect(summarize(bytes)).toMatchObject({ kind: 'fixed', size: 2 * MiB, id, hidden: false, needsRepair: false, warnings: [] })
  })

  it('writes zeros over what a device held, unless that is known to be zeros', async () => {
    const dirty = createMemoryFile(new Uint8Array(3 * MiB).fill(9))
    await vhd.createFixed(dirty, { size: 2 * MiB, id, createdMs })
    expect((await dirty.read(0, 2 * MiB)).every((byte) => byte === 0)).toBe(true)

    const blank = createMemoryFile(new Uint8Array(MiB))
    await vhd.createFixed(blank, { size: 2 * MiB, id, createdMs }, { blank: true })
    expect(blank.ops.map((op) => (op.kind === 'write' ? op.at : op.kind))).toEqual([MiB, 2 * MiB, 'sync'])
  })
})

describe('sizes', () => {
  it.each([0, 1, 512, MiB, 2 * MiB - 512, 3 * MiB, -2 * MiB, NaN, 2040 * GiB + 2 * MiB, 2 ** 53])('of %d bytes are refused before anything is written', async (size) => {
    const facts = expect.objectContaining({ field: 'size', layer: 'format:vhd', remedy: expect.any(String) as string }) as object
    const refused = expect.objectContaining({ kind: 'sizeOutOfRange', facts }) as Error
    expect(() => vhd.create({ size, id, createdMs })).toThrow(refused)
    const file = createMemoryFile()
    await expect(vhd.createFixed(file, { size, id, createdMs })).rejects.toThrow(refused)
    expect(file.ops).toEqual([])
  })

  it('reach from 2 MiB to 2040 GiB', () => {
    expect(vhd.create({ size: 2 * MiB, id, createdMs }).length).toBe(3584)
    const largest = vhd.create({ size: 2040 * GiB, id, createdMs })
    expect(largest.length).toBe(1536 + 4177920 + 512 + 130560 + 512)
    expect(summarize(largest)).toMatchObject({ size: 2190433320960, warnings: [], needsRepair: false })
  })
})

describe('identities and names', () => {
  it.each(['', '0'.repeat(32), '0123456789ABCDEF0123456789ABCDEF', id.slice(1), `${id}0`, '01234567-89ab-cdef-0123-456789abcdef'])('refuse the identity %j', (bad) => {
    expect(() => vhd.create({ size: 2 * MiB, id: bad, createdMs })).toThrow(StorageError)
  })

  it.each(['', '.', '..', '../parent.vhd', 'a/b.vhd', 'a\\b.vhd', 'C:x.vhd', 'bäse.vhd', 'a\0.vhd', 'x'.repeat(251)])('refuse %j as the name of a parent', (fileName) => {
    expect(() => vhd.create({ size: 2 * MiB, id, createdMs, parent: { id: parent.id, fileName } })).toThrow(expect.objectContaining({ kind: 'invalidArgument' }))
  })
})

describe('the geometry', () => {
  it.each([
    [2 * MiB, 60, 4, 17], [10 * MiB, 301, 4, 17], [64 * MiB, 963, 8, 17], [240 * MiB, 990, 16, 31], [250 * MiB, 507, 16, 63],
    [504 * MiB, 1024, 16, 63], [GiB, 2080, 16, 63], [31 * GiB, 64495, 16, 63], [32 * GiB, 16448, 16, 255], [127 * GiB, 65278, 16, 255], [128 * GiB, 65535, 16, 255], [2040 * GiB, 65535, 16, 255],
  ])('of %d bytes is %d x %d x %d', (size, cylinders, heads, sectors) => {
    const field = geometryOf(size)
    expect([field >>> 16, (field >>> 8) & 255, field & 255]).toEqual([cylinders, heads, sectors])
  })

  it('never says more than the size', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 4 * 2 ** 30 }), (sectors) => {
      const field = geometryOf(sectors * 512)
      const product = (field >>> 16) * ((field >>> 8) & 255) * (field & 255)
      expect(product).toBeLessThanOrEqual(sectors)
      expect(field >>> 16).toBeLessThanOrEqual(65535)
      expect((field >>> 8) & 255).toBeLessThanOrEqual(16)
    }))
  })
})

describe('the sum of bytes', () => {
  it('is the same four at a time as one by one, at any alignment', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(9), fc.nat(9), (bytes, skip, spare) => {
      const at = Math.min(skip, bytes.length)
      const length = Math.max(0, bytes.length - at - spare)
      expect(byteSum(bytes, at, length)).toBe(bytes.subarray(at, at + length).reduce((sum, byte) => sum + byte, 0))
    }))
    expect(byteSum(new Uint8Array(4096).fill(255))).toBe(4096 * 255)
  })
})
