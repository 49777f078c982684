/**
 * One peer on a byte stream: newline-delimited JSON both ways. Answers that become ready together leave in one write; a
 * peer that does not read is not read from either.
 */
import type { Readable, Writable } from 'node:stream'
import { createLineReader } from './lines.ts'
import { tooLong } from './message.ts'
import { createJSONRPCErrorResponse } from 'json-rpc-2.0'
import type { Connection, RpcServer } from './server.ts'

export interface StreamPeer {
  /** Answers what has been asked, writes it out and closes the stream. */
  end(): void
  /** Closes the stream at once. */
  destroy(): void
}

interface StreamOptions {
  /** Called once, when the stream is closed for good. */
  readonly onClosed: () => void
}

export const serveStream = (server: RpcServer, input: Readable, output: Writable, options: StreamOptions): StreamPeer => {
  const { limits, log } = server
  let waiting = ''
  let flushing = false
  let answering = 0
  let ending = false
  let closed = false
  let stalled: NodeJS.Timeout | undefined

  const congested = (): boolean => output.writableLength + waiting.length > limits.outputBytes
  const flush = (): void => {
    flushing = false
    if (waiting === '' || closed) return
    const text = waiting
    waiting = ''
    output.write(text)
  }
  const send = (text: string): void => {
    waiting += `${text}\n`
    if (flushing) return
    flushing = true
    // After all answers that are ready by now: they leave in one system call.
    process.nextTick(flush)
  }
  const endIfDone = (): void => {
    if (!ending || answering > 0 || closed) return
    flush()
    output.end()
  }

  const connection: Connection = server.open({ send, congested })

  const answered = (text: string | undefined): void => {
    answering -= 1
    if (closed) return
    if (text !== undefined) send(text)
    endIfDone()
  }
  const lines = createLineReader(
    limits.messageBytes,
    (line) => {
      // Nothing but a carriage return: people type into sockets, too.
      if (line.length === 0 || (line.length === 1 && line[0] === 13)) return
      answering += 1
      void connection.receive(line).then(answered)
    },
    () => {
      const { code, message, data } = tooLong(limits)
      send(JSON.stringify(createJSONRPCErrorResponse(null, code, message, data)))
    },
  )

  const onData = (chunk: Buffer): void => {
    if (ending) return
    lines.push(chunk)
    if (stalled !== undefined || !congested()) return
    flush()
    // Without a drain to come nothing would ever wake us up again.
    if (!output.writableNeedDrain) return
    input.pause()
    stalled = setTimeout(() => {
      log.warn({ waiting: output.writableLength }, 'a peer reads no answers and is disconnected')
      destroy()
    }, limits.stalledMs)
    stalled.unref()
  }
  const onDrain = (): void => {
    connection.caughtUp()
    if (stalled === undefined) return
    clearTimeout(stalled)
    stalled = undefined
    input.resume()
  }
  const onInputEnd = (): void => {
    ending = true
    // A peer that only closed its side still gets its answers. One that is gone altogether is told apart by a write, which
    // then fails; white space in front of the next answer is no part of it.
    if (answering > 0) output.write(' ')
    endIfDone()
  }
  const onClosed = (): void => {
    if (closed) return
    closed = true
    clearTimeout(stalled)
    connection.close()
    options.onClosed()
  }
  const destroy = (): void => {
    input.destroy()
    output.destroy()
    onClosed()
  }

  input.on('data', onData)
  input.on('end', onInputEnd)
  input.on('error', destroy)
  output.on('drain', onDrain)
  output.on('error', destroy)
  output.on('close', onClosed)

  return {
    end() {
      ending = true
      endIfDone()
    },
    destroy,
  }
}
