/** Standard input and output as one connection, newline-delimited JSON: for callers that start the storage manager themselves. */
import type { Readable, Writable } from 'node:stream'
import type { RpcServer } from './server.ts'
import { serveStream, type StreamPeer } from './stream.ts'

/** `closed` is fulfilled when the caller has closed its end and everything is answered. Nothing else may write to `output`. */
export const serveStdio = (server: RpcServer, input: Readable, output: Writable): { readonly peer: StreamPeer; readonly closed: Promise<void> } => {
  let done = (): void => undefined
  const closed = new Promise<void>((resolve) => {
    done = resolve
  })
  return { peer: serveStream(server, input, output, { onClosed: done }), closed }
}
