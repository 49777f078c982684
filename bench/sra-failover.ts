/** A failover of many groups on the model array, through XML as SRM sends it, with every array call counted and timed. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createArrayRegistry } from '../core/array/ports.ts'
import type { ArrayReplication } from '../core/array/replication.ts'
import { modelArray } from '../drivers/array-replication/model/driver.ts'
import { createModelPair, cycle } from '../drivers/array-replication/model/world.ts'
import { adapterOf } from '../sra/adapter.ts'
import { answer } from '../sra/answer.ts'
import { readRequest, writeRequest } from '../sra/request.ts'
import { readResponse } from '../sra/response.ts'
import { createMachine, ctxOn } from '../test/kit/replication/world.ts'
import type { Measured } from './row.ts'

interface Failover {
  readonly calls: number
  readonly wallMs: number
  /** How long at least one array call was under way. */
  readonly arrayMs: number
}

/** Every call of a section, counted; overlapping ones share their time. */
const counted = (replication: ArrayReplication, count: { calls: number; busyMs: number; open: number; since: number }): ArrayReplication =>
  Object.fromEntries(Object.entries(replication).map(([name, value]) => [name, async (...args: readonly unknown[]) => {
    count.calls += 1
    if (count.open === 0) count.since = performance.now()
    count.open += 1
    try {
      return await (value as (...args: readonly unknown[]) => Promise<unknown>)(...args)
    } finally {
      count.open -= 1
      if (count.open === 0) count.busyMs += performance.now() - count.since
    }
  }])) as unknown as ArrayReplication

const run = async (groups: number, members: number): Promise<Failover> => {
  const root = mkdtempSync(join(tmpdir(), 'bench-failover-'))
  try {
    const pair = createModelPair(root)
    const ctx = ctxOn(createMachine('bench'))
    const a = await modelArray.connect(ctx, { directory: pair.a })
    for (let group = 0; group < groups; group += 1) {
      const volumes: string[] = []
      for (let member = 0; member < members; member += 1) {
        const made = await a.create(ctx, { name: `disk-${group}-${member}`, size: 4096, provisioning: 'thin' })
        if (made.kind === 'done') volumes.push(made.value.id)
      }
      const unit = await a.replication?.create?.(ctx, { name: `group-${group}`, kind: 'group', peer: 'model-b', mode: 'asynchronous', volumes })
      if (unit !== undefined) cycle(pair.a, unit.id)
    }
    const count = { calls: 0, busyMs: 0, open: 0, since: 0 }
    const driver = {
      ...modelArray,
      connect: async () => {
        const array = await modelArray.connect(ctx, { directory: pair.b })
        return array.replication === undefined ? array : { ...array, replication: counted(array.replication, count) }
      },
    }
    const keys = ((await (await driver.connect()).replication?.units(ctx)) ?? []).map(({ key }) => key)
    count.calls = 0
    count.busyMs = 0
    const request = writeRequest({
      command: 'failover', outputFile: 'response.xml', logLevel: 'warning', connections: [{ id: 'array', addresses: [{ id: 'address', text: 'here' }] }],
      parameters: {
        arrayId: 'model-b', accessGroups: [{ id: 'hosts', initiator: [{ id: 'iqn.2026-01.bench:host', type: 'iSCSI' }] }],
        targetGroups: keys.map((key) => ({ key })),
      },
    })
    const records = { list: () => [], get: () => ({ name: 'here', type: driver.type, connection: {} }), put: () => undefined, remove: () => false }
    const setting = { adapter: adapterOf(driver, '0'), arrays: { registry: createArrayRegistry({ [driver.type]: async () => driver }), records }, host: ctx.host, clock: ctx.clock, signature: '', runId: 'bench', signal: ctx.signal }
    const begin = performance.now()
    const response = await answer(await readRequest(request), setting, { line: () => undefined, progress: () => undefined })
    const wallMs = performance.now() - begin
    const value = await readResponse('failover', response)
    const failed = 'error' in value ? [value] : (value.failoverResults.targetGroups ?? []).filter((one) => 'error' in one)
    if (failed.length > 0 || keys.length !== groups) throw new Error(`not everything was failed over: ${JSON.stringify(failed[0])}`)
    return { calls: count.calls, wallMs, arrayMs: count.busyMs }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** Array calls must grow with groups, never with their devices. */
export const failoverOf = async (groups: number, members: number): Promise<readonly Measured[]> => {
  const whole = await run(groups, members)
  const single = await run(groups, 1)
  const what = `failover of ${groups * members} devices in ${groups} groups`
  return [
    { quantity: what, ours: whole.wallMs, unit: 'ms', against: 'the array answers alone', theirs: whole.arrayMs, hold: 1.3, aim: 1.1 },
    { quantity: `${what}, array calls`, ours: whole.calls, unit: 'x', against: 'with one device a group', theirs: single.calls, hold: 1, aim: 1 },
  ]
}
