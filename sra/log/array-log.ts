/** What is asked of an array, in the log of a command: each change as a pair of commence and complete with what it was given and what came of it. */
import type { OpenArray } from '../../core/array/contract.ts'
import type { RecoveryPoint, StartTest, SyncSession, TestCopy, UnitMember } from '../../core/array/replication.ts'
import type { Presentation } from '../../core/array/types.ts'
import { toStorageError } from '../../core/errors.ts'
import { shown, type SraLog } from './log.ts'

type Call = (ctx: unknown, ...rest: readonly unknown[]) => Promise<unknown>

const when = (ms: number): string => new Date(ms).toISOString()

const hosts = (initiators: StartTest['initiators']): string => {
  const entries = Object.entries(initiators)
  if (entries.length === 0) return 'to no host'
  return entries.map(([member, list]) => {
    const names = list.map(({ id, chapName }) => `${shown(id)}${chapName === undefined ? '' : ` with CHAP name ${shown(chapName)}`}`)
    return `${member === '' ? 'all devices' : `device ${shown(member)}`} to ${names.length === 0 ? 'no host' : `${names.length === 1 ? 'host' : 'hosts'} ${names.join(', ')}`}`
  }).join('; ')
}

interface Change {
  /** The step in words; `item` is the group or device as the request names it. */
  readonly says: (item: string, args: readonly unknown[]) => string
  /** What the array answered. */
  readonly came?: (answer: unknown) => string
  /** Stands behind the step that is complete. */
  readonly note?: string
}

/** By function of the array contract. Appendix A of the interface says which steps must be told of. */
const changes: Readonly<Record<string, Change>> = {
  demote: { says: (item) => `Demotion of source ${item} to read-only` },
  undemote: { says: (item) => `Promotion of source ${item} to read-write, as before it was prepared for failover` },
  keepPoint: {
    says: (item, [, name, purpose]) => `Snapshot ${shown(String(name))} of ${item} (${String(purpose)}) with attributes r/o, not presented`,
    came: (answer) => { const { id, timeMs } = answer as RecoveryPoint; return `snapshot id ${shown(id)}, recovery point of ${when(timeMs)}` },
  },
  removePoint: { says: (item, [, id]) => `Removal of snapshot ${shown(String(id))} of ${item}` },
  promote: {
    says: (item, [, want]) => `Suspension of replication of ${item} and promotion of target ${item} to read-write from ${(want as { recoveryPoint?: string }).recoveryPoint === undefined ? 'the latest recovery point' : `recovery point ${shown((want as { recoveryPoint: string }).recoveryPoint)}`}`,
    note: 'the array suspends replication of this item by itself at its promotion; it is resumed by reverseReplication or restoreReplication, in the direction of these',
  },
  present: {
    says: (item, [, initiators]) => `Presentation of ${item}, access r/w, multi-host: ${hosts(initiators as StartTest['initiators'])}`,
    came: (answer) => `devices ${(answer as readonly UnitMember[]).map(({ volume }) => shown(volume)).join(', ')}`,
  },
  unpresent: { says: (item) => `Masking of ${item} from every host` },
  startTest: {
    says: (item, [, want]) => {
      const { id, recoveryPoint, initiators } = want as StartTest
      return `Temporary snapshot ${shown(id)} of ${item} from ${recoveryPoint === undefined ? 'the latest recovery point' : `recovery point ${shown(recoveryPoint)}`}, access r/w, multi-host, presenting ${hosts(initiators)}`
    },
    came: (answer) => { const { id, recoveryPoint, members } = answer as TestCopy; return `snapshot id ${shown(id)}, recovery point ${shown(recoveryPoint.id)} of ${when(recoveryPoint.timeMs)}, devices ${members.map(({ copy }) => shown(copy)).join(', ')}` },
  },
  stopTest: { says: (item, [, id]) => `Masking from every host and removal of temporary snapshot ${shown(String(id))} of ${item}` },
  prepareReverse: { says: (item) => `Preparation of this site's side of ${item} for replication in the other direction` },
  reverse: { says: (item) => `Reversal of the replication direction of ${item}` },
  prepareRestore: { says: (item) => `Preparation of this site's side of ${item} for the restore of its replication` },
  restore: { says: (item) => `Restore of the replication of ${item} in its direction before the failover, discarding all changes made since at its target` },
  startSync: {
    says: (item) => `Replica creation: one synchronisation of ${item} up to now`,
    came: (answer) => { const { id, state, joined } = answer as SyncSession; return `session ${shown(id)} ${state === 'complete' ? 'is complete, the replica is current' : state}${joined ? ', which had begun before' : ''}` },
  },
}

/** Bookkeeping of the engine on the array. */
const quiet: ReadonlySet<string> = new Set(['setMark'])

const told = (value: unknown): string => shown(typeof value === 'string' ? value : JSON.stringify(value) ?? '')

/** The same array, its replication calls logged under the item's name. */
export const loggedArray = (array: OpenArray, log: SraLog, item: string, arrayId: string): OpenArray => {
  if (array.replication === undefined) return array
  const name = shown(item)
  let presented: readonly Presentation[] = []
  const logged = async (method: string, call: Call, ctx: unknown, args: readonly unknown[]): Promise<unknown> => {
    const change = changes[method]
    const executing = `Executing method [${method}] with arguments [${args.map(told).join(', ')}] on array ${shown(arrayId)}`
    if (change === undefined) {
      log.write('trivia', executing)
      const answer = await call(ctx, ...args)
      if (method === 'presentations') presented = answer as readonly Presentation[]
      return answer
    }
    const step = log.begin(change.says(name, args))
    log.write('verbose', executing)
    if (method === 'unpresent') for (const { volume, group, lun } of presented) log.write('verbose', `Device ${shown(volume)} is being masked from hosts ${shown(group)} (LUN ${lun})`)
    try {
      const answer = await call(ctx, ...args)
      step.complete(change.came?.(answer))
      if (change.note !== undefined) log.write('verbose', `${name}: ${change.note}`)
      return answer
    } catch (error) {
      step.fail(toStorageError(error, 'sra').message)
      throw error
    }
  }
  const replication = Object.fromEntries(Object.entries(array.replication as unknown as Readonly<Record<string, Call | undefined>>).flatMap(([method, call]) =>
    call === undefined ? [] : [[method, quiet.has(method) ? call : async (ctx: unknown, ...args: readonly unknown[]) => logged(method, call, ctx, args)]]))
  return { ...array, replication: replication as unknown as NonNullable<OpenArray['replication']> }
}
