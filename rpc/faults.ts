/**
 * Errors as JSON-RPC has them. `error.data` is always a full ErrorReport of the one table, whatever the number says, so a
 * client needs to look nowhere else; `error.message` is its sentence.
 */
import { JSONRPCErrorCode } from 'json-rpc-2.0'
import { errorTable, reportError, StorageError, type ErrorFacts, type ErrorKind, type ErrorReport } from '../core/errors.ts'

export interface Fault {
  readonly code: number
  readonly message: string
  readonly data: ErrorReport
}

/** The protocol owns a number for parameters that are not acceptable; every other kind has the one of its row. */
export const rpcCode = (kind: ErrorKind): number =>
  kind === 'invalidArgument' ? JSONRPCErrorCode.InvalidParams : errorTable[kind].code

export const faultOf = (error: StorageError): Fault => ({ code: rpcCode(error.kind), message: error.message, data: reportError(error) })

const protocolFault = (code: number, kind: ErrorKind) => (message: string, remedy: string, facts: ErrorFacts = {}): Fault => ({
  code, message, data: reportError(new StorageError(kind, message, { layer: 'rpc', remedy, ...facts })),
})

/** What came is no JSON. */
export const parseFault = protocolFault(JSONRPCErrorCode.ParseError, 'invalidArgument')
/** It is JSON, but no request of JSON-RPC 2.0, or it goes beyond a limit. */
export const requestFault = protocolFault(JSONRPCErrorCode.InvalidRequest, 'invalidArgument')
export const methodFault = protocolFault(JSONRPCErrorCode.MethodNotFound, 'notSupported')

/** Travels from where a request is looked at to where it is answered. */
export class FaultError extends Error {
  readonly fault: Fault

  constructor(fault: Fault) {
    super(fault.message)
    this.fault = fault
  }
}
