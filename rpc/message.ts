/** From bytes to a JSON value, safely: nothing a peer sends can exhaust the stack or leave a half-read text behind. */
import { isUtf8 } from 'node:buffer'
import { parseFault, requestFault, type Fault } from './faults.ts'
import type { RpcLimits } from './limits.ts'

const quote = 0x22
const backslash = 0x5c

/**
 * Whether objects and arrays are nested deeper than `limit`, seen from the bytes alone: JSON.parse copes with any depth, but
 * whatever walks the value afterwards would run out of stack. Malformed text may give any answer; the parser refuses it anyway.
 */
export const nestedDeeperThan = (bytes: Uint8Array, limit: number): boolean => {
  let depth = 0
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (byte === quote) {
      for (at += 1; at < bytes.length && bytes[at] !== quote; at += 1) if (bytes[at] === backslash) at += 1
    } else if (byte === 0x7b || byte === 0x5b) {
      depth += 1
      if (depth > limit) return true
    } else if (byte === 0x7d || byte === 0x5d) {
      depth -= 1
    }
  }
  return false
}

export type Parsed = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly fault: Fault }

export const tooLong = (limits: RpcLimits): Fault =>
  requestFault(`The message is longer than ${limits.messageBytes} bytes`, 'Send smaller messages, or raise limits.message_bytes in the configuration of the daemon')

/** Parses one message. The text of a fault never repeats what was sent: it may hold secrets. */
export const parseMessage = (bytes: Buffer, limits: RpcLimits): Parsed => {
  if (bytes.length > limits.messageBytes) return { ok: false, fault: tooLong(limits) }
  if (!isUtf8(bytes)) return { ok: false, fault: parseFault('The message is not valid UTF-8', 'Send JSON text in UTF-8') }
  if (nestedDeeperThan(bytes, limits.depth)) {
    return { ok: false, fault: requestFault(`The message is nested deeper than ${limits.depth} levels`, 'No call needs that; look at what was put into params') }
  }
  try {
    return { ok: true, value: JSON.parse(bytes.toString('utf8')) as unknown }
  } catch {
    return { ok: false, fault: parseFault('The message is not valid JSON', 'Send one JSON value a message; on sockets one a line, without line breaks inside') }
  }
}
