/**
 * The request object: JSON-RPC 2.0 plus one member of ours, `x-call`, which says about a call what is no parameter of it.
 * It stands beside `params`, because parameters are the business of the table of calls alone.
 */
import { isJSONRPCID, type JSONRPCID } from 'json-rpc-2.0'
import * as z from 'zod'
import { invalidFromZod } from '../core/invalid.ts'
import { device_config, driver_type } from '../core/methods/wire.ts'
import { FaultError, requestFault } from './faults.ts'

export const CallEnvelope = z.strictObject({
  id: z.string().regex(/^[\x21-\x7e]{1,128}$/, 'must be 1 to 128 printable ASCII characters without spaces').optional()
    .meta({ description: 'Call id: stands on every log line of the call and in its events; made up when absent' }),
  place: z.strictObject({ type: driver_type, device_config }).optional()
    .meta({ description: 'Type and dconf of the SR as the caller says them; must agree with what it was attached with' }),
  progress: z.boolean().optional()
    .meta({ description: 'Send call.progress notifications while the call runs, on connections that can carry them' }),
})
export type CallEnvelope = z.infer<typeof CallEnvelope>

export interface RpcRequest {
  readonly jsonrpc: '2.0'
  readonly method: string
  readonly params?: object
  /** Absent: a notification, which gets no answer. */
  readonly id?: JSONRPCID
  readonly call: CallEnvelope
}

const noEnvelope: CallEnvelope = {}
const members: ReadonlySet<string> = new Set(['jsonrpc', 'method', 'params', 'id', 'x-call'])

/** The id to answer with, also when the rest of the request is wrong (JSON-RPC 2.0, 5: null when it cannot be told). */
export const idOf = (value: unknown): JSONRPCID => {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'id')) return null
  const { id } = value as { readonly id: unknown }
  return isJSONRPCID(id) ? id : null
}

const wrong = (message: string, remedy = 'See https://www.jsonrpc.org/specification, section 4'): never => {
  throw new FaultError(requestFault(message, remedy))
}

/** Checks one request (JSON-RPC 2.0, 4). Throws FaultError; a wrong `x-call` is an invalidArgument like any parameter. */
export const checkRequest = (value: unknown): RpcRequest => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong('A request must be an object')
  const { jsonrpc, method, params, id, 'x-call': call } = value as Readonly<Record<string, unknown>>
  if (jsonrpc !== '2.0') return wrong('jsonrpc must be "2.0"')
  if (typeof method !== 'string') return wrong('method must be a string')
  if (params !== undefined && (typeof params !== 'object' || params === null)) return wrong('params must be an object, or left out')
  if (id !== undefined && !isJSONRPCID(id)) return wrong('id must be a string, a number or null')
  for (const key in value) {
    if (!members.has(key)) return wrong(`A request has no member ${JSON.stringify(key.slice(0, 40))}`, 'Parameters of the call belong into params')
  }
  return {
    jsonrpc, method,
    ...(params === undefined ? {} : { params }),
    ...(id === undefined ? {} : { id }),
    call: call === undefined ? noEnvelope : checkEnvelope(call),
  }
}

const checkEnvelope = (raw: unknown): CallEnvelope => {
  const parsed = CallEnvelope.safeParse(raw)
  if (parsed.success) return parsed.data
  throw invalidFromZod(parsed.error, { layer: 'rpc', prefix: 'x-call', known: Object.keys(CallEnvelope.shape), remedy: 'x-call takes: id, place, progress' })
}
