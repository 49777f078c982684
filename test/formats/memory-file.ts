/**
 * A file in memory that remembers every write, so that tests can go back to any instant and see what a killed process or
 * a power cut would have left there. Sparse: a disk of 2 TiB costs what is written to it.
 */
import type { RandomAccess } from '../../core/bytes.ts'
import type { RedoLog } from '../../formats/format.ts'

const pageSize = 4096
const sector = 512

/** Content at one instant. Pages are never changed in place, so a copy is cheap. */
export interface Content {
  readonly pages: ReadonlyMap<number, Uint8Array>
  readonly length: number
}

export type Op =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly length: number }
  | { readonly kind: 'sync' }
  /** Of a redo log: durable when it has returned. */
  | { readonly kind: 'save'; readonly record: Uint8Array }
  | { readonly kind: 'clear' }

const emptyContent: Content = { pages: new Map(), length: 0 }

const put = (pages: Map<number, Uint8Array>, at: number, bytes: Uint8Array): void => {
  for (let done = 0; done < bytes.length;) {
    const position = at + done
    const index = Math.floor(position / pageSize)
    const inside = position % pageSize
    const part = bytes.subarray(done, done + pageSize - inside)
    const page = new Uint8Array(pageSize)
    page.set(pages.get(index) ?? page)
    page.set(part, inside)
    pages.set(index, page)
    done += part.length
  }
}

const cut = (pages: Map<number, Uint8Array>, length: number): void => {
  for (const [index, page] of pages) {
    if (index * pageSize >= length) pages.delete(index)
    else if ((index + 1) * pageSize > length) {
      const kept = new Uint8Array(pageSize)
      kept.set(page.subarray(0, length - index * pageSize))
      pages.set(index, kept)
    }
  }
}

/** Answers the new length. */
const applyOp = (pages: Map<number, Uint8Array>, length: number, op: Op): number => {
  if (op.kind === 'write') {
    put(pages, op.at, op.bytes)
    return Math.max(length, op.at + op.bytes.length)
  }
  if (op.kind !== 'truncate') return length
  if (op.length < length) cut(pages, op.length)
  return op.length
}

export const applyOps = (content: Content, ops: readonly Op[]): Content => {
  const pages = new Map(content.pages)
  let { length } = content
  for (const op of ops) length = applyOp(pages, length, op)
  return { pages, length }
}

export const contentOf = (bytes: Uint8Array): Content => applyOps(emptyContent, [{ kind: 'write', at: 0, bytes }])

/** A Buffer, as files answer it: it differs from other byte arrays in what `slice` does. */
const bytesOf = (content: Content, at = 0, length = content.length - at): Uint8Array => {
  const bytes = Buffer.alloc(Math.max(0, Math.min(length, content.length - at)))
  for (let done = 0; done < bytes.length;) {
    const inside = (at + done) % pageSize
    const part = Math.min(pageSize - inside, bytes.length - done)
    const page = content.pages.get(Math.floor((at + done) / pageSize))
    if (page !== undefined) bytes.set(page.subarray(inside, inside + part), done)
    done += part
  }
  return bytes
}

export interface MemoryFile extends RandomAccess {
  /** Everything that was done, in order. */
  readonly ops: readonly Op[]
  readonly content: () => Content
  /** Counts of calls and bytes, for tests of what is read. */
  readonly reads: { count: number; bytes: number; largest: number }
  /** Writes and syncs fail from now on when this answers an error. */
  fail: (op: Op) => Error | undefined
  readonly redo: RedoLog & { readonly record: () => Uint8Array | undefined }
}

export const createMemoryFile = (initial: Content | Uint8Array = emptyContent): MemoryFile => {
  const start = initial instanceof Uint8Array ? contentOf(initial) : initial
  const pages = new Map(start.pages)
  let fileLength = start.length
  const ops: Op[] = []
  let record: Uint8Array | undefined
  const act = (op: Op): void => {
    const error = file.fail(op)
    if (error !== undefined) throw error
    ops.push(op)
    fileLength = applyOp(pages, fileLength, op)
  }
  const file: MemoryFile = {
    ops,
    content: () => ({ pages: new Map(pages), length: fileLength }),
    reads: { count: 0, bytes: 0, largest: 0 },
    fail: () => undefined,
    async read(position, length) {
      file.reads.count += 1
      file.reads.bytes += length
      file.reads.largest = Math.max(file.reads.largest, length)
      return bytesOf({ pages, length: fileLength }, position, length)
    },
    write: async (at, bytes) => act({ kind: 'write', at, bytes: bytes.slice() }),
    truncate: async (length) => act({ kind: 'truncate', length }),
    length: async () => fileLength,
    sync: async () => act({ kind: 'sync' }),
    redo: {
      record: () => record,
      async save(bytes) {
        act({ kind: 'save', record: bytes.slice() })
        record = bytes.slice()
      },
      async clear() {
        act({ kind: 'clear' })
        record = undefined
      },
    },
  }
  return file
}

/** Small, seeded and good enough to choose sectors. */
export const createRandom = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface CrashState {
  readonly content: Content
  /** What the redo log holds. */
  readonly record: Uint8Array | undefined
  /** How many operations had been started, and how the crash was, for messages. */
  readonly step: number
  readonly how: string
}

const sectorsOf = (op: Op): readonly Op[] => {
  if (op.kind !== 'write') return [op]
  const parts: Op[] = []
  for (let done = 0; done < op.bytes.length;) {
    const length = Math.min(sector - ((op.at + done) % sector), op.bytes.length - done)
    parts.push({ kind: 'write', at: op.at + done, bytes: op.bytes.subarray(done, done + length) })
    done += length
  }
  return parts
}

/**
 * Every state that a crash can leave, as far as they can be enumerated. A killed process leaves all completed writes, and
 * the first sectors of the one under way. A power cut leaves what was synced, and any of the sectors written since: none,
 * all but one write, each write alone, and `random` choices among all sectors; the file is then as long as what survived,
 * or as long as it had been made.
 */
export function* crashStates(initial: Content, ops: readonly Op[], options: { readonly random: number; readonly seed: number }): Generator<CrashState> {
  const random = createRandom(options.seed)
  let durable = initial
  let current = initial
  let record: Uint8Array | undefined
  let pending: readonly Op[] = []
  for (let step = 0; step <= ops.length; step += 1) {
    const op = ops[step]
    yield { content: current, record, step, how: 'killed' }
    const started = op !== undefined && (op.kind === 'write' || op.kind === 'truncate') ? [...pending, op] : pending
    if (op?.kind === 'write' && op.bytes.length > sector) {
      const torn = sectorsOf(op)
      yield { content: applyOps(current, torn.slice(0, Math.ceil(random() * torn.length))), record, step, how: 'killed inside a write' }
    }
    if (started.length > 0) {
      yield { content: durable, record, step, how: 'power cut, nothing survived' }
      const whole = applyOps(current, started.slice(pending.length)).length
      const choices: (readonly Op[])[] = []
      for (const one of started) {
        choices.push([one], started.filter((other) => other !== one))
      }
      const sectors = started.flatMap(sectorsOf)
      for (let i = 0; i < options.random; i += 1) {
        const share = random()
        choices.push(sectors.filter(() => random() < share))
      }
      for (const choice of choices) {
        const content = applyOps(durable, choice)
        yield { content, record, step, how: 'power cut' }
        if (content.length < whole) yield { content: { ...content, length: whole }, record, step, how: 'power cut, length survived' }
      }
    }
    if (op === undefined) return
    if (op.kind === 'sync') {
      durable = current
      pending = []
    } else if (op.kind === 'save') record = op.record
    else if (op.kind === 'clear') {
      // Until somebody syncs the directory of the log, it may be there again.
      yield { content: current, record, step: step + 1, how: 'record came back' }
      record = undefined
    } else {
      current = applyOps(current, [op])
      pending = started
    }
  }
}
