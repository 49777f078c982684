/** Calls that run in the background. A task lives in the process that started it; its effects live on the storage. */
import { reportError, StorageError, toStorageError } from './errors.ts'
import type { TaskInfo } from './methods/service.ts'
import type { Clock } from './ports.ts'

/** Ended tasks are kept so long and so many, then forgotten. */
const keptMs = 3_600_000
const keptTasks = 1000
const runningTasks = 100

export interface Tasks {
  start(method: string, run: (signal: AbortSignal, progress: (done: number, total: number) => void) => Promise<unknown>): string
  get(task: string): TaskInfo
  list(): readonly TaskInfo[]
  wait(task: string, timeoutMs: number, signal: AbortSignal): Promise<TaskInfo>
  cancel(task: string): TaskInfo
  /** False when there was none. */
  destroy(task: string): boolean
  cancelAll(): Promise<void>
}

interface Task {
  info: TaskInfo
  readonly controller: AbortController
  ended: Promise<void>
}

export const createTasks = (clock: Clock, tell: (task: TaskInfo) => void): Tasks => {
  const tasks = new Map<string, Task>()
  const now = (): string => new Date(clock.now()).toISOString()
  const isRunning = (task: Task): boolean => task.info.ended === undefined

  const find = (id: string): Task => {
    const task = tasks.get(id)
    if (task === undefined) {
      throw new StorageError('notFound', `There is no task ${id}; ended tasks are forgotten after an hour`, { field: 'task', layer: 'engine', remedy: 'smctl task list shows those that are known' })
    }
    return task
  }

  const forgetOld = (): void => {
    const oldest = clock.now() - keptMs
    for (const [id, task] of tasks) {
      if (!isRunning(task) && (tasks.size > keptTasks || Date.parse(task.info.ended ?? '') < oldest)) tasks.delete(id)
    }
  }

  return {
    start(method, run) {
      forgetOld()
      if ([...tasks.values()].filter(isRunning).length >= runningTasks) {
        throw new StorageError('limitExceeded', `${runningTasks} tasks are running already`, { layer: 'engine', remedy: 'Wait for some of them, or cancel them' })
      }
      const id = crypto.randomUUID()
      const controller = new AbortController()
      const task: Task = { info: { task: id, method, state: 'running', started: now() }, controller, ended: Promise.resolve() }
      tasks.set(id, task)
      let told = 0
      const update = (change: Partial<TaskInfo>): void => {
        task.info = { ...task.info, ...change }
        tell(task.info)
      }
      const progress = (done: number, total: number): void => {
        task.info = { ...task.info, progress: { done, total } }
        // Ten times a second is as often as anybody can look.
        if (performance.now() - told > 100) {
          told = performance.now()
          tell(task.info)
        }
      }
      task.ended = run(controller.signal, progress).then(
        (result) => update({ state: 'finished', ended: now(), result }),
        (thrown: unknown) => {
          const error = toStorageError(thrown, 'engine')
          update({ state: error.kind === 'cancelled' ? 'cancelled' : 'failed', ended: now(), error: reportError(error) as NonNullable<TaskInfo['error']> })
        },
      )
      tell(task.info)
      return id
    },
    get: (id) => find(id).info,
    list: () => [...tasks.values()].map((task) => task.info),
    async wait(id, timeoutMs, signal) {
      const task = find(id)
      let timer: NodeJS.Timeout | undefined
      let onAbort = (): void => undefined
      await Promise.race([
        task.ended,
        new Promise<void>((resolve, reject) => {
          timer = setTimeout(resolve, timeoutMs)
          onAbort = () => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
          signal.addEventListener('abort', onAbort, { once: true })
        }),
      ]).finally(() => {
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
      })
      return task.info
    },
    cancel(id) {
      const task = find(id)
      if (isRunning(task)) {
        task.info = { ...task.info, state: 'cancelling' }
        tell(task.info)
        task.controller.abort(new StorageError('cancelled', `Task ${id} was cancelled`, { layer: 'engine' }))
      }
      return task.info
    },
    destroy(id) {
      const task = tasks.get(id)
      if (task === undefined) return false
      if (isRunning(task)) throw new StorageError('busy', `Task ${id} is running`, { field: 'task', layer: 'engine', remedy: `smctl task cancel ${id}` })
      return tasks.delete(id)
    },
    async cancelAll() {
      const running = [...tasks.values()].filter(isRunning)
      for (const task of running) task.controller.abort(new StorageError('cancelled', 'The storage manager is stopping', { layer: 'engine' }))
      await Promise.all(running.map(async (task) => task.ended))
    },
  }
}
