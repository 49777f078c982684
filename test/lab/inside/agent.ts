/**
 * The lab's agent: runs commands in the guest for the host. It lives on virtio-serial ports, so it works when the guest's
 * network does not. Bundled to JavaScript, started by init.sh with UV_THREADPOOL_SIZE above twice the number of ports:
 * each port holds one thread in a blocking read, and with none left no write would ever run.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { constants, existsSync, openSync, read, readFileSync, readdirSync, write } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { lineSplitter, parseFrame, type ToGuest, type ToHost } from '../protocol.ts'

const readChunk = promisify(read)
const writeChunk = promisify(write)
/** Below the 32 KiB that the kernel's port takes in one write, after base64. */
const outputChunk = 16 * 1024
const queueLimit = 4 * 1024 * 1024
const readyFile = '/run/lab/ready'

const killGroup = (child: ChildProcess, signal: NodeJS.Signals): void => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  } catch {
    // Ended by itself.
  }
}

const settled = async (): Promise<void> => {
  while (!existsSync(readyFile)) await sleep(20)
}

const servePort = async (path: string): Promise<void> => {
  const fd = openSync(path, constants.O_RDWR)
  const children = new Map<string, ChildProcess>()
  let queue: Buffer[] = []
  let queued = 0
  let writing = false

  const drain = async (): Promise<void> => {
    if (writing) return
    writing = true
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      for (let done = 0; done < next.length;) done += (await writeChunk(fd, next, done, next.length - done, null)).bytesWritten
      queued = Math.max(0, queued - next.length)
      if (queued < queueLimit) for (const child of children.values()) for (const stream of [child.stdout, child.stderr]) stream?.resume()
    }
    writing = false
  }

  const say = (frame: ToHost): void => {
    const line = Buffer.from(`${JSON.stringify(frame)}\n`)
    queue.push(line)
    queued += line.length
    void drain()
  }

  const abandon = (): void => {
    for (const child of children.values()) killGroup(child, 'SIGKILL')
    children.clear()
    queue = []
    queued = 0
  }

  const start = ({ id, argv, cwd, env }: Extract<ToGuest, { t: 'run' }>): void => {
    const [tool, ...args] = argv
    const child = spawn(tool, args, { cwd: cwd ?? '/', env: { ...process.env, UV_THREADPOOL_SIZE: undefined, ...env }, detached: true, stdio: 'pipe' })
    children.set(id, child)
    let heard = 0
    const forward = (t: 'out' | 'err') => (data: Buffer): void => {
      heard += 1
      if (children.get(id) !== child) return
      for (let from = 0; from < data.length; from += outputChunk) say({ t, id, data: data.subarray(from, from + outputChunk).toString('base64') })
      if (queued > queueLimit) child[t === 'out' ? 'stdout' : 'stderr'].pause()
    }
    child.stdout.on('data', forward('out'))
    child.stderr.on('data', forward('err'))
    child.stdin.on('error', () => undefined)
    child.on('error', (error) => {
      if (children.delete(id)) say({ t: 'failed', id, message: error.message })
    })
    const finish = (code: number | null, signal: string | null): void => {
      if (children.get(id) !== child) return
      children.delete(id)
      say({ t: 'exit', id, code, signal })
      // A daemon may still hold the pipes; what it says from now on is dropped, but it must not block on it.
      child.stdout.resume()
      child.stderr.resume()
    }
    child.on('close', finish)
    child.on('exit', (code, signal) => {
      // Not `close` alone: a daemon that the command left behind keeps the pipes open for ever. So: closed, or quiet.
      // A stream that we hold back ourselves is not quiet.
      const whenQuiet = (before: number): void => {
        setTimeout(() => setImmediate(() => {
          if (heard === before && !child.stdout.isPaused() && !child.stderr.isPaused()) finish(code, signal)
          else whenQuiet(heard)
        }), 100)
      }
      whenQuiet(heard)
    })
  }

  const obey = async (frame: ToGuest): Promise<void> => {
    if (frame.t === 'hello') {
      abandon()
      await settled()
      say({ t: 'hello', id: frame.id })
    } else if (frame.t === 'run') start(frame)
    else {
      const child = children.get(frame.id)
      if (child === undefined) return
      if (frame.t === 'in') child.stdin?.write(Buffer.from(frame.data, 'base64'))
      else if (frame.t === 'eof') child.stdin?.end()
      else killGroup(child, frame.signal)
    }
  }

  let client = false
  const onLine = (line: string): void => {
    const frame = parseFrame<ToGuest>(line)
    if (frame !== undefined) void obey(frame)
  }
  let feed = lineSplitter(onLine)
  const buffer = Buffer.alloc(64 * 1024)
  for (;;) {
    const { bytesRead } = await readChunk(fd, buffer, 0, buffer.length, null)
    if (bytesRead === 0) {
      // Nobody on the host's side of this port; not an end of file.
      if (client) {
        client = false
        abandon()
        feed = lineSplitter(onLine)
      }
      await sleep(25)
    } else {
      client = true
      feed(buffer.subarray(0, bytesRead))
    }
  }
}

const ports = readdirSync('/sys/class/virtio-ports')
  .filter((port) => readFileSync(`/sys/class/virtio-ports/${port}/name`, 'utf8').startsWith('lab.'))
await Promise.all(ports.map((port) => servePort(`/dev/${port}`)))
