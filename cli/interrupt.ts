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
  /** Why a call that was cancelled here was cancelled: the engine and the daemon only know that it was. */
  explain(error: StorageError): StorageError
  /** Call when all is written and closed: dies of the signal that came, or returns. */
  settle(): void
}

export const catchSignals = (): Interrupt => {
  const controller = new AbortController()
  let came: NodeJS.Signals | undefined
  const onSignal = (name: NodeJS.Signals): void => {
    came = name
    for (const signal of signals) process.removeListener(signal, onSignal)
    controller.abort(new StorageError('cancelled', `Cancelled by ${name}`, { layer: 'cli', remedy: 'Look at the state before you repeat it' }))
  }
  for (const signal of signals) process.on(signal, onSignal)
  return {
    signal: controller.signal,
    cancel: (error) => controller.abort(error),
    explain(error) {
      if (error.kind !== 'cancelled' || !controller.signal.aborted) return error
      const { kind, message, facts } = controller.signal.reason as StorageError
      return new StorageError(kind, message, { ...facts, mayHaveChanged: error.facts.mayHaveChanged === true })
    },
    settle() {
      for (const signal of signals) process.removeListener(signal, onSignal)
      if (came !== undefined) process.kill(process.pid, came)
    },
  }
}
