import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compare, histories, play, type Model } from './model.ts'
import { fileWorld } from './world.ts'

describe('an SR of image files', () => {
  it('keeps every disk byte for byte through any history of writes, snapshots, clones, growth, reverts, deletes and collections', async () => {
    await fc.assert(fc.asyncProperty(histories(14), async (history) => {
      const world = await fileWorld()
      try {
        const model: Model = new Map()
        for (const step of [{ do: 'create', size: 4 * 1024 * 1024 } as const, ...history]) {
          await play(world, model, step)
          await compare(world, model)
        }
        const { findings } = await world.engine.call('SR.verify', { sr_uuid: world.sr })
        expect(findings).toEqual([])
        // When nothing is left, nothing is left.
        for (const uuid of model.keys()) await world.engine.call('VDI.delete', { sr_uuid: world.sr, vdi_uuid: uuid })
        await world.engine.call('SR.collect', { sr_uuid: world.sr })
        expect((await world.engine.call('SR.scan', { sr_uuid: world.sr })).vdis).toEqual([])
        expect((await world.engine.call('SR.orphans', { sr_uuid: world.sr })).orphans).toEqual([])
      } finally {
        await world.dispose()
      }
    }), { numRuns: 25 })
  }, 240_000)
})
