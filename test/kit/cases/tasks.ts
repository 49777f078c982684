/** Calls in the background, and calls that are called off: what they leave is sound. */
import assert from 'node:assert/strict'
import type { Topic } from '../case.ts'
import { rejects, type TestSr } from '../stage.ts'

const fresh = 'c9a0e5d4-0b1f-4c83-9f5e-7a2d61c0b3e8'

/**
 * Waits for a call that is being called off; whether it was done is then seen on the storage. Over some transports the
 * caller is let go at once, while the call ends on its own.
 */
const doneAfter = async (sr: TestSr, work: Promise<unknown>): Promise<boolean> => {
  await work.catch(async (error: unknown) => rejects('cancelled', Promise.reject(error as Error)))
  return (await sr.scan()).vdis.some((vdi) => vdi.uuid === fresh)
}

const soundAfter = async (sr: TestSr, verify: boolean): Promise<void> => {
  for (const row of (await sr.scan()).vdis) assert.equal(row.problem, undefined)
  if (!verify) return
  const { findings } = await sr.call('SR.verify', {})
  assert.deepEqual(findings.filter((finding) => finding.weight !== 'note'), [])
}

export const tasks: Topic = {
  topic: 'tasks and cancelling',
  cases: [
    {
      name: 'a call that was called off before it began changes nothing',
      decidedBy: 'engine',
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const before = await stage.world.inventory()
        await rejects('cancelled', sr.call('VDI.create', { vdi_uuid: fresh, size: stage.size }, { signal: AbortSignal.abort() }))
        assert.deepEqual((await sr.scan()).vdis, [])
        assert.deepEqual(await stage.world.inventory(), before)
      },
    },
    {
      name: 'a creation called off midway is either done or gone, and can be made again',
      needs: ['create', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        for (const moment of ['at once', 'at the first progress'] as const) {
          const controller = new AbortController()
          const work = sr.call('VDI.create', { vdi_uuid: fresh, size: stage.size, provisioning: 'full' }, { signal: controller.signal, onProgress: () => controller.abort() })
          if (moment === 'at once') setTimeout(() => controller.abort(), 0)
          const done = await doneAfter(sr, work)
          await soundAfter(sr, stage.features.has('verify'))
          if (done) await sr.call('VDI.delete', { vdi_uuid: fresh })
          const vdi = await sr.disk({ vdi_uuid: fresh })
          await sr.holds(vdi, 'zeros')
          await sr.call('VDI.delete', { vdi_uuid: fresh })
        }
      },
    },
    {
      name: 'a copy called off midway is either done or gone, and its source is whole',
      needs: ['snapshot', 'clone', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        for (const method of ['VDI.snapshot', 'VDI.clone'] as const) {
          const controller = new AbortController()
          const work = sr.call(method, { vdi_uuid: vdi.uuid, dest_uuid: fresh }, { signal: controller.signal, onProgress: () => controller.abort() })
          setTimeout(() => controller.abort(), 0)
          const done = await doneAfter(sr, work)
          await soundAfter(sr, stage.features.has('verify'))
          await sr.holds(vdi, 'kept')
          if (!done) await sr.call(method, { vdi_uuid: vdi.uuid, dest_uuid: fresh })
          await sr.holds(await sr.row(fresh), 'kept')
          await sr.call('VDI.delete', { vdi_uuid: fresh })
          // Data that others still read through keeps its old name until it has been merged.
          if (stage.features.has('collect')) await sr.call('SR.collect', {})
        }
      },
    },
    {
      name: 'a task gives the answer that the call would have given',
      decidedBy: 'engine',
      async run(stage) {
        const sr = await stage.sr()
        await sr.disk()
        const { task } = await stage.main.call('Task.start', { method: 'SR.scan', params: { sr_uuid: sr.uuid } })
        const info = await stage.main.call('Task.wait', { task, timeout_seconds: 60 })
        assert.equal(info.state, 'finished')
        assert.deepEqual(info.result, await sr.scan())
        assert.equal((await stage.main.call('Task.destroy', { task })).changed, true)
      },
    },
    {
      name: 'a task tells the error that the call would have told',
      decidedBy: 'engine',
      async run(stage) {
        const sr = await stage.sr()
        const { task } = await stage.main.call('Task.start', { method: 'VDI.attach', params: { sr_uuid: sr.uuid, vdi_uuid: fresh } })
        const info = await stage.main.call('Task.wait', { task, timeout_seconds: 60 })
        assert.deepEqual([info.state, info.error?.kind, info.error?.field], ['failed', 'notFound', 'vdi_uuid'])
      },
    },
    {
      name: 'a cancelled task ends as cancelled or finished, and what it worked on is sound',
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const { task } = await stage.main.call('Task.start', { method: 'VDI.create', params: { sr_uuid: sr.uuid, vdi_uuid: fresh, size: stage.size, provisioning: 'full' } })
        await stage.main.call('Task.cancel', { task })
        const info = await stage.main.call('Task.wait', { task, timeout_seconds: 60 })
        assert.ok(info.state === 'cancelled' || info.state === 'finished', info.state)
        assert.equal((await sr.scan()).vdis.length, info.state === 'finished' ? 1 : 0)
        await soundAfter(sr, stage.features.has('verify'))
      },
    },
  ],
}
