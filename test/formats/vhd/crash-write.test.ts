/** A process killed, or power lost, at any write of writing and syncing: every sector is old or new, the image is valid. */
import { describe, expect, it, vi } from 'vitest'
import { MiB } from '../../../core/units.ts'
import { vhd } from '../../../formats/vhd/format.ts'
import { applyOps, contentOf, crashStates, createMemoryFile, createRandom } from '../memory-file.ts'
import { buildVhd, modelOf, type Build } from './build-vhd.ts'
import { checkSectors, readOver, recover, type History } from './crashes.ts'
import { stamp } from './images.ts'

// Thousands of crashes, or of images: on a busy machine that takes a while.
vi.setConfig({ testTimeout: 300_000 })

const block = 8192
/** Small blocks, so that many of them cost little; xapi's alignment and batmap. */
const small: Build = {
  type: 3, size: 20 * block + 3 * 512, creator: 'tap\0', version: 0x00010003, id: 'a'.repeat(32), blockSize: block, alignment: 4096, batmap: { full: [4] },
  blocks: [
    { block: 4, bitmap: [0xff, 0xff], data: stamp(1, 4 * block, block) },
    { block: 1, bitmap: [0x02, 0xcb], data: new Uint8Array(block) },
  ],
}
const start: Readonly<Record<string, Build>> = {
  'dynamic': small,
  'differencing': { ...small, type: 4, parent: { id: 'b'.repeat(32), name: 'parent.vhd' }, locators: [{ code: 'W2ru', space: 512, at: 3072, text: new Uint8Array(24) }] },
  'differencing, packed by 512, with garbage under clear bits': {
    ...small, type: 4, creator: 'vbox', alignment: 512, batmap: false, parent: { id: 'b'.repeat(32), name: 'parent.vhd' },
    blocks: [{ block: 1, bitmap: [0x02, 0xcb], data: stamp(66, block, block) }, { block: 3, bitmap: [0xff, 0xff], data: stamp(1, 3 * block, block) }],
  },
}

/** The image on a logical volume that once held something else: garbage between the last block and the footer at the end. */
const onVolume = (bytes: Uint8Array, room: number): Uint8Array => {
  const volume = new Uint8Array(bytes.length + room).fill(0xdd)
  volume.set(bytes.subarray(0, bytes.length - 512))
  volume.set(bytes.subarray(bytes.length - 512), volume.length - 512)
  return volume
}

/** Random writes and syncs, what they did to the file, and when. */
const play = async (initial: Uint8Array, size: number, seed: number, steps: number, largest: number) => {
  const random = createRandom(seed)
  const file = createMemoryFile(initial)
  const image = await vhd.open(file)
  const history: History = { writes: [], syncs: [] }
  for (let i = 0; i < steps; i += 1) {
    if (i % 4 === 3) {
      await image.sync()
      history.syncs.push({ done: file.ops.length, writes: history.writes.length })
      continue
    }
    const offset = Math.floor(random() * (size / 512)) * 512
    const bytes = stamp(100 + i, offset, Math.min(Math.ceil(random() * largest) * 512, size - offset))
    history.writes.push({ started: file.ops.length, offset, bytes })
    await image.write(offset, bytes)
  }
  return { ops: file.ops, history, image }
}

describe.each(Object.entries(start))('an image that is %s', (_name, build) => {
  it.each([
    [1, 'in a file of its own', 0],
    [3, 'in a file of its own', 0],
    [2, 'on a volume with room for some blocks', 5 * (block + 4096)],
  ])('shows old or new sectors after a crash at any write (course %d, %s)', async (seed, _place, room) => {
    const packed = buildVhd(build).bytes
    const bytes = room === 0 ? packed : onVolume(packed, room)
    const below = build.type === 4 ? stamp(99, 0, build.size) : undefined
    const initial = modelOf(build, below)
    const { ops, history, image } = await play(bytes, build.size, seed, 12, 60)
    expect(Buffer.compare(await readOver(image, below), (() => {
      const model = initial.slice()
      for (const write of history.writes) model.set(write.bytes, write.offset)
      return model
    })())).toBe(0)
    let states = 0
    for (const state of crashStates(contentOf(bytes), ops, { random: 3, seed })) {
      const { file, image: after } = await recover(state)
      const read = await readOver(after, below)
      checkSectors(read, initial, history, state.step, `${state.how} at operation ${state.step}`)
      // Life goes on: what is free space may hold anything, and must not come to light.
      if (states % 11 === 0) {
        const more = stamp(200, 15 * block + 512, 512)
        await after.write(15 * block + 512, more)
        await after.sync()
        read.set(more, 15 * block + 512)
        expect(Buffer.compare(await readOver(await vhd.open(file), below), read)).toBe(0)
        expect((await (await vhd.open(file)).check()).filter((finding) => finding.weight !== 'note')).toEqual([])
      }
      states += 1
    }
    expect(states).toBeGreaterThan(100)
  })
})

describe('an image of ours with blocks of 2 MiB', () => {
  it('shows old or new sectors after a crash at any write', async () => {
    const size = 4 * MiB
    const bytes = vhd.create({ size, id: 'a'.repeat(32), createdMs: 0 })
    const { ops, history } = await play(bytes, size, 5, 8, 500)
    for (const state of crashStates(contentOf(bytes), ops, { random: 2, seed: 5 })) {
      const { image } = await recover(state)
      checkSectors(await readOver(image, undefined), new Uint8Array(size), history, state.step, `${state.how} at operation ${state.step}`)
    }
  })
})

describe('a fixed image', () => {
  it('shows old or new sectors after a crash at any write', async () => {
    const size = 64 * 512
    const { bytes } = buildVhd({ type: 2, size, creator: 'win ', version: 0x00060001, id: 'a'.repeat(32), content: stamp(1, 0, size) })
    const { ops, history } = await play(bytes, size, 6, 12, 30)
    for (const state of crashStates(contentOf(bytes), ops, { random: 3, seed: 6 })) {
      const { image } = await recover(state)
      checkSectors(await readOver(image, undefined), stamp(1, 0, size), history, state.step, `${state.how} at operation ${state.step}`)
    }
  })
})

describe('free space behind the last block', () => {
  it('may hold anything: what is allocated there is zeros except for what was written', async () => {
    const volume = onVolume(buildVhd(small).bytes, 3 * (block + 4096) + 1000 * 512)
    const file = createMemoryFile(volume)
    const image = await vhd.open(file)
    const model = modelOf(small)
    for (const at of [0, 5 * block + 1024, 7 * block, 7 * block + 4096]) {
      await image.write(at, stamp(3, at, 1024))
      model.set(stamp(3, at, 1024), at)
    }
    await image.write(9 * block, stamp(4, 9 * block, block))
    model.set(stamp(4, 9 * block, block), 9 * block)
    await image.sync()
    expect(await file.length()).toBe(volume.length)
    const again = await vhd.open(file)
    expect(Buffer.compare(await again.read(0, small.size), model)).toBe(0)
    expect((await again.check()).map((finding) => finding.what).filter((what) => !what.includes('unused'))).toEqual([])
  })
})

describe('sync', () => {
  it('costs two syncs of the file for any number of new blocks, and one when there are none', async () => {
    const file = createMemoryFile(vhd.create({ size: 64 * MiB, id: 'a'.repeat(32), createdMs: 0 }))
    const image = await vhd.open(file)
    for (let i = 0; i < 10; i += 1) await image.write(2 * i * MiB, stamp(i, 0, 512))
    await image.write(40 * MiB, stamp(1, 0, 4 * MiB))
    expect(file.ops.filter((op) => op.kind === 'sync')).toHaveLength(0)
    await image.sync()
    expect(file.ops.filter((op) => op.kind === 'sync')).toHaveLength(2)
    await image.write(0, stamp(77, 0, 512))
    await image.sync()
    expect(file.ops.filter((op) => op.kind === 'sync')).toHaveLength(3)
  })

  it('comes by itself when very many blocks wait for it, so that memory stays small', async () => {
    const file = createMemoryFile(buildVhd({ ...small, size: 2000 * block, blocks: [], batmap: true }).bytes)
    const image = await vhd.open(file)
    for (let i = 0; i < 1500; i += 1) await image.write(i * block, stamp(i & 255, 0, 512))
    expect(file.ops.filter((op) => op.kind === 'sync')).toHaveLength(2)
  })

  it('that fails closes the image for writing: the kernel may have forgotten what it was given', async () => {
    const file = createMemoryFile(vhd.create({ size: 4 * MiB, id: 'a'.repeat(32), createdMs: 0 }))
    const image = await vhd.open(file)
    await image.write(0, stamp(1, 0, 512))
    file.fail = (op) => (op.kind === 'sync' ? new Error('EIO') : undefined)
    await expect(image.sync()).rejects.toThrow('EIO')
    file.fail = () => undefined
    await expect(image.write(0, stamp(2, 0, 512))).rejects.toMatchObject({ kind: 'ioError' })
    await expect(image.sync()).rejects.toMatchObject({ kind: 'ioError' })
    expect(await (await vhd.open(file)).present(0, 4 * MiB)).toEqual([])
  })
})

describe('writes at once', () => {
  it('come one after the other, and reads between them see whole sectors', async () => {
    const file = createMemoryFile(buildVhd({ ...small, blocks: [], batmap: true }).bytes)
    const image = await vhd.open(file)
    const model = new Uint8Array(small.size)
    const random = createRandom(9)
    const work: Promise<unknown>[] = []
    for (let i = 0; i < 60; i += 1) {
      const offset = Math.floor(random() * (small.size / 512)) * 512
      const bytes = stamp(i, offset, Math.min(Math.ceil(random() * 30) * 512, small.size - offset))
      model.set(bytes, offset)
      work.push(image.write(offset, bytes))
      if (i % 7 === 0) work.push(image.sync())
      if (i % 5 === 0) {
        work.push(image.present(0, small.size).then(async (ranges) => {
          for (const range of ranges) {
            const read = await image.read(range.offset, range.length)
            for (let at = 0; at < read.length; at += 512) expect(Buffer.from(read.subarray(at, at + 8)).readUInt32BE(4)).toBe((range.offset + at) / 512)
          }
        }))
      }
    }
    await Promise.all(work)
    await image.sync()
    const again = await vhd.open(file)
    expect(Buffer.compare(await again.read(0, small.size), model)).toBe(0)
    expect((await again.check()).filter((finding) => finding.weight !== 'note')).toEqual([])
  })
})

describe('a failure while the tables are written', () => {
  it('closes the image for writing: half of them may be there', async () => {
    const file = createMemoryFile(vhd.create({ size: 4 * MiB, id: 'a'.repeat(32), createdMs: 0 }))
    const image = await vhd.open(file)
    await image.write(0, stamp(1, 0, 512))
    file.fail = (op) => (op.kind === 'write' && op.at === 1536 ? new Error('EIO') : undefined)
    await expect(image.sync()).rejects.toThrow('EIO')
    file.fail = () => undefined
    await expect(image.sync()).rejects.toMatchObject({ kind: 'ioError', facts: { remedy: expect.stringContaining('open the image again') as string } })
    const again = await vhd.open(file)
    expect(again.summary.needsRepair).toBe(false)
    expect((await again.check()).filter((finding) => finding.weight !== 'note')).toEqual([])
  })
})

describe('a file that has reached 2 TiB', () => {
  it('takes no more blocks, says so, and keeps what it has', async () => {
    const { bytes } = buildVhd({ ...small, blocks: [], batmap: true })
    const last = 0xfffffff7
    new DataView(bytes.buffer).setUint32(1536, last)
    const content = applyOps(contentOf(bytes.subarray(0, bytes.length - 512)), [
      { kind: 'write', at: last * 512, bytes: new Uint8Array(512).fill(0xff, 0, 2) },
      { kind: 'write', at: (last + 1) * 512, bytes: stamp(1, 0, block) },
      { kind: 'write', at: (last + 1) * 512 + block, bytes: bytes.subarray(bytes.length - 512) },
    ])
    const file = createMemoryFile(content)
    const image = await vhd.open(file)
    await image.write(512, stamp(2, 512, 512))
    await expect(image.write(block, stamp(2, block, 512))).rejects.toMatchObject({ kind: 'limitExceeded', facts: { remedy: expect.any(String) as string } })
    await image.sync()
    const again = await vhd.open(file)
    expect(await again.present(0, small.size)).toEqual([{ offset: 0, length: block }])
    expect(Buffer.compare(await again.read(512, 512), stamp(2, 512, 512))).toBe(0)
  })
})

describe('a write that fails because the place is full', () => {
  it('leaves the image as it was, and can be repeated when there is space', async () => {
    const file = createMemoryFile(vhd.create({ size: 8 * MiB, id: 'a'.repeat(32), createdMs: 0 }))
    const image = await vhd.open(file)
    await image.write(0, stamp(1, 0, 1024))
    await image.sync()
    file.fail = (op) => (op.kind === 'write' && op.bytes.length > 512 ? new Error('ENOSPC') : undefined)
    await expect(image.write(4 * MiB, stamp(2, 4 * MiB, 4096))).rejects.toThrow('ENOSPC')
    expect(await image.present(4 * MiB, 4 * MiB)).toEqual([])
    await image.sync()
    expect(await (await vhd.open(file)).present(0, 8 * MiB)).toEqual([{ offset: 0, length: 1024 }])
    file.fail = () => undefined
    await image.write(4 * MiB, stamp(2, 4 * MiB, 4096))
    await image.sync()
    const again = await vhd.open(file)
    expect(Buffer.compare(await again.read(4 * MiB, 4096), stamp(2, 4 * MiB, 4096))).toBe(0)
    expect((await again.check()).filter((finding) => finding.weight !== 'note')).toEqual([])
  })
})
