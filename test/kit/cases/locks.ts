/** Persistent locks of VDIs on the storage (SM API, vdi_lock and vdi_unlock). */
import assert from 'node:assert/strict'
import type { Topic } from '../case.ts'
import { rejects } from '../stage.ts'

const [alice, bob] = ['host7/vm3/alice', 'host8/vm3/bob']

export const locks: Topic = {
  topic: 'VDI locks',
  cases: [
    {
      name: 'a lock is seen by everybody: owner, host and since when',
      needs: ['lock'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const lock = await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice })
        assert.equal(lock.owner, alice)
        assert.ok(lock.epoch >= 1 && lock.host.length > 0 && lock.expires === undefined)
        const row = await sr.row(vdi.uuid)
        assert.deepEqual([row.locked, row.lock], [true, lock])
        assert.deepEqual((await sr.call('VDI.stat', { vdi_uuid: vdi.uuid })).lock, lock)
      },
    },
    {
      name: 'the owner refreshes its own lock, and keeps its epoch',
      reliesOn: ['lock text'],
      needs: ['lock'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const first = await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice, ttl_seconds: 100 })
        const second = await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice, ttl_seconds: 1000 })
        assert.deepEqual([second.owner, second.epoch], [alice, first.epoch])
        assert.ok((second.expires ?? '') > (first.expires ?? ''))
      },
    },
    {
      name: 'another owner is refused, and told who holds it',
      needs: ['lock'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const lock = await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice })
        for (let turn = 0; turn < 2; turn += 1) {
          const error = await rejects('lockUnavailable', sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: bob }))
          assert.ok(error.message.includes(alice), `the error does not name the holder: ${error.message}`)
        }
        assert.deepEqual((await sr.row(vdi.uuid)).lock, lock)
      },
    },
    {
      name: 'force takes the lock from its owner, in a new epoch, and the old owner can do nothing any more',
      needs: ['lock'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const before = await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice })
        const taken = await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: bob, force: true })
        assert.equal(taken.owner, bob)
        assert.ok(taken.epoch > before.epoch)
        await rejects('lockUnavailable', sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice }))
        await rejects('lockUnavailable', sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: alice }))
        assert.deepEqual((await sr.row(vdi.uuid)).lock, taken)
      },
    },
    {
      name: 'unlocking can be repeated, and is refused to everybody but the owner',
      needs: ['lock'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        assert.equal((await sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: alice })).changed, false)
        await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice })
        const error = await rejects('lockUnavailable', sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: bob }))
        assert.ok(error.message.includes(alice))
        assert.equal((await sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: alice })).changed, true)
        for (let turn = 0; turn < 2; turn += 1) assert.equal((await sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: alice })).changed, false)
        const row = await sr.row(vdi.uuid)
        assert.deepEqual([row.locked, row.lock], [false, undefined])
      },
    },
    {
      name: 'every change of owner has an epoch larger than all before, also after an unlock',
      needs: ['lock'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const epochs: number[] = []
        for (const owner of [alice, bob, alice]) {
          epochs.push((await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner })).epoch)
          await sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner })
        }
        epochs.push((await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: bob })).epoch)
        epochs.push((await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice, force: true })).epoch)
        assert.deepEqual([...new Set(epochs)].sort((a, b) => a - b), epochs, `epochs: ${epochs.join(', ')}`)
      },
    },
    {
      name: 'a lock ends at its time, for others as for its owner',
      reliesOn: ['lock text'],
      needs: ['lock', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const first = await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice, ttl_seconds: 2 })
        await rejects('lockUnavailable', sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: bob }))
        await stage.world.pass(2500)
        assert.equal((await sr.row(vdi.uuid)).locked, false)
        const second = await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: bob, ttl_seconds: 2 })
        assert.ok(second.epoch > first.epoch)
        await rejects('lockUnavailable', sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice }))
        await stage.world.pass(2500)
        assert.equal((await sr.call('VDI.delete', { vdi_uuid: vdi.uuid })).changed, true)
      },
    },
    {
      name: 'a lock is on the storage: it outlives the process and the memory of the host',
      reliesOn: ['lock text'],
      needs: ['lock'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const lock = await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice })
        await sr.call('SR.detach', {})
        await stage.main.close()
        const next = stage.srAt(await stage.start({ memory: 'lost' }), sr.uuid)
        await next.call('SR.attach', { ...stage.place })
        assert.deepEqual((await next.row(vdi.uuid)).lock, lock)
        await rejects('lockUnavailable', next.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: bob }))
        assert.equal((await next.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: alice })).changed, true)
        await next.call('SR.detach', {})
      },
    },
    {
      name: 'a locked VDI is not deleted, copied or resized; it can be attached, which is what the lock is for',
      needs: ['lock'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice })
        const refused = async (work: Promise<unknown>): Promise<void> => {
          assert.ok((await rejects('busy', work)).message.includes(alice))
        }
        const { features } = stage
        if (features.has('destroy')) await refused(sr.call('VDI.delete', { vdi_uuid: vdi.uuid }))
        if (features.has('snapshot')) await refused(sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid }))
        if (features.has('clone')) await refused(sr.call('VDI.clone', { vdi_uuid: vdi.uuid }))
        if (features.has('resize')) await refused(sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: vdi.size * 2 }))
        await sr.stamp(vdi, 'written')
        await sr.holds(vdi, 'written')
        await sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: alice })
        if (features.has('snapshot')) await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid })
      },
    },
    {
      name: 'a lock belongs to one VDI: neither its neighbour nor its copies are locked by it',
      needs: ['lock', 'snapshot', 'clone'],
      async run(stage) {
        const sr = await stage.sr()
        const [vdi, other] = [await sr.disk(), await sr.disk()]
        const snapshot = await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid })
        await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice })
        await sr.call('VDI.lock', { vdi_uuid: other.uuid, owner: bob })
        assert.equal((await sr.row(snapshot.uuid)).locked, false)
        const clone = await sr.call('VDI.clone', { vdi_uuid: snapshot.uuid })
        assert.equal(clone.locked, false)
        assert.equal((await sr.row(other.uuid)).lock?.owner, bob)
      },
    },
    {
      name: 'a VDI that takes over the uuid of a locked and deleted one is not locked',
      reliesOn: ['lock text'],
      needs: ['lock', 'create', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: alice, ttl_seconds: 1 })
        await stage.world.pass(1500)
        await sr.call('VDI.delete', { vdi_uuid: vdi.uuid })
        const next = await sr.disk({ vdi_uuid: vdi.uuid })
        assert.deepEqual([next.locked, next.lock], [false, undefined])
      },
    },
    {
      name: 'of many that want a lock at once exactly one gets it',
      needs: ['lock'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const owners = ['a', 'b', 'c', 'd', 'e'].map((letter) => `host/${letter}`)
        const outcomes = await Promise.allSettled(owners.map(async (owner) => sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner })))
        assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 1)
        const winner = owners[outcomes.findIndex((outcome) => outcome.status === 'fulfilled')]
        assert.equal((await sr.row(vdi.uuid)).lock?.owner, winner)
      },
    },
    {
      name: 'an owner may be any text, and is compared exactly',
      needs: ['lock'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const owner = 'Ünïque "string" <of> \'user\' $(id) / 日本 '
        assert.equal((await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner })).owner, owner)
        await rejects('lockUnavailable', sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: owner.trim() }))
        await rejects('lockUnavailable', sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: owner.toLowerCase() }))
        assert.equal((await sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner })).changed, true)
      },
    },
  ],
}
