/** The registry: one file a command, loaded when it is asked for. A command that is not here is answered with code 100. */
import type { AnswerOf, CommandName, RequestOf, ResponseOf } from '../schema/index.ts'
import type { ArrayWorld, SraWorld } from '../world.ts'

export type Run<C extends CommandName> = (request: RequestOf<C>, world: SraWorld) => Promise<ResponseOf<C>>
/** Talks to arrays. Throws StorageError when the whole command fails. */
export type ArrayRun<C extends CommandName> = (request: RequestOf<C>, world: ArrayWorld) => Promise<AnswerOf<C>>

export const commandModules: { readonly [C in CommandName]?: () => Promise<{ readonly run: Run<C> | ArrayRun<C> }> } = {
  queryInfo: async () => import('./query-info.ts'),
  queryStrings: async () => import('./query-strings.ts'),
  queryErrorDefinitions: async () => import('./query-error-definitions.ts'),
  queryCapabilities: async () => import('./query-capabilities.ts'),
  queryConnectionParameters: async () => import('./query-connection-parameters.ts'),
  discoverArrays: async () => import('./discover-arrays.ts'),
  discoverDevices: async () => import('./discover-devices.ts'),
  queryReplicationSettings: async () => import('./query-replication-settings.ts'),
  queryDeviceDetails: async () => import('./query-device-details.ts'),
  queryRecoveryPoints: async () => import('./query-recovery-points.ts'),
  syncOnce: async () => import('./sync-once.ts'),
  querySyncStatus: async () => import('./query-sync-status.ts'),
  checkTestFailoverStart: async () => import('./check-test-failover-start.ts'),
  testFailoverStart: async () => import('./test-failover-start.ts'),
  testFailoverStop: async () => import('./test-failover-stop.ts'),
  checkFailover: async () => import('./check-failover.ts'),
  prepareFailover: async () => import('./prepare-failover.ts'),
  failover: async () => import('./failover.ts'),
  prepareReverseReplication: async () => import('./prepare-reverse-replication.ts'),
  reverseReplication: async () => import('./reverse-replication.ts'),
  prepareRestoreReplication: async () => import('./prepare-restore-replication.ts'),
  restoreReplication: async () => import('./restore-replication.ts'),
}
