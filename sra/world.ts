/** What a command has besides its request. */
import type { Arrays } from '../core/array/ports.ts'
import type { ArrayCtx } from '../core/array/types.ts'
import type { Adapter } from './adapter.ts'
import type { SraLog } from './log/log.ts'

export interface SraWorld {
  readonly adapter: Adapter
}

/** For the commands that talk to arrays. */
export interface ArrayWorld extends SraWorld {
  readonly arrays: Arrays
  /** Of this command; its signal ends shortly before SRM's time limit. */
  readonly ctx: ArrayCtx
  readonly log: SraLog
  /** Items that are done, of how many. */
  readonly progress: (done: number, total: number) => void
}
