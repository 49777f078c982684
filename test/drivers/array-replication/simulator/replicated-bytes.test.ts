/** What arrives on the other array, and when: ordered counters over several volumes, at every point of failover; and death. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createClock, login, scratch, stage, strike, type Client, type Stage } from './plain-client.ts'

let arrays: Stage
let a: Client
let b: Client
const far = 'group.r100001'
const volumes = ['one', 'two', 'three'] as const
const syncMs = 10_000
const periodMs = 300_000
const iqn = 'iqn.1993-08.org.debian:01:host'

/** Number of the last write, per volume. The n-th write of all goes to volume n modulo 3. */
const number = (side: 'a' | 'b', volume: string): number => arrays[side].inspect(volume, 0, 4).readUInt32LE()

const wwns = new Map<string, string>()
let last = 0
const writeNext = async (side: 'a' | 'b' = 'a'): Promise<void> => {
  const volume = volumes[last % volumes.length] ?? 'one'
  const data = Buffer.alloc(4)
  data.writeUInt32LE(last + 1)
  await arrays[side].write({ host: 'host', wwn: wwns.get(`${side}/${volume}`) ?? '' }, 0, data)
  last += 1
}

/** The write after which the volumes look like this, or undefined when no moment was ever like this. */
const momentOf = (side: 'a' | 'b'): number | undefined => {
  const seen = volumes.map((volume) => number(side, volume))
  const latest = Math.max(...seen)
  const whole = volumes.every((_, index) => seen[index] === (latest === 0 ? 0 : expectedAt(latest, index)))
  return whole ? latest : undefined
}
/** Number that volume `index` holds after write `latest`. */
const expectedAt = (latest: number, index: number): number => {
  const behind = (((latest - 1 - index) % volumes.length) + volumes.length) % volumes.length
  return Math.max(0, latest - behind)
}

const exportTo = async (client: Client, side: 'a' | 'b') => {
  await client.post('/hosts', { name: 'host', iSCSINames: [iqn] })
  for (const [lun, volume] of volumes.entries()) {
    await client.post('/vluns', { volumeName: volume, lun, hostname: 'host' })
    wwns.set(`${side}/${volume}`, String((await client.get(`/volumes/${volume}`)).body['wwn']))
  }
}

const build = async (mode: 1 | 3) => {
  last = 0
  for (const name of volumes) await a.post('/volumes', { name, cpg: 'SSD_r6', snapCPG: 'FC_r5', sizeMiB: 256, tpvv: true })
  await a.post('/remotecopygroups', { name: 'group', targets: [{ targetName: 'array-b', mode, userCPG: 'SSD_r6', snapCPG: 'FC_r5' }], localUserCPG: 'SSD_r6', localSnapCPG: 'FC_r5' })
  for (const volumeName of volumes) await a.put('/remotecopygroups/group', { action: 1, volumeName, targets: [{ targetName: 'array-b', secVolumeName: volumeName }], volumeAutoCreation: true })
  if (mode === 3) await a.put('/remotecopygroups/group', { targets: [{ targetName: 'array-b', syncPeriod: periodMs / 1000 }] })
  await exportTo(a, 'a')
  await a.put('/remotecopygroups/group', { action: 3 })
  arrays.clock.advance(syncMs)
  await exportTo(b, 'b')
}
const stop = () => a.put('/remotecopygroups/group', { action: 4 })
const failover = () => b.post(`/remotecopygroups/${far}`, { action: 7 })
const recover = () => b.post(`/remotecopygroups/${far}`, { action: 9 })
const restore = () => b.post(`/remotecopygroups/${far}`, { action: 10 })

beforeEach(async () => {
  arrays = await stage({ durations: { syncMs } })
  a = await login(arrays.a)
  b = await login(arrays.b)
})
afterEach(() => strike(arrays))

describe('synchronous', () => {
  beforeEach(() => build(1))

  it('has every acknowledged write on both sides, at every point', async () => {
    for (let write = 1; write <= 7; write++) {
      await writeNext()
      expect([momentOf('a'), momentOf('b')]).toEqual([write, write])
    }
  })

  it('takes no write on the secondary before failover, and none on the old primary after recover', async () => {
    await writeNext()
    await expect(writeNext('b')).rejects.toMatchObject({ kind: 'wrongRole' })
    await stop()
    await expect(writeNext('b')).rejects.toMatchObject({ kind: 'wrongRole' })
    await failover()
    await writeNext('b')
    await recover()
    await expect(writeNext('a')).rejects.toMatchObject({ kind: 'wrongRole' })
    await writeNext('b')
    expect(momentOf('b')).toBe(3)
  })

  it('freezes the secondary at stop, discards the primary\'s later writes at recover, and returns by restore', async () => {
    await writeNext()
    await writeNext()
    await stop()
    await writeNext()
    expect([momentOf('a'), momentOf('b')]).toEqual([3, 2])
    await failover()
    last = 2
    await writeNext('b')
    await writeNext('b')
    await recover()
    arrays.clock.advance(syncMs)
    expect([momentOf('a'), momentOf('b')]).toEqual([4, 4])
    await writeNext('b')
    expect([momentOf('a'), momentOf('b')]).toEqual([5, 5])
    await restore()
    await expect(writeNext('b')).rejects.toMatchObject({ kind: 'wrongRole' })
    await writeNext('a')
    arrays.clock.advance(syncMs)
    await writeNext('a')
    expect([momentOf('a'), momentOf('b')]).toEqual([7, 7])
  })

  it('brings the failed-over side\'s writes home when restore comes without recover', async () => {
    await writeNext()
    await stop()
    await writeNext()
    await failover()
    last = 1
    await writeNext('b')
    await writeNext('b')
    await restore()
    expect(momentOf('a')).toBe(3)
  })

  it('goes on alone when the link is cut, and the secondary keeps the last common point', async () => {
    await writeNext()
    arrays.link.cut()
    await writeNext()
    await writeNext()
    expect([momentOf('a'), momentOf('b')]).toEqual([3, 1])
    arrays.link.restore()
    await a.put('/remotecopygroups/group', { action: 3 })
    arrays.clock.advance(syncMs / 2)
    expect(momentOf('b')).toBe(1)
    await writeNext()
    arrays.clock.advance(syncMs / 2)
    expect(momentOf('b')).toBe(4)
  })

  it('refuses writes in fail-safe state', async () => {
    await a.put('/remotecopygroups/group', { targets: [{ targetName: 'array-b', policies: { autoFailover: true } }] })
    await writeNext()
    arrays.link.cut()
    await expect(writeNext('a')).rejects.toMatchObject({ kind: 'wrongRole' })
    await writeNext('b')
    expect(momentOf('b')).toBe(2)
  })
})

describe('periodic', () => {
  beforeEach(() => build(3))

  it('shows the secondary as the primary was when a period began, once the transfer has arrived', async () => {
    await writeNext()
    await writeNext()
    arrays.clock.advance(periodMs - syncMs)
    await writeNext()
    expect(momentOf('b')).toBe(0)
    arrays.clock.advance(syncMs)
    expect([momentOf('a'), momentOf('b')]).toEqual([3, 2])
    const { targets } = (await a.get('/remotecopygroups/group')).body as { readonly targets: readonly { readonly groupLastSyncTimeSec: number }[] }
    expect(arrays.clock.now() / 1000 - (targets[0]?.groupLastSyncTimeSec ?? 0)).toBe(syncMs / 1000)
  })

  it('sends at once when asked to, and a second request joins', async () => {
    await writeNext()
    await a.put('/remotecopygroups/group', { action: 5 })
    await writeNext()
    expect((await a.put('/remotecopygroups/group', { action: 5 })).status).toBe(200)
    arrays.clock.advance(syncMs)
    expect(momentOf('b')).toBe(1)
  })

  it.each([0, 1, 3, 5, 8, 13, 21])('is a moment of the past, whole, wherever the failover falls (after %i steps)', async (steps) => {
    const third = periodMs / 9
    for (let step = 0; step < steps; step++) {
      await writeNext()
      await writeNext()
      arrays.clock.advance(third)
    }
    arrays.link.cut()
    await failover()
    const moment = momentOf('b')
    expect(moment).toBeDefined()
    expect(moment).toBeLessThanOrEqual(last)
    // No older than the period before the one that may still have been under way.
    expect(last - (moment ?? 0)).toBeLessThanOrEqual(2 * (9 + 1))
  })

  it('keeps the last complete point when a transfer is cut off', async () => {
    await writeNext()
    await a.put('/remotecopygroups/group', { action: 5 })
    arrays.clock.advance(syncMs)
    await writeNext()
    await a.put('/remotecopygroups/group', { action: 5 })
    arrays.clock.advance(syncMs - 1)
    await stop()
    await failover()
    arrays.clock.advance(syncMs)
    expect([momentOf('a'), momentOf('b')]).toEqual([2, 1])
  })

  it('leaves no snapshots of its own behind when it has arrived', async () => {
    await a.put('/remotecopygroups/group', { action: 5 })
    arrays.clock.advance(syncMs)
    expect((await a.get('/volumes')).body['total']).toBe(3)
  })
})

describe('a simulator that starts again', () => {
  it('has what it had: volumes, roles, points under way, a cut link', async () => {
    await build(3)
    await writeNext()
    await a.put('/remotecopygroups/group', { action: 5 })
    await writeNext()
    const before = [(await a.get('/volumes')).body, (await b.get('/remotecopygroups')).body]
    await arrays.close()
    arrays = await stage({ stateDirectory: arrays.directory, durations: { syncMs } }, arrays.clock)
    a = await login(arrays.a)
    b = await login(arrays.b)
    expect([(await a.get('/volumes')).body, (await b.get('/remotecopygroups')).body]).toEqual(before)
    arrays.clock.advance(syncMs)
    expect([momentOf('a'), momentOf('b')]).toEqual([2, 1])
    arrays.link.cut()
    await arrays.close()
    arrays = await stage({ stateDirectory: arrays.directory, durations: { syncMs } }, arrays.clock)
    b = await login(arrays.b)
    expect((await b.get('/remotecopylinks')).body).toMatchObject({ members: [{ status: 2 }] })
  })

  it('makes synchronous sides equal when only one has a write that was never acknowledged', async () => {
    await build(1)
    await writeNext()
    const farFile = arrays.b.files()['one'] ?? ''
    await arrays.close()
    const file = openSync(farFile, 'r+')
    writeSync(file, Buffer.alloc(4, 0xff), 0, 4, 0)
    closeSync(file)
    arrays = await stage({ stateDirectory: arrays.directory, durations: { syncMs } }, arrays.clock)
    expect([momentOf('a'), momentOf('b')]).toEqual([1, 1])
  })

  it('runs once per directory', async () => {
    await expect(stage({ stateDirectory: arrays.directory })).rejects.toMatchObject({ kind: 'busy' })
  })

  it('after kill -9 at any moment has every acknowledged write on both sides, and every volume that was answered for', { timeout: 120_000 }, async () => {
    const directory = scratch()
    const clock = createClock()
    try {
      for (let round = 0; round < 4; round++) {
        const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'doomed.ts'), directory], { stdio: ['ignore', 'pipe', 'inherit'] })
        let said = ''
        const wanted = 30 + round * 17
        for await (const part of child.stdout as AsyncIterable<Buffer>) {
          said += part.toString()
          if (said.split('\n').length > wanted) break
        }
        child.kill('SIGKILL')
        await once(child, 'exit')
        const lines = said.split('\n').slice(0, -1)
        const after = await stage({ stateDirectory: directory }, clock)
        try {
          const client = await login(after.a)
          const written = Math.max(...lines.filter((line) => line.startsWith('w ')).map((line) => Number(line.slice(2))))
          for (const side of [after.a, after.b]) expect(side.inspect('data', 0, 4).readUInt32LE()).toBeGreaterThanOrEqual(written)
          expect(after.a.inspect('data', 0, 65_536).equals(after.b.inspect('data', 0, 65_536))).toBe(true)
          for (const line of lines.filter((one) => one.startsWith('v '))) expect((await client.get(`/volumes/${line.slice(2)}`)).status).toBe(200)
          // A snapshot holds the number that was written when it was taken, or the next, which was not acknowledged yet.
          for (const line of lines.filter((one) => one.startsWith('s '))) {
            const [, name = '', at = ''] = line.split(' ')
            expect(after.a.inspect(name, 0, 4).readUInt32LE()).toBe(Number(at))
          }
        } finally {
          await after.close()
        }
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
