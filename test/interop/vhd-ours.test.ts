/** Other programs read what we write, byte for byte. */
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { MiB } from '../../core/units.ts'
import { vhd } from '../../formats/vhd/format.ts'
import type { Image, RedoLog } from '../../formats/format.ts'
import { createRandom } from '../formats/memory-file.ts'
import { qemuContent, run, useDirectory, withFile } from './vhd-tools.ts'

const at = useDirectory()
const createdMs = Date.UTC(2024, 0, 2, 3, 4, 5)
const ids = { base: '11111111111141118111111111111111', middle: '22222222222242228222222222222222', leaf: '33333333333343338333333333333333' }
const names = { base: '11111111-1111-4111-8111-111111111111.vhd', middle: '22222222-2222-4222-8222-222222222222.vhd', leaf: '33333333-3333-4333-8333-333333333333.vhd' }

const noRedo: RedoLog = { save: async () => undefined, clear: async () => undefined }

/** Random pieces of random lengths, also into the model. */
const scribble = async (image: Image, model: Uint8Array, seed: number, count: number): Promise<void> => {
  const random = createRandom(seed)
  for (let i = 0; i < count; i += 1) {
    const offset = Math.floor(random() * (image.summary.size / 512)) * 512
    const length = Math.min(Math.ceil(random() * (i % 4 === 0 ? 6000 : 20)) * 512, image.summary.size - offset)
    const bytes = new Uint8Array(length)
    for (let j = 0; j < length; j += 1) bytes[j] = random() * 256
    await image.write(offset, bytes)
    model.set(bytes, offset)
  }
  await image.sync()
}

const sevenZip = (path: string): Buffer => run('7zz', 'e', '-so', '-tVHD', path)
const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && Buffer.compare(a, b) === 0

const expectReadByAll = (path: string, model: Uint8Array): void => {
  expect(same(sevenZip(path), model)).toBe(true)
  const info = JSON.parse(run('qemu-img', 'info', '--output=json', '--image-opts', `driver=vpc,force_size_calc=current_size,file.driver=file,file.filename=${path}`).toString()) as { 'virtual-size': number }
  expect(info['virtual-size']).toBe(model.length)
  qemuContent(path, `${path}.raw`)
  expect(same(readFileSync(`${path}.raw`), model)).toBe(true)
  writeFileSync(`${path}.model`, model)
  run('qemu-img', 'compare', '--image-opts', `driver=vpc,force_size_calc=current_size,file.driver=file,file.filename=${path}`, `driver=raw,file.driver=file,file.filename=${path}.model`)
  expect(run('vhdiinfo', path).toString()).toContain(`(${model.length} bytes)`)
}

describe('a fixed image of ours', () => {
  it('is read by 7-Zip, qemu and libvhdi, also after it has grown', async () => {
    const path = at('fixed.vhd')
    const model = new Uint8Array(6 * MiB)
    await withFile(path, async (file) => {
      await vhd.createFixed(file, { size: model.length, id: ids.base, createdMs })
      await scribble(await vhd.open(file), model, 1, 12)
    })
    expectReadByAll(path, model)
    const larger = new Uint8Array(10 * MiB)
    larger.set(model)
    await withFile(path, async (file) => {
      const image = await vhd.open(file)
      await image.grow(larger.length, noRedo)
      await scribble(image, larger, 2, 12)
    })
    expectReadByAll(path, larger)
    expect(run('vhdiinfo', path).toString()).toMatch(/Disk type\s*:\s*Fixed/)
  })
})

describe('a dynamic image of ours', () => {
  it('is read by 7-Zip, qemu and libvhdi while it is empty', async () => {
    const path = at('empty.vhd')
    writeFileSync(path, vhd.create({ size: 2 * MiB, id: ids.base, createdMs }))
    expectReadByAll(path, new Uint8Array(2 * MiB))
  })

  it('is read by 7-Zip, qemu and libvhdi, also after its table has grown', async () => {
    const path = at('dynamic.vhd')
    const model = new Uint8Array(40 * MiB)
    writeFileSync(path, vhd.create({ size: model.length, id: ids.base, createdMs }))
    await withFile(path, async (file) => scribble(await vhd.open(file), model, 3, 30))
    expectReadByAll(path, model)
    // 128 entries are one sector of the table: more make the batmap move.
    const larger = new Uint8Array(264 * MiB)
    larger.set(model)
    await withFile(path, async (file) => {
      const image = await vhd.open(file)
      await image.grow(larger.length, noRedo)
      await scribble(image, larger, 4, 30)
      expect(await image.check()).toEqual([])
    })
    expectReadByAll(path, larger)
  })
})

describe('a chain of images of ours in one directory', () => {
  it('of three is read by 7-Zip as we read it, before and after coalescing and re-parenting', async () => {
    const base = new Uint8Array(24 * MiB)
    writeFileSync(at(names.base), vhd.create({ size: base.length, id: ids.base, createdMs }))
    await withFile(at(names.base), async (file) => scribble(await vhd.open(file), base, 5, 20))
    const middle = base.slice()
    writeFileSync(at(names.middle), vhd.create({ size: base.length, id: ids.middle, createdMs, parent: { id: ids.base, fileName: names.base } }))
    await withFile(at(names.middle), async (file) => scribble(await vhd.open(file), middle, 6, 20))
    const leaf = middle.slice()
    writeFileSync(at(names.leaf), vhd.create({ size: base.length, id: ids.leaf, createdMs, parent: { id: ids.middle, fileName: names.middle } }))
    await withFile(at(names.leaf), async (file) => scribble(await vhd.open(file), leaf, 7, 20))

    expect(same(sevenZip(at(names.base)), base)).toBe(true)
    expect(same(sevenZip(at(names.middle)), middle)).toBe(true)
    expect(same(sevenZip(at(names.leaf)), leaf)).toBe(true)
    const info = run('vhdiinfo', at(names.leaf)).toString()
    expect(info).toMatch(/Disk type\s*:\s*Differential/)
    expect(info).toMatch(new RegExp(`Parent filename\\s*:\\s*${names.middle}`))
    expect(info).toContain('22222222-2222-4222-8222-222222222222')

    await withFile(at(names.base), async (baseFile) => withFile(at(names.middle), async (middleFile) => {
      const reached = await vhd.absorb(await vhd.open(baseFile), await vhd.open(middleFile), { from: 0, budget: Infinity, signal: new AbortController().signal })
      expect(reached).toBe(base.length)
    }))
    expect(same(sevenZip(at(names.leaf)), leaf)).toBe(true)
    await withFile(at(names.leaf), async (file) => (await vhd.open(file)).reparent({ id: ids.base, fileName: names.base }, noRedo))
    expect(same(sevenZip(at(names.base)), middle)).toBe(true)
    expect(same(sevenZip(at(names.leaf)), leaf)).toBe(true)
    expect(run('vhdiinfo', at(names.leaf)).toString()).toMatch(new RegExp(`Parent filename\\s*:\\s*${names.base}`))
  })

  // 7-Zip cannot read a child that is larger than its parent, so both grow.
  it('is read by 7-Zip after tables and locators of both have moved', async () => {
    const parent = new Uint8Array(20 * MiB)
    const [base, leaf] = ['44444444-4444-4444-8444-444444444444.vhd', '55555555-5555-4555-8555-555555555555.vhd']
    writeFileSync(at(base), vhd.create({ size: parent.length, id: '4'.repeat(32), createdMs }))
    await withFile(at(base), async (file) => scribble(await vhd.open(file), parent, 8, 20))
    const model = new Uint8Array(264 * MiB)
    model.set(parent)
    writeFileSync(at(leaf), vhd.create({ size: parent.length, id: '5'.repeat(32), createdMs, parent: { id: '4'.repeat(32), fileName: base } }))
    await withFile(at(leaf), async (file) => {
      const image = await vhd.open(file)
      await scribble(image, model, 9, 6)
      await image.grow(model.length, noRedo)
      await scribble(image, model, 10, 20)
      expect(await image.check()).toEqual([])
    })
    await withFile(at(base), async (file) => (await vhd.open(file)).grow(model.length, noRedo))
    expect(same(sevenZip(at(leaf)), model)).toBe(true)
  })
})
