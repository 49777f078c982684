/** The lab itself failed (guest died, a tool is missing), as opposed to what was run in it. Exit status 125. */
export interface LabFailure extends Error {
  readonly labFailure: true
}

export const labFailure = (message: string, cause?: unknown): LabFailure =>
  Object.assign(new Error(message, cause === undefined ? {} : { cause }), { labFailure: true as const })

export const isLabFailure = (error: unknown): error is LabFailure => error instanceof Error && 'labFailure' in error

export const exitStatus = { labFailed: 125, timedOut: 124 } as const
