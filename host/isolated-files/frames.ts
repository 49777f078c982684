/**
 * What goes through the pipe between the storage manager and a file worker: frames of a JSON head and raw bytes, each with its
 * length in front (two little-endian 32-bit numbers). Both ends are ours and of one version: nothing here needs to last.
 */
import type { Writable } from 'node:stream'

export interface Frame {
  readonly head: readonly unknown[]
  readonly bytes: Uint8Array | undefined
}

const prefixLength = 8
/** A head holds at most a scan of a large SR, bytes at most one transfer of a store; more is a broken pipe or a bug. */
const maxPart = 512 * 1024 * 1024

/** Head and prefix in one buffer; the bytes go behind it as they are. */
const frameHead = (head: readonly unknown[], bytes?: Uint8Array): Buffer => {
  const json = JSON.stringify(head)
  const length = Buffer.byteLength(json)
  const out = Buffer.allocUnsafe(prefixLength + length)
  out.writeUInt32LE(length, 0)
  out.writeUInt32LE(bytes?.length ?? 0, 4)
  out.write(json, prefixLength)
  return out
}

export type SendFrame = (head: readonly unknown[], bytes?: Uint8Array) => void

/** What is sent within one turn of the event loop leaves in one system call: each of them costs as much as all the rest. */
export const createFrameSender = (channel: Writable): SendFrame => {
  let corked = false
  return (head, bytes) => {
    if (!corked) {
      corked = true
      channel.cork()
      process.nextTick(() => {
        corked = false
        channel.uncork()
      })
    }
    channel.write(frameHead(head, bytes))
    if (bytes !== undefined && bytes.length > 0) channel.write(bytes)
  }
}

/** Puts chunks together again; throws when they cannot be frames. */
export const createFrameReader = (onFrame: (frame: Frame) => void): ((chunk: Buffer) => void) => {
  let chunks: Buffer[] = []
  let have = 0
  let lengths: { readonly head: number; readonly bytes: number } | undefined

  const take = (length: number): Buffer => {
    const [first] = chunks
    const whole = first !== undefined && first.length >= length ? first : Buffer.concat(chunks)
    if (whole !== first) chunks = [whole]
    chunks[0] = whole.subarray(length)
    have -= length
    return whole.subarray(0, length)
  }

  return (chunk) => {
    chunks.push(chunk)
    have += chunk.length
    for (;;) {
      if (lengths === undefined) {
        if (have < prefixLength) return
        const prefix = take(prefixLength)
        lengths = { head: prefix.readUInt32LE(0), bytes: prefix.readUInt32LE(4) }
        if (lengths.head > maxPart || lengths.bytes > maxPart) throw new Error('a frame from a file worker is too long to be one')
      }
      if (have < lengths.head + lengths.bytes) return
      const head = JSON.parse(take(lengths.head).toString('utf8')) as readonly unknown[]
      const bytes = lengths.bytes === 0 ? undefined : take(lengths.bytes)
      lengths = undefined
      onFrame({ head, bytes })
    }
  }
}
