/** SRs on array volumes, on simulated arrays under the real initiator: the conformance kit, and the tour of a disaster from creation to deletion. */
import assert from 'node:assert/strict'
import type { Engine } from '../../../core/caller.ts'
import { StorageError } from '../../../core/errors.ts'
import { conformanceCases } from '../conformance.ts'
import { arrayHarness, replicatedConfig, startStand, withEngine, type ArrayStand } from '../fixtures/array-stand.ts'
import { fails, openRaw } from '../fixtures/iscsi-stand.ts'
import { must } from '../fixtures/tool.ts'
import { suite } from '../suite.ts'

const MiB = 2 ** 20
const sr_uuid = '87b8646b-b800-9500-cb7b-af3b74e02f5c'
const group = replicatedConfig.group

/** One step of the tour with the view of both arrays after it, for whoever watches. */
const step = async (engine: Engine, stand: ArrayStand, says: string): Promise<void> => {
  const views = await Promise.all((['left', 'right'] as const).map(async (array) => {
    const { units } = await engine.call('Replication.list', { array })
    return `${array}: ${units.map(({ unit, role, state, transfer }) => `${unit} ${role}, ${transfer} (${state})`).join('; ') || 'no group'}`
  }))
  const exports = (await stand.inventory()).filter((line) => line.includes('export of') && line.includes('false'))
  console.error(`* ${says}\n    ${[...views, ...exports].join('\n    ')}`)
}

const unitAt = async (engine: Engine, array: string): Promise<string> => (await engine.call('Replication.list', { array })).units.find(({ name }) => name === group)?.unit ?? ''

const write = async (engine: Engine, vdi_uuid: string, text: string): Promise<string> => {
  const attached = await engine.call('VDI.attach', { sr_uuid, vdi_uuid })
  const disk = await openRaw(attached)
  await disk.write(4096, new Uint8Array(Buffer.from(text.padEnd(4096, '.'))))
  await disk.close()
  await must(['blockdev', '--flushbufs', attached.path])
  await engine.call('VDI.detach', { sr_uuid, vdi_uuid })
  return attached.path
}

const holds = async (engine: Engine, vdi_uuid: string, text: string): Promise<string> => {
  const attached = await engine.call('VDI.attach', { sr_uuid, vdi_uuid })
  const disk = await openRaw(attached)
  const found = Buffer.from(await disk.read(4096, 4096)).toString().replace(/\.+$/, '')
  await disk.close()
  await engine.call('VDI.detach', { sr_uuid, vdi_uuid })
  assert.equal(found, text)
  return attached.path
}

/** Planned: nobody can write, everything is on the other side, that side becomes the source. Nothing is lost, and protection goes on the other way round. */
const moveOver = async (engine: Engine, from: string, to: string): Promise<void> => {
  await engine.call('Replication.prepare_failover', { array: from, peer: to, units: [await unitAt(engine, from)] })
  await engine.call('Replication.sync', { array: from, peer: to, unit: await unitAt(engine, from) })
  await engine.call('Replication.failover', { array: to, peer: from, units: [await unitAt(engine, to)] })
}

const reverse = async (engine: Engine, from: string, to: string): Promise<void> => void (await engine.call('Replication.reverse', { array: to, peer: from, units: [await unitAt(engine, to)] }))

const tour = async (stand: ArrayStand): Promise<void> => withEngine(stand, async (engine) => {
  const blank = await stand.inventory()
  await engine.call('SR.create', { sr_uuid, type: 'array', device_config: replicatedConfig, name: 'Protected disks' })
  await engine.call('SR.attach', { sr_uuid })
  await step(engine, stand, 'a replicated SR is there; it has no group yet')
  const { uuid } = await engine.call('VDI.create', { sr_uuid, size: 256 * MiB, name: 'data' })
  await step(engine, stand, 'the first VDI came with its group')
  const near = await write(engine, uuid, 'acknowledged on the left')
  await step(engine, stand, `written through ${near}, detached`)

  await engine.call('VDI.attach', { sr_uuid, vdi_uuid: uuid })
  await engine.call('VDI.detach', { sr_uuid, vdi_uuid: uuid })
  await engine.call('Replication.prepare_failover', { array: 'left', peer: 'right', units: [await unitAt(engine, 'left')] })
  const refused = await fails('wrongRole', engine.call('VDI.attach', { sr_uuid, vdi_uuid: uuid }))
  assert.match(refused.message, /left is demoted, right is target/)
  await engine.call('Replication.restore', { array: 'left', peer: 'right', units: [await unitAt(engine, 'left')] })
  await moveOver(engine, 'left', 'right')
  await step(engine, stand, 'failed over')
  const far = await holds(engine, uuid, 'acknowledged on the left')
  assert.notEqual(far, near, 'the disk of the other array has an identity of its own')
  await reverse(engine, 'left', 'right')
  await write(engine, uuid, 'acknowledged on the right')
  await step(engine, stand, `the bytes are there, through ${far}; replicated back, and written again`)

  await moveOver(engine, 'right', 'left')
  await reverse(engine, 'right', 'left')
  assert.equal(await holds(engine, uuid, 'acknowledged on the right'), near)
  await step(engine, stand, 'failed back, with what was written meanwhile')

  await engine.call('VDI.delete', { sr_uuid, vdi_uuid: uuid })
  await step(engine, stand, 'the last VDI took its group along')
  await engine.call('SR.delete', { sr_uuid })
  assert.deepEqual(await stand.inventory(), blank, 'something is left on the arrays')
})

const disaster = async (stand: ArrayStand): Promise<void> => withEngine(stand, async (engine) => {
  const call = { sr_uuid, type: 'array', device_config: replicatedConfig }
  await engine.call('SR.create', call)
  await engine.call('SR.attach', { sr_uuid })
  const { uuid } = await engine.call('VDI.create', { sr_uuid, size: 256 * MiB })
  await write(engine, uuid, 'before the fire')
  stand.left.power(false)
  try {
    const refused = await fails(['wrongRole', 'unreachable'], engine.call('VDI.attach', { sr_uuid, vdi_uuid: uuid }))
    assert.match(refused.facts.remedy ?? '', /failover/)
    const unit = await unitAt(engine, 'right')
    const { plan } = await engine.call('Replication.plan', { array: 'right', unit, operation: 'failover' })
    await engine.call('Replication.failover', { array: 'right', units: [unit], kind: 'unplanned', operator: 'alice', plan })
    await holds(engine, uuid, 'before the fire')
    const error = await engine.call('VDI.delete', { sr_uuid, vdi_uuid: uuid }).catch((thrown: unknown) => thrown)
    assert.ok(error instanceof StorageError && ['wrongRole', 'unreachable'].includes(error.kind), 'a replica of a dead array was taken for deleted')
  } finally {
    stand.left.power(true)
  }
  await holds(engine, uuid, 'before the fire')
  await engine.call('Replication.prepare_failover', { array: 'left', peer: 'right', units: [await unitAt(engine, 'left')] })
  const { plan } = await engine.call('Replication.plan', { array: 'right', peer: 'left', unit: await unitAt(engine, 'right'), operation: 'reverse' })
  await engine.call('Replication.reverse', { array: 'right', peer: 'left', units: [await unitAt(engine, 'right')], plan })
  await moveOver(engine, 'right', 'left')
  await reverse(engine, 'right', 'left')
  await holds(engine, uuid, 'before the fire')
  await engine.call('VDI.delete', { sr_uuid, vdi_uuid: uuid })
  await engine.call('SR.delete', { sr_uuid })
})

export default suite({
  name: 'array',
  driver: 'array',
  seconds: 90,
  onlyByName: 'it was written last and has not passed as a whole yet',
  async cases() {
    let starting: Promise<ArrayStand> | undefined
    const stand = async (): Promise<ArrayStand> => (starting ??= startStand())
    const usual = { draw: 6, topics: ['SR life cycle', 'snapshots and clones', 'attach and detach'] }
    return [
      { name: 'tour: a replicated SR is created, written, failed over, found, failed back and deleted', run: async () => tour(await stand()) },
      { name: 'a dead array: nothing stale is attached, the acknowledged bytes are on the other one, and it all comes back', run: async () => disaster(await stand()) },
      ...conformanceCases(arrayHarness(stand, 'plain'), { usual }),
      ...conformanceCases(arrayHarness(stand, 'replicated'), { usual: { ...usual, draw: 3 } }).map((one) => ({ ...one, name: `replicated: ${one.name}` })),
      { name: 'the arrays are switched off', run: async () => (await stand()).dispose() },
    ]
  },
})
