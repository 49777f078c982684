/**
 * What the array's refusals mean here. Decided by HTTP status and number alone: the text is for people and changes between releases. Only
 * numbers that are known to occur are named; the others go by their status, and the array's own words stay in the details.
 */
import type { ErrorKind } from '../../../../core/errors.ts'
import { StorageError } from '../../../../core/errors.ts'
import { layer } from './layer.ts'

export interface Refusal {
  readonly status: number
  /** Absent when the answer had no body in the array's form. */
  readonly code?: number
  readonly desc?: string
  readonly ref?: string
}

interface Row {
  readonly kind: ErrorKind
  readonly remedy?: string
}

const reportIt: Row = { kind: 'arrayFault', remedy: 'The array does not take a request of ours; report this with its code and release' }

const byCode: Readonly<Record<number, Row>> = {
  1: { kind: 'arrayFault', remedy: 'See the event log of the array (showeventlog), then try again' },
  5: { kind: 'unauthenticated', remedy: 'Check user and password of this array in the configuration' },
  6: { kind: 'unauthenticated', remedy: 'The array ended the session at once, twice; see whether it is restarting' },
  7: { kind: 'outcomeUnknown', remedy: 'Look at the state of the object before trying again' },
  9: { kind: 'notSupported', remedy: 'The release of this array does not offer it' },
  11: { kind: 'notSupported', remedy: 'The release of this array does not offer it; see that the API address is right' },
  12: reportIt,
  13: { kind: 'permissionDenied', remedy: 'Give the user the role edit or super in every domain it works in' },
  14: { kind: 'alreadyExists' },
  15: { kind: 'notFound', remedy: 'See the CPGs of the array: showcpg' },
  16: { kind: 'alreadyExists' },
  17: { kind: 'notFound' },
  18: { kind: 'alreadyExists' },
  19: { kind: 'notFound' },
  20: { kind: 'notFound' },
  22: { kind: 'alreadyExists' },
  23: { kind: 'notFound' },
  24: { kind: 'noSpace', remedy: 'Free space in the CPG, or raise its growth limit' },
  25: { kind: 'hasDependents', remedy: 'Remove its snapshots first' },
  26: { kind: 'stillPresented', remedy: 'Unpresent it from its hosts first' },
  28: { kind: 'sizeOutOfRange' },
  29: { kind: 'arrayFault' },
  32: { kind: 'hasDependents', remedy: 'Remove its snapshots and clones first' },
  34: { kind: 'stillPresented', remedy: 'Unpresent it and take it out of its sets first' },
  38: { kind: 'notFound' },
  43: { kind: 'sizeOutOfRange' },
  57: { kind: 'invalidArgument', remedy: 'Give a shorter name' },
  59: { kind: 'alreadyExists' },
  60: reportIt,
  69: { kind: 'invalidArgument', remedy: 'Names take letters, digits, dot, dash and underscore' },
  73: { kind: 'alreadyExists', remedy: 'The initiator belongs to another host of the array; take it out there first' },
  77: { kind: 'hasDependents', remedy: 'Take the host out of its host sets first' },
  78: reportIt,
  80: { kind: 'notFound' },
  97: { kind: 'busy', remedy: 'Wait until the copy has finished' },
  100: { kind: 'notFound' },
  101: { kind: 'alreadyExists' },
  102: { kind: 'notFound' },
  114: { kind: 'alreadyExists' },
  115: { kind: 'sizeOutOfRange' },
  117: { kind: 'notFound' },
  120: { kind: 'inProgress', remedy: 'The volume is in a remote copy group: take it out of the group, or stop the group, first' },
  145: { kind: 'notFound' },
  150: { kind: 'notSupported' },
  151: { kind: 'busy', remedy: 'A task works on the volume; wait until it has finished' },
  152: { kind: 'sizeOutOfRange' },
  153: { kind: 'noSpace', remedy: 'Raise the growth limit of the CPG' },
  180: { kind: 'notFound' },
  181: { kind: 'alreadyExists' },
  185: { kind: 'notFound' },
  187: { kind: 'notFound' },
  215: { kind: 'busy', remedy: 'The remote copy group is started; pause it first' },
  236: { kind: 'invalidArgument', remedy: 'All groups of one target use one mode' },
  237: { kind: 'alreadyExists' },
  284: { kind: 'busy', remedy: 'The remote copy group is not stopped; pause it first' },
}

const byStatus: Readonly<Record<number, Row>> = {
  400: { kind: 'invalidArgument' },
  401: { kind: 'unauthenticated' },
  403: { kind: 'permissionDenied' },
  404: { kind: 'notFound' },
  408: { kind: 'outcomeUnknown', remedy: 'Look at the state of the object before trying again' },
  409: { kind: 'busy' },
  501: { kind: 'notSupported', remedy: 'The release of this array does not offer it' },
  503: { kind: 'unreachable', remedy: 'The array is overloaded or has no free session; close idle sessions or try again later' },
}

const withoutCode: Row = { kind: 'arrayFault', remedy: 'See that the address leads to the management interface of an array (…/api/v1)' }

/** `what` says what was wanted, as in "create volume x". */
export const refusalError = (what: string, refusal: Refusal): StorageError => {
  const { status, code, desc, ref } = refusal
  const row = (code === undefined ? undefined : byCode[code]) ?? byStatus[status] ?? withoutCode
  const said = code === undefined ? `HTTP ${status}` : `${desc ?? 'no text'} (code ${code}, HTTP ${status}${ref === undefined ? '' : `, about ${ref}`})`
  return new StorageError(row.kind, `${what}: the array refused: ${said}`, {
    layer,
    ...(row.remedy === undefined ? {} : { remedy: row.remedy }),
    ...(row.kind === 'outcomeUnknown' || status >= 500 && status !== 503 ? { mayHaveChanged: true } : {}),
    details: {
      http_status: status,
      ...(code === undefined ? {} : { vendor_code: code }),
      ...(desc === undefined ? {} : { vendor_text: desc }),
      ...(ref === undefined ? {} : { vendor_ref: ref }),
    },
  })
}

/** The array's own number behind an error of this client, to tell refusals apart that share a kind. */
export const vendorCode = (error: unknown): number | undefined => {
  const code = error instanceof StorageError ? error.facts.details?.['vendor_code'] : undefined
  return typeof code === 'number' ? code : undefined
}

export const httpStatus = (error: unknown): number | undefined => {
  const status = error instanceof StorageError ? error.facts.details?.['http_status'] : undefined
  return typeof status === 'number' ? status : undefined
}

export const isCode = (error: unknown, ...codes: readonly number[]): boolean => {
  const code = vendorCode(error)
  return code !== undefined && codes.includes(code)
}

/** The named kinds are an answer here: undefined instead of a failure. */
export const unless = async <T>(kind: ErrorKind, work: Promise<T>): Promise<T | undefined> =>
  work.catch((error: unknown) => {
    if (error instanceof StorageError && error.kind === kind) return undefined
    throw error
  })
