/** Places that are in trouble: occupied, damaged, gone, full, rebooted. "Unknown" is never "empty". */
import assert from 'node:assert/strict'
import type { Topic } from '../case.ts'
import { rejects } from '../stage.ts'

const gone = ['placeMissing', 'unreachable', 'ioError', 'identityMismatch', 'notFound', 'toolFailed', 'permissionDenied'] as const

export const trouble: Topic = {
  topic: 'trouble',
  cases: [
    {
      name: 'a place that holds anything is not made into an SR, and is left as it is',
      needsSr: ['create'],
      needsWorld: ['occupy'],
      leavesDamage: true,
      async run(stage) {
        await stage.world.trouble?.occupy?.()
        const before = await stage.world.inventory()
        const error = await rejects('placeNotBlank', stage.main.call('SR.create', { ...stage.place }))
        assert.ok((error.facts.remedy ?? '').length > 0)
        assert.deepEqual(await stage.world.inventory(), before)
        const { candidates } = await stage.main.call('SR.probe', stage.place)
        assert.deepEqual(candidates.filter((candidate) => candidate.found === 'blank' || candidate.found === 'sr'), [])
        assert.deepEqual((await stage.main.call('SR.list', {})).srs, [])
      },
    },
    {
      name: 'a damaged VDI is listed with its problem, is not attached, and takes no other down with it',
      needsWorld: ['damage'],
      leavesDamage: true,
      async run(stage) {
        const sr = await stage.sr()
        const [bad, good] = [await sr.disk(), await sr.disk()]
        await sr.stamp(good, 'kept')
        await stage.world.trouble?.damage?.(sr.uuid, bad.uuid)
        const row = await sr.row(bad.uuid)
        assert.ok(row.problem, 'the scan shows a damaged VDI without a problem')
        assert.ok((row.problem.remedy ?? '').length > 0, 'the problem comes without a remedy')
        assert.equal((await sr.row(good.uuid)).problem, undefined)
        await rejects('imageCorrupt', sr.call('VDI.attach', { vdi_uuid: bad.uuid }))
        await sr.holds(good, 'kept')
        if (stage.features.has('verify')) {
          const { findings } = await sr.call('SR.verify', { repair: 'dry-run' })
          assert.ok(findings.some((finding) => finding.vdi_uuid === bad.uuid && finding.weight !== 'note'), 'the check does not find the damage')
        }
        if (stage.features.has('destroy')) {
          await sr.call('VDI.delete', { vdi_uuid: bad.uuid })
          assert.deepEqual((await sr.scan()).vdis.filter((one) => one.uuid === bad.uuid), [])
        }
      },
    },
    {
      name: 'a place that is gone is an error and never an empty SR; when it is back, so is everything',
      needsWorld: ['vanish'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        const bringBack = await stage.world.trouble?.vanish?.()
        assert.ok(bringBack)
        await rejects(gone, sr.scan())
        await rejects(gone, sr.call('SR.stat', {}))
        await rejects(gone, sr.call('VDI.stat', { vdi_uuid: vdi.uuid }))
        if (stage.features.has('create')) await rejects(gone, sr.disk())
        if (stage.features.has('destroy')) await rejects(gone, sr.call('VDI.delete', { vdi_uuid: vdi.uuid }))
        const { candidates } = await stage.main.call('SR.probe', stage.place).catch(() => ({ candidates: [] }))
        assert.deepEqual(candidates.filter((candidate) => candidate.found === 'sr'), [])
        await bringBack()
        await sr.call('SR.attach', {})
        assert.equal((await sr.row(vdi.uuid)).size, vdi.size)
        await sr.holds(vdi, 'kept')
      },
    },
    {
      name: 'a VDI is detached and its SR, too, while the place is gone',
      needsWorld: ['vanish'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })
        const bringBack = await stage.world.trouble?.vanish?.()
        assert.ok(bringBack)
        await stage.main.close()
        const next = sr.at(await stage.start())
        try {
          assert.deepEqual(await next.call('VDI.detach', { vdi_uuid: vdi.uuid }), { changed: true })
          assert.deepEqual(await next.call('SR.detach', {}), { changed: true })
        } finally {
          await bringBack()
        }
        await next.call('SR.attach', {})
        await next.holds(vdi, 'kept')
      },
    },
    {
      name: 'what does not fit is refused for lack of space, and nothing is left of it',
      needs: ['create'],
      needsWorld: ['fill'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        const free = await stage.world.trouble?.fill?.(stage.size / 2)
        assert.ok(free)
        const before = await stage.world.inventory()
        await rejects('noSpace', sr.disk({ provisioning: 'full' }))
        assert.deepEqual((await sr.scan()).vdis.map((row) => row.uuid), [vdi.uuid])
        await sr.holds(vdi, 'kept')
        if (stage.features.has('collect')) await sr.call('SR.collect', {})
        assert.deepEqual(await stage.world.inventory(), before)
        await free()
        await sr.holds(await sr.disk({ provisioning: 'full' }), 'zeros')
      },
    },
    {
      name: 'after a power cut nothing is attached, and everything that was done is there',
      needsWorld: ['reboot'],
      async run(stage) {
        const { features } = stage
        const sr = await stage.sr({ name: 'Kept' })
        const vdi = await sr.disk({ name: 'disk' })
        await sr.stamp(vdi, 'then')
        const snapshot = features.has('snapshot') ? await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid, name: 'snapshot' }) : undefined
        await sr.stamp(vdi, 'now')
        if (features.has('resize')) await sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: vdi.size * 2 })
        const second = features.has('create') ? await sr.disk({ name: 'second' }) : undefined
        if (features.has('names')) await sr.call('VDI.set_names', { vdi_uuid: vdi.uuid, name: 'renamed' })
        if (features.has('lock')) await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: 'host7/vm3' })
        const before = await sr.scan()
        await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })

        await stage.world.reboot?.()
        const next = sr.at(await stage.start())
        await rejects('srNotAttached', next.scan())
        assert.equal((await next.call('SR.attach', {})).changed, true)
        const after = await next.scan()
        assert.equal(after.name, before.name)
        assert.deepEqual(after.vdis, before.vdis)
        await next.holds(vdi, 'now')
        if (snapshot !== undefined) await next.holds(snapshot, 'then')
        if (second !== undefined) await next.holds(second, 'zeros')
      },
    },
    {
      name: 'an SR that was deleted before a power cut stays deleted, and one that was created is there',
      needsSr: ['create', 'delete'],
      needsWorld: ['reboot'],
      async run(stage) {
        const sr = await stage.sr()
        await stage.world.reboot?.()
        const second = sr.at(await stage.start())
        await second.call('SR.attach', {})
        await second.call('SR.delete', {})
        await stage.world.reboot?.()
        const third = sr.at(await stage.start())
        assert.equal((await third.call('SR.delete', { ...stage.place })).changed, false)
        await rejects(['notFound', 'placeMissing'], third.call('SR.attach', { ...stage.place }))
      },
    },
  ],
}
