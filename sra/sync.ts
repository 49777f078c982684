/** A synchronisation as the documents have it. */
import type { SyncSession } from '../core/array/replication.ts'
import { refuse } from './items.ts'
import type { SraLog } from './log/log.ts'
import { shown } from './log/log.ts'

interface DeviceSync {
  readonly id: string
  readonly status: 'inProgress' | 'complete'
  readonly progress?: number
  readonly remainingTimeEstimate?: number
}

/** arrayFault when it ended without bringing everything over. */
export const shownSync = (session: SyncSession, item: string, log: SraLog): DeviceSync => {
  if (session.state === 'failed') throw refuse('arrayFault', `The synchronisation ${shown(session.id)} of ${shown(item)} has failed`, 'Look at the link between the arrays and at the state of replication, then start another one')
  if (session.state === 'complete') {
    log.write('verbose', `The replica of ${shown(item)} is current: synchronisation ${shown(session.id)} is complete`)
    return { id: session.id, status: 'complete' }
  }
  const { percent, remainingSeconds } = session
  return {
    id: session.id, status: 'inProgress', ...(percent === undefined ? {} : { progress: Math.min(100, Math.max(0, Math.round(percent))) }),
    ...(remainingSeconds === undefined ? {} : { remainingTimeEstimate: Math.max(0, Math.round(remainingSeconds)) }),
  }
}
