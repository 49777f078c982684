/** Tasks: work that takes time on the simulator's clock. What a task does to bytes happens at its end, in one step. */
import { choice, members, read } from './members.ts'
import { bytesKey, iso, list, nextId, type Handler, type SimArray, type Task, type Volume, type World } from './model.ts'
import { refuse } from './refusals.ts'
import { dropVolume, volumeById } from './volume-records.ts'

type Start = Pick<Task, 'type' | 'name' | 'kind'> & Partial<Pick<Task, 'source' | 'destination' | 'priority' | 'applied'>>

/** Starts a task that ends `lastsMs` from now; its id. */
export const startTask = (world: World, array: SimArray, start: Start, lastsMs: number): number => {
  const id = nextId(array.tables, 'task')
  const startMs = world.now()
  array.tables.tasks.put(String(id), { ...start, id, user: array.user, status: 2, startMs, endMs: startMs + lastsMs })
  return id
}

export const activeTask = (array: SimArray, volume: Volume, kinds?: readonly Task['kind'][]): Task | undefined =>
  array.tables.tasks.all().find((task) => task.status === 2 && (task.source === volume.id || task.destination === volume.id) && (kinds === undefined || kinds.includes(task.kind)))

export const needIdle = (array: SimArray, volume: Volume): void => {
  if (activeTask(array, volume) !== undefined) throw refuse('busy', volume.name)
}

/** A copy has become, or will never be, a volume like others. */
const settle = (array: SimArray, task: Task): void => {
  const destination = volumeById(array, task.destination)
  if (destination?.copyType === 2 && task.type === 18) {
    const { physicalParent: _, ...rest } = destination
    array.tables.volumes.put(destination.name, { ...rest, copyType: 1 })
  }
}

/**
 * Promotions of volumes that are in use move their bytes at once. Steps: 1. the task, not applied (with the request); 2. the
 * bytes; 3. applied. Killed before 3: the next start calls this before anything can be written.
 */
export const applyOnline = (world: World, array: SimArray): void => {
  for (const task of array.tables.tasks.all().filter(({ applied }) => applied === false)) {
    world.blocks.copy(bytesKey(array, task.source ?? 0), bytesKey(array, task.destination ?? 0))
    array.tables.tasks.put(String(task.id), { ...task, applied: true })
  }
  world.journal.commit()
}

const moves = ({ kind, type, applied }: Task): boolean => applied === undefined && ((kind === 'copy' && type !== 18) || kind === 'promote' || kind === 'resync')

/** The snapshot that an offline copy was made from is gone with its task, unless it is to serve a resync. */
const dropPoint = (world: World, array: SimArray, task: Task): void => {
  const point = volumeById(array, task.source)
  if (task.type === 1 && point !== undefined && volumeById(array, task.destination)?.savedSnapshot !== point.name) dropVolume(world, array, point)
}

/** Offline copies and promotions deliver their bytes at the end; online copies had them at once. Repeating it after a kill finishes it. */
const finish = (world: World, array: SimArray, task: Task): void => {
  const source = volumeById(array, task.source)
  const destination = volumeById(array, task.destination)
  const possible = source !== undefined && destination !== undefined
  if (moves(task) && possible) world.blocks.copy(bytesKey(array, source.id), bytesKey(array, destination.id))
  settle(array, task)
  array.tables.tasks.put(String(task.id), { ...task, status: moves(task) && !possible ? 4 : 1 })
  dropPoint(world, array, task)
}

/** When the next task of the array ends, and what happens then. */
export const nextTaskEnd = (world: World, array: SimArray): { readonly atMs: number; readonly happen: () => void } | undefined => {
  const next = array.tables.tasks.all().filter(({ status }) => status === 2).sort((one, other) => one.endMs - other.endMs)[0]
  return next === undefined ? undefined : { atMs: next.endMs, happen: () => finish(world, array, next) }
}

export const cancelTask = (world: World, array: SimArray, task: Task): void => {
  settle(array, task)
  array.tables.tasks.put(String(task.id), { ...task, status: 3 })
  dropPoint(world, array, task)
}

const view = (task: Task) => ({
  id: task.id, type: task.type, name: task.name, status: task.status, startTime: iso(task.startMs), finishTime: task.status === 2 ? '-' : iso(task.endMs),
  ...(task.priority === undefined ? {} : { priority: task.priority }), user: task.user,
})

const taskOf = (array: SimArray, text: string): Task => {
  if (!/^-?\d+$/.test(text)) throw refuse('wrongType', 'taskid')
  if (Number(text) <= 0) throw refuse('belowRange', 'taskid')
  if (Number(text) > 0x7fffffff) throw refuse('exceedsRange', 'taskid')
  const task = array.tables.tasks.get(text)
  if (task === undefined) throw refuse('taskMissing', text)
  return task
}

const cancel: Handler = ({ world, array, params, body }) => {
  read(members({ action: choice(1) }), body)
  const task = taskOf(array, params['id'] ?? '')
  if (task.status !== 2) throw refuse('taskNotActive', String(task.id))
  cancelTask(world, array, task)
  return {}
}

const get: Handler = ({ array, params }) => ({ body: view(taskOf(array, params['id'] ?? '')) })
const all: Handler = ({ tables }) => list(tables.tasks.all().map(view))

export const taskRoutes = [
  ['GET', '/tasks', all],
  ['GET', '/tasks/:id', get],
  ['PUT', '/tasks/:id', cancel],
] as const satisfies readonly (readonly [string, string, Handler])[]
