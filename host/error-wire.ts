/** Failures on their way between two processes or threads of ours: what was a StorageError or a system error on one side is one on the other. */
import { errorFromReport, isSystemError, reportError, StorageError, systemCode, systemMessage, type ErrorReport } from '../core/errors.ts'

export type WireError =
  | { readonly report: ErrorReport }
  | { readonly system: { readonly code: string; readonly syscall: string; readonly message: string } }
  | { readonly other: string }

export const errorToWire = (error: unknown): WireError => {
  if (error instanceof StorageError) return { report: reportError(error) }
  if (isSystemError(error)) return { system: { code: systemCode(error), syscall: error.syscall ?? '', message: systemMessage(error) } }
  return { other: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}

export const errorFromWire = (wire: WireError): Error => {
  if ('report' in wire) return errorFromReport(wire.report)
  if ('system' in wire) {
    const { code, syscall, message } = wire.system
    return Object.assign(new Error(message), { code, syscall })
  }
  return new StorageError('driverBug', `A worker failed: ${wire.other}`, { layer: 'host:files', mayHaveChanged: true, remedy: 'Report this with the log lines of the same call id' })
}
