/** Finishing what a crash has interrupted, from the record that the redo log kept. */
import type { RandomAccess } from '../../core/bytes.ts'
import { replayFixed } from './grow-fixed.ts'
import { decodeRecord } from './redo-record.ts'
import { applyRecord } from './redo.ts'

export const replay = async (file: RandomAccess, record: Uint8Array): Promise<void> => {
  const content = decodeRecord(record)
  if (content.kind === 'vhd fixed 1') await replayFixed(file, content)
  else await applyRecord(file, content, async () => file.sync())
}
