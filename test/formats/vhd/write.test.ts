import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MiB } from '../../../core/units.ts'
import { vhd } from '../../../formats/vhd/format.ts'
import { createMemoryFile } from '../memory-file.ts'

const id = '0123456789abcdef0123456789abcdef'
const createdMs = Date.UTC(2024, 0, 2, 3, 4, 5)

describe('an image that is written to', () => {
  it('reads back what was written, before and after it is opened again', async () => {
    const size = 6 * MiB
    const offsets = fc.integer({ min: 0, max: size / 512 - 1 })
    await fc.assert(fc.asyncProperty(fc.array(fc.record({ at: offsets, sectors: fc.integer({ min: 1, max: 5000 }), byte: fc.integer({ min: 0, max: 255 }) }), { maxLength: 12 }), async (writes) => {
      const file = createMemoryFile(vhd.create({ size, id, createdMs }))
      const model = new Uint8Array(size)
      let image = await vhd.open(file)
      for (const [index, { at, sectors, byte }] of writes.entries()) {
        const offset = at * 512
        const bytes = new Uint8Array(Math.min(sectors * 512, size - offset)).fill(byte)
        model.set(bytes, offset)
        await image.write(offset, bytes)
        if (index % 3 === 1) {
          await image.sync()
          image = await vhd.open(file)
        }
      }
      expect(Buffer.compare(await image.read(0, size), model)).toBe(0)
      await image.sync()
      const again = await vhd.open(file)
      expect(Buffer.compare(await again.read(0, size), model)).toBe(0)
      expect(await again.check()).toEqual([])
      expect(again.summary.needsRepair).toBe(false)
    }), { numRuns: 30 })
  })
})
