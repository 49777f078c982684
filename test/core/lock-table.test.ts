import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asSrUuid, asVdiUuid } from '../../core/ids.ts'
import { createLockTable } from '../../core/lock-table.ts'
import type { LockRequest } from '../../core/ports.ts'

const sr = asSrUuid('87b8646b-b800-9500-cb7b-af3b74e02f5c')
const otherSr = asSrUuid('0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53')
const vdis = [1, 2, 3].map((n) => asVdiUuid(`98de866e-b035-4b1a-a571-00000000000${n}`))
const never = new AbortController().signal
const request = (srMode: LockRequest['srMode'], ...which: number[]): LockRequest => ({
  sr, srMode, vdis: which.flatMap((n) => vdis[n] ?? []), purpose: `${srMode} ${which.join()}`,
})
const soon = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('the lock table of a process', () => {
  it('lets calls on different VDIs of one SR run side by side', async () => {
    const table = createLockTable()
    await table.acquire(request('shared', 0), 1000, never)
    await table.acquire(request('shared', 1), 1000, never)
  })

  it('makes a second call on the same VDI wait for the first', async () => {
    const table = createLockTable()
    const first = await table.acquire(request('shared', 0), 1000, never)
    let got = false
    const second = table.acquire(request('shared', 0), 1000, never).then((held) => ((got = true), held))
    await soon()
    expect(got).toBe(false)
    first.release()
    await second
    expect(got).toBe(true)
  })

  it('does not let small calls overtake a waiting scan', async () => {
    const table = createLockTable()
    const order: string[] = []
    const small = await table.acquire(request('shared', 0), 1000, never)
    const scan = table.acquire(request('exclusive'), 1000, never).then((held) => (order.push('scan'), held))
    const late = table.acquire(request('shared', 1), 1000, never).then((held) => (order.push('late'), held))
    small.release()
    ;(await scan).release()
    await late
    expect(order).toEqual(['scan', 'late'])
  })

  it('keeps SRs apart: a held one never stalls another', async () => {
    const table = createLockTable()
    await table.acquire(request('exclusive'), 1000, never)
    await table.acquire({ ...request('exclusive'), sr: otherSr }, 10, never)
  })

  it('names the holder when it gives up', async () => {
    const table = createLockTable()
    await table.acquire(request('exclusive'), 1000, never)
    await expect(table.acquire(request('shared', 0), 20, never)).rejects.toMatchObject({
      kind: 'inProgress', message: expect.stringContaining('exclusive'),
    })
  })

  it('leaves the queue when the caller cancels, and lets the next one in', async () => {
    const table = createLockTable()
    const held = await table.acquire(request('shared', 0), 1000, never)
    const controller = new AbortController()
    const cancelled = table.acquire(request('exclusive'), 1000, controller.signal)
    const next = table.acquire(request('shared', 1), 1000, never)
    controller.abort(new Error('enough'))
    await expect(cancelled).rejects.toThrow('enough')
    await next
    held.release()
  })

  it('never grants two conflicting requests at once, and grants every request in the end', async () => {
    const one = fc.record({ srMode: fc.constantFrom('shared' as const, 'exclusive' as const), which: fc.uniqueArray(fc.nat(2), { maxLength: 2 }) })
    await fc.assert(fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 12 }), async (wanted) => {
      const table = createLockTable()
      const holding = new Set<LockRequest>()
      await Promise.all(wanted.map(async ({ srMode, which }) => {
        const mine = request(srMode, ...which)
        const held = await table.acquire(mine, 5000, never)
        for (const other of holding) {
          expect(mine.srMode === 'exclusive' || other.srMode === 'exclusive').toBe(false)
          expect(mine.vdis.some((vdi) => other.vdis.includes(vdi))).toBe(false)
        }
        holding.add(mine)
        await soon()
        holding.delete(mine)
        held.release()
      }))
    }))
  })
})
