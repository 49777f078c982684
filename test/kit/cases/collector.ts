/** What the collector takes away and what it must not; what a check of a healthy SR says. */
import assert from 'node:assert/strict'
import type { VdiInfo } from '../../../core/methods/wire.ts'
import type { Topic } from '../case.ts'
import { rejects, type TestSr } from '../stage.ts'

const nobody = '3f0e5c1a-77b2-4d0e-8a6b-5b1c9d2e4f60'
const at = (offset: number): readonly [{ readonly offset: number; readonly length: number }] => [{ offset, length: 4096 }]

/** A disk with three snapshots, each level with writes of its own. */
const family = async (sr: TestSr): Promise<{ readonly vdi: VdiInfo; readonly snapshots: readonly VdiInfo[] }> => {
  const vdi = await sr.disk()
  const snapshots: VdiInfo[] = []
  for (let level = 0; level < 3; level += 1) {
    await sr.stamp(vdi, `level ${level}`, at(level * 65536))
    await sr.stamp(vdi, `level ${level}`, at(vdi.size - 4096))
    snapshots.push(await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid }))
  }
  await sr.stamp(vdi, 'top', at(vdi.size - 4096))
  return { vdi, snapshots }
}

const holdsFamily = async (sr: TestSr, vdi: VdiInfo): Promise<void> => {
  for (let level = 0; level < 3; level += 1) await sr.holds(vdi, `level ${level}`, at(level * 65536))
  await sr.holds(vdi, 'top', at(vdi.size - 4096))
  await sr.holds(vdi, 'zeros', at(3 * 65536))
}

const isHealthy = async (sr: TestSr): Promise<void> => {
  const { findings } = await sr.call('SR.verify', {})
  assert.deepEqual(findings.filter((finding) => finding.weight !== 'note'), [])
}

export const collector: Topic = {
  topic: 'collector and checks',
  cases: [
    {
      name: 'an SR without garbage owes nothing, and collecting it changes nothing',
      needs: ['collect'],
      async run(stage) {
        const sr = await stage.sr()
        await sr.disk()
        const before = await sr.scan()
        const { steps, bytes } = await sr.call('SR.backlog', {})
        assert.deepEqual([steps, bytes], [[], 0])
        assert.deepEqual(await sr.call('SR.collect', {}), { removed: 0, coalesced: 0, blocked: 0, bytes: 0 })
        assert.deepEqual((await sr.scan()).vdis, before.vdis)
      },
    },
    {
      name: 'after the snapshots are deleted and collected, one image is left with the content of the disk',
      needs: ['collect', 'snapshot', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const { vdi, snapshots } = await family(sr)
        for (const snapshot of snapshots) await sr.call('VDI.delete', { vdi_uuid: snapshot.uuid })
        await holdsFamily(sr, vdi)
        await sr.call('SR.collect', {})
        await holdsFamily(sr, vdi)
        assert.deepEqual((await sr.call('SR.backlog', {})).steps, [])
        const rows = (await sr.scan()).vdis
        assert.deepEqual(rows.filter((row) => row.uuid === vdi.uuid).length, 1)
        assert.ok(rows.length <= 2, `${rows.length} images are left of one disk without snapshots`)
      },
    },
    {
      name: 'a snapshot that is deleted from the middle leaves the others as they were, also after collecting',
      needs: ['collect', 'snapshot', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const { vdi, snapshots: [first, middle, last] } = await family(sr)
        assert.ok(first && middle && last)
        await sr.call('VDI.delete', { vdi_uuid: middle.uuid })
        await sr.call('SR.collect', {})
        await holdsFamily(sr, vdi)
        await sr.holds(first, 'level 0', at(0))
        await sr.holds(first, 'zeros', at(65536))
        await sr.holds(first, 'level 0', at(vdi.size - 4096))
        await sr.holds(last, 'level 1', at(65536))
        await sr.holds(last, 'level 2', at(vdi.size - 4096))
      },
    },
    {
      name: 'what is collected while its disk is attached is put off, and told in the backlog',
      needs: ['collect', 'snapshot', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const { vdi, snapshots } = await family(sr)
        for (const snapshot of snapshots) await sr.call('VDI.delete', { vdi_uuid: snapshot.uuid })
        await sr.call('VDI.attach', { vdi_uuid: vdi.uuid })
        for (const step of (await sr.call('SR.backlog', {})).steps) {
          if (step.child_uuid === vdi.uuid || step.vdi_uuid === vdi.uuid) assert.ok(step.blocked_by.some((line) => line.includes(vdi.uuid)))
        }
        await sr.call('SR.collect', {})
        await holdsFamily(sr, vdi)
        await sr.call('VDI.detach', { vdi_uuid: vdi.uuid })
        await sr.call('SR.collect', {})
        await holdsFamily(sr, vdi)
        assert.deepEqual((await sr.call('SR.backlog', {})).steps, [])
      },
    },
    {
      name: 'a locked disk is not touched by the collector',
      needs: ['collect', 'snapshot', 'destroy', 'lock'],
      async run(stage) {
        const sr = await stage.sr()
        const { vdi, snapshots } = await family(sr)
        for (const snapshot of snapshots) await sr.call('VDI.delete', { vdi_uuid: snapshot.uuid })
        await sr.call('VDI.lock', { vdi_uuid: vdi.uuid, owner: 'host9/vm1' })
        const parent = (await sr.row(vdi.uuid)).parent
        await sr.call('SR.collect', {})
        assert.equal((await sr.row(vdi.uuid)).parent, parent)
        await sr.call('VDI.unlock', { vdi_uuid: vdi.uuid, owner: 'host9/vm1' })
        await sr.call('SR.collect', {})
        await holdsFamily(sr, vdi)
      },
    },
    {
      name: 'collecting can be repeated, and the second time there is nothing to do',
      needs: ['collect', 'clone', 'destroy'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'shared')
        const clone = await sr.call('VDI.clone', { vdi_uuid: vdi.uuid })
        await sr.call('VDI.delete', { vdi_uuid: vdi.uuid })
        await sr.call('SR.collect', {})
        assert.deepEqual(await sr.call('SR.collect', {}), { removed: 0, coalesced: 0, blocked: 0, bytes: 0 })
        await sr.holds(clone, 'shared')
      },
    },
    {
      name: 'deleting and collecting everything leaves no image, no orphan and no space taken',
      needs: ['collect', 'snapshot', 'clone', 'destroy', 'verify'],
      async run(stage) {
        const sr = await stage.sr()
        const before = await sr.scan()
        const blank = await stage.world.inventory()
        const { vdi, snapshots } = await family(sr)
        const clone = await sr.call('VDI.clone', { vdi_uuid: vdi.uuid })
        for (const one of [snapshots[1], vdi, snapshots[0], clone, snapshots[2]]) await sr.call('VDI.delete', { vdi_uuid: one?.uuid ?? '' })
        await sr.call('SR.collect', {})
        const after = await sr.scan()
        assert.deepEqual(after.vdis, [])
        assert.equal(after.physical_utilisation, before.physical_utilisation)
        assert.deepEqual((await sr.call('SR.orphans', {})).orphans, [])
        assert.deepEqual(await stage.world.inventory(), blank)
      },
    },
    {
      name: 'a check of a healthy SR finds nothing and changes nothing, whatever it may repair',
      needs: ['verify', 'snapshot'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'kept')
        await sr.call('VDI.snapshot', { vdi_uuid: vdi.uuid })
        const before = (await sr.scan()).vdis
        for (const repair of ['no', 'dry-run', 'yes'] as const) {
          const { checked, findings } = await sr.call('SR.verify', { repair })
          assert.ok(checked >= 2)
          assert.deepEqual(findings.filter((finding) => finding.weight !== 'note'), [])
        }
        assert.deepEqual((await sr.scan()).vdis, before)
        assert.deepEqual((await sr.call('SR.orphans', {})).orphans, [])
        await sr.holds(vdi, 'kept')
      },
    },
    {
      name: 'one VDI can be checked alone, and one that is not there is not found',
      needs: ['verify'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        assert.equal((await sr.call('SR.verify', { vdi_uuid: vdi.uuid })).checked, 1)
        assert.equal((await rejects('notFound', sr.call('SR.verify', { vdi_uuid: nobody }))).facts.field, 'vdi_uuid')
        await isHealthy(sr)
      },
    },
  ],
}
