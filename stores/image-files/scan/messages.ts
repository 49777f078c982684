/** What a process and its scan worker say to each other. Rows travel in batches, so that neither is held up for long. */
import type { WireError } from '../../../host/error-wire.ts'
import type { ImageRow } from './read-directory.ts'

export type ScanRequest =
  | { readonly id: number; readonly want: 'images'; readonly directory: string; readonly format: string }
  | { readonly id: number; readonly want: 'texts'; readonly directory: string; readonly suffix: string; readonly limit: number }
  | { readonly id: number; readonly want: 'cancel' }

export type ScanReply =
  | { readonly id: number; readonly rows: readonly ImageRow[] }
  | { readonly id: number; readonly texts: ReadonlyMap<string, string | undefined> | undefined }
  | { readonly id: number; readonly done: true }
  | { readonly id: number; readonly failed: WireError }
