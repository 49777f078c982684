/**
 * Images that somebody made to hurt: whatever is in the file, the answer is a value or one clear error, in bounded time and
 * memory, and a repair never makes a readable image unreadable.
 */
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { StorageError, type ErrorKind } from '../../../core/errors.ts'
import { MiB } from '../../../core/units.ts'
import { vhd } from '../../../formats/vhd/format.ts'
import { applyOps, contentOf, createMemoryFile, type Content } from '../memory-file.ts'
import { buildVhd, resum, type Build } from './build-vhd.ts'
import { stamp, summarize } from './images.ts'

// Thousands of crashes, or of images: on a busy machine that takes a while.
vi.setConfig({ testTimeout: 300_000 })

const block = 4096
const text = new Uint8Array(Buffer.from('.\\parent.vhd', 'utf16le'))
const small: Build = {
  type: 3, size: 20 * block, creator: 'tap\0', version: 0x00010003, id: 'a'.repeat(32), blockSize: block, alignment: 4096, batmap: { full: [4] }, entries: 24,
  blocks: [{ block: 4, bitmap: [0xff], data: stamp(1, 0, block) }, { block: 1, bitmap: [0x02], data: stamp(2, 0, block) }, { block: 19, bitmap: [0xf0], data: stamp(3, 0, block) }],
}
const starts: readonly Uint8Array[] = [
  small,
  { ...small, type: 4 as const, parent: { id: 'b'.repeat(32), name: 'parent.vhd' }, locators: [{ code: 'MacX', space: 512, at: 3072, text }, { code: 'W2ku', space: 1, at: 3584, text }, { code: 'W2ru', space: 512, at: 4096, text }] },
  { ...small, creator: 'win ', batmap: false, tableAt: 8192, alignment: 512 },
  { type: 2 as const, size: 20 * block, creator: 'vpc ', version: 0x00050000, id: 'f'.repeat(32), content: stamp(1, 0, 20 * block) },
].map((build: Build) => buildVhd(build).bytes)

/** What may be thrown at all, and no other thing. */
const allowed: ReadonlySet<ErrorKind> = new Set(['imageCorrupt', 'limitExceeded', 'sizeOutOfRange'])
const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof StorageError) || !allowed.has(error.kind)) throw error
    expect(error.facts).toMatchObject({ layer: 'format:vhd', remedy: expect.any(String) as string })
    return undefined
  }
}

/** Nothing is ever read in larger pieces than this, whatever lengths the file claims. */
const largestRead = 17 * MiB

const exercise = async (content: Content): Promise<void> => {
  const file = createMemoryFile(content)
  const image = await attempt(async () => vhd.open(file))
  await attempt(async () => vhd.repair(file, true))
  expect(file.ops).toEqual([])
  if (image !== undefined) {
    const size = image.summary.size
    const end = Math.min(size, 64 * block)
    expect(JSON.stringify(image.summary).length).toBeLessThan(5000)
    const ranges = await attempt(async () => image.present(0, end)) ?? []
    for (const { offset, length } of ranges) await attempt(async () => image.read(offset, length))
    await attempt(async () => image.present(size - Math.min(size, block), Math.min(size, block)))
    await attempt(async () => image.check())
    expect(file.ops).toEqual([])
    await attempt(async () => image.setIdentity({ hidden: true }))
    if (image.summary.kind === 'differencing') await attempt(async () => image.reparent({ id: 'd'.repeat(32), fileName: 'new.vhd' }, file.redo))
    if (size >= 2 * block) {
      await attempt(async () => image.write(block, stamp(7, block, 1024)))
      await attempt(async () => image.sync())
    }
    if (size < 8 * MiB) await attempt(async () => image.grow(16 * MiB, file.redo))
    // Whatever we did to it, what could be opened before still can.
    await vhd.open(file)
  }
  await attempt(async () => vhd.repair(file, false))
  if (image !== undefined) await vhd.open(file)
  expect(file.reads.largest).toBeLessThanOrEqual(largestRead)
  // No write was sent far away by a number in the file, except by the size of a disk that it claims to be.
  const lengthNow = await file.length()
  expect(lengthNow).toBeLessThanOrEqual(Math.max(content.length, 16 * MiB) + 4 * MiB + 65 * MiB)
}

const interesting = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 4, 7, 8, 511, 512, 513, 1023, 1024, 1536, 4095, 4096, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 2097152, 0x00010003, 0x00010000),
  fc.integer({ min: 0, max: 0xffffffff }),
)
/** Fields of footers, headers, tables, batmaps and locators all lie on four bytes. */
const mutation = fc.record({ start: fc.nat(starts.length - 1), words: fc.array(fc.record({ at: fc.nat(1300), value: interesting }), { minLength: 1, maxLength: 6 }), mend: fc.boolean(), both: fc.boolean(), cut: fc.option(fc.nat(60_000), { nil: undefined, freq: 6 }) })

describe('a mutated image', () => {
  it('is answered with a value or imageCorrupt, and never with anything else', async () => {
    await fc.assert(fc.asyncProperty(mutation, async ({ start, words, mend, both, cut }) => {
      const bytes = starts[start]?.slice() ?? new Uint8Array(0)
      const view = new DataView(bytes.buffer)
      for (const { at, value } of words) {
        view.setUint32((4 * at) % (bytes.length - 4), value)
        // The footer at the end gets the same, so that the two agree on it.
        if (both && 4 * at < 512) view.setUint32(bytes.length - 512 + 4 * at, value)
      }
      if (mend) {
        resum(bytes.subarray(0, 512))
        resum(bytes.subarray(512, 1536))
        resum(bytes.subarray(bytes.length - 512))
      }
      await exercise(contentOf(cut === undefined ? bytes : bytes.subarray(0, Math.max(0, bytes.length - cut))))
    }), {
      numRuns: 1500,
      // An entry behind the end of the disk that points at a locator.
      examples: [[{ start: 1, words: [{ at: 404, value: 0 }, { at: 6, value: 0 }], mend: true, both: true, cut: undefined }]],
    })
  })

  it('is answered the same by the scan and by opening', async () => {
    await fc.assert(fc.asyncProperty(mutation, async ({ start, words, mend }) => {
      const bytes = starts[start]?.slice() ?? new Uint8Array(0)
      const view = new DataView(bytes.buffer)
      for (const { at, value } of words) view.setUint32((4 * at) % (bytes.length - 4), value)
      if (mend) for (const part of [bytes.subarray(0, 512), bytes.subarray(512, 1536), bytes.subarray(bytes.length - 512)]) resum(part)
      const scanned = await attempt(async () => summarize(bytes))
      const opened = await attempt(async () => vhd.open(createMemoryFile(bytes)))
      expect(opened?.summary).toEqual(scanned)
    }), { numRuns: 500 })
  })

  it('of pure noise behind a cookie is refused', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 512, maxLength: 5000 }), fc.boolean(), (noise, atEnd) => {
      const bytes = noise.slice()
      bytes.set(Buffer.from('conectix'), atEnd ? bytes.length - 512 : 0)
      try {
        summarize(bytes)
        expect.unreachable()
      } catch (error) {
        expect(error).toMatchObject({ kind: 'imageCorrupt' })
      }
    }))
  })
})

describe('a huge sparse file with a hostile header', () => {
  const claim = (change: (view: DataView) => void, length: number): Content => {
    const { bytes } = buildVhd(small)
    change(new DataView(bytes.buffer))
    resum(bytes.subarray(0, 512))
    resum(bytes.subarray(512, 1536))
    return applyOps(contentOf(bytes.subarray(0, bytes.length - 512)), [{ kind: 'write', at: length - 512, bytes: bytes.subarray(0, 512) }])
  }

  it.each<[string, (view: DataView) => void]>([
    ['as many entries as a number can hold', (view) => view.setUint32(512 + 28, 0xffffffff)],
    ['the most entries that are read', (view) => view.setUint32(512 + 28, 4 * 1024 * 1024)],
    ['a disk of many exabytes', (view) => view.setBigUint64(48, 0x7ffffffffffffe00n)],
    ['a locator of 4 GiB', (view) => {
      view.setUint32(60, 4)
      view.setUint32(512 + 576, 0x57327275)
      view.setUint32(512 + 576 + 4, 0xfffffe00)
      view.setUint32(512 + 576 + 8, 0xfffffe00)
      view.setBigUint64(512 + 576 + 16, 65536n)
    }],
  ])('costs little memory: %s', async (_name, change) => {
    const content = claim(change, 2 ** 42)
    const file = createMemoryFile(content)
    const image = await attempt(async () => vhd.open(file))
    if (image !== undefined) {
      await attempt(async () => image.present(0, 4 * block))
      if (image.summary.kind === 'differencing') await attempt(async () => image.reparent({ id: 'd'.repeat(32), fileName: 'new.vhd' }, file.redo))
      await attempt(async () => image.write(0, new Uint8Array(512).fill(1)))
      await attempt(async () => image.grow(16 * MiB, file.redo))
    }
    await attempt(async () => vhd.repair(file, true))
    expect(file.reads.largest).toBeLessThanOrEqual(largestRead)
    expect(Math.max(0, ...file.ops.map((op) => (op.kind === 'write' ? op.bytes.length : 0)))).toBeLessThanOrEqual(largestRead)
  })
})
