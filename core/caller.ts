/** How anybody calls: the same few types for the engine in process and for a client at the other end of a socket. */
import type { MethodName, ParamsIn, Result } from './methods/index.ts'
import type { TaskInfo } from './methods/service.ts'

export interface CallOptions {
  readonly signal?: AbortSignal
  /** Appears in every log line of the call; made up when absent. */
  readonly callId?: string
  readonly onProgress?: (done: number, total: number) => void
  /**
   * The place as the caller says it, on every call, as the driver executables get it. It must agree with what the SR was
   * attached with; it never replaces it.
   */
  readonly place?: { readonly type: string; readonly deviceConfig: Readonly<Record<string, string>> }
}

export interface Caller {
  call<M extends MethodName>(method: M, params: ParamsIn<M>, options?: CallOptions): Promise<Result<M>>
}

/** What subscribers are told. */
export type StorageEvent =
  | { readonly event: 'changed'; readonly method: MethodName; readonly sr_uuid?: string; readonly vdi_uuid?: string; readonly call_id: string; readonly at: string }
  | { readonly event: 'task'; readonly task: TaskInfo; readonly at: string }

/** One finished call, for logs and metrics. */
export interface CallTrace {
  readonly method: string
  readonly callId: string
  readonly sr?: string
  /** `ok`, or the kind of the error. */
  readonly outcome: string
  readonly durationMs: number
  readonly lockWaitMs: number
}

export interface Engine extends Caller {
  /** For front ends that got the name from outside: an unknown method or wrong parameters are invalidArgument / notSupported. */
  callByName(method: string, params: unknown, options?: CallOptions): Promise<unknown>
  subscribe(listener: (event: StorageEvent) => void): () => void
  /** Cancels what runs, waits for it, closes all SR handles. */
  close(): Promise<void>
}
