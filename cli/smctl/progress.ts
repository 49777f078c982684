/** A progress bar on standard error, for long calls and only for people: nothing is drawn when it is no terminal. */
import { formatSize } from '../../core/units.ts'

const width = 30
/** Shorter calls draw nothing; later ones are redrawn at most so often. Milliseconds. */
const firstAfterMs = 500
const redrawMs = 100

export interface ProgressBar {
  readonly update: (done: number, total: number) => void
  /** Wipes the line, so that the answer stands where the bar was. */
  clear(): void
}

/** Large totals are bytes (copies, collection); small ones are counts of things. */
const amount = (done: number, total: number): string => (total >= 1024 * 1024 ? `${formatSize(done)} of ${formatSize(total)}` : `${done} of ${total}`)

export const barText = (done: number, total: number): string => {
  const part = total <= 0 ? 0 : Math.min(1, done / total)
  const filled = Math.floor(part * width)
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${String(Math.floor(part * 100)).padStart(3)} %  ${amount(done, total)}`
}

export const createProgressBar = (write: (text: string) => void, now: () => number = () => performance.now()): ProgressBar => {
  const started = now()
  let drawn: number | undefined
  return {
    update(done, total) {
      const at = now()
      if (at - started < firstAfterMs || (drawn !== undefined && at - drawn < redrawMs)) return
      drawn = at
      write(`\r\u001b[2K${barText(done, total)}`)
    },
    clear() {
      if (drawn !== undefined) write('\r\u001b[2K')
      drawn = undefined
    },
  }
}
