/** What a command has besides its request. */
import type { Adapter } from './adapter.ts'

export interface SraWorld {
  readonly adapter: Adapter
}
