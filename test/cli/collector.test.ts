import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { startCollector, type Collector } from '../../cli/collector.ts'
import type { Engine } from '../../core/caller.ts'
import { StorageError } from '../../core/errors.ts'
import { silentLog } from '../../host/log.ts'
import { attachSr, createMemoryEngine, otherSrUuid, srUuid, type EngineForTests } from '../rpc/memory.ts'

let made: EngineForTests
let collector: Collector
const backlogs: unknown[] = []
const warnings: string[] = []
const idleMs = 1000
const log = { ...silentLog, warn: (_: object, message: string) => void warnings.push(message) }

beforeEach(async () => {
  vi.useFakeTimers()
  made = createMemoryEngine()
  backlogs.length = 0
  warnings.length = 0
})
afterEach(async () => {
  await collector.close()
  await made.engine.close()
  vi.useRealTimers()
})
const start = (): void => {
  collector = startCollector({ engine: made.engine, log, idleMs, onBacklog: (sr, backlog) => backlogs.push([sr, backlog.bytes, backlog.longest_chain]) })
}
const deleteOne = async (): Promise<void> => {
  const { uuid } = await made.engine.call('VDI.create', { sr_uuid: srUuid, size: 512 })
  await made.engine.call('VDI.delete', { sr_uuid: srUuid, vdi_uuid: uuid })
}

describe('the collector of the daemon', () => {
  it('runs after the start for what was left by an earlier life', async () => {
    await attachSr(made.engine)
    await deleteOne()
    start()
    await vi.advanceTimersByTimeAsync(idleMs + 1)
    expect(made.memory.garbage.size).toBe(0)
    expect(backlogs).toEqual([[srUuid, 0, 0]])
  })

  it('waits until the SR has been idle, however often it changes, and runs once then', async () => {
    await attachSr(made.engine)
    start()
    await vi.advanceTimersByTimeAsync(idleMs + 1)
    const before = backlogs.length
    for (let count = 0; count < 5; count += 1) {
      await deleteOne()
      await vi.advanceTimersByTimeAsync(idleMs / 2)
    }
    expect(made.memory.garbage.size).toBe(5)
    await vi.advanceTimersByTimeAsync(idleMs)
    expect(made.memory.garbage.size).toBe(0)
    expect(backlogs.length).toBe(before + 1)
  })

  it('does nothing about changes that leave nothing to collect', async () => {
    await attachSr(made.engine)
    start()
    await vi.advanceTimersByTimeAsync(idleMs + 1)
    await made.engine.call('VDI.create', { sr_uuid: srUuid, size: 512 })
    await vi.advanceTimersByTimeAsync(10 * idleMs)
    expect(backlogs).toHaveLength(1)
  })

  it('tries a failing SR again later and later, whatever happens there, and then goes on as before', async () => {
    await attachSr(made.engine)
    await deleteOne()
    made.memory.collectFails = new StorageError('ioError', 'the disk is sick', { layer: 'driver:memory' })
    start()
    await vi.advanceTimersByTimeAsync(idleMs + 1)
    expect(made.memory.collections).toBe(1)
    expect(warnings).toEqual([expect.stringContaining('the disk is sick')])
    await deleteOne()
    await vi.advanceTimersByTimeAsync(2 * idleMs - 10)
    expect(made.memory.collections).toBe(1)
    await vi.advanceTimersByTimeAsync(20)
    expect(made.memory.collections).toBe(2)
    await vi.advanceTimersByTimeAsync(3 * idleMs)
    expect(made.memory.collections).toBe(2)
    made.memory.collectFails = undefined
    await vi.advanceTimersByTimeAsync(idleMs + 10)
    expect(made.memory.garbage.size).toBe(0)
    await deleteOne()
    await vi.advanceTimersByTimeAsync(idleMs + 1)
    expect(made.memory.garbage.size).toBe(0)
  })

  it('works on one SR at a time', async () => {
    await attachSr(made.engine)
    const second = { sr_uuid: otherSrUuid, type: 'memory', device_config: { location: '/other' } }
    await made.engine.call('SR.create', second)
    await made.engine.call('SR.attach', second)
    let inside = 0
    let most = 0
    const log: string[] = []
    const engine: Engine = {
      ...made.engine,
      call: async (method, params, options) => {
        if (method !== 'SR.collect') return made.engine.call(method, params, options)
        inside += 1
        most = Math.max(most, inside)
        await new Promise((resolve) => setTimeout(resolve, 5000))
        inside -= 1
        log.push(JSON.stringify(params))
        return made.engine.call(method, params, options)
      },
    }
    collector = startCollector({ engine, log: silentLog, idleMs })
    await vi.advanceTimersByTimeAsync(idleMs + 20_000)
    expect(log).toHaveLength(2)
    expect(most).toBe(1)
  })

  it('leaves a detached SR alone', async () => {
    await attachSr(made.engine)
    await deleteOne()
    start()
    await made.engine.call('SR.detach', { sr_uuid: srUuid })
    await vi.advanceTimersByTimeAsync(10 * idleMs)
    expect(made.memory.collections).toBe(0)
    expect(warnings).toEqual([])
  })
})
