/**
 * The state machine of a replicated unit, as tables. What the two arrays say of their roles gives the state; the state gives the
 * verdict on an operation. The engine reads these tables, docs/replication.md prints them, no driver checks any of it again.
 */
import type { Transfer, UnitRole } from '../array/replication.ts'
import type { ErrorKind } from '../errors.ts'

export const unitStates = [
  'unconfigured', 'initialSync', 'protected', 'lagging', 'paused', 'interrupted', 'prepared', 'failedOver', 'reversing', 'restoring', 'splitBrain', 'needsOperator',
] as const
export type UnitState = (typeof unitStates)[number]

export const stateSays: Readonly<Record<UnitState, string>> = {
  unconfigured: 'It is not replicated',
  initialSync: 'The first full copy is under way; there is no complete copy to fail over to',
  protected: 'The target holds a complete copy and follows the source',
  lagging: 'The target holds a complete copy, older than it should be',
  paused: 'Replication was paused; the target keeps its last complete copy',
  interrupted: 'The link or the peer is lost; the target keeps its last complete copy',
  prepared: 'The source is demoted: no host can write anywhere until failover or undo',
  failedOver: 'The target was promoted and is the valid side; nothing is replicated',
  reversing: 'The old source is being overwritten from the promoted side',
  restoring: 'The promoted side is being overwritten from the old source',
  splitBrain: 'Both sides claim the writes; one of them must lose',
  needsOperator: 'The roles of the two arrays do not fit together',
}

/** How the two roles read as a pair: first the replicating side. `unknown` is a side that nobody can see. First match counts. */
export const pairRows: readonly { readonly source: UnitRole; readonly target: UnitRole; readonly state: UnitState | 'by-transfer' }[] = [
  { source: 'source', target: 'target', state: 'by-transfer' },
  { source: 'source', target: 'unknown', state: 'by-transfer' },
  { source: 'unknown', target: 'target', state: 'by-transfer' },
  { source: 'demoted', target: 'target', state: 'prepared' },
  { source: 'demoted', target: 'unknown', state: 'prepared' },
  { source: 'demoted', target: 'promoted', state: 'failedOver' },
  { source: 'unknown', target: 'promoted', state: 'failedOver' },
  { source: 'source', target: 'promoted', state: 'failedOver' },
  { source: 'source', target: 'source', state: 'splitBrain' },
  { source: 'promoted', target: 'promoted', state: 'splitBrain' },
]

/** Source and target in place: the transfer decides. */
export const transferStates: Readonly<Record<Transfer, UnitState>> = {
  initial: 'initialSync', running: 'protected', paused: 'paused', interrupted: 'interrupted', stopped: 'paused', unknown: 'interrupted',
}

export const replicationOperations = [
  'sync', 'pause', 'resume', 'startTest', 'stopTest', 'prepareFailover', 'failover', 'reverse', 'restore', 'adopt', 'remove',
] as const
export type ReplicationOperation = (typeof replicationOperations)[number]

/** run it, it is so already (done), or refuse with that kind. */
export type UnitVerdict = 'run' | 'done' | ErrorKind
type Row = Readonly<Record<UnitState, UnitVerdict>>

/** After `unconfigured`, the columns follow `unitStates`. */
export const operationRules: Readonly<Record<ReplicationOperation, Row>> = {
  sync:            { unconfigured: 'notReplicated', initialSync: 'run',       protected: 'run',      lagging: 'run',      paused: 'wrongRole', interrupted: 'unreachable', prepared: 'run',       failedOver: 'wrongRole', reversing: 'run',        restoring: 'run',        splitBrain: 'splitBrain', needsOperator: 'wrongRole' },
  pause:           { unconfigured: 'notReplicated', initialSync: 'run',       protected: 'run',      lagging: 'run',      paused: 'done',      interrupted: 'run',         prepared: 'wrongRole', failedOver: 'wrongRole', reversing: 'inProgress', restoring: 'inProgress', splitBrain: 'splitBrain', needsOperator: 'wrongRole' },
  resume:          { unconfigured: 'notReplicated', initialSync: 'done',      protected: 'done',     lagging: 'done',     paused: 'run',       interrupted: 'run',         prepared: 'wrongRole', failedOver: 'wrongRole', reversing: 'inProgress', restoring: 'inProgress', splitBrain: 'splitBrain', needsOperator: 'wrongRole' },
  startTest:       { unconfigured: 'notReplicated', initialSync: 'wouldLoseData', protected: 'run',  lagging: 'run',      paused: 'run',       interrupted: 'run',         prepared: 'run',       failedOver: 'wrongRole', reversing: 'inProgress', restoring: 'inProgress', splitBrain: 'splitBrain', needsOperator: 'wrongRole' },
  stopTest:        { unconfigured: 'notReplicated', initialSync: 'run',       protected: 'run',      lagging: 'run',      paused: 'run',       interrupted: 'run',         prepared: 'run',       failedOver: 'run',       reversing: 'run',        restoring: 'run',        splitBrain: 'run',        needsOperator: 'run' },
  prepareFailover: { unconfigured: 'notReplicated', initialSync: 'wouldLoseData', protected: 'run',  lagging: 'run',      paused: 'run',       interrupted: 'run',         prepared: 'run',       failedOver: 'run',       reversing: 'inProgress', restoring: 'inProgress', splitBrain: 'splitBrain', needsOperator: 'wrongRole' },
  failover:        { unconfigured: 'notReplicated', initialSync: 'wouldLoseData', protected: 'run',  lagging: 'run',      paused: 'run',       interrupted: 'run',         prepared: 'run',       failedOver: 'run',       reversing: 'inProgress', restoring: 'inProgress', splitBrain: 'splitBrain', needsOperator: 'wrongRole' },
  reverse:         { unconfigured: 'notReplicated', initialSync: 'wrongRole', protected: 'wrongRole', lagging: 'wrongRole', paused: 'wrongRole', interrupted: 'wrongRole', prepared: 'wrongRole', failedOver: 'run',     reversing: 'run',        restoring: 'inProgress', splitBrain: 'splitBrain', needsOperator: 'wrongRole' },
  restore:         { unconfigured: 'notReplicated', initialSync: 'done',      protected: 'done',     lagging: 'done',     paused: 'done',      interrupted: 'done',        prepared: 'run',       failedOver: 'run',       reversing: 'inProgress', restoring: 'run',        splitBrain: 'splitBrain', needsOperator: 'wrongRole' },
  adopt:           { unconfigured: 'notReplicated', initialSync: 'wrongRole', protected: 'run',      lagging: 'run',      paused: 'run',       interrupted: 'wrongRole',   prepared: 'wrongRole', failedOver: 'wrongRole', reversing: 'inProgress', restoring: 'inProgress', splitBrain: 'splitBrain', needsOperator: 'wrongRole' },
  remove:          { unconfigured: 'done',          initialSync: 'run',       protected: 'run',      lagging: 'run',      paused: 'run',       interrupted: 'run',         prepared: 'wrongRole', failedOver: 'wrongRole', reversing: 'inProgress', restoring: 'inProgress', splitBrain: 'splitBrain', needsOperator: 'wrongRole' },
}

/** What an operation may go on from that another one, whose process died, left unfinished. Not listed: that one must be repeated first. */
export const supersedes: Readonly<Record<ReplicationOperation, readonly ReplicationOperation[]>> = {
  sync: [], pause: ['resume'], resume: ['pause'],
  startTest: ['stopTest'], stopTest: ['startTest'],
  prepareFailover: ['pause', 'resume', 'startTest', 'stopTest', 'sync', 'failover'],
  // A disaster waits for nothing that was begun in better times.
  failover: ['pause', 'resume', 'startTest', 'stopTest', 'sync', 'prepareFailover'],
  reverse: ['prepareFailover', 'failover', 'startTest', 'stopTest'],
  restore: ['prepareFailover', 'failover', 'startTest', 'stopTest'],
  adopt: [], remove: ['pause', 'resume', 'startTest', 'stopTest', 'sync'],
}

/** What to do about a refusal in a state, with the command. */
export const remedies: Readonly<Record<UnitState, string>> = {
  unconfigured: 'See which units the array replicates: smctl replication list',
  initialSync: 'Wait until the first copy is complete: smctl replication status',
  protected: 'Prepare and fail over first: smctl replication prepare-failover',
  lagging: 'Bring the target up to date: smctl replication sync',
  paused: 'Take replication up again: smctl replication resume',
  interrupted: 'Repair the link between the arrays; in a disaster: smctl replication failover --kind unplanned',
  prepared: 'Go on with smctl replication failover, or back with smctl replication restore',
  failedOver: 'Keep the new side with smctl replication reverse, or give its writes up with smctl replication restore',
  reversing: 'Finish it: repeat smctl replication reverse',
  restoring: 'Finish it: repeat smctl replication restore',
  splitBrain: 'Stop all hosts of one side, demote that side with prepare-failover, then reverse or restore; nothing is discarded by itself',
  needsOperator: 'Look at the unit on both arrays, set the roles there by hand so that one is source and one is target, then look at the status again',
}
