/** `smctl watch`: what happens on this host, a line an event. */
import type { StorageEvent } from '../../core/caller.ts'
import { openCaller, type CallerOptions } from '../caller.ts'
import { oneLine, writeErr, writeOut } from '../output.ts'

const eventLine = (event: StorageEvent): string => {
  if (event.event === 'changed') return [event.at, event.method, event.sr_uuid, event.vdi_uuid].filter((part) => part !== undefined).join('  ')
  const { task, method, state, progress, error } = event.task
  const far = progress === undefined || progress.total === 0 ? '' : ` ${Math.floor((100 * progress.done) / progress.total)} %`
  return `${event.at}  task ${task} ${method} ${state}${far}${error === undefined ? '' : `: ${oneLine(error.message)}`}`
}

export const watch = async (options: CallerOptions, json: boolean, signal: AbortSignal): Promise<void> => {
  const caller = await openCaller({ ...options, daemon: 'always' })
  try {
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => resolve(), { once: true })
      caller.daemon?.subscribe(
        (event) => writeOut(`${json ? JSON.stringify(event) : eventLine(event)}\n`), {},
        (lost) => writeErr(`smctl: ${lost} events were lost: they came faster than they could be shown\n`),
        reject,
      ).catch(reject)
    })
  } finally {
    await caller.close()
  }
}
