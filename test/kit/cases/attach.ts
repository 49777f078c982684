/** Access to VDIs from this host (SM API, vdi_attach and vdi_detach). */
import assert from 'node:assert/strict'
import type { Topic } from '../case.ts'
import { rejects } from '../stage.ts'

const nobody = '3f0e5c1a-77b2-4d0e-8a6b-5b1c9d2e4f60'

export const attach: Topic = {
  topic: 'attach and detach',
  cases: [
    {
      name: 'attaching can be repeated and answers the same path',
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const first = await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })
        assert.deepEqual({ mode: first.mode, changed: first.changed, content_type: first.content_type }, { mode: 'rw', changed: true, content_type: stage.driver.contentType })
        for (let turn = 0; turn < 2; turn += 1) assert.deepEqual(await sr.call('VDI.attach', { vdi_uuid: vdi.uuid }), { ...first, changed: false })
        assert.equal((await sr.row(vdi.uuid)).attached, 'rw')
      },
    },
    {
      name: 'detaching can be repeated, also for a VDI that is not there',
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })
        assert.equal((await sr.call('VDI.detach', { vdi_uuid: vdi.uuid })).changed, true)
        for (let turn = 0; turn < 2; turn += 1) assert.equal((await sr.call('VDI.detach', { vdi_uuid: vdi.uuid })).changed, false)
        assert.equal((await sr.call('VDI.detach', { vdi_uuid: nobody })).changed, false)
        assert.equal((await sr.row(vdi.uuid)).attached, undefined)
      },
    },
    {
      name: 'what a guest wrote is there at the next attach, and after a restart',
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'written')
        await sr.holds(vdi, 'written')
        await sr.call('SR.detach', {})
        await stage.main.close()
        const next = sr.at(await stage.start())
        await next.call('SR.attach', {})
        await next.holds(vdi, 'written')
      },
    },
    {
      name: 'a small write far out changes nothing around it',
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'around')
        const spot = [{ offset: 1024, length: 512 }]
        await sr.stamp(vdi, 'spot', spot)
        await sr.holds(vdi, 'spot', spot)
        await sr.holds(vdi, 'around', [{ offset: 0, length: 1024 }, { offset: 1536, length: 2560 }])
        await sr.holds(vdi, 'zeros', [{ offset: 8192, length: 4096 }])
      },
    },
    {
      name: 'an attachment outlives the process, and the next one detaches it',
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const { path } = await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })
        await stage.main.close()
        const next = sr.at(await stage.start())
        assert.equal((await next.row(vdi.uuid)).attached, 'rw')
        const again = await next.call('VDI.attach', { vdi_uuid: vdi.uuid })
        assert.deepEqual([again.path, again.changed], [path, false])
        assert.equal((await next.call('VDI.detach', { vdi_uuid: vdi.uuid })).changed, true)
      },
    },
    {
      name: 'a VDI is attached in one mode at a time',
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        assert.equal((await sr.call('VDI.attach', { vdi_uuid: vdi.uuid, mode: 'ro' })).mode, 'ro')
        assert.equal((await rejects('busy', sr.call('VDI.attach', { vdi_uuid: vdi.uuid, mode: 'rw' }))).facts.field, 'mode')
        assert.equal((await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })).mode, 'ro')
        assert.equal((await sr.row(vdi.uuid)).attached, 'ro')
        await sr.call('VDI.detach', { vdi_uuid: vdi.uuid })
        assert.equal((await sr.call('VDI.attach', { vdi_uuid: vdi.uuid, mode: 'rw' })).mode, 'rw')
      },
    },
    {
      name: 'a snapshot is attached for reading only',
      needs: ['snapshot'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const snapshot = await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid })
        assert.equal((await rejects('readOnly', sr.call('VDI.attach', { vdi_uuid: snapshot.uuid, mode: 'rw' }))).facts.field, 'mode')
        assert.equal((await sr.call('VDI.attach', { vdi_uuid: snapshot.uuid })).mode, 'ro')
      },
    },
    {
      name: 'several VDIs attached at once have paths and contents of their own',
      async run(stage) {
        const sr = await stage.sr()
        const vdis = stage.features.has('create') ? [await sr.disk(), await sr.disk(), await sr.disk()] : [await sr.disk(), await sr.disk()]
        const paths = new Set<string>()
        for (const vdi of vdis) paths.add((await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })).path)
        assert.equal(paths.size, vdis.length)
        for (const vdi of vdis) await sr.stamp(vdi, vdi.uuid)
        for (const vdi of vdis) await sr.holds(vdi, vdi.uuid)
      },
    },
    {
      name: 'a detached VDI leaves nothing behind on this host',
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'x')
        const before = await stage.world.inventory()
        for (let turn = 0; turn < 2; turn += 1) await sr.holds(vdi, 'x')
        assert.deepEqual(await stage.world.inventory(), before)
      },
    },
  ],
}
