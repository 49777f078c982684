/** VDIs from creation to deletion: which calls may be repeated, and what each leaves behind (SM API, "VDI-Level API Operations"). */
import assert from 'node:assert/strict'
import type { Topic } from '../case.ts'
import { rejects } from '../stage.ts'

export const vdiLifeCycle: Topic = {
  topic: 'VDI life cycle',
  cases: [
    {
      name: 'a created VDI is listed with its size and names, and reads as zeros',
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk({ name: 'root disk', description: 'of a guest' })
        assert.ok(vdi.size >= stage.size, `asked for ${stage.size} bytes, got ${vdi.size}`)
        assert.deepEqual(await sr.row(vdi.uuid), vdi)
        assert.equal(vdi.name, 'root disk')
        await sr.holds(vdi, 'zeros')
      },
    },
    {
      name: 'a second VDI of the same uuid is refused, and the first keeps its content',
      needs: ['create'],
      async run(stage) {
        const sr = await stage.sr()
        const vdi = await sr.disk()
        await sr.stamp(vdi, 'first')
        const error = await rejects('alreadyExists', sr.disk({ vdi_uuid: vdi.uuid }))
        assert.equal(error.facts.field, 'vdi_uuid')
        await sr.holds(vdi, 'first')
      },
    },
  ],
}
