/** Bytes that tell where they belong: each sector is made of a seed and its own position, so that a shift of one sector shows. */
import { createHash } from 'node:crypto'
import { sectorSize } from '../../core/units.ts'

/** Content for [offset, offset + length); both multiples of 512. */
export const pattern = (seed: string, offset: number, length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at += sectorSize) {
    const digest = createHash('sha256').update(`${seed} ${offset + at}`).digest()
    for (let fill = 0; fill < sectorSize; fill += digest.length) bytes.set(digest, at + fill)
  }
  return bytes
}

export const zeros = (length: number): Uint8Array => new Uint8Array(length)

/** Where cases look at a disk of that size: near the head, across the usual block borders, in the middle, at the very end. */
export const regionsOf = (size: number): readonly { readonly offset: number; readonly length: number }[] => {
  const length = Math.min(4096, size)
  const wanted = [0, 2 ** 21 - 2048, Math.floor(size / 2 / sectorSize) * sectorSize, size - length]
  const inside = wanted.filter((offset) => offset >= 0 && offset + length <= size).sort((a, b) => a - b)
  return inside.filter((offset, index) => index === 0 || offset >= (inside[index - 1] ?? 0) + length).map((offset) => ({ offset, length }))
}

/** First position where the two differ, for an error that helps; undefined when equal. */
export const firstDifference = (a: Uint8Array, b: Uint8Array): number | undefined => {
  if (a.length !== b.length) return Math.min(a.length, b.length)
  if (Buffer.compare(a, b) === 0) return undefined
  return a.findIndex((byte, index) => byte !== b[index])
}
