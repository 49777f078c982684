/** One call as the command line sees it: the row of the table of calls without zod, so that a short process need not load that. */

/** How the text of an argument becomes a value. `size` takes suffixes on smctl, and only bytes on the driver executables. */
export type ParameterKind = 'text' | 'size' | 'integer' | 'number' | 'flag' | 'choice' | 'list' | 'config' | 'json'

export interface Parameter {
  readonly name: string
  readonly kind: ParameterKind
  readonly required: boolean
  readonly says: string
  readonly choices?: readonly string[]
  /** For help; the engine puts defaults in. */
  readonly fallback?: string
}

export interface Command {
  readonly method: string
  readonly says: string
  readonly noun: string
  readonly verb: string
  readonly positionals: readonly string[]
  readonly examples: readonly string[]
  readonly parameters: readonly Parameter[]
  readonly errors: readonly string[]
  readonly long: boolean
  /** Whether a second identical call is done already, or fails. */
  readonly repeat: 'no-op' | 'fails'
  readonly deadlineMs: number
  readonly xe?: { readonly verb: string; readonly args: readonly string[] }
}
