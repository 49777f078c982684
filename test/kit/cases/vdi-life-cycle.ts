/** VDIs from creation to deletion (SM API, vdi_create and vdi_delete). */
import assert from 'node:assert/strict'
import type { Topic } from '../case.ts'
import { rejects } from '../stage.ts'

const nobody = '3f0e5c1a-77b2-4d0e-8a6b-5b1c9d2e4f60'

export const vdiLifeCycle: Topic = {
  topic: 'VDI life cycle',
  cases: [
    {
      name: 'a created VDI is listed with its size and names, and reads as zeros',
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk({ name: 'root disk', description: 'of a guest', shareable: true })
        assert.ok(vdi.size >= stage.size, `asked for ${stage.size} bytes, got ${vdi.size}`)
        assert.deepEqual(await sr.row(vdi.uuid), vdi)
        assert.deepEqual(await sr.call('VDI.stat', { vdi_uuid: vdi.uuid }), vdi)
        const { kind, name, description, shareable, read_only: readOnly, locked, problem, parent } = vdi
        assert.deepEqual({ kind, name, description, shareable, readOnly, locked, problem, parent }, {
          kind: 'disk', name: 'root disk', description: 'of a guest', shareable: true, readOnly: false, locked: false, problem: undefined, parent: undefined,
        })
        await sr.holds(vdi, 'zeros')
      },
    },
    {
      name: 'a VDI gets a uuid when the caller gives none, and keeps the one it is given, in lower case',
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const [one, two] = [await sr.disk(), await sr.disk()]
        assert.notEqual(one.uuid, two.uuid)
        const given = await sr.disk({ vdi_uuid: nobody.toUpperCase() })
        assert.equal(given.uuid, nobody)
        assert.equal((await sr.call('VDI.stat', { vdi_uuid: nobody.toUpperCase() })).uuid, nobody)
      },
    },
    {
      name: 'a second VDI of the same uuid is refused, and the first keeps its content',
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk({ name: 'first' })
        await sr.stamp(vdi, 'first')
        for (let turn = 0; turn < 2; turn += 1) {
          const error = await rejects('alreadyExists', sr.disk({ vdi_uuid: vdi.uuid, name: 'second' }))
          assert.equal(error.facts.field, 'vdi_uuid')
        }
        assert.equal((await sr.row(vdi.uuid)).name, 'first')
        await sr.holds(vdi, 'first')
      },
    },
    {
      name: 'a VDI with all its space taken at once reads as zeros, too',
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk({ provisioning: 'full' })
        await sr.holds(vdi, 'zeros')
        await sr.stamp(vdi, 'full')
        await sr.holds(vdi, 'full')
      },
    },
    {
      name: 'deleting can be repeated, also for a VDI that never was',
      needs: ['create', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const [vdi, other] = [await sr.disk(), await sr.disk()]
        await sr.stamp(other, 'other')
        assert.equal((await sr.call('VDI.delete', { vdi_uuid: vdi.uuid })).changed, true)
        for (let turn = 0; turn < 2; turn += 1) assert.equal((await sr.call('VDI.delete', { vdi_uuid: vdi.uuid })).changed, false)
        assert.equal((await sr.call('VDI.delete', { vdi_uuid: nobody })).changed, false)
        assert.deepEqual((await sr.scan()).vdis.map((row) => row.uuid), [other.uuid])
        await rejects('notFound', sr.call('VDI.stat', { vdi_uuid: vdi.uuid }))
        await sr.holds(other, 'other')
      },
    },
    {
      name: 'a deleted VDI\'s uuid can be used again, and the new VDI shows nothing of the old one',
      needs: ['create', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const first = await sr.disk({ name: 'old', shareable: true })
        await sr.stamp(first, 'old')
        await sr.call('VDI.delete', { vdi_uuid: first.uuid })
        const second = await sr.disk({ vdi_uuid: first.uuid })
        assert.deepEqual([second.name, second.shareable, second.locked], ['', false, false])
        await sr.holds(second, 'zeros')
      },
    },
    {
      name: 'a new VDI never shows what a deleted one held',
      needs: ['create', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        for (let turn = 0; turn < 3; turn += 1) {
          const vdi = await sr.disk()
          await sr.holds(vdi, 'zeros')
          await sr.stamp(vdi, `secret ${turn}`)
          await sr.call('VDI.delete', { vdi_uuid: vdi.uuid })
        }
        await sr.holds(await sr.disk({ provisioning: 'full' }), 'zeros')
      },
    },
    {
      name: 'an attached VDI is not deleted and keeps its content',
      needs: ['destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })
        await rejects('busy', sr.call('VDI.delete', { vdi_uuid: vdi.uuid }))
        await sr.call('VDI.detach', { vdi_uuid: vdi.uuid })
        await sr.holds(vdi, 'kept')
        assert.equal((await sr.call('VDI.delete', { vdi_uuid: vdi.uuid })).changed, true)
      },
    },
    {
      name: 'every VDI call on a detached SR says that the SR is not attached',
      async run(stage) {
        const sr = await stage.sr()
        const { uuid: vdi_uuid } = await sr.disk()
        await sr.call('SR.detach', {})
        await rejects('srNotAttached', sr.call('VDI.stat', { vdi_uuid }))
        await rejects('srNotAttached', sr.call('VDI.attach', { vdi_uuid }))
        await rejects('srNotAttached', sr.call('VDI.detach', { vdi_uuid }))
        await rejects('srNotAttached', sr.call('VDI.delete', { vdi_uuid }))
        await rejects('srNotAttached', sr.call('VDI.create', { size: stage.size }))
        await rejects('srNotAttached', sr.call('VDI.snapshot', { vdi_uuid }))
        await rejects('srNotAttached', sr.call('VDI.lock', { vdi_uuid, owner: 'x' }))
        await sr.call('SR.attach', {})
        await sr.row(vdi_uuid)
      },
    },
    {
      name: 'every call on a VDI that is not there says so, and names the field',
      async run(stage) {
        const sr = await stage.sr()
        const missing = async (work: Promise<unknown>): Promise<void> => {
          assert.equal((await rejects('notFound', work)).facts.field, 'vdi_uuid')
        }
        await missing(sr.call('VDI.stat', { vdi_uuid: nobody }))
        await missing(sr.call('VDI.attach', { vdi_uuid: nobody }))
        if (stage.features.has('snapshot')) await missing(sr.call('VDI.snapshot', { vdi_uuid: nobody }))
        if (stage.features.has('clone')) await missing(sr.call('VDI.clone', { vdi_uuid: nobody }))
        if (stage.features.has('resize')) await missing(sr.call('VDI.resize', { vdi_uuid: nobody, size: stage.size }))
        if (stage.features.has('lock')) await missing(sr.call('VDI.lock', { vdi_uuid: nobody, owner: 'x' }))
        if (stage.features.has('lock')) await missing(sr.call('VDI.unlock', { vdi_uuid: nobody, owner: 'x' }))
        if (stage.features.has('names')) await missing(sr.call('VDI.set_names', { vdi_uuid: nobody, name: 'x' }))
      },
    },
    {
      name: 'what a type does not offer is answered as not supported, and changes nothing',
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const { uuid: vdi_uuid } = vdi
        const calls = {
          create: async () => sr.call('VDI.create', { size: stage.size }),
          destroy: async () => sr.call('VDI.delete', { vdi_uuid }),
          snapshot: async () => sr.call('VDI.snapshot', { vdi_uuid }),
          clone: async () => sr.call('VDI.clone', { vdi_uuid }),
          resize: async () => sr.call('VDI.resize', { vdi_uuid, size: vdi.size * 2 }),
          revert: async () => sr.call('VDI.revert', { vdi_uuid, snapshot_uuid: nobody }),
          names: async () => sr.call('VDI.set_names', { vdi_uuid, name: 'x' }),
          lock: async () => sr.call('VDI.lock', { vdi_uuid, owner: 'x' }),
          collect: async () => sr.call('SR.collect', {}),
          verify: async () => sr.call('SR.verify', {}),
        } as const
        for (const [feature, call] of Object.entries(calls)) {
          if (!stage.features.has(feature as keyof typeof calls)) await rejects('notSupported', call())
        }
        assert.deepEqual(await sr.row(vdi_uuid), vdi)
      },
    },
  ],
}
