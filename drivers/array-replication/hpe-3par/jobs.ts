/** Jobs are tasks of the array: their numbers are all that is kept, so that another process can ask for them. Several tasks may be one job. */
import type { ArrayCtx, Job, Volume } from '../../../core/array/types.ts'
import { reportError, StorageError } from '../../../core/errors.ts'
import type { Near } from './near.ts'
import { readVolume } from './volumes.ts'
import { taskStatus, taskType } from './wsapi/enums.ts'
import { layer } from './wsapi/layer.ts'
import type { Task } from './wsapi/schemas.ts'
import { findTask } from './wsapi/system.ts'

/** `task:<numbers>` or `task:<numbers>:<volume>`; the volume is what the job answers when it has succeeded. */
export const jobId = (tasks: readonly number[], volume?: string): string => `task:${tasks.join('+')}${volume === undefined ? '' : `:${volume}`}`

const parseJobId = (id: string): { readonly tasks: readonly number[]; readonly volume: string | undefined } => {
  const [, numbers, volume] = /^task:(\d{1,10}(?:\+\d{1,10})*)(?::([A-Za-z0-9._-]{1,31}))?$/.exec(id) ?? []
  if (numbers === undefined) throw new StorageError('notFound', `The array has no job ${JSON.stringify(id.slice(0, 60))}`, { layer, field: 'job', remedy: 'Give the id that the call answered which started it' })
  return { tasks: numbers.split('+').map(Number), volume }
}

const failed = (task: Task): StorageError =>
  new StorageError('arrayFault', `Task ${task.id} (${taskType[task.type] ?? `type ${task.type}`} of ${task.name ?? 'an unnamed object'}) ${task.status === taskStatus.cancelled ? 'was cancelled' : 'failed'} on the array`, {
    layer, mayHaveChanged: true, remedy: `See why on the array: showtask -d ${task.id}`, details: { task: task.id },
  })

export const readJob = async (ctx: ArrayCtx, near: Near, id: string): Promise<Job<Volume | undefined>> => {
  const { tasks, volume } = parseJobId(id)
  const found = await Promise.all(tasks.map(async (number) => findTask(near.api, number, ctx.signal)))
  const known = found.flatMap((task) => task ?? [])
  if (known.length < tasks.length) throw new StorageError('notFound', `The array has no task ${tasks.filter((number) => !known.some((task) => task.id === number)).join(', ')}`, { layer, field: 'job', remedy: 'Look at the object itself: the array forgets old tasks' })
  const bad = known.find((task) => task.status === taskStatus.failed || task.status === taskStatus.cancelled)
  if (bad !== undefined) return { id, state: 'failed', error: reportError(failed(bad)) }
  if (known.some((task) => task.status === taskStatus.active)) return { id, state: 'running' }
  if (known.some((task) => task.status !== taskStatus.done)) return { id, state: 'unknown' }
  const value = volume === undefined ? undefined : await readVolume(ctx, near, volume)
  return { id, state: 'succeeded', ...(value === undefined ? {} : { value }) }
}
