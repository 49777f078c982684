/** The parts of the lab that need no guest. */
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { suiteNames, loadSuite } from './bundle.ts'
import { drawn, drawSeed } from './conformance.ts'
import { cutsFor } from './fixtures/cuts.ts'
import { bzImagePayload, loadOrder } from './kernel.ts'
import { lineSplitter, parseFrame } from './protocol.ts'
import { passed, renderTable, type SuiteResult } from './report.ts'
import { batches, disksOf, inOrder } from './run-suites.ts'
import { settings } from './settings.ts'
import type { LabSuite } from './suite.ts'

const result = (more: Partial<SuiteResult>): SuiteResult => ({ suite: 's', driver: 'd', ms: 1000, cases: [{ name: 'c', ok: true, ms: 1 }], ...more })

describe('the lab', () => {
  it('cuts a stream into the lines it was made of, however it is chunked', () => {
    fc.assert(fc.property(fc.array(fc.string({ minLength: 1, unit: 'grapheme' }).filter((line) => !line.includes('\n'))), fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), (lines, sizes) => {
      const seen: string[] = []
      const split = lineSplitter((line) => seen.push(line))
      const stream = Buffer.from(lines.map((line) => `${line}\n`).join(''))
      for (let from = 0, turn = 0; from < stream.length; turn++) {
        const size = sizes[turn % sizes.length] ?? 1
        split(stream.subarray(from, from + size))
        from += size
      }
      expect(seen).toEqual(lines)
    }))
  })

  it('takes a torn line for no frame', () => {
    expect(parseFrame('"t":"out"}')).toBeUndefined()
    expect(parseFrame('{"t":"exit","id":"1"}')).toEqual({ t: 'exit', id: '1' })
  })

  it('loads a module after those it depends on, and each once', () => {
    const net = 'insmod /m/virtio_ring.ko \ninsmod /m/virtio.ko \ninsmod /m/virtio_net.ko napi=1\n'
    const ninep = 'builtin netfs\ninsmod /m/virtio_ring.ko \ninsmod /m/virtio.ko \ninsmod /m/9pnet.ko \n'
    expect(loadOrder([net, ninep])).toEqual(['/m/virtio_ring.ko', '/m/virtio.ko', '/m/virtio_net.ko', '/m/9pnet.ko'])
  })

  it('finds the compressed kernel in a bzImage by its header', () => {
    const image = Buffer.alloc(8192, 0xee)
    image.writeUInt8(3, 0x1f1)
    image.writeUInt32LE(100, 0x248)
    image.writeUInt32LE(9, 0x24c)
    image.write('hello', 4 * 512 + 100)
    expect(bzImagePayload(image).toString()).toBe('hello')
  })

  it('puts suites that get along into one guest with disks for each of them, and leaves the others alone', () => {
    const named = (name: string, more: Partial<LabSuite> = {}): LabSuite => ({ name, driver: 'd', ...more })
    const suites = [
      named('a', { shared: true, disks: [10] }), named('b'), named('c', { shared: true, disks: [5, 7] }),
      named('d', { shared: true, guests: 2 }), named('e', { shared: true, host: [] }),
    ]
    expect(batches(suites).map((batch) => batch.map(({ name }) => name))).toEqual([['a', 'c'], ['b'], ['d'], ['e']])
    expect(disksOf(batches(suites)[0] ?? [])).toEqual([10, 7])
  })

  it('begins with what fills the machine, then with the longest', () => {
    const named = (name: string, more: Partial<LabSuite> = {}): readonly [LabSuite] => [{ name, driver: 'd', ...more }]
    const all = [named('short', { seconds: 10 }), named('unknown'), named('long', { seconds: 300 }), named('pair', { guests: 2, seconds: 100 })]
    expect(inOrder(all).map(([{ name }]) => name)).toEqual(settings.cores > 1 ? ['pair', 'long', 'short', 'unknown'] : ['long', 'pair', 'short', 'unknown'])
  })

  it('draws as many sentences as it is told, the same for a seed, and in the end each of them', () => {
    const all = Array.from({ length: 30 }, (_, index) => index)
    const draws = Array.from({ length: 60 }, (_, seed) => drawn(all, 10, seed + 1))
    expect(new Set(draws.map(({ size }) => size))).toEqual(new Set([10]))
    expect([...drawn(all, 10, 7)]).toEqual([...draws[6] ?? []])
    expect(new Set(draws.flatMap((draw) => [...draw])).size).toBe(30)
    expect(drawn(all, 99, 1).size).toBe(30)
  })

  it('draws nothing away when everything was asked for, and by the seed that was given', () => {
    expect(drawSeed({ LAB_KIT: 'all', LAB_SEED: '5' })).toBeUndefined()
    expect(drawSeed({ LAB_SEED: '5' })).toBe(5)
    expect(drawSeed({})).toBeGreaterThan(0)
  })

  it('cuts the power as often as LAB_CUTS says, and refuses what is no number', () => {
    vi.stubEnv('LAB_CUTS', '')
    expect(cutsFor(3)).toBe(3)
    vi.stubEnv('LAB_CUTS', '20')
    expect(cutsFor(3)).toBe(20)
    for (const wrong of ['0', 'many', '-1', '1.5']) {
      vi.stubEnv('LAB_CUTS', wrong)
      expect(() => cutsFor(3)).toThrow(/LAB_CUTS/)
    }
    vi.unstubAllEnvs()
  })

  it('calls a suite passed only when something ran and nothing failed', () => {
    expect(passed(result({}))).toBe(true)
    expect(passed(result({ cases: [] }))).toBe(false)
    expect(passed(result({ cases: [{ name: 'c', ok: true, ms: 0, skipped: 'no feature' }] }))).toBe(false)
    expect(passed(result({ cases: [{ name: 'c', ok: false, ms: 0 }, { name: 'd', ok: true, ms: 0 }] }))).toBe(false)
    expect(passed(result({ broken: 'the guest died' }))).toBe(false)
  })

  it('shows failures, broken suites and skips in its table', () => {
    const text = renderTable([
      result({ suite: 'one', cases: [{ name: 'c', ok: true, ms: 0 }, { name: 'd', ok: true, ms: 0, skipped: 'why' }] }),
      result({ suite: 'two', cases: [{ name: 'c', ok: false, ms: 0 }] }),
      result({ suite: 'three', broken: 'gone' }),
    ])
    expect(text).toMatch(/one .*1\/1, 1 skipped.* ok/)
    expect(text).toMatch(/two .*0\/1.* FAILED/)
    expect(text).toMatch(/three .* BROKEN/)
  })

  it.each(suiteNames())('can load the suite %s, and it has something to run', async (name) => {
    const suite = await loadSuite(name)
    expect(suite.cases !== undefined || (suite.host ?? []).length > 0).toBe(true)
  })
})
