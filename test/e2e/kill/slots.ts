/** Disk content that can be told apart sector by sector: every sector says which write it is of, and where it belongs. */
import { MiB, sectorSize } from '../../../core/units.ts'

export const slotLength = 4096
const sectors = slotLength / sectorSize

/** Places that are written: block starts, the inside of a block, across the border of two, and what only a grown disk has. */
const offsets = [0, MiB, 2 * MiB - 2048, 3 * MiB + 512, 4 * MiB - 4096, 5 * MiB, 8 * MiB - 2048] as const

export const slotsOf = (size: number): readonly number[] => offsets.filter((offset) => offset + slotLength <= size)

export const stampedSlot = (offset: number, stamp: number): Uint8Array => {
  const words = new Uint32Array(slotLength / 4)
  for (let at = 0; at < words.length; at += 2) {
    words[at] = stamp
    words[at + 1] = Math.floor((offset + at * 4) / sectorSize)
  }
  return new Uint8Array(words.buffer)
}

/** The stamp of each sector of a slot; 0 for zeros, -1 for what nobody has ever written there. */
export const stampsOf = (offset: number, bytes: Uint8Array): readonly number[] =>
  Array.from({ length: sectors }, (_, index) => {
    const sector = bytes.subarray(index * sectorSize, (index + 1) * sectorSize)
    const stamp = Buffer.from(sector).readUInt32LE(0)
    const wanted = stamp === 0 ? new Uint8Array(sectorSize) : stampedSlot(offset, stamp).subarray(index * sectorSize, (index + 1) * sectorSize)
    return Buffer.compare(sector, wanted) === 0 ? stamp : -1
  })

export const untouched: readonly number[] = Array.from({ length: sectors }, () => 0)
export const whole = (stamp: number): readonly number[] => Array.from({ length: sectors }, () => stamp)
