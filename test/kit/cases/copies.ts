/** Snapshots, clones and going back: what is shared, what is frozen, what survives what (SM API, vdi_snapshot and vdi_clone). */
import assert from 'node:assert/strict'
import type { VdiInfo } from '../../../core/methods/wire.ts'
import type { Topic } from '../case.ts'
import { rejects } from '../stage.ts'

const nobody = '3f0e5c1a-77b2-4d0e-8a6b-5b1c9d2e4f60'
const at = (offset: number): readonly [{ readonly offset: number; readonly length: number }] => [{ offset, length: 4096 }]

export const copies: Topic = {
  topic: 'snapshots and clones',
  cases: [
    {
      name: 'a snapshot tells what it is of, and keeps what its source held whatever is written later',
      needs: ['snapshot'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk({ name: 'disk' })
        await sr.stamp(vdi, 'then')
        const snapshot = await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid, name: 'before the upgrade', description: 'kept' })
        assert.deepEqual(
          { kind: snapshot.kind, of: snapshot.snapshot_of, size: snapshot.size, name: snapshot.name, description: snapshot.description, readOnly: snapshot.read_only },
          { kind: 'snapshot', of: vdi.uuid, size: vdi.size, name: 'before the upgrade', description: 'kept', readOnly: true },
        )
        assert.match(snapshot.snapshot_time ?? '', /^\d{4}-\d\d-\d\dT/)
        await sr.stamp(vdi, 'now')
        await sr.holds(snapshot, 'then')
        await sr.holds(vdi, 'now')
        const { kind, name } = await sr.row(vdi.uuid)
        assert.deepEqual({ kind, name }, { kind: 'disk', name: 'disk' })
      },
    },
    {
      name: 'a clone is writable, and neither of the two sees what the other writes',
      needs: ['clone'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'shared')
        const clone = await sr.call('VDI.clone', { vdi_uuid: vdi.uuid, name: 'copy' })
        assert.deepEqual({ kind: clone.kind, size: clone.size, name: clone.name, readOnly: clone.read_only, locked: clone.locked }, { kind: 'disk', size: vdi.size, name: 'copy', readOnly: false, locked: false })
        await sr.holds(clone, 'shared')
        await sr.stamp(clone, 'of the clone', at(0))
        await sr.stamp(vdi, 'of the source', at(vdi.size - 4096))
        await sr.holds(clone, 'of the clone', at(0))
        await sr.holds(clone, 'shared', at(vdi.size - 4096))
        await sr.holds(vdi, 'shared', at(0))
        await sr.holds(vdi, 'of the source', at(vdi.size - 4096))
      },
    },
    {
      name: 'a copy is refused when its uuid is taken, and both stay as they were',
      needs: ['snapshot', 'clone'],
      async run(stage) {
        const sr = await stage.sr()
        const [vdi, other] = [await sr.disk(), await sr.disk()]
        await sr.stamp(other, 'other')
        for (const method of ['VDI.snapshot', 'VDI.clone'] as const) {
          for (const dest of [other.uuid, vdi.uuid]) {
            assert.equal((await rejects('alreadyExists', sr.call(method, { vdi_uuid: vdi.uuid, dest_uuid: dest }))).facts.field, 'dest_uuid')
          }
        }
        assert.deepEqual((await sr.scan()).vdis.map((row) => row.uuid).sort(), [vdi.uuid, other.uuid].sort())
        await sr.holds(other, 'other')
        await sr.holds(vdi, 'zeros')
      },
    },
    {
      name: 'an attached VDI is not copied',
      needs: ['snapshot'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })
        await rejects('offlineOnly', sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid }))
        if (stage.features.has('clone')) await rejects('offlineOnly', sr.call('VDI.clone', { vdi_uuid: vdi.uuid }))
        assert.equal((await sr.scan()).vdis.length, 1)
      },
    },
    {
      name: 'a snapshot can be copied like any other, also while somebody reads it',
      needs: ['snapshot', 'clone'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'then')
        const snapshot = await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid })
        await sr.stamp(vdi, 'now')
        await sr.call('VDI.attach', { vdi_uuid: snapshot.uuid })
        const clone = await sr.call('VDI.clone', { vdi_uuid: snapshot.uuid })
        const second = await sr.call('VDI.snapshot', { vdi_uuid: snapshot.uuid })
        assert.deepEqual([clone.kind, second.kind], ['disk', 'snapshot'])
        await sr.stamp(clone, 'of the clone', at(0))
        await sr.holds(clone, 'then', at(vdi.size - 4096))
        await sr.holds(second, 'then')
        await sr.holds(snapshot, 'then')
        await sr.holds(vdi, 'now')
      },
    },
    {
      name: 'each of many snapshots of one VDI holds its own moment',
      needs: ['snapshot'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const moments: { readonly seed: string; readonly snapshot: VdiInfo }[] = []
        for (const seed of ['one', 'two', 'three']) {
          await sr.stamp(vdi, seed, at(0))
          await sr.stamp(vdi, seed, at(65536 * moments.length + 65536))
          moments.push({ seed, snapshot: await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid }) })
        }
        for (const [index, { seed, snapshot }] of moments.entries()) {
          await sr.holds(snapshot, seed, at(0))
          await sr.holds(snapshot, 'one', at(65536))
          await sr.holds(snapshot, index >= 1 ? 'two' : 'zeros', at(131072))
        }
      },
    },
    {
      name: 'a chain of clones of clones holds at each level what was written there',
      needs: ['clone'],
      async run(stage) {
        const sr = await stage.sr()
        const chain = [await sr.disk()]
        for (let level = 0; level < 4; level += 1) {
          const top = chain[level]
          assert.ok(top)
          await sr.stamp(top, `level ${level}`, at(level * 65536))
          if (level < 3) chain.push(await sr.call('VDI.clone', { vdi_uuid: top.uuid }))
        }
        for (const [level, vdi] of chain.entries()) {
          await sr.holds(vdi, `level ${level}`, at(level * 65536))
          await sr.holds(vdi, level >= 1 ? 'level 0' : 'zeros', level >= 1 ? at(0) : at(65536))
        }
      },
    },
    {
      name: 'deleting the source leaves its snapshot and its clone whole',
      needs: ['snapshot', 'clone', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        const snapshot = await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid })
        const clone = await sr.call('VDI.clone', { vdi_uuid: vdi.uuid })
        await sr.call('VDI.delete', { vdi_uuid: vdi.uuid })
        await sr.holds(snapshot, 'kept')
        await sr.holds(clone, 'kept')
        const second = await sr.call('VDI.clone', { vdi_uuid: snapshot.uuid })
        await sr.holds(second, 'kept')
        await rejects('notFound', sr.call('VDI.stat', { vdi_uuid: vdi.uuid }))
      },
    },
    {
      name: 'deleting the snapshot leaves the source whole',
      needs: ['snapshot', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        const snapshot = await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid })
        await sr.stamp(vdi, 'new', at(0))
        await sr.call('VDI.delete', { vdi_uuid: snapshot.uuid })
        await sr.holds(vdi, 'new', at(0))
        await sr.holds(vdi, 'kept', at(vdi.size - 4096))
        await rejects('notFound', sr.call('VDI.stat', { vdi_uuid: snapshot.uuid }))
      },
    },
    {
      name: 'a deleted snapshot\'s uuid can be taken by the next one, once the collector has merged its data',
      needs: ['snapshot', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        for (const seed of ['one', 'two']) {
          await sr.stamp(vdi, seed)
          const snapshot = await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid, dest_uuid: nobody })
          await sr.holds(snapshot, seed)
          await sr.call('VDI.delete', { vdi_uuid: nobody })
          if (stage.features.has('collect')) await sr.call('SR.collect', {})
        }
        await sr.holds(vdi, 'two')
      },
    },
    {
      name: 'a chain grows to its limit, is then refused as such, and everything stays readable',
      needs: ['clone'],
      needsChainLimit: true,
      async run(stage) {
        const sr = await stage.sr()
        const chain = [await sr.disk()]
        await sr.stamp(chain[0] ?? assert.fail(), 'root', at(0))
        let refused = false
        const limit = stage.driver.limits.maxChain ?? 0
        for (let level = 0; level <= limit + 1 && !refused; level += 1) {
          const top = chain.at(-1) ?? assert.fail()
          const next = await sr.call('VDI.clone', { vdi_uuid: top.uuid }).catch(async (error: unknown) => {
            await rejects('limitExceeded', Promise.reject(error as Error))
            return undefined
          })
          if (next === undefined) refused = true
          else {
            chain.push(next)
            await sr.stamp(next, `level ${level}`, at(4096))
          }
        }
        assert.ok(refused, `${chain.length} levels were made, though the limit is ${limit}`)
        const last = chain.at(-1) ?? assert.fail()
        await sr.holds(last, 'root', at(0))
        await sr.holds(last, `level ${chain.length - 2}`, at(4096))
      },
    },
    {
      name: 'going back gives the content of the snapshot and keeps identity, names and the snapshot',
      needs: ['snapshot', 'revert'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk({ name: 'disk', description: 'of a guest' })
        await sr.stamp(vdi, 'then')
        const snapshot = await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid, name: 'then' })
        await sr.stamp(vdi, 'now')
        const back = await sr.call('VDI.revert', { vdi_uuid: vdi.uuid, snapshot_uuid: snapshot.uuid })
        assert.deepEqual({ uuid: back.uuid, kind: back.kind, name: back.name, description: back.description, readOnly: back.read_only }, { uuid: vdi.uuid, kind: 'disk', name: 'disk', description: 'of a guest', readOnly: false })
        await sr.holds(vdi, 'then')
        await sr.stamp(vdi, 'later')
        await sr.holds(snapshot, 'then')
        await sr.holds(vdi, 'later')
        assert.equal((await sr.row(snapshot.uuid)).name, 'then')
      },
    },
    {
      name: 'going back can be repeated, forth and back between snapshots',
      needs: ['snapshot', 'revert'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'one')
        const one = await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid })
        await sr.stamp(vdi, 'two')
        const two = await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid })
        for (const [snapshot, seed] of [[one, 'one'], [one, 'one'], [two, 'two'], [one, 'one']] as const) {
          await sr.call('VDI.revert', { vdi_uuid: vdi.uuid, snapshot_uuid: snapshot.uuid })
          await sr.holds(vdi, seed)
        }
        await sr.holds(one, 'one')
        await sr.holds(two, 'two')
      },
    },
    {
      name: 'going back is refused to what is no snapshot, is not there, or while the VDI is attached',
      needs: ['snapshot', 'revert'],
      async run(stage) {
        const sr = await stage.sr()
        const [vdi, other] = [await sr.disk(), await sr.disk()]
        await sr.stamp(vdi, 'now')
        const snapshot = await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid })
        const revert = async (snapshot_uuid: string): Promise<unknown> => sr.call('VDI.revert', { vdi_uuid: vdi.uuid, snapshot_uuid })
        assert.equal((await rejects('invalidArgument', revert(other.uuid))).facts.field, 'snapshot_uuid')
        assert.equal((await rejects('notFound', revert(nobody))).facts.field, 'snapshot_uuid')
        await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })
        await rejects('offlineOnly', revert(snapshot.uuid))
        await sr.call('VDI.detach', { vdi_uuid: vdi.uuid })
        await rejects('readOnly', sr.call('VDI.revert', { vdi_uuid: snapshot.uuid, snapshot_uuid: snapshot.uuid }))
        await sr.holds(vdi, 'now')
      },
    },
    {
      name: 'deleting a snapshot after going back to it leaves the VDI whole',
      needs: ['snapshot', 'revert', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'then')
        const snapshot = await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid })
        await sr.stamp(vdi, 'now')
        await sr.call('VDI.revert', { vdi_uuid: vdi.uuid, snapshot_uuid: snapshot.uuid })
        await sr.call('VDI.delete', { vdi_uuid: snapshot.uuid })
        if (stage.features.has('collect')) await sr.call('SR.collect', {})
        await sr.holds(vdi, 'then')
      },
    },
  ],
}
