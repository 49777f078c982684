/** What one peer may ask of the daemon at most. Every violation is one clear error to that peer and touches nobody else. */

export interface RpcLimits {
  /** Bytes of one incoming message. */
  readonly messageBytes: number
  /** Nesting of objects and arrays in one message. */
  readonly depth: number
  /** Calls in one batch; no more than may run at once. */
  readonly batch: number
  /** Calls that one connection may have running at once. */
  readonly callsPerConnection: number
  /** Open connections of one listener. */
  readonly connections: number
  /** Bytes that wait for a peer that does not read: beyond, its requests are not read either and its events are dropped. */
  readonly outputBytes: number
  /** A peer that has answers waiting and reads none of them for so long is disconnected. Milliseconds. */
  readonly stalledMs: number
}

export const defaultLimits: RpcLimits = {
  messageBytes: 1024 * 1024,
  depth: 32,
  batch: 64,
  callsPerConnection: 64,
  connections: 256,
  outputBytes: 1024 * 1024,
  stalledMs: 60_000,
}
