/** What the adapter is and can do, as data: made once by whoever starts a command, published by the commands that need no array. */
import { keyOfRole } from '../core/array/connection-roles.ts'
import type { ArrayDriver } from '../core/array/contract.ts'
import type { ReplicationTraits } from '../core/array/replication.ts'
import { StorageError } from '../core/errors.ts'

export interface Adapter {
  readonly version: string
  readonly helpUrl?: string
  /** One adapter stands for one type of array: SRM asks for its capabilities before it has an array. */
  readonly arrayType: string
  readonly arrayTitle: string
  readonly traits: ReplicationTraits
  readonly protocols: ArrayDriver['protocols']
  /** The driver has a key for it. */
  readonly username: boolean
  readonly password: boolean
}

/** notSupported when arrays of that type do not replicate. */
export const adapterOf = (driver: ArrayDriver, version: string, helpUrl?: string): Adapter => {
  const { type, title, replication, protocols, connection } = driver
  if (replication === undefined) throw new StorageError('notSupported', `Arrays of type ${type} do not replicate`, { field: 'array_type', layer: 'sra', remedy: 'Name a type that does: smctl array types' })
  return {
    version, arrayType: type, arrayTitle: title, traits: replication, protocols, ...(helpUrl === undefined ? {} : { helpUrl }),
    username: keyOfRole(connection, 'username') !== undefined, password: keyOfRole(connection, 'password') !== undefined,
  }
}
