/** What programs import that call the storage manager: the typed client, errors, and the types of every call. */
export type { Caller, CallOptions, StorageEvent } from './core/caller.ts'
export { errnoNumbers, errorTable, reportError, StorageError, type Errno, type ErrorKind, type ErrorReport, type Retry } from './core/errors.ts'
export type { MethodName, ParamsIn, Result } from './core/methods/index.ts'
export { formatSize, parseSize } from './core/units.ts'
export { connectStreams, connectUnix, type Client } from './rpc/client.ts'
export { createHttpClient, type HttpClientOptions } from './rpc/client-http.ts'
