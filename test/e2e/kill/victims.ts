/** Who is killed: a warm process that holds an engine and a writer, the daemon, or one executable a call. */
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { StorageError, type ErrorKind } from '../../../core/errors.ts'
import { connectUnix, type Client } from '../../../rpc/client.ts'
import { commands } from '../../../cli/commands.gen.ts'
import type { Change } from './model.ts'
import type { Answer, Order } from './program.ts'

export interface Victim {
  /** Rejects with a StorageError that the storage manager told, or with anything else when it died. */
  make(change: Pick<Change, 'call' | 'params' | 'write'>): Promise<void>
  kill(): Promise<void>
}

const root = join(import.meta.dirname, '../../..')

const killed = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** `program`: the bundle of program.ts. Answers when it is ready for orders. */
export const startProgram = async (program: string, stateDirectory: string): Promise<Victim> => {
  const child = fork(program, [stateDirectory], { execArgv: [], env: {}, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const waiting = new Map<number, (answer: Answer | Error) => void>()
  const ready = once(child, 'message')
  child.on('message', (answer: Answer) => waiting.get(answer.id)?.(answer))
  child.on('exit', () => waiting.forEach((tell) => tell(new Error('it is dead'))))
  child.on('error', () => undefined)
  await ready
  let orders = 0
  return {
    async make({ call, params, write }) {
      const id = (orders += 1)
      const target = { sr_uuid: String(params['sr_uuid']), vdi_uuid: String(params['vdi_uuid']) }
      const order: Order = write === undefined ? { id, call, params } : { id, write: { ...target, ...write } }
      const answer = await new Promise<Answer>((resolve, reject) => {
        waiting.set(id, (one) => (one instanceof Error ? reject(one) : resolve(one)))
        child.send(order, (error) => (error === null ? undefined : reject(error)))
      })
      if (answer.error !== undefined) throw new StorageError(answer.error.kind as ErrorKind, answer.error.message, answer.error.may_have_changed ? { mayHaveChanged: true } : {})
    },
    kill: async () => killed(child),
  }
}

const environment = (stateDirectory: string): Record<string, string> => ({ PATH: process.env['PATH'] ?? '', STORAGE_MANAGER_STATE: stateDirectory })

/** The built daemon; a socket that its predecessor left behind is no answer. */
export const startDaemon = async (stateDirectory: string): Promise<Victim> => {
  const child = spawn(process.execPath, [join(root, 'bin', 'smd')], { env: environment(stateDirectory), stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  let client: Client | undefined
  for (const deadline = performance.now() + 30_000; client === undefined; await sleep(5)) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`the daemon does not start: ${said.slice(-2000)}`)
    client = await connectUnix(join(stateDirectory, 'run', 'smd.sock')).catch(() => undefined)
  }
  const connected = client
  let dead = false
  return {
    async make({ call, params }) {
      await connected.callByName(call, params).catch((error: unknown) => {
        throw dead ? new Error('it is dead') : error
      })
    },
    async kill() {
      dead = true
      await killed(child)
      await connected.close()
    },
  }
}

/** `FileSR`, one process a call. */
export const fileSr = (stateDirectory: string, location: string): Victim => {
  const running = new Set<ChildProcess>()
  return {
    async make({ call, params }) {
      const { xe } = commands.find(({ method }) => method === call) ?? {}
      if (xe === undefined) throw new Error(`FileSR has no word for ${call}`)
      const child = spawn(process.execPath, [join(root, 'bin', 'FileSR'), `<dconf><location>${location}</location></dconf>`, xe.verb, ...xe.args.map((name) => String(params[name]))], { env: environment(stateDirectory), stdio: ['ignore', 'ignore', 'pipe'] })
      running.add(child)
      let said = ''
      child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
      const [status] = (await once(child, 'close')) as [number | null]
      running.delete(child)
      if (status === 0) return
      if (status === null) throw new Error('it is dead')
      throw new StorageError((/\[\w+, (\w+)/.exec(said)?.[1] ?? 'driverBug') as ErrorKind, said)
    },
    async kill() {
      await Promise.all([...running].map(killed))
    },
  }
}
