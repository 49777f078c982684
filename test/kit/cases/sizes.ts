/** Sizes: rounded up and never down, limits told as a field of the call, growth that keeps what is there (SM API, vdi_create and vdi_resize). */
import assert from 'node:assert/strict'
import { MiB, sectorSize } from '../../../core/units.ts'
import type { Topic } from '../case.ts'
import { regionsOf } from '../pattern.ts'
import { rejects, type Stage } from '../stage.ts'

const limitsOf = (stage: Stage) => stage.driver.limits

export const sizes: Topic = {
  topic: 'sizes',
  cases: [
    {
      name: 'a VDI is at least as large as asked and at most one step larger, down to its last sector',
      needs: ['create', 'destroy'],
      async run(stage) {
        const { sizeStep, minVdiSize } = limitsOf(stage)
        const sr = await stage.sr()
        for (const size of [1, sizeStep - 1, sizeStep, sizeStep + 1, 3 * MiB + 1, 4 * MiB]) {
          if (size < 1) continue
          const vdi = await sr.disk({ size })
          assert.ok(vdi.size >= size, `asked for ${size} bytes, got ${vdi.size}: rounded down`)
          assert.ok(vdi.size < Math.max(size, minVdiSize) + sizeStep, `asked for ${size} bytes, got ${vdi.size}`)
          const last = [{ offset: vdi.size - sectorSize, length: sectorSize }]
          await sr.stamp(vdi, 'last', last)
          await sr.holds(vdi, 'last', last)
          await sr.call('VDI.delete', { vdi_uuid: vdi.uuid })
        }
      },
    },
    {
      name: 'more than a VDI can have is refused by field, and nothing is left of the attempt',
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const before = await stage.world.inventory()
        for (const size of [limitsOf(stage).maxVdiSize + 1, Number.MAX_SAFE_INTEGER]) {
          if (!Number.isSafeInteger(size)) continue
          assert.equal((await rejects(['sizeOutOfRange', 'invalidArgument'], sr.disk({ size }))).facts.field, 'size')
        }
        assert.deepEqual((await sr.scan()).vdis, [])
        assert.deepEqual(await stage.world.inventory(), before)
      },
    },
    {
      name: 'the largest possible VDI is made, or there is no space for it and nothing is left',
      needs: ['create', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const before = await stage.world.inventory()
        const { maxVdiSize } = limitsOf(stage)
        const made = await sr.disk({ size: maxVdiSize }).catch(async (error: unknown) => {
          await rejects('noSpace', Promise.reject(error as Error))
          assert.deepEqual(await stage.world.inventory(), before)
          return undefined
        })
        if (made === undefined) return
        assert.equal(made.size, maxVdiSize)
        const ends = [{ offset: 0, length: sectorSize }, { offset: maxVdiSize - sectorSize, length: sectorSize }]
        await sr.stamp(made, 'ends', ends)
        await sr.holds(made, 'ends', ends)
      },
    },
    {
      name: 'growing keeps the content, the new end reads as zeros and can be written',
      needs: ['resize'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'before')
        const grown = await sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: vdi.size + 2 * MiB })
        assert.ok(grown.size >= vdi.size + 2 * MiB)
        assert.deepEqual(await sr.row(vdi.uuid), grown)
        await sr.holds(grown, 'before', regionsOf(vdi.size))
        const end = [{ offset: vdi.size, length: 4096 }, { offset: grown.size - 4096, length: 4096 }]
        await sr.holds(grown, 'zeros', end)
        await sr.stamp(grown, 'after', end)
        await sr.holds(grown, 'after', end)
        await sr.holds(grown, 'before', regionsOf(vdi.size))
      },
    },
    {
      name: 'growing to the present size is done, in whatever state the VDI is',
      needs: ['resize'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        for (let turn = 0; turn < 3; turn += 1) assert.deepEqual(await sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: vdi.size }), vdi)
        await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })
        assert.equal((await sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: vdi.size })).size, vdi.size)
        await sr.call('VDI.detach', { vdi_uuid: vdi.uuid })
      },
    },
    {
      name: 'one byte more grows by a whole step, and repeating it changes nothing',
      needs: ['resize'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const grown = await sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: vdi.size + 1 })
        assert.ok(grown.size > vdi.size && grown.size <= vdi.size + stage.driver.limits.sizeStep)
        for (let turn = 0; turn < 2; turn += 1) assert.deepEqual(await sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: vdi.size + 1 }), grown)
      },
    },
    {
      name: 'shrinking is refused by field, and the end keeps its content',
      needs: ['resize'],
      async run(stage) {
        const sr = await stage.sr()
        const small = await sr.disk()
        const vdi = await sr.call('VDI.resize', { vdi_uuid: small.uuid, size: small.size + 2 * MiB })
        await sr.stamp(vdi, 'kept')
        for (const size of [small.size, 1]) {
          assert.equal((await rejects('sizeOutOfRange', sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size }))).facts.field, 'size')
        }
        assert.equal((await sr.row(vdi.uuid)).size, vdi.size)
        await sr.holds(vdi, 'kept')
      },
    },
    {
      name: 'growing an attached VDI or beyond the limit is refused, and its size stays',
      needs: ['resize'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const tooMuch = limitsOf(stage).maxVdiSize + 1
        if (Number.isSafeInteger(tooMuch)) {
          assert.equal((await rejects('sizeOutOfRange', sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: tooMuch }))).facts.field, 'size')
        }
        await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })
        await rejects('offlineOnly', sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: vdi.size + MiB }))
        await sr.call('VDI.detach', { vdi_uuid: vdi.uuid })
        assert.deepEqual(await sr.row(vdi.uuid), vdi)
      },
    },
    {
      name: 'growing one of two copies leaves the other as it was',
      needs: ['resize', 'clone'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'shared')
        const clone = await sr.call('VDI.clone', { vdi_uuid: vdi.uuid })
        const grown = await sr.call('VDI.resize', { vdi_uuid: clone.uuid, size: vdi.size + 2 * MiB })
        assert.equal((await sr.row(vdi.uuid)).size, vdi.size)
        await sr.holds(vdi, 'shared')
        await sr.holds(grown, 'shared', regionsOf(vdi.size))
        await sr.holds(grown, 'zeros', [{ offset: grown.size - 4096, length: 4096 }])
      },
    },
    {
      name: 'a snapshot keeps the size that its source had',
      needs: ['resize', 'snapshot'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'old')
        const snapshot = await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid })
        await sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: vdi.size + 2 * MiB })
        await rejects('readOnly', sr.call('VDI.resize', { vdi_uuid: snapshot.uuid, size: vdi.size + 2 * MiB }))
        assert.equal((await sr.row(snapshot.uuid)).size, vdi.size)
        await sr.holds(snapshot, 'old')
      },
    },
    {
      name: 'a grown VDI has its size and content after a restart',
      needs: ['resize'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'old')
        const grown = await sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: vdi.size + 2 * MiB })
        await stage.main.close()
        const next = sr.at(await stage.start())
        assert.equal((await next.row(vdi.uuid)).size, grown.size)
        await next.holds(grown, 'old', regionsOf(vdi.size))
      },
    },
  ],
}
