/** SRs from creation to deletion (SM API, "SR-Level API Operations"). */
import assert from 'node:assert/strict'
import type { Topic } from '../case.ts'
import { rejects } from '../stage.ts'

const somebody = 'f2b7e4a0-6c1d-4f38-9a55-0d1c2b3a4e5f'

export const srLifeCycle: Topic = {
  topic: 'SR life cycle',
  cases: [
    {
      name: 'a created SR is left detached, and holds no VDI once attached',
      reliesOn: ['identity'],
      needsSr: ['create'],
      async run(stage) {
        const sr = await stage.sr({ name: 'First disks', description: 'for tests', detached: true })
        const { srs } = await stage.main.call('SR.list', {})
        assert.deepEqual(srs.map(({ uuid, type, attached }) => ({ uuid, type, attached })), [{ uuid: sr.uuid, type: stage.place.type, attached: false }])
        await rejects('srNotAttached', sr.scan())
        assert.deepEqual(await sr.call('SR.attach', {}), { changed: true, recovered: [] })
        const contents = await sr.scan()
        assert.deepEqual(contents.vdis, [])
        assert.equal(contents.name, 'First disks')
        assert.equal(contents.description, 'for tests')
        assert.equal(contents.virtual_allocation, 0)
      },
    },
    {
      name: 'creating an SR a second time is refused and leaves its disks alone, also when this host has forgotten it',
      reliesOn: ['identity'],
      needsSr: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = stage.features.has('create') ? await sr.disk() : undefined
        if (vdi !== undefined) await sr.stamp(vdi, 'kept')
        const again = async (): Promise<unknown> => stage.main.call('SR.create', { ...stage.place, sr_uuid: sr.uuid })
        await rejects('alreadyExists', again())
        await sr.call('SR.detach', {})
        await rejects('alreadyExists', again())
        await sr.call('SR.forget', {})
        await rejects(['alreadyExists', 'placeNotBlank'], again())
        await sr.call('SR.attach', { ...stage.place })
        if (vdi !== undefined) await sr.holds(vdi, 'kept')
      },
    },
    {
      name: 'another SR in the same place is refused, or lives beside the first without touching it',
      needsSr: ['create', 'delete'],
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        const other = await stage.main.call('SR.create', { ...stage.place, sr_uuid: somebody }).then(() => true, async (error: unknown) => {
          await rejects(['alreadyExists', 'placeNotBlank'], Promise.reject(error as Error))
          return false
        })
        if (other) {
          await stage.main.call('SR.attach', { sr_uuid: somebody })
          assert.deepEqual((await stage.srAt(stage.main, somebody).scan()).vdis, [])
          await stage.main.call('SR.delete', { sr_uuid: somebody })
        }
        await sr.holds(vdi, 'kept')
        assert.deepEqual((await sr.scan()).vdis.map((row) => row.uuid), [vdi.uuid])
      },
    },
    {
      name: 'attaching can be repeated, and proves each time that the SR is there',
      async run(stage) {
        const sr = await stage.sr({ detached: true })
        assert.equal((await sr.call('SR.attach', {})).changed, true)
        for (let turn = 0; turn < 2; turn += 1) assert.deepEqual(await sr.call('SR.attach', {}), { changed: false, recovered: [] })
        assert.equal((await sr.call('SR.attach', { ...stage.place })).changed, false)
        await sr.scan()
      },
    },
    {
      name: 'attaching an SR that is not in the place fails, and nothing is attached',
      reliesOn: ['identity'],
      async run(stage) {
        const sr = await stage.sr()
        await rejects(['notFound', 'identityMismatch', 'placeMissing'], stage.main.call('SR.attach', { ...stage.place, sr_uuid: somebody }))
        const { srs } = await stage.main.call('SR.list', {})
        assert.deepEqual(srs.filter((row) => row.attached).map((row) => row.uuid), [sr.uuid])
      },
    },
    {
      name: 'attaching an unknown SR without its place asks for the place',
      async run(stage) {
        const error = await rejects('srNotAttached', stage.main.call('SR.attach', { sr_uuid: somebody }))
        assert.match(error.facts.remedy ?? '', /device_config/)
      },
    },
    {
      name: 'a blank place is no SR',
      reliesOn: ['identity'],
      needsSr: ['create'],
      async run(stage) {
        await rejects(['notFound', 'placeMissing', 'identityMismatch'], stage.main.call('SR.attach', { ...stage.place, sr_uuid: somebody }))
        const { candidates, tried } = await stage.main.call('SR.probe', stage.place)
        assert.deepEqual(candidates.filter((candidate) => candidate.found === 'sr'), [])
        assert.ok(tried.length > 0, 'a probe tells what it tried, also when it finds nothing')
      },
    },
    {
      name: 'detaching can be repeated, also for an SR that nobody knows',
      async run(stage) {
        const sr = await stage.sr()
        assert.equal((await sr.call('SR.detach', {})).changed, true)
        for (let turn = 0; turn < 2; turn += 1) assert.equal((await sr.call('SR.detach', {})).changed, false)
        assert.equal((await stage.main.call('SR.detach', { sr_uuid: somebody })).changed, false)
        await rejects('srNotAttached', sr.scan())
        assert.equal((await sr.call('SR.attach', {})).changed, true)
        await sr.scan()
      },
    },
    {
      name: 'an SR with an attached VDI is neither detached nor deleted, and says which VDI it is',
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })
        assert.ok((await rejects('busy', sr.call('SR.detach', {}))).message.includes(vdi.uuid))
        if (stage.driver.srOperations.includes('delete')) await rejects('busy', sr.call('SR.delete', {}))
        assert.equal((await sr.row(vdi.uuid)).attached, 'rw')
        await sr.call('VDI.detach', { vdi_uuid: vdi.uuid })
        assert.equal((await sr.call('SR.detach', {})).changed, true)
      },
    },
    {
      name: 'an SR that holds a VDI is not deleted, attached or not, and the VDI keeps its content',
      needsSr: ['delete'],
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        await rejects('notEmpty', sr.call('SR.delete', {}))
        await sr.call('SR.attach', {})
        await sr.call('SR.detach', {})
        await rejects('notEmpty', sr.call('SR.delete', {}))
        await sr.call('SR.attach', {})
        await sr.holds(vdi, 'kept')
      },
    },
    {
      name: 'deleting an SR can be repeated, and its place is blank again',
      needsSr: ['create', 'delete'],
      async run(stage) {
        const blank = await stage.world.inventory()
        const sr = await stage.sr()
        assert.equal((await sr.call('SR.delete', {})).changed, true)
        assert.deepEqual(await stage.world.inventory(), blank)
        for (let turn = 0; turn < 2; turn += 1) assert.equal((await sr.call('SR.delete', {})).changed, false)
        assert.equal((await sr.call('SR.delete', { ...stage.place })).changed, false)
        assert.deepEqual(await stage.world.inventory(), blank)
        assert.deepEqual(await stage.main.call('SR.create', { ...stage.place, sr_uuid: sr.uuid }), { sr_uuid: sr.uuid })
        assert.equal((await sr.call('SR.attach', {})).changed, true)
        assert.deepEqual((await sr.scan()).vdis, [])
      },
    },
    {
      name: 'a detached SR is deleted by its uuid, and one that this host does not know by its place',
      needsSr: ['create', 'delete'],
      async run(stage) {
        const first = await stage.sr({ detached: true })
        assert.equal((await first.call('SR.delete', {})).changed, true)
        const second = await stage.sr({ detached: true })
        await second.call('SR.forget', {})
        assert.equal((await second.call('SR.delete', {})).changed, false)
        assert.equal((await second.call('SR.delete', { ...stage.place })).changed, true)
        await rejects(['notFound', 'placeMissing'], second.call('SR.attach', { ...stage.place }))
      },
    },
    {
      name: 'a forgotten SR is left as it is on the storage, and introduced again with all it held',
      reliesOn: ['identity'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        await rejects('busy', sr.call('SR.forget', {}))
        await sr.call('SR.detach', {})
        assert.equal((await sr.call('SR.forget', {})).changed, true)
        assert.equal((await sr.call('SR.forget', {})).changed, false)
        assert.deepEqual((await stage.main.call('SR.list', {})).srs, [])
        assert.deepEqual(await stage.main.call('SR.introduce', stage.place), { sr_uuid: sr.uuid, adopted: false })
        assert.deepEqual(await stage.main.call('SR.introduce', { ...stage.place, sr_uuid: sr.uuid }), { sr_uuid: sr.uuid, adopted: false })
        await sr.call('SR.attach', {})
        await sr.holds(vdi, 'kept')
      },
    },
    {
      name: 'nothing is introduced from a place that holds no such SR',
      reliesOn: ['identity'],
      needsSr: ['create'],
      async run(stage) {
        await stage.sr({ detached: true })
        const before = await stage.world.inventory()
        await rejects(['notFound', 'notSupported'], stage.main.call('SR.introduce', { ...stage.place, sr_uuid: somebody }))
        assert.deepEqual(await stage.world.inventory(), before)
      },
    },
    {
      name: 'a host that lost all its memory finds the SR by probe, with names, and all disks by attaching it',
      reliesOn: ['identity'],
      async run(stage) {
        const named = stage.features.has('names')
        const sr = await stage.sr({ name: 'Found again', description: 'after the host was installed anew' })
        const vdi = await sr.disk({ name: 'data', description: 'of a guest' })
        await sr.stamp(vdi, 'kept')
        const before = await sr.scan()
        await sr.call('SR.detach', {})
        await stage.main.close()

        const fresh = await stage.start({ memory: 'lost' })
        const { candidates } = await fresh.call('SR.probe', stage.place)
        const found = candidates.find((candidate) => candidate.sr?.uuid === sr.uuid)
        assert.ok(found, `the probe does not find the SR: ${JSON.stringify(candidates)}`)
        assert.equal(found.found, 'sr')
        if (named) assert.equal(found.sr?.name, 'Found again')
        const again = stage.srAt(fresh, sr.uuid)
        assert.equal((await again.call('SR.attach', { ...stage.place })).changed, true)
        assert.deepEqual((await again.scan()).vdis, before.vdis)
        await again.holds(vdi, 'kept')
        await again.call('SR.detach', {})
        await again.call('SR.forget', {})
      },
    },
    {
      name: 'a new process of the same host goes on where the old one ended',
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        await stage.main.close()
        const next = sr.at(await stage.start())
        assert.equal((await next.call('SR.attach', {})).changed, false)
        await next.holds(vdi, 'kept')
      },
    },
  ],
}
