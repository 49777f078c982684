/** What model tools answer. */
import type { RunResult } from '../../../core/ports.ts'

export const says = (stdout: string, exitCode = 0): RunResult => ({ exitCode, stdout, stderr: '', durationMs: 1 })
export const complains = (stderr: string, exitCode: number): RunResult => ({ exitCode, stdout: '', stderr, durationMs: 1 })

/** An argument that the model was not taught: the driver has changed, and so must the model. */
export const unknownUse = (argv: readonly string[]): never => {
  throw new Error(`the model does not know this use of a tool: ${argv.join(' ')}`)
}
