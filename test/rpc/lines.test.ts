import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLineReader } from '../../rpc/lines.ts'

const read = (limit: number, chunks: readonly Uint8Array[]): readonly string[] => {
  const seen: string[] = []
  const reader = createLineReader(limit, (line) => seen.push(line.toString('utf8')), () => seen.push('<too long>'))
  for (const chunk of chunks) reader.push(chunk)
  return seen
}

/** Cuts at the given places, so that lines and characters fall apart anywhere. */
const cut = (bytes: Buffer, places: readonly number[]): readonly Buffer[] => {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end))
}

describe('lines of a stream', () => {
  it('are the same however the bytes are cut into chunks', () => {
    fc.assert(fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replaceAll('\n', ' '))), fc.array(fc.nat()), (lines, places) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
      expect(read(1000, cut(bytes, places))).toEqual(lines)
    }))
  })

  it('that are too long are told once each and skipped, whatever comes before and after them', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 40 })), fc.array(fc.nat()), (lengths, places) => {
      const bytes = Buffer.from(lengths.map((length) => `${'x'.repeat(length)}\n`).join(''))
      expect(read(20, cut(bytes, places))).toEqual(lengths.map((length) => (length > 20 ? '<too long>' : 'x'.repeat(length))))
    }))
  })

  it('keep no more than the limit of a line that never ends', () => {
    let told = 0
    const reader = createLineReader(1024, () => expect.unreachable(), () => (told += 1))
    for (let megabyte = 0; megabyte < 64; megabyte += 1) reader.push(Buffer.alloc(1024 * 1024, 'x'))
    expect(told).toBe(1)
  })

  it('cost time in proportion to their length, even byte by byte', () => {
    const byte = Buffer.from('x')
    const seen: number[] = []
    const reader = createLineReader(4_000_000, (line) => seen.push(line.length), () => expect.unreachable())
    for (let count = 0; count < 2_000_000; count += 1) reader.push(byte)
    reader.push(Buffer.from('\n'))
    expect(seen).toEqual([2_000_000])
  })
})
