/** Images that qemu-img makes are read, written, grown and absorbed without damage; what libvhdi and 7-Zip see is what we see. */
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { MiB } from '../../core/units.ts'
import { vhd } from '../../formats/vhd/format.ts'
import type { Image, RedoLog } from '../../formats/format.ts'
import { geometryOf } from '../../formats/vhd/geometry.ts'
import { createRandom } from '../formats/memory-file.ts'
import { buildVhd, modelOf, type Build } from '../formats/vhd/build-vhd.ts'
import { dialects } from '../formats/vhd/images.ts'
import { qemuContent, run, useDirectory, withFile } from './vhd-tools.ts'

const at = useDirectory()
const noRedo: RedoLog = { save: async () => undefined, clear: async () => undefined }
const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && Buffer.compare(a, b) === 0

const randomBytes = (seed: number, length: number): Uint8Array => {
  const random = createRandom(seed)
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i += 1) bytes[i] = random() * 256
  return bytes
}

/** A raw disk with holes, data and zeros. */
const rawDisk = (path: string, size: number): Uint8Array => {
  const model = new Uint8Array(size)
  for (const [seed, offset] of [[1, 0], [2, 3 * MiB + 512], [3, size - 4096]] as const) model.set(randomBytes(seed, Math.min(70_000, size - offset)), offset)
  const fd = openSync(path, 'w')
  writeSync(fd, model)
  closeSync(fd)
  return model
}

const readAll = async (image: Image): Promise<Uint8Array> => {
  const bytes = new Uint8Array(image.summary.size)
  for (const { offset, length } of await image.present(0, bytes.length)) bytes.set(await image.read(offset, length), offset)
  return bytes
}

const expectUnharmed = async (path: string, model: Uint8Array): Promise<void> => {
  await withFile(path, async (file) => {
    const image = await vhd.open(file)
    expect(image.summary).toMatchObject({ size: model.length, needsRepair: false, warnings: [] })
    expect(same(await readAll(image), model)).toBe(true)
    expect((await image.check()).filter((finding) => finding.weight !== 'note')).toEqual([])
  })
  qemuContent(path, `${path}.raw`)
  expect(same(readFileSync(`${path}.raw`), model)).toBe(true)
  writeFileSync(`${path}.model`, model)
  run('qemu-img', 'compare', '--image-opts', `driver=vpc,force_size_calc=current_size,file.driver=file,file.filename=${path}`, `driver=raw,file.driver=file,file.filename=${path}.model`)
}

const cases = ['dynamic', 'fixed'].flatMap((subformat) => ['on', 'off'].map((force) => [subformat, force, 7 * MiB] as const))

describe.each(cases)('a %s image of qemu-img with force_size=%s of %d bytes', (subformat, force, size) => {
  it('is summarized, read, written, grown and absorbed into without damage', async () => {
    const path = at(`qemu-${subformat}-${force}-${size}.vhd`)
    const raw = rawDisk(`${path}.source`, size)
    run('qemu-img', 'convert', '-f', 'raw', '-O', 'vpc', '-o', `subformat=${subformat},force_size=${force}`, `${path}.source`, path)
    const real = force === 'on' ? size : Number((JSON.parse(run('qemu-img', 'info', '-f', 'vpc', '--output=json', path).toString()) as { 'virtual-size': number })['virtual-size'])
    const model = new Uint8Array(real)
    model.set(raw)
    await withFile(path, async (file) => {
      const length = await file.length()
      const summary = vhd.summarize(await file.read(0, vhd.headLength), await file.read(length - vhd.tailLength, vhd.tailLength), length)
      expect(summary).toMatchObject({ kind: subformat, size: real, hidden: false, needsRepair: false, warnings: [] })
      expect(summary.creator).toBe(force === 'on' ? 'qem2 5.3' : 'qemu 5.3')
      const image = await vhd.open(file)
      expect(same(await readAll(image), model)).toBe(true)
      for (const [seed, offset] of [[4, 512], [5, 5 * MiB - 1024], [6, real - 2048]] as const) {
        const bytes = randomBytes(seed, 2048)
        await image.write(offset, bytes)
        model.set(bytes, offset)
      }
      await image.sync()
      // With force_size qemu writes the largest geometry, which xapi's check does not like.
      const mended = force === 'on' ? [{ weight: 'repairable', what: 'its geometry is larger than its size' }] : []
      expect(await image.check()).toEqual(expect.arrayContaining(mended))
      expect(await vhd.repair(file, false)).toEqual(mended)
    })
    await expectUnharmed(path, model)

    const larger = new Uint8Array(real + 270 * MiB + 512)
    larger.set(model)
    await withFile(path, async (file) => {
      const image = await vhd.open(file)
      await image.grow(larger.length, noRedo)
      const bytes = randomBytes(7, 4096)
      await image.write(larger.length - 4096, bytes)
      larger.set(bytes, larger.length - 4096)
      await image.sync()
    })
    await expectUnharmed(path, larger)

    writeFileSync(`${path}.child`, vhd.create({ size: 300 * MiB, id: 'c'.repeat(32), createdMs: 0, parent: { id: 'd'.repeat(32), fileName: 'parent.vhd' } }))
    const merged = new Uint8Array(300 * MiB)
    merged.set(larger)
    await withFile(`${path}.child`, async (childFile) => withFile(path, async (file) => {
      const child = await vhd.open(childFile)
      for (const [seed, offset] of [[8, 1024], [9, 290 * MiB]] as const) {
        const bytes = randomBytes(seed, 3 * MiB)
        await child.write(offset, bytes)
        merged.set(bytes, offset)
      }
      await child.write(4096, new Uint8Array(4096))
      merged.fill(0, 4096, 8192)
      await child.sync()
      const base = await vhd.open(file)
      await base.grow(merged.length, noRedo)
      expect(await vhd.absorb(base, child, { from: 0, budget: Infinity, signal: new AbortController().signal })).toBe(merged.length)
    }))
    await expectUnharmed(path, merged)
  })
})

describe('qemu-img', () => {
  it('computes the same geometry', async () => {
    for (const size of [2 * MiB, 10 * MiB, 64 * MiB, 240 * MiB, 250 * MiB, 504 * MiB, 1024 * MiB, 31 * 1024 * MiB, 100 * 1024 * MiB]) {
      const path = at('geometry.vhd')
      run('qemu-img', 'create', '-f', 'vpc', '-o', 'subformat=dynamic', path, String(size))
      const footer = readFileSync(path).subarray(0, 512)
      // Without force_size qemu enlarges the disk until the geometry holds what was asked for.
      const real = Number(footer.readBigUInt64BE(48))
      const stored = footer.readUInt32BE(56)
      expect(stored, `${size} became ${real}`).toBe(geometryOf(real))
    }
  })

  it('takes the size from our footer without being told', () => {
    writeFileSync(at('untold.vhd'), vhd.create({ size: 64 * MiB, id: 'a'.repeat(32), createdMs: 0 }))
    const info = JSON.parse(run('qemu-img', 'info', '--output=json', at('untold.vhd')).toString()) as { 'virtual-size': number; format: string }
    expect(info).toMatchObject({ 'virtual-size': 64 * MiB, format: 'vpc' })
  })

  it('writes an image that had blocks of ours, and we find everything as it was', async () => {
    const path = at('qemu-wrote.vhd')
    const model = new Uint8Array(32 * MiB)
    writeFileSync(path, vhd.create({ size: model.length, id: 'a'.repeat(32), createdMs: 0 }))
    await withFile(path, async (file) => {
      const image = await vhd.open(file)
      await image.write(0, randomBytes(1, 2 * MiB))
      await image.sync()
    })
    model.set(randomBytes(1, 2 * MiB))
    run('qemu-io', '-f', 'vpc', '-c', 'write -P 0x55 9M 64k', '-c', 'write -P 0x66 1M 4k', path)
    model.fill(0x55, 9 * MiB, 9 * MiB + 65536)
    model.fill(0x66, MiB, MiB + 4096)
    await expectUnharmed(path, model)
    await withFile(path, async (file) => {
      const image = await vhd.open(file)
      await image.write(10 * MiB, randomBytes(3, 8192))
      await image.write(20 * MiB, randomBytes(4, 8192))
      await image.sync()
    })
    model.set(randomBytes(3, 8192), 10 * MiB)
    model.set(randomBytes(4, 8192), 20 * MiB)
    await expectUnharmed(path, model)
    expect(same(run('7zz', 'e', '-so', '-tVHD', path), model)).toBe(true)
  })

  it('writing into an empty image of ours destroys its batmap, which we tell, and still read what is there', async () => {
    const path = at('qemu-spoiled.vhd')
    writeFileSync(path, vhd.create({ size: 8 * MiB, id: 'a'.repeat(32), createdMs: 0 }))
    run('qemu-io', '-f', 'vpc', '-c', 'write -P 0x55 1M 64k', path)
    // Our footer lay where qemu put the data: it shows it as content now, and so do we.
    qemuContent(path, `${path}.raw`)
    const seen = readFileSync(`${path}.raw`)
    expect(seen.subarray(MiB, MiB + 65536).every((byte) => byte === 0x55)).toBe(true)
    await withFile(path, async (file) => {
      const image = await vhd.open(file)
      expect(image.summary).toMatchObject({ needsRepair: true, warnings: [expect.stringContaining('batmap')] })
      expect(same(await readAll(image), seen)).toBe(true)
      expect(await vhd.repair(file, false)).toEqual([])
      await expect(image.write(0, new Uint8Array(512))).rejects.toMatchObject({ kind: 'imageCorrupt' })
    })
  })
})

describe('an image of others, built by hand', () => {
  it.each(Object.keys(dialects).filter((name) => dialects[name]?.type === 3 && !name.includes('preallocated') && !name.includes('xapi, dynamic')))('is read by 7-Zip as by us (%s)', async (name) => {
    const build = dialects[name]
    if (build === undefined) throw new Error(name)
    const path = at('built.vhd')
    writeFileSync(path, buildVhd(build).bytes)
    expect(same(run('7zz', 'e', '-so', '-tVHD', path), modelOf(build))).toBe(true)
    await withFile(path, async (file) => expect(same(await readAll(await vhd.open(file)), modelOf(build))).toBe(true))
  })

  it('of Windows with a parent beside it is read by 7-Zip as by us', async () => {
    const parent: Build = { type: 3, size: 8 * MiB, creator: 'win ', version: 0x000a0000, id: 'b'.repeat(32), alignment: 4096, blocks: [{ block: 1, bitmap: new Uint8Array(512).fill(255), data: randomBytes(1, 2 * MiB) }] }
    const windows = dialects['Windows 10, differencing']
    if (windows === undefined) throw new Error('no dialect')
    writeFileSync(at('parent.vhd'), buildVhd(parent).bytes)
    writeFileSync(at('child.vhd'), buildVhd(windows).bytes)
    const model = modelOf(windows, modelOf(parent))
    expect(same(run('7zz', 'e', '-so', '-tVHD', at('child.vhd')), model)).toBe(true)
    await withFile(at('parent.vhd'), async (parentFile) => withFile(at('child.vhd'), async (file) => {
      const bytes = await readAll(await vhd.open(parentFile))
      const child = await vhd.open(file)
      for (const { offset, length } of await child.present(0, bytes.length)) bytes.set(await child.read(offset, length), offset)
      expect(same(bytes, model)).toBe(true)
    }))
  })
})
