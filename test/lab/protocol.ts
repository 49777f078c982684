/** What host and agent say to each other over a virtio-serial port: one JSON object a line, bytes in base64. */

/** Where a guest sees the share. */
export const shareInGuest = '/lab'

export type ToGuest =
  /** A new client on this port: what the one before it left running is killed. Answered with `hello` once the guest is settled. */
  | { readonly t: 'hello'; readonly id: string }
  | { readonly t: 'run'; readonly id: string; readonly argv: readonly [string, ...string[]]; readonly cwd?: string; readonly env?: Readonly<Record<string, string>> }
  | { readonly t: 'in'; readonly id: string; readonly data: string }
  | { readonly t: 'eof'; readonly id: string }
  /** Sent to the whole process group. */
  | { readonly t: 'kill'; readonly id: string; readonly signal: NodeJS.Signals }

export type ToHost =
  | { readonly t: 'hello'; readonly id: string }
  | { readonly t: 'out' | 'err'; readonly id: string; readonly data: string }
  | { readonly t: 'exit'; readonly id: string; readonly code: number | null; readonly signal: string | null }
  | { readonly t: 'failed'; readonly id: string; readonly message: string }

/** Splits a byte stream into lines; what is incomplete waits for the next chunk. */
export const lineSplitter = (onLine: (line: string) => void): ((chunk: Buffer) => void) => {
  let rest: Buffer[] = []
  return (chunk) => {
    let start = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      rest.push(chunk.subarray(start, end))
      const line = Buffer.concat(rest).toString('utf8')
      rest = []
      start = end + 1
      if (line !== '') onLine(line)
    }
    if (start < chunk.length) rest.push(Buffer.from(chunk.subarray(start)))
  }
}

/** Undefined for a line that is no frame: the end of one that an earlier client did not read. */
export const parseFrame = <Frame>(line: string): Frame | undefined => {
  try {
    return JSON.parse(line) as Frame
  } catch {
    return undefined
  }
}
