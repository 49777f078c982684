/**
 * Coalescing: what a child holds itself is written into its base. Only the base changes, and only where the child hides
 * it, so whoever reads through the child sees the same content before, between and after any two writes. That is why it
 * can be stopped and repeated at will.
 */
import { StorageError } from '../../core/errors.ts'
import { MiB } from '../../core/units.ts'
import type { Image, ImageFormat } from '../format.ts'
import { layer } from './wire.ts'

type Options = Parameters<ImageFormat['absorb']>[2]

/** Asked for at once: even when every other sector is there this stays a short list. */
const window = 64 * MiB
const chunk = 2 * MiB

/** Zeros are copied, too: they hide older data of the base's own parents. */
export const absorb = async (base: Image, child: Image, { from, budget, signal, onProgress }: Options): Promise<number> => {
  const total = child.summary.size
  if (base.summary.size < total) {
    throw new StorageError('sizeOutOfRange', `The base has ${base.summary.size} bytes, its child ${total}`, { layer, remedy: 'Grow the base to the size of its child first' })
  }
  let reached = from
  let copied = 0
  const step = async (range: { readonly offset: number; readonly length: number }): Promise<boolean> => {
    for (let at = range.offset; at < range.offset + range.length;) {
      if (signal.aborted || copied >= budget) return false
      const length = Math.min(chunk - (at % chunk), range.offset + range.length - at)
      await base.write(at, await child.read(at, length))
      at += length
      reached = at
      copied += length
      onProgress?.({ done: reached, total })
    }
    return true
  }
  scan: while (reached < total && !signal.aborted && copied < budget) {
    const end = Math.min(reached + window, total)
    for (const range of await child.present(reached, end - reached)) {
      if (!(await step(range))) break scan
    }
    reached = end
  }
  // What is answered must be true after a power cut, too: the caller goes on from there.
  await base.sync()
  onProgress?.({ done: reached, total })
  return reached
}
