/**
 * The seam between stores and image formats: what a store asks of a format, whichever it is. A format sees bytes
 * (RandomAccess) and never a path, a lock or a journal file; names and places are the store's.
 */
import type { RandomAccess } from '../core/bytes.ts'

/** What head and tail of one image say. Nothing here was believed without its checksum. */
export interface ImageSummary {
  readonly kind: 'fixed' | 'dynamic' | 'differencing'
  /** Size of the virtual disk in bytes. */
  readonly size: number
  /** Identity that children refer to, 32 hex digits. */
  readonly id: string
  /** Only of differencing images: the identity of the parent and the file names it was recorded under, best first. */
  readonly parent?: { readonly id: string; readonly names: readonly string[] }
  /** The image carries the mark of xapi's tools for "not to be shown". */
  readonly hidden: boolean
  /** Program that made it, as recorded, for people. */
  readonly creator: string
  /** Things that are repairable or odd but do not keep it from being read. */
  readonly warnings: readonly string[]
  /** The image cannot be written before `repair`: for instance the footer at the end is gone and its copy is good. */
  readonly needsRepair: boolean
}

export interface Finding {
  /** `repairable`: repair mends it without any doubt about content. `damage`: content is lost or in doubt. */
  readonly weight: 'note' | 'repairable' | 'damage'
  readonly what: string
}

/** A copy of metadata that makes an overwrite repeatable. The store keeps it durable until `clear`. */
export interface RedoLog {
  save(record: Uint8Array): Promise<void>
  clear(): Promise<void>
}

export interface NewImage {
  /** Bytes of the virtual disk, within the format's limits. */
  readonly size: number
  /** 32 hex digits, not all zero. */
  readonly id: string
  /** Creation time, milliseconds of the Unix epoch: formats have no clock of their own. */
  readonly createdMs: number
  /** Differencing: the parent's identity, and its file name beside the child. */
  readonly parent?: { readonly id: string; readonly fileName: string }
}

export interface Progress {
  readonly done: number
  readonly total: number
}

/** One open image without its parents. */
export interface Image {
  readonly summary: ImageSummary
  /** Which parts of [offset, offset+length) are in this very file; the rest is the parent's, or zeros. Ascending, merged. */
  present(offset: number, length: number): Promise<readonly { readonly offset: number; readonly length: number }[]>
  /** Reads bytes that `present` named. */
  read(offset: number, length: number): Promise<Uint8Array>
  /**
   * Writes whole sectors. Allocates as needed, in an order in which a crash or a power cut at any write leaves a valid
   * image with old or new content of each sector. What was written may be lost until `sync` has returned, even when only
   * the process ends: newly allocated space enters the tables of the image there, once for any number of writes.
   */
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** Makes everything written so far part of the image and durable. */
  sync(): Promise<void>
  /**
   * Enlarges the virtual disk, durably; the new end reads as zeros. Shrinking is refused. Whatever was saved to `redo` and not
   * cleared is to be given to `replay` before anything else touches the image. Nothing else may run on the image meanwhile.
   */
  grow(size: number, redo: RedoLog): Promise<void>
  /** Rewrites the identity in place, so that this image can take over the place of another one. */
  setIdentity(change: { readonly id?: string; readonly hidden?: boolean }): Promise<void>
  /**
   * Points a differencing image at another parent of equal content. `redo` as in `grow`; it stays unused when one sector
   * carries the whole change, as between names of equal length.
   */
  reparent(parent: { readonly id: string; readonly fileName: string }, redo: RedoLog): Promise<void>
  check(): Promise<readonly Finding[]>
}

export interface ImageFormat {
  readonly name: string
  /** Of file names, without the dot. */
  readonly extension: string
  readonly limits: { readonly minSize: number; readonly maxSize: number; readonly sizeStep: number }
  /** How many bytes `summarize` wants from the start and from the end of a file. */
  readonly headLength: number
  readonly tailLength: number
  /** Pure and synchronous: a scan calls it for each of thousands of files. Throws imageCorrupt. */
  summarize(head: Uint8Array, tail: Uint8Array, fileLength: number): ImageSummary
  /** The bytes of a new, empty, sparse image: one write of the store makes it. */
  create(image: NewImage): Uint8Array
  /**
   * Formats `file` as a fully allocated image, by writing zeros. With `blank` the bytes that `file` has already are known
   * to be zeros with space behind them (reserved by fallocate, say), and only what is missing is written. Durable when
   * it returns.
   */
  createFixed(file: RandomAccess, image: NewImage, options?: { readonly blank: boolean }): Promise<void>
  open(file: RandomAccess): Promise<Image>
  /** Mends what can be mended without doubt; with `dryRun` only tells. Returns what it mended. */
  repair(file: RandomAccess, dryRun: boolean): Promise<readonly Finding[]>
  /**
   * Finishes what a crash left of a `grow` or a `reparent`, from the record that its redo log kept. May be run any number
   * of times; a change that is finished already is left alone. A torn record, and one of another image, is refused.
   */
  replay(file: RandomAccess, record: Uint8Array): Promise<void>
  /**
   * Copies everything `child` holds itself into `base`, so that base alone reads as the child did. Only base is
   * written, only where the child hides it: content seen through the child is the same at any instant. Can be repeated,
   * and resumed at `from` (a byte offset of the virtual disk). Stops between two steps when `signal` is aborted or
   * `budget` bytes have been copied; answers the offset reached, which is the child's size when all is done.
   */
  absorb(base: Image, child: Image, options: {
    readonly from: number
    readonly budget: number
    readonly signal: AbortSignal
    readonly onProgress?: (progress: Progress) => void
  }): Promise<number>
}
