/** What an SR tells about itself: scan, stat, names, content type. */
import assert from 'node:assert/strict'
import type { Topic } from '../case.ts'

/** Everything that has hurt somebody in a name: quotes, markup, shell, separators, other scripts, line breaks. */
const awkwardName = 'Ünï "quoted" \'single\' <a href="x">&amp;</a> $(id) `x` a/b\\c 日本語 🙂\tend\nline'

export const srReports: Topic = {
  topic: 'SR reports',
  cases: [
    {
      name: 'a scan adds up: every VDI once, their sizes in the sum, no more used than there is',
      async run(stage) {
        const sr = await stage.sr()
        const made = [await sr.disk(), await sr.disk()]
        const contents = await sr.scan()
        assert.equal(contents.uuid, sr.uuid)
        for (const vdi of made) assert.equal(contents.vdis.filter((row) => row.uuid === vdi.uuid).length, 1)
        assert.equal(contents.virtual_allocation, contents.vdis.reduce((sum, vdi) => sum + vdi.size, 0))
        assert.ok(contents.physical_size > 0)
        assert.ok(contents.free <= contents.physical_size)
        assert.ok(contents.physical_utilisation <= contents.physical_size)
        assert.equal(contents.default_vdi_visibility, stage.driver.defaultVdiVisibility)
      },
    },
    {
      name: 'scanning twice tells the same',
      async run(stage) {
        const sr = await stage.sr()
        await sr.disk()
        assert.deepEqual((await sr.scan()).vdis, (await sr.scan()).vdis)
      },
    },
    {
      name: 'stat agrees with the scan and offers no more than its type declares',
      async run(stage) {
        const sr = await stage.sr({ name: 'Named' })
        await sr.disk()
        const [stat, contents] = [await sr.call('SR.stat', {}), await sr.scan()]
        assert.deepEqual(
          { uuid: stat.uuid, name: stat.name, description: stat.description, physical_size: stat.physical_size },
          { uuid: contents.uuid, name: contents.name, description: contents.description, physical_size: contents.physical_size },
        )
        assert.equal(stat.type, stage.place.type)
        assert.equal(stat.content_type, stage.driver.contentType)
        assert.deepEqual([...stat.features].sort(), [...stage.features].sort(), 'features of this SR and of its harness')
        assert.deepEqual(stat.features.filter((feature) => !stage.driver.features.includes(feature)), [])
      },
    },
    {
      name: 'the content type is told also while the SR is detached',
      async run(stage) {
        const sr = await stage.sr()
        await sr.call('SR.detach', {})
        assert.deepEqual(await sr.call('SR.content_type', {}), { content_type: stage.driver.contentType })
      },
    },
    {
      name: 'names of an SR live on the storage, whatever characters they hold',
      needs: ['names'],
      async run(stage) {
        const sr = await stage.sr({ name: 'before' })
        assert.deepEqual(await sr.call('SR.set_names', { name: awkwardName, description: 'x'.repeat(1000) }), { changed: true })
        assert.deepEqual(await sr.call('SR.set_names', { name: awkwardName }), { changed: false })
        await sr.call('SR.detach', {})
        await stage.main.close()
        const fresh = await stage.start({ memory: 'lost' })
        const again = stage.srAt(fresh, sr.uuid)
        await again.call('SR.attach', { ...stage.place })
        const { name, description } = await again.call('SR.stat', {})
        assert.deepEqual({ name, description }, { name: awkwardName, description: 'x'.repeat(1000) })
        await again.call('SR.set_names', { description: '' })
        assert.equal((await again.scan()).name, awkwardName)
        await again.call('SR.detach', {})
      },
    },
    {
      name: 'names of a VDI live on the storage, whatever characters they hold',
      needs: ['names'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        assert.deepEqual(await sr.call('VDI.set_names', { vdi_uuid: vdi.uuid, name: awkwardName, description: awkwardName }), { changed: true })
        assert.deepEqual(await sr.call('VDI.set_names', { vdi_uuid: vdi.uuid, name: awkwardName }), { changed: false })
        await sr.call('SR.detach', {})
        await stage.main.close()
        const again = stage.srAt(await stage.start({ memory: 'lost' }), sr.uuid)
        await again.call('SR.attach', { ...stage.place })
        const { name, description } = await again.row(vdi.uuid)
        assert.deepEqual({ name, description }, { name: awkwardName, description: awkwardName })
        await again.call('SR.detach', {})
      },
    },
    {
      name: 'naming one VDI leaves the others and its content as they were',
      needs: ['names'],
      async run(stage) {
        const sr = await stage.sr()
        const [one, two] = [await sr.disk(), await sr.disk()]
        await sr.stamp(one, 'kept')
        await sr.call('VDI.set_names', { vdi_uuid: one.uuid, name: 'one' })
        assert.deepEqual(await sr.row(two.uuid), two)
        await sr.holds(one, 'kept')
      },
    },
  ],
}
