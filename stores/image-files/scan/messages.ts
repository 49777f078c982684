/** What a process and its scan worker say to each other. Rows travel in batches, so that neither is held up for long. */
import type { ImageRow } from './read-directory.ts'

export type ScanRequest =
  | { readonly id: number; readonly want: 'images'; readonly directory: string; readonly format: string }
  | { readonly id: number; readonly want: 'texts'; readonly directory: string; readonly suffix: string; readonly limit: number }
  | { readonly id: number; readonly want: 'cancel' }

/** An error as it travels: system errors keep their code, ours their kind. */
export interface ScanFailure {
  readonly message: string
  readonly code?: string
  readonly syscall?: string
}

export type ScanReply =
  | { readonly id: number; readonly rows: readonly ImageRow[] }
  | { readonly id: number; readonly texts: ReadonlyMap<string, string | undefined> | undefined }
  | { readonly id: number; readonly done: true }
  | { readonly id: number; readonly failed: ScanFailure }
