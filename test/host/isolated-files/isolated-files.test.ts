import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex, Writable } from 'node:stream'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { asSrUuid, asVdiUuid } from '../../../core/ids.ts'
import { StorageError } from '../../../core/errors.ts'
import type { IsolatedPlace, LockRequest } from '../../../core/ports.ts'
import { createFrameReader, createFrameSender, type Frame } from '../../../host/isolated-files/frames.ts'
import { createIsolation } from '../../../host/isolated-files/isolated-place.ts'
import { silentLog } from '../../../host/log.ts'
import { workerStarter, type StartWorker, type WorkerProcess } from '../../../host/run.ts'

const sr = asSrUuid('87b8646b-b800-9500-cb7b-af3b74e02f5c')
const vdi = asVdiUuid('98de866e-b035-4b1a-a571-613bff542b89')
const never = new AbortController().signal
const exclusive: LockRequest = { sr, srMode: 'exclusive', vdis: [], purpose: 'SR.scan (call 1)' }
const onVdi: LockRequest = { sr, srMode: 'shared', vdis: [vdi], purpose: 'VDI.attach (call 2)' }
const entry = join(import.meta.dirname, 'worker.ts')

let directory: string
let started: WorkerProcess[]
let places: IsolatedPlace[]

const open = (deadlineMs = 20_000, explain?: (error: unknown) => unknown): IsolatedPlace => {
  const start = workerStarter(entry)
  const isolate = createIsolation({
    log: silentLog, deadlineMs,
    start: (purpose) => {
      const worker = start(purpose)
      started.push(worker)
      return worker
    },
  })
  const place = isolate({ name: directory, layer: 'host:test', remedy: 'Wake the storage', ...(explain === undefined ? {} : { explain }) })
  places.push(place)
  return place
}

/** Opening a FIFO that nobody writes to blocks the thread, as a dead server does; a killed process lets go of it. */
const hangingFile = (): string => {
  const path = join(directory, 'hangs')
  execFileSync('mkfifo', [path])
  return path
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sm-isolated-'))
  started = []
  places = []
})
afterEach(async () => {
  for (const place of places) place.close()
  await Promise.all(started.map(async (worker) => worker.ended))
  rmSync(directory, { recursive: true, force: true })
})

describe('frames', () => {
  it('come out as they went in, however the pipe cuts them', async () => {
    const frame = fc.record({ head: fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.boolean(), fc.constant(null))), bytes: fc.option(fc.uint8Array({ minLength: 1, maxLength: 300 }), { nil: undefined }) })
    await fc.assert(fc.asyncProperty(fc.array(frame), fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), async (frames, cuts) => {
      const sent: Buffer[] = []
      const send = createFrameSender(new Writable({ write: (chunk: Buffer, _, done) => {
        sent.push(chunk)
        done()
      } }))
      for (const { head, bytes } of frames) send(head, bytes)
      await new Promise(setImmediate)
      const whole = Buffer.concat(sent)
      const out: Frame[] = []
      const read = createFrameReader(({ head, bytes }) => out.push({ head, bytes: bytes === undefined ? undefined : Uint8Array.from(bytes) }))
      for (let at = 0, turn = 0; at < whole.length; turn += 1) {
        const length = cuts[turn % cuts.length] ?? 1
        read(whole.subarray(at, at + length))
        at += length
      }
      expect(out).toEqual(frames)
    }))
  })

  it('that cannot be frames are refused instead of waited for', () => {
    const read = createFrameReader(() => undefined)
    expect(() => read(Buffer.alloc(8, 0xff))).toThrow(/too long/)
  })
})

describe('an isolated place', () => {
  it('answers like the file port of this host', async () => {
    const { files, scanner } = open()
    const path = join(directory, 'a.txt')
    expect(await files.stat(path)).toBeUndefined()
    expect(await files.readText(path, 10)).toBeUndefined()
    const file = await files.create(path)
    const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => index % 251)
    await file.write(5, bytes)
    await file.sync()
    expect(await file.length()).toBe(300_005)
    expect(Buffer.from(await file.read(5, 400_000)).equals(bytes)).toBe(true)
    expect(await file.read(400_000, 10)).toHaveLength(0)
    await file.truncate(0)
    await file.write(0, Buffer.from('hello'))
    await file.close()
    expect(readFileSync(path, 'utf8')).toBe('hello')
    expect(await files.readText(path, 5)).toBe('hello')
    await expect(files.create(path)).rejects.toMatchObject({ code: 'EEXIST', syscall: 'open' })
    await expect(files.readText(path, 4)).rejects.toMatchObject({ kind: 'limitExceeded' })
    await expect(files.list(path)).rejects.toMatchObject({ code: 'ENOTDIR' })
    expect(await files.mkdir(join(directory, 'd'))).toBe(true)
    expect(await files.mkdir(join(directory, 'd'))).toBe(false)
    await files.link(path, join(directory, 'b.txt'))
    await files.rename(join(directory, 'b.txt'), join(directory, 'c.txt'))
    await files.syncDirectory(directory)
    expect([...((await files.list(directory)) ?? [])].sort()).toEqual(['a.txt', 'c.txt', 'd'])
    expect(await files.stat(path)).toMatchObject({ kind: 'file', size: 5 })
    expect((await files.space(directory)).total).toBeGreaterThan(0)
    expect((await scanner.images(directory, 'vhd', never)).map((row) => row.fileName).sort()).toEqual(['a.txt', 'c.txt', 'd'])
    expect(await scanner.texts(directory, '.txt', 5, never)).toEqual(new Map([['a.txt', 'hello'], ['c.txt', 'hello']]))
    expect(await scanner.texts(join(directory, 'none'), '.txt', 5, never)).toBeUndefined()
    expect(await files.unlink(path)).toBe(true)
    expect(await files.unlink(path)).toBe(false)
    expect(await files.rmdir(join(directory, 'd'))).toBe(true)
    const reader = await files.open(join(directory, 'c.txt'), 'read')
    expect(Buffer.from(await reader.read(0, 100)).toString()).toBe('hello')
    await reader.close()
    expect(started).toHaveLength(1)
  })

  it('starts no process before it is asked for something, and ends it when it is closed', async () => {
    const place = open()
    expect(started).toHaveLength(0)
    await place.files.list(directory)
    place.close()
    await Promise.all(started.map(async (worker) => worker.ended))
    await expect(place.files.list(directory)).rejects.toMatchObject({ kind: 'srNotAttached' })
    expect(started).toHaveLength(1)
  })

  it('gives up a call at its deadline, with all that hangs on the same process, and serves the next one', async () => {
    const { files } = open(3000)
    const keep = await files.create(join(directory, 'open'))
    const before = performance.now()
    await expect(files.open(hangingFile(), 'read')).rejects.toMatchObject({
      kind: 'unreachable', message: expect.stringContaining('open did not end within 3 s'), facts: { layer: 'host:test', remedy: 'Wake the storage' },
    })
    expect(performance.now() - before).toBeGreaterThan(2900)
    await expect(keep.write(0, Buffer.from('x'))).rejects.toMatchObject({ kind: 'unreachable', facts: { mayHaveChanged: true } })
    await keep.close()
    expect(await files.list(directory)).toContain('hangs')
    expect(started).toHaveLength(2)
  })

  it('keeps this process free while calls hang', async () => {
    const { files } = open(4000)
    const path = hangingFile()
    await files.list(directory)
    const hanging = Array.from({ length: 8 }, async () => files.open(path, 'read').catch((error: unknown) => error))
    // More than this process has threads, and none of them is one of its own.
    for (let turn = 0; turn < 20; turn += 1) expect(await files.list(directory)).toContain('hangs')
    for (const outcome of await Promise.all(hanging)) expect(outcome).toMatchObject({ kind: 'unreachable' })
  })

  it('says what the process said when it dies, and starts another for the next call', async () => {
    const { files } = open()
    await files.list(directory)
    const [first] = started
    const waiting = files.open(hangingFile(), 'read')
    first?.kill()
    await expect(waiting).rejects.toMatchObject({ kind: 'unreachable', message: expect.stringMatching(/ended unexpectedly \(SIGKILL\)|is lost/) })
    expect(await files.list(directory)).toContain('hangs')
  })

  it('puts errors of the system in the words of its driver', async () => {
    const { files } = open(20_000, (error) => new StorageError('readOnly', `explained: ${(error as Error).message}`))
    await expect(files.list(join(entry, 'x'))).rejects.toMatchObject({ kind: 'readOnly', message: expect.stringContaining('ENOTDIR') })
  })

  it('starts no more processes than a few while none of them can be killed', async () => {
    let starts = 0
    const unkillable: StartWorker = () => {
      starts += 1
      const channel = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
      createFrameSender(new Writable({ write: (chunk: Buffer, _, done) => {
        channel.push(chunk)
        done()
      } }))([0, 'running'])
      return { pid: 1, channel, ended: new Promise(() => undefined), kill: () => undefined }
    }
    const isolate = createIsolation({ log: silentLog, deadlineMs: 10, start: unkillable })
    const options = { name: directory, layer: 'host:test', remedy: 'Wake the storage' }
    for (let turn = 0; turn < 10; turn += 1) {
      // Each with a handle of its own, as calls that attach and fail would.
      const place = isolate(options)
      await expect(place.files.list(directory)).rejects.toMatchObject({ kind: 'unreachable' })
      expect(place.stuck()).toBe(Math.min(turn + 1, 4))
    }
    expect(starts).toBe(4)
    expect(isolate({ ...options, name: '/elsewhere' }).stuck()).toBe(0)
  })

  it('stops a scan that was cancelled and tells the reason', async () => {
    const { scanner } = open()
    const controller = new AbortController()
    controller.abort(new StorageError('cancelled', 'enough'))
    await expect(scanner.images(directory, 'vhd', controller.signal)).rejects.toMatchObject({ kind: 'cancelled' })
  })
})

describe('guards of an isolated place', () => {
  const lockFile = (): string => join(directory, 'guard')

  it('exclude the guards of another process, tell who holds them, and are free when it is killed', async () => {
    const ours = open()
    const theirs = open()
    await ours.guard(lockFile(), exclusive, 5000, never)
    await expect(theirs.guard(lockFile(), onVdi, 50, never)).rejects.toMatchObject({ kind: 'inProgress', message: expect.stringContaining(`SR.scan (call 1), process ${process.pid}`) })
    const waiting = theirs.guard(lockFile(), onVdi, 20_000, never)
    started[0]?.kill()
    ;(await waiting).release()
  })

  it('let two hosts work on different VDIs and keep them off the same one', async () => {
    const ours = open()
    const theirs = open()
    const held = await ours.guard(lockFile(), onVdi, 5000, never)
    const other = await theirs.guard(lockFile(), { ...onVdi, vdis: [asVdiUuid('0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53')] }, 50, never)
    await expect(theirs.guard(lockFile(), onVdi, 50, never)).rejects.toMatchObject({ kind: 'inProgress' })
    await expect(theirs.guard(lockFile(), exclusive, 50, never)).rejects.toMatchObject({ kind: 'inProgress' })
    other.release()
    held.release()
    ;(await theirs.guard(lockFile(), exclusive, 10_000, never)).release()
  })

  it('stop waiting when the call is cancelled', async () => {
    const ours = open()
    const theirs = open()
    const held = await ours.guard(lockFile(), exclusive, 5000, never)
    await theirs.files.list(directory)
    const controller = new AbortController()
    const waiting = theirs.guard(lockFile(), exclusive, 60_000, controller.signal)
    controller.abort(new StorageError('cancelled', 'enough'))
    await expect(waiting).rejects.toMatchObject({ kind: 'cancelled' })
    held.release()
    ;(await theirs.guard(lockFile(), exclusive, 10_000, never)).release()
  })

  it('that were lost with their process stop every call until they are released', async () => {
    const place = open(3000)
    const { files } = place
    const held = await place.guard(lockFile(), exclusive, 5000, never)
    await expect(files.open(hangingFile(), 'read')).rejects.toMatchObject({ kind: 'unreachable' })
    // Another host may hold the SR by now: whoever still works under the lost lock must not change a thing.
    await expect(files.create(join(directory, 'late'))).rejects.toMatchObject({ kind: 'unreachable', message: expect.stringContaining('locks of this host') })
    expect(existsSync(join(directory, 'late'))).toBe(false)
    held.release()
    await (await files.create(join(directory, 'late'))).close()
  })

  it('are not taken on a file that is a link to somewhere else', async () => {
    const elsewhere = join(directory, 'elsewhere')
    writeFileSync(elsewhere, '')
    execFileSync('ln', ['-s', elsewhere, lockFile()])
    await expect(open().guard(lockFile(), exclusive, 50, never)).rejects.toMatchObject({ code: 'ELOOP' })
  })
})
