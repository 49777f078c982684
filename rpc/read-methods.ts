/**
 * Calls that change nothing, for the client: when a connection is lost, only the outcome of the others is unknown. The table
 * of calls says the same, but with it comes zod, which a thin client has no time to load; a test compares the two. A call
 * that is missing here is taken for one that writes.
 */
export const readMethods: ReadonlySet<string> = new Set([
  'Array.clones', 'Array.groups', 'Array.info', 'Array.job', 'Array.limits', 'Array.list', 'Array.plan_restore', 'Array.qos', 'Array.snapshots', 'Array.types', 'Array.volumes',
  'Driver.list', 'Host.status',
  'Replication.check', 'Replication.list', 'Replication.plan', 'Replication.points', 'Replication.status', 'Replication.sync_status',
  'SR.backlog', 'SR.content_type', 'SR.list', 'SR.orphans', 'SR.probe', 'SR.scan', 'SR.stat',
  'Task.get_state', 'Task.list', 'Task.wait',
  'VDI.stat',
  'events.subscribe', 'events.unsubscribe', 'rpc.cancel', 'rpc.discover',
])
