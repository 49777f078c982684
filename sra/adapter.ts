/** What the adapter is and can do, as data: made once by whoever starts a command, published by the commands that need no array. */
import type { ReplicationTraits } from '../core/array/replication.ts'

export interface ConnectionField {
  readonly key: string
  /** At most 64 characters. */
  readonly title: string
  /** At most 256 characters. */
  readonly hint: string
  readonly optional: boolean
}

export interface Adapter {
  readonly version: string
  readonly helpUrl?: string
  /** Of the array driver behind it. */
  readonly traits: ReplicationTraits
  readonly protocols: readonly ('FC' | 'iSCSI' | 'NFS' | 'Datastore')[]
  readonly arrays: readonly { readonly model: string; readonly vendor: string }[]
  readonly software: readonly { readonly name: string; readonly version: string }[]
  /** Several arrays behind one set of connection parameters. */
  readonly severalArrays: boolean
  /** What the driver needs to connect, besides user and password. Addresses come first. */
  readonly addresses: readonly ConnectionField[]
  readonly opaques: readonly ConnectionField[]
  readonly username: boolean
  readonly password: boolean
}
