/**
 * Cylinders, heads and sectors a track of a disk. Nothing here is ever derived from them; they are written for programs
 * that believe them and for checkers that recompute them.
 */
import { sectorSize } from '../../core/units.ts'

/** The largest geometry: 65535 cylinders, 16 heads, 255 sectors a track. */
const maxSectors = 65535 * 16 * 255

/**
 * The geometry field of a disk of `size` bytes: cylinders in the upper 16 bits, then heads, then sectors a track.
 * Virtual Hard Disk Image Format Specification 1.0, appendix "CHS calculation".
 */
export const geometryOf = (size: number): number => {
  const sectors = Math.min(Math.ceil(size / sectorSize), maxSectors)
  const field = (perTrack: number, heads: number): number =>
    Math.floor(Math.floor(sectors / perTrack) / heads) * 0x10000 + heads * 0x100 + perTrack
  if (sectors >= 65535 * 16 * 63) return field(255, 16)
  const tracks = Math.floor(sectors / 17)
  const heads = Math.max(4, Math.floor((tracks + 1023) / 1024))
  if (heads <= 16 && tracks < heads * 1024) return field(17, heads)
  return Math.floor(sectors / 31) < 16 * 1024 ? field(31, 16) : field(63, 16)
}
