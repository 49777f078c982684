/**
 * Random access to the bytes of one image. Formats are written against this and never see a file: the same code runs on
 * files, block devices and, in tests, on memory that counts and interrupts every write.
 */
export interface RandomAccess {
  /** Bytes from `position`; shorter than asked only at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>
  /** Writes all of `bytes` at `position`; the file grows when needed, a gap reads as zeros. */
  write(position: number, bytes: Uint8Array): Promise<void>
  /** Cuts the file, or extends it with zeros. */
  truncate(length: number): Promise<void>
  /** Present length in bytes. */
  length(): Promise<number>
  /** Returns when everything written so far survives a power cut. */
  sync(): Promise<void>
}
