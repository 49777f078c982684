/** Two hosts on one SR: what one does the other sees, and locks hold between them. */
import assert from 'node:assert/strict'
import type { Topic } from '../case.ts'
import { rejects, type Stage, type TestSr } from '../stage.ts'

const onBoth = async (stage: Stage): Promise<{ readonly here: TestSr; readonly there: TestSr }> => {
  const here = await stage.sr()
  const there = here.at(await stage.start({ host: 'second' }))
  await there.call('SR.attach', { ...stage.place })
  return { here, there }
}

/** The second host leaves, as its memory is not that of the clean-up. */
const leave = async (there: TestSr): Promise<void> => {
  await there.call('SR.detach', {})
  await there.call('SR.forget', {})
}

export const hosts: Topic = {
  topic: 'two hosts',
  cases: [
    {
      name: 'what one host creates, names and deletes the other sees at its next scan',
      needs: ['create', 'destroy', 'names'],
      needsWorld: ['second host'],
      async run(stage) {
        const { here, there } = await onBoth(stage)
        const vdi = await here.disk({ name: 'made here' })
        assert.deepEqual(await there.row(vdi.uuid), vdi)
        await there.call('VDI.set_names', { vdi_uuid: vdi.uuid, name: 'named there' })
        assert.equal((await here.row(vdi.uuid)).name, 'named there')
        await rejects('alreadyExists', there.disk({ vdi_uuid: vdi.uuid }))
        await there.call('VDI.delete', { vdi_uuid: vdi.uuid })
        await rejects('notFound', here.call('VDI.stat', { vdi_uuid: vdi.uuid }))
        assert.deepEqual((await here.scan()).vdis, [])
        await leave(there)
      },
    },
    {
      name: 'a lock taken on one host is refused on the other, which is told who has it and where',
      reliesOn: ['lock text'],
      needs: ['lock'],
      needsWorld: ['second host'],
      async run(stage) {
        const { here, there } = await onBoth(stage)
        const vdi = await here.disk()
        const lock = await here.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: 'vm3' })
        const error = await rejects('lockUnavailable', there.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: 'vm4' }))
        assert.ok(error.message.includes('vm3') && error.message.includes(lock.host))
        const taken = await there.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: 'vm4', force: true })
        assert.notEqual(taken.host, lock.host)
        assert.ok(taken.epoch > lock.epoch)
        await rejects('lockUnavailable', here.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: 'vm3' }))
        if (stage.features.has('destroy')) await rejects('busy', here.call('VDI.delete', { vdi_uuid: vdi.uuid }))
        await there.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: 'vm4' })
        await leave(there)
      },
    },
    {
      name: 'of two hosts that want a lock at once exactly one gets it',
      needs: ['lock'],
      needsWorld: ['second host'],
      async run(stage) {
        const { here, there } = await onBoth(stage)
        const vdi = await here.disk()
        const outcomes = await Promise.allSettled([here, there, here, there].map(async (side, index) => side.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: `vm${index}` })))
        assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 1)
        const { lock } = await here.row(vdi.uuid)
        await here.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: lock?.owner ?? '' })
        await leave(there)
      },
    },
    {
      name: 'two hosts that create and delete at once lose nothing of each other',
      needs: ['create', 'destroy'],
      needsWorld: ['second host'],
      async run(stage) {
        const { here, there } = await onBoth(stage)
        const kept = await Promise.all([here, there, here, there].map(async (side) => {
          const [one, two] = [await side.disk(), await side.disk()]
          await side.call('VDI.delete', { vdi_uuid: two.uuid })
          return one.uuid
        }))
        const seen = async (side: TestSr): Promise<readonly string[]> => (await side.scan()).vdis.map((row) => row.uuid).sort()
        assert.deepEqual(await seen(here), [...kept].sort())
        assert.deepEqual(await seen(there), [...kept].sort())
        await leave(there)
      },
    },
    {
      name: 'content written on one host is read on the other after it was detached',
      needsWorld: ['second host'],
      async run(stage) {
        const { here, there } = await onBoth(stage)
        const vdi = await here.disk()
        await here.stamp(vdi, 'written here')
        assert.equal((await there.call('VDI.attach', { vdi_uuid: vdi.uuid, mode: 'ro' })).changed, true)
        await there.call('VDI.detach', { vdi_uuid: vdi.uuid })
        await leave(there)
        await here.holds(vdi, 'written here')
      },
    },
  ],
}
