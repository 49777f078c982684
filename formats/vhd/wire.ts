/**
 * Big-endian fields and the byte sum of VHD structures. A scan sums thousands of footers and headers, so that is done four
 * bytes at a time.
 */
import { StorageError } from '../../core/errors.ts'

const u16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)

export const u32 = (bytes: Uint8Array, at: number): number => u16(bytes, at) * 0x10000 + u16(bytes, at + 2)

/** Exact up to 2^53; whatever lies above comes out as a number that is no safe integer. */
export const u64 = (bytes: Uint8Array, at: number): number => u32(bytes, at) * 2 ** 32 + u32(bytes, at + 4)

export const putU16 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

export const putU32 = (bytes: Uint8Array, at: number, value: number): void => {
  putU16(bytes, at, Math.floor(value / 0x10000))
  putU16(bytes, at + 2, value % 0x10000)
}

export const putU64 = (bytes: Uint8Array, at: number, value: number): void => {
  putU32(bytes, at, Math.floor(value / 2 ** 32))
  putU32(bytes, at + 4, value % 2 ** 32)
}

export const putOnes = (bytes: Uint8Array, at: number, length: number): void => {
  bytes.fill(0xff, at, at + length)
}

/** A copy of its own: `slice` of a Buffer would be a view of the same bytes. */
export const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

/** One byte a character: cookies and creator ids. */
export const ascii = (bytes: Uint8Array, at: number, length: number): string => {
  let text = ''
  for (let i = at; i < at + length; i += 1) text += String.fromCharCode(bytes[i] ?? 0)
  return text
}

export const putAscii = (bytes: Uint8Array, at: number, text: string): void => {
  for (let i = 0; i < text.length; i += 1) bytes[at + i] = text.charCodeAt(i)
}

export const startsWith = (bytes: Uint8Array, at: number, text: string): boolean => {
  for (let i = 0; i < text.length; i += 1) if (bytes[at + i] !== text.charCodeAt(i)) return false
  return true
}

const zeroRun = new Uint8Array(65_536)

/** Long runs are compared by native code: a check reads whole blocks of 2 MiB. */
export const isZero = (bytes: Uint8Array, at = 0, end = bytes.length): boolean => {
  let i = at
  for (; end - i >= 1024; i += zeroRun.length) {
    const run = bytes.subarray(i, Math.min(end, i + zeroRun.length))
    if (Buffer.compare(run, zeroRun.subarray(0, run.length)) !== 0) return false
  }
  for (; i < end; i += 1) if (bytes[i] !== 0) return false
  return true
}

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && Buffer.compare(a, b) === 0

const hexDigits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

export const hex = (bytes: Uint8Array, at: number, length: number): string => {
  let text = ''
  for (let i = at; i < at + length; i += 1) text += hexDigits[bytes[i] ?? 0]
  return text
}

export const putHex = (bytes: Uint8Array, at: number, digits: string): void => {
  for (let i = 0; i < digits.length / 2; i += 1) bytes[at + i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16)
}

/** Sum of bytes, taken unsigned. */
export const byteSum = (bytes: Uint8Array, at = 0, length = bytes.length - at): number => {
  const start = bytes.byteOffset + at
  let sum = 0
  let done = 0
  if (start % 4 === 0) {
    const words = new Uint32Array(bytes.buffer, start, Math.floor(length / 4))
    // Two lanes of 16 bits each take two bytes of a word: 128 words fill them to 65,280 at most.
    for (let from = 0; from < words.length; from += 128) {
      const to = Math.min(from + 128, words.length)
      let lanes = 0
      for (let i = from; i < to; i += 1) {
        const word = words[i] ?? 0
        lanes = (lanes + (word & 0x00ff00ff) + ((word >>> 8) & 0x00ff00ff)) | 0
      }
      sum += (lanes & 0xffff) + (lanes >>> 16)
    }
    done = words.length * 4
  }
  for (let i = at + done; i < at + length; i += 1) sum += bytes[i] ?? 0
  return sum
}

/** Ones' complement of the byte sum of a structure, the checksum field itself counted as zero. */
export const checksumOf = (bytes: Uint8Array, at: number, length: number, field: number): number =>
  ~(byteSum(bytes, at, length) - byteSum(bytes, at + field, 4)) >>> 0

export const layer = 'format:vhd'

export const corrupt = (found: string, remedy: string, cause?: unknown): StorageError =>
  new StorageError('imageCorrupt', found, { layer, remedy, ...(cause === undefined ? {} : { cause }) })
