/** Two model arrays in a fresh place, made the same way each time, for the goldens of array and replication calls. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createArrayRegistry, type ArrayRecord, type Arrays } from '../../core/array/ports.ts'
import type { Engine } from '../../core/caller.ts'
import { modelArray } from '../../drivers/array-replication/model/driver.ts'
import { createModelPair, cycle, type ModelPair } from '../../drivers/array-replication/model/world.ts'
import { createMachine, ctxOn } from '../kit/replication/world.ts'

const memoryArrayRecords = (): Arrays['records'] => {
  const records = new Map<string, ArrayRecord>()
  return { list: () => [...records.values()], get: (name) => records.get(name), put: (record) => void records.set(record.name, record), remove: (name) => records.delete(name) }
}

export interface GoldenArrays {
  readonly arrays: Arrays
  readonly root: string
  prepare(engine: Engine): Promise<void>
  remove(): void
}

const host = 'iscsi:iqn.2026-01.org.example:host7'

/** What must have happened before some calls, on top of: left and right configured, disk1 replicated as a unit, disk2 free, a group, a snapshot. */
export const beforeArrayCall: Readonly<Record<string, (engine: Engine) => Promise<unknown>>> = {
  'Array.job': async (engine) => engine.call('Array.split', { array: 'left', volume: 'volume-4' }),
  'Replication.sync_status': async (engine) => engine.call('Replication.sync', { array: 'right', unit: 'unit-2' }),
  'Replication.resume': async (engine) => engine.call('Replication.pause', { array: 'left', units: ['unit-6'] }),
  'Replication.stop_test': async (engine) => engine.call('Replication.start_test', { array: 'right', unit: 'unit-2', initiators: [host] }),
  'Replication.failover': async (engine) => {
    await engine.call('Replication.prepare_failover', { array: 'left', units: ['unit-6'] })
    await engine.call('Replication.sync', { array: 'right', unit: 'unit-2' })
  },
}
for (const later of ['plan', 'prepare_reverse', 'reverse', 'prepare_restore', 'restore']) {
  Object.assign(beforeArrayCall, { [`Replication.${later}`]: async (engine: Engine) => {
    await beforeArrayCall['Replication.failover']?.(engine)
    await engine.call('Replication.failover', { array: 'right', peer: 'left', units: ['unit-2'] })
  } })
}

export const goldenArrays = (): GoldenArrays => {
  const root = mkdtempSync(join(tmpdir(), 'golden-'))
  const pair: ModelPair = createModelPair(root)
  return {
    root,
    arrays: { registry: createArrayRegistry({ model: async () => modelArray }), records: memoryArrayRecords() },
    async prepare(engine) {
      await engine.call('Array.add', { name: 'left', type: 'model', device_config: { directory: pair.a, password: 'very secret' } })
      await engine.call('Array.add', { name: 'right', type: 'model', device_config: { directory: pair.b } })
      await engine.call('Array.create_volume', { array: 'left', name: 'disk1', size: 8192 })
      await engine.call('Array.create_volume', { array: 'left', name: 'disk2', size: 8192 })
      await engine.call('Array.create_group', { array: 'left', group: 'hosts', initiators: [host] })
      await engine.call('Array.snapshot', { array: 'left', volumes: ['volume-2'], name: 'before' })
      await engine.call('Array.clone', { array: 'left', volume: 'volume-2', name: 'copy' })
      const ctx = ctxOn(createMachine('maker'))
      const left = await modelArray.connect(ctx, { directory: pair.a })
      const unit = await left.replication?.create?.(ctx, { name: 'unit', kind: 'group', peer: 'model-b', mode: 'asynchronous', volumes: ['volume-1'] })
      if (unit !== undefined) cycle(pair.a, unit.id)
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  }
}
