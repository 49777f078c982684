/** Sizes. Bytes are safe integers everywhere inside and in JSON (exact up to 8 PiB), decimal strings in XML. */

export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB
export const TiB = 1024 * GiB

export const sectorSize = 512

export const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step
export const roundDown = (value: number, step: number): number => Math.floor(value / step) * step

const suffixes: Readonly<Record<string, number>> = {
  '': 1, b: 1,
  k: KiB, kib: KiB, kb: 1e3,
  m: MiB, mib: MiB, mb: 1e6,
  g: GiB, gib: GiB, gb: 1e9,
  t: TiB, tib: TiB, tb: 1e12,
}

/** Reads `10G`, `512MiB`, `1.5T` or plain bytes; undefined when the text is no size or no whole number of bytes. */
export const parseSize = (text: string): number | undefined => {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  const factor = suffixes[match?.[2]?.toLowerCase() ?? '?']
  if (match === null || factor === undefined) return undefined
  const bytes = Number(match[1]) * factor
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Bytes for eyes: `2.0 GiB`. */
export const formatSize = (bytes: number): string => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return unit === 0 ? `${bytes} B` : `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`
}
