/** What every part of an SR on array volumes works with. */
import type { ReplicationMode } from '../../core/array/replication.ts'
import type { Connection } from './host-group.ts'
import type { ArrayPair } from './sides.ts'

export interface ArrayStore {
  readonly pair: ArrayPair
  readonly connection: Connection
  /** Of a group that is made for the first disk. */
  readonly replication: { readonly mode: ReplicationMode; readonly periodSeconds: number | undefined }
}
