/** Coalescing a child into its base: nothing that can be seen through the child ever changes, however often it is interrupted. */
import { describe, expect, it, vi } from 'vitest'
import { MiB } from '../../../core/units.ts'
import { vhd } from '../../../formats/vhd/format.ts'
import { contentOf, crashStates, createMemoryFile, createRandom } from '../memory-file.ts'
import { buildVhd, modelOf, type Build } from './build-vhd.ts'
import { sameAs, serious } from './crashes.ts'
import { ones, readChain, stamp } from './images.ts'

// Thousands of crashes, or of images: on a busy machine that takes a while.
vi.setConfig({ testTimeout: 300_000 })

const block = 4096
const size = 40 * block
const base: Build = {
  type: 3, size, creator: 'tap\0', version: 0x00010003, id: 'b'.repeat(32), blockSize: block, alignment: 4096, batmap: { full: [1] },
  blocks: [{ block: 1, bitmap: [0xff], data: stamp(1, block, block) }, { block: 7, bitmap: [0x0f], data: stamp(2, 7 * block, block).fill(0, 0, 2048) }],
}
/** Zeros among it: they hide what the base has. */
const child: Build = {
  ...base, type: 4, id: 'c'.repeat(32), batmap: { full: [30] }, parent: { id: 'b'.repeat(32), name: 'base.vhd' },
  blocks: [
    { block: 1, bitmap: [0x3c], data: new Uint8Array(block) },
    { block: 30, bitmap: [0xff], data: stamp(3, 30 * block, block) },
    { block: 7, bitmap: [0xf0], data: stamp(4, 7 * block, block) },
    { block: 12, bitmap: [0x81], data: stamp(5, 12 * block, block).fill(0, 512, block - 512) },
  ],
}
const all = { from: 0, budget: Infinity, signal: new AbortController().signal }
const inside = async (bytes: Uint8Array) => vhd.open(createMemoryFile(bytes))
const seenThrough = modelOf(child, modelOf(base))

describe('absorbing a child', () => {
  it('makes the base alone read as the child did, and leaves the child as it is', async () => {
    const baseFile = createMemoryFile(buildVhd(base).bytes)
    const childFile = createMemoryFile(buildVhd(child).bytes)
    const [into, from] = [await vhd.open(baseFile), await vhd.open(childFile)]
    expect(Buffer.compare(await readChain([from, into]), seenThrough)).toBe(0)
    const told: number[] = []
    expect(await vhd.absorb(into, from, { ...all, onProgress: ({ done, total }) => {
      expect(total).toBe(size)
      told.push(done)
    } })).toBe(size)
    expect(told).toEqual(told.toSorted((a, b) => a - b))
    expect(told.at(-1)).toBe(size)
    expect(childFile.ops).toEqual([])
    const again = await vhd.open(baseFile)
    expect(await sameAs(again, seenThrough)).toBe(true)
    expect(await serious(again)).toEqual([])
  })

  it('works into fixed and into differencing bases', async () => {
    const fixed: Build = { ...base, type: 2, content: modelOf(base) }
    const between: Build = { ...base, type: 4, parent: { id: '0f'.repeat(16), name: 'root.vhd' } }
    const root = stamp(77, 0, size)
    for (const [build, below] of [[fixed, undefined], [between, root]] as const) {
      const file = createMemoryFile(buildVhd(build).bytes)
      await vhd.absorb(await vhd.open(file), await inside(buildVhd(child).bytes), all)
      const merged = await vhd.open(file)
      const bytes = below?.slice() ?? new Uint8Array(size)
      for (const { offset, length } of await merged.present(0, size)) bytes.set(await merged.read(offset, length), offset)
      expect(Buffer.compare(bytes, modelOf(child, modelOf(base, below)))).toBe(0)
    }
  })

  it('shows the same through the child after a crash at any write, and finishes when it is repeated', async () => {
    const { bytes } = buildVhd(base)
    const file = createMemoryFile(bytes)
    await vhd.absorb(await vhd.open(file), await inside(buildVhd(child).bytes), all)
    for (const state of crashStates(contentOf(bytes), file.ops, { random: 4, seed: 1 })) {
      const crashed = createMemoryFile(state.content)
      const where = `${state.how} at operation ${state.step}`
      const through = await inside(buildVhd(child).bytes)
      expect(Buffer.compare(await readChain([through, await vhd.open(crashed)]), seenThrough), where).toBe(0)
      await vhd.repair(crashed, false)
      const into = await vhd.open(crashed)
      await vhd.absorb(into, through, all)
      const done = await vhd.open(crashed)
      expect(await sameAs(done, seenThrough), where).toBe(true)
      expect(await serious(done), where).toEqual([])
    }
  })

  it('stops when its budget is spent and goes on where it was', async () => {
    const file = createMemoryFile(buildVhd(base).bytes)
    const from = await inside(buildVhd(child).bytes)
    let reached = 0
    const stops: number[] = []
    while (reached < size) {
      // Each part in a new process, as it were.
      reached = await vhd.absorb(await vhd.open(file), from, { ...all, from: reached, budget: 1024 })
      stops.push(reached)
      expect(Buffer.compare(await readChain([from, await vhd.open(file)]), seenThrough)).toBe(0)
    }
    expect(stops.length).toBeGreaterThan(3)
    expect(await sameAs(await vhd.open(file), seenThrough)).toBe(true)
  })

  it('stops between two steps when it is cancelled, with everything up to there synced', async () => {
    const file = createMemoryFile(buildVhd(base).bytes)
    const stop = new AbortController()
    const from = await inside(buildVhd(child).bytes)
    const reached = await vhd.absorb(await vhd.open(file), from, { ...all, signal: stop.signal, onProgress: () => stop.abort() })
    expect(reached).toBeGreaterThan(0)
    expect(reached).toBeLessThan(size)
    expect(file.ops.at(-1)).toEqual({ kind: 'sync' })
    expect(await vhd.absorb(await vhd.open(file), from, { ...all, from: reached })).toBe(size)
    expect(await sameAs(await vhd.open(file), seenThrough)).toBe(true)
  })

  it('refuses a base that is smaller than the child, which then grows first', async () => {
    const larger: Build = { ...child, size: 600 * block }
    const file = createMemoryFile(buildVhd(base).bytes)
    const into = await vhd.open(file)
    const from = await inside(buildVhd(larger).bytes)
    await expect(vhd.absorb(into, from, all)).rejects.toMatchObject({ kind: 'sizeOutOfRange', facts: { remedy: expect.stringContaining('Grow') as string } })
    expect(file.ops).toEqual([])
    await into.grow(larger.size, file.redo)
    expect(await vhd.absorb(into, from, all)).toBe(larger.size)
    expect(await sameAs(await vhd.open(file), modelOf(larger, modelOf(base)))).toBe(true)
  })

  it('passes over what a huge child does not hold', async () => {
    const huge = 1024 * 1024 * MiB
    const from = createMemoryFile(vhd.create({ size: huge, id: 'c'.repeat(32), createdMs: 0, parent: { id: 'b'.repeat(32), fileName: 'base.vhd' } }))
    const leaf = await vhd.open(from)
    const random = createRandom(3)
    const places = Array.from({ length: 20 }, () => Math.floor(random() * (huge / 512)) * 512)
    for (const at of places) await leaf.write(at, stamp(1, at, 512))
    await leaf.sync()
    const file = createMemoryFile(vhd.create({ size: huge, id: 'b'.repeat(32), createdMs: 0 }))
    const into = await vhd.open(file)
    expect(await vhd.absorb(into, leaf, all)).toBe(huge)
    expect(await into.present(0, huge)).toEqual(places.toSorted((a, b) => a - b).map((offset) => ({ offset, length: 512 })))
  })

  it('copies whole blocks of 2 MiB and keeps their order', async () => {
    const file = createMemoryFile(vhd.create({ size: 8 * MiB, id: 'b'.repeat(32), createdMs: 0 }))
    const build: Build = {
      type: 4, size: 8 * MiB, creator: 'win ', version: 0x000a0000, id: 'c'.repeat(32), alignment: 4096, parent: { id: 'b'.repeat(32), name: 'base.vhd' },
      blocks: [{ block: 3, bitmap: ones(512), data: stamp(1, 0, 2 * MiB) }, { block: 0, bitmap: [0x02, 0xcb, 0xa8], data: stamp(2, 0, 24 * 512) }],
    }
    await vhd.absorb(await vhd.open(file), await inside(buildVhd(build).bytes), all)
    expect(await sameAs(await vhd.open(file), modelOf(build))).toBe(true)
  })
})
