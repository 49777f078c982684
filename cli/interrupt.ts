/**
 * Ctrl-C and friends: the first one cancels the call, which stops between two steps; the second one ends the process at once.
 * A process that was cancelled by a signal then dies of that signal, so that shells and agents see what happened.
 */
import { StorageError } from '../core/errors.ts'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export interface Interrupt {
  readonly signal: AbortSignal
  /** Cancels as a signal would, for time limits. */
  cancel(error: StorageError): void
  /** Call when all is written and closed: dies of the signal that came, or returns. */
  settle(): void
}

export const catchSignals = (): Interrupt => {
  const controller = new AbortController()
  let came: NodeJS.Signals | undefined
  const onSignal = (name: NodeJS.Signals): void => {
    came = name
    for (const signal of signals) process.removeListener(signal, onSignal)
    controller.abort(new StorageError('cancelled', `Cancelled by ${name}`, { layer: 'cli', mayHaveChanged: true, remedy: 'Look at the state before you repeat it' }))
  }
  for (const signal of signals) process.on(signal, onSignal)
  return {
    signal: controller.signal,
    cancel: (error) => controller.abort(error),
    settle() {
      for (const signal of signals) process.removeListener(signal, onSignal)
      if (came !== undefined) process.kill(process.pid, came)
    },
  }
}
