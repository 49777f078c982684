/** Newline-delimited messages out of a byte stream. Used at both ends, so it imports nothing. */

export interface LineReader {
  /** Takes one chunk and hands out every line that it completes. A line is only valid until the handler returns. */
  push(chunk: Uint8Array): void
}

const newline = 10
const keptCapacity = 64 * 1024

/**
 * Lines of at most `limit` bytes go to `onLine`. A longer one is told once to `onTooLong` and skipped up to its end, without
 * being kept: the stream stays in step. Every byte is copied at most twice, however small the chunks are.
 */
export const createLineReader = (limit: number, onLine: (line: Buffer) => void, onTooLong: () => void): LineReader => {
  let kept = Buffer.allocUnsafe(0)
  let size = 0
  let skipping = false

  const keep = (part: Buffer): void => {
    if (size + part.length > kept.length) {
      const grown = Buffer.allocUnsafe(Math.min(Math.max(1024, 2 * kept.length, size + part.length), limit))
      kept.copy(grown, 0, 0, size)
      kept = grown
    }
    part.copy(kept, size)
    size += part.length
  }
  const drop = (): void => {
    size = 0
    if (kept.length > keptCapacity) kept = Buffer.allocUnsafe(0)
  }

  return {
    push(bytes) {
      const chunk = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      let start = 0
      for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
        const part = chunk.subarray(start, end)
        start = end + 1
        if (skipping) {
          skipping = false
        } else if (size + part.length > limit) {
          drop()
          onTooLong()
        } else if (size === 0) {
          onLine(part)
        } else {
          keep(part)
          onLine(kept.subarray(0, size))
          drop()
        }
      }
      if (start === chunk.length || skipping) return
      const rest = chunk.subarray(start)
      if (size + rest.length > limit) {
        drop()
        skipping = true
        onTooLong()
      } else {
        keep(rest)
      }
    },
  }
}
