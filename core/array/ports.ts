/** What the engine needs to reach arrays: the known types, and what this host remembers of configured ones. */
import { StorageError } from '../errors.ts'
import type { ArrayDriver, OpenArray } from './contract.ts'
import type { ArrayConnection, ArrayCtx } from './types.ts'

export interface ArrayRegistry {
  readonly types: readonly string[]
  /** Unknown type: invalidArgument that lists the known ones. */
  load(type: string): Promise<ArrayDriver>
}

/** A configured array. The connection may hold secrets: kept private to the user that runs the storage manager. */
export interface ArrayRecord {
  readonly name: string
  readonly type: string
  readonly connection: ArrayConnection
}

export interface ArrayRecords {
  list(): readonly ArrayRecord[]
  get(name: string): ArrayRecord | undefined
  put(record: ArrayRecord): void
  /** True when it was there. */
  remove(name: string): boolean
}

/** Answers requests of Site Recovery; a front end that whoever composes the engine may give it. */
export type SiteRecovery = (
  ask: { readonly arrayType: string; readonly request: string; readonly signature: string; readonly version: string }, arrays: Arrays, ctx: ArrayCtx,
) => Promise<{ readonly response: string; readonly log: readonly string[] }>

export interface Arrays {
  readonly registry: ArrayRegistry
  readonly records: ArrayRecords
}

export interface NamedArray {
  readonly array: OpenArray
  readonly driver: ArrayDriver
}

/** How drivers of SRs reach arrays: those that this host knows by a name. Who opens one closes it. */
export interface ArrayOpener {
  readonly names: () => readonly string[]
  /** notFound, with the names there are, when none is configured under this one; else as `connect`. */
  open(ctx: ArrayCtx, name: string): Promise<NamedArray>
}

const noType = (type: string, types: readonly string[]): StorageError =>
  new StorageError('invalidArgument', `There is no array type ${JSON.stringify(type.slice(0, 64))}`, { field: 'type', layer: 'engine', remedy: types.length === 0 ? 'This storage manager was started without array drivers' : `The known types are: ${types.join(', ')}` })

export const createArrayRegistry = (loaders: Readonly<Record<string, () => Promise<ArrayDriver>>>): ArrayRegistry => ({
  types: Object.keys(loaders),
  async load(type) {
    const loader = Object.hasOwn(loaders, type) ? loaders[type] : undefined
    if (loader === undefined) throw noType(type, Object.keys(loaders))
    return loader()
  },
})

/** Without any: an engine of tests, or of a front end that needs none. */
export const noArrays: Arrays = {
  registry: createArrayRegistry({}),
  records: { list: () => [], get: () => undefined, put: () => undefined, remove: () => false },
}
