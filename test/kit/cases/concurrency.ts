/** Many calls at once, in one process and in two (SM API, "Ordering, Concurrency, and Locking"). */
import assert from 'node:assert/strict'
import { StorageError } from '../../../core/errors.ts'
import type { Topic } from '../case.ts'

const fresh = 'c9a0e5d4-0b1f-4c83-9f5e-7a2d61c0b3e8'

/** Kinds of the failures among them, and how many succeeded. */
const settle = async (work: readonly Promise<unknown>[]): Promise<{ readonly done: number; readonly kinds: readonly string[] }> => {
  const outcomes = await Promise.allSettled(work)
  return {
    done: outcomes.filter((outcome) => outcome.status === 'fulfilled').length,
    kinds: outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason instanceof StorageError ? outcome.reason.kind : String(outcome.reason)] : [])),
  }
}

export const concurrency: Topic = {
  topic: 'many calls at once',
  cases: [
    {
      name: 'twenty VDIs created at once are all there, each of its own',
      needs: ['create', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const made = await Promise.all(Array.from({ length: 20 }, async (_, index) => sr.disk({ name: `disk ${index}` })))
        assert.equal(new Set(made.map((vdi) => vdi.uuid)).size, 20)
        const rows = new Map((await sr.scan()).vdis.map((row) => [row.uuid, row.name]))
        assert.deepEqual(made.map((vdi) => rows.get(vdi.uuid)), made.map((_, index) => `disk ${index}`))
        await Promise.all(made.map(async (vdi) => sr.call('VDI.delete', { vdi_uuid: vdi.uuid })))
        assert.deepEqual((await sr.scan()).vdis, [])
      },
    },
    {
      name: 'of many creations of one uuid exactly one succeeds',
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const { done, kinds } = await settle(Array.from({ length: 5 }, async (_, index) => sr.disk({ vdi_uuid: fresh, name: `try ${index}` })))
        assert.deepEqual({ done, kinds }, { done: 1, kinds: Array.from({ length: 4 }, () => 'alreadyExists') })
        await sr.holds(await sr.row(fresh), 'zeros')
      },
    },
    {
      name: 'of many deletions of one VDI all succeed and one does it',
      needs: ['create', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        const answers = await Promise.all(Array.from({ length: 5 }, async () => sr.call('VDI.delete', { vdi_uuid: vdi.uuid })))
        assert.equal(answers.filter((answer) => answer.changed).length, 1)
      },
    },
    {
      name: 'different VDIs are attached, grown and detached side by side, each with its own content',
      needs: ['create', 'resize'],
      async run(stage) {
        const sr = await stage.sr()
        const vdis = await Promise.all(Array.from({ length: 4 }, async () => sr.disk()))
        await Promise.all(vdis.map(async (vdi) => {
          await sr.stamp(vdi, vdi.uuid)
          await sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: vdi.size * 2 })
        }))
        await Promise.all(vdis.map(async (vdi) => sr.holds(vdi, vdi.uuid)))
        assert.deepEqual(new Set((await sr.scan()).vdis.map((row) => row.size)), new Set(vdis.map((vdi) => vdi.size * 2)))
      },
    },
    {
      name: 'calls on one VDI at once run one after the other, and the last state is one of theirs',
      needs: ['names', 'resize'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        const { done } = await settle([
          ...Array.from({ length: 5 }, async (_, index) => sr.call('VDI.set_names', { vdi_uuid: vdi.uuid, name: `name ${index}`, description: `text ${index}` })),
          sr.call('VDI.resize', { vdi_uuid: vdi.uuid, size: vdi.size * 2 }),
        ])
        assert.equal(done, 6)
        const row = await sr.row(vdi.uuid)
        assert.match(row.name, /^name \d$/)
        assert.equal(row.description, row.name.replace('name', 'text'), 'name and description come from one call')
        assert.equal(row.size, vdi.size * 2)
        await sr.holds(vdi, 'kept')
      },
    },
    {
      name: 'a copy and a deletion of one VDI at once end in one order or the other',
      needs: ['snapshot', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        const [copy, deletion] = await Promise.allSettled([
          sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid, dest_uuid: fresh }),
          sr.call('VDI.delete', { vdi_uuid: vdi.uuid }),
        ])
        assert.equal(deletion.status, 'fulfilled')
        const rows = (await sr.scan()).vdis.filter((row) => row.kind !== 'base').map((row) => row.uuid)
        if (copy.status === 'fulfilled') {
          assert.deepEqual(rows, [fresh])
          await sr.holds(copy.value, 'kept')
        } else {
          assert.equal((copy.reason as StorageError).kind, 'notFound')
          assert.deepEqual(rows, [])
        }
      },
    },
    {
      name: 'a scan during creations shows whole VDIs only, and every one that was there when it began',
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const finished: string[] = []
        const creating = Array.from({ length: 8 }, async () => {
          finished.push((await sr.disk({ name: 'whole' })).uuid)
        })
        for (let turn = 0; turn < 4; turn += 1) {
          const before = [...finished]
          const { vdis } = await sr.scan()
          for (const row of vdis) assert.deepEqual([row.problem, row.name, row.size >= stage.size], [undefined, 'whole', true])
          assert.deepEqual(before.filter((uuid) => !vdis.some((row) => row.uuid === uuid)), [], 'missing in the scan')
        }
        await Promise.all(creating)
        assert.equal((await sr.scan()).vdis.length, 8)
      },
    },
    {
      name: 'two processes on one host see each other\'s work at once',
      async run(stage) {
        const sr = await stage.sr()
        const other = sr.at(await stage.start())
        const vdi = await sr.disk()
        assert.deepEqual(await other.row(vdi.uuid), vdi)
        await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })
        assert.equal((await other.row(vdi.uuid)).attached, 'rw')
        if (stage.features.has('destroy')) {
          assert.deepEqual((await settle([other.call('VDI.delete', { vdi_uuid: vdi.uuid })])).kinds, ['busy'])
        }
        assert.equal((await other.call('VDI.detach', { vdi_uuid: vdi.uuid })).changed, true)
        assert.equal((await sr.call('VDI.detach', { vdi_uuid: vdi.uuid })).changed, false)
        assert.equal((await other.call('SR.detach', {})).changed, true)
        assert.deepEqual((await settle([sr.scan()])).kinds, ['srNotAttached'])
      },
    },
    {
      name: 'two processes that create, copy and delete at once do not get into each other\'s way',
      needs: ['create', 'destroy', 'snapshot'],
      async run(stage) {
        const sr = await stage.sr()
        const both = [sr, sr.at(await stage.start())]
        const work = both.flatMap((side, index) => Array.from({ length: 3 }, async (_, turn) => {
          const vdi = await side.disk({ name: `${index} ${turn}` })
          await side.stamp(vdi, vdi.uuid, [{ offset: 0, length: 4096 }])
          const snapshot = await side.call('VDI.snapshot', { vdi_uuid: vdi.uuid })
          await side.call('VDI.delete', { vdi_uuid: vdi.uuid })
          return { snapshot, seed: vdi.uuid }
        }))
        const kept = await Promise.all(work)
        for (const { snapshot, seed } of kept) await sr.holds(snapshot, seed, [{ offset: 0, length: 4096 }])
        assert.equal((await sr.scan()).vdis.filter((row) => row.kind === 'snapshot').length, 6)
      },
    },
    {
      name: 'of two processes that create one uuid at once exactly one succeeds',
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const other = sr.at(await stage.start())
        const { done, kinds } = await settle([sr, other, sr, other].map(async (side) => side.disk({ vdi_uuid: fresh })))
        assert.deepEqual({ done, kinds }, { done: 1, kinds: ['alreadyExists', 'alreadyExists', 'alreadyExists'] })
      },
    },
    {
      name: 'an SR attached and detached many times at once ends in one of the two states',
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        const { kinds } = await settle(Array.from({ length: 8 }, async (_, index) => sr.call(index % 2 === 0 ? 'SR.detach' : 'SR.attach', {})))
        assert.deepEqual(kinds, [])
        await sr.call('SR.attach', {})
        await sr.holds(vdi, 'kept')
      },
    },
  ],
}
