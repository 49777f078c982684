/**
 * The one table of errors. Every failure that leaves the storage manager is one of these kinds; each front end
 * reads its own column (errno for the driver executables, the number for JSON-RPC) and nothing else decides.
 */

/** The nine error codes of the SM API ("Error Codes"), with the numbers that executables exit with. */
export const errnoNumbers = {
  EPERM: 1,
  EIO: 5,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOSPC: 28,
  ENOLCK: 37,
  ENOSYS: 38,
} as const

export type Errno = keyof typeof errnoNumbers

/** When the same call may be repeated: never; later as it is; after somebody repaired something; after looking at the state again. */
export type Retry = 'never' | 'later' | 'after-fix' | 'after-reading-state'

interface ErrorRow {
  readonly code: number
  readonly errno: Errno
  readonly retry: Retry
  readonly says: string
}

export const errorTable = {
  invalidArgument: { code: 1001, errno: 'EINVAL', retry: 'never', says: 'A parameter is not acceptable' },
  unauthenticated: { code: 1002, errno: 'EPERM', retry: 'after-fix', says: 'The caller did not prove who it is' },
  permissionDenied: { code: 1003, errno: 'EPERM', retry: 'after-fix', says: 'The storage refuses this operation to us' },
  notFound: { code: 1004, errno: 'ENODEV', retry: 'never', says: 'There is no such object' },
  alreadyExists: { code: 1005, errno: 'EEXIST', retry: 'never', says: 'An object of that identity exists already' },
  notSupported: { code: 1006, errno: 'ENOSYS', retry: 'never', says: 'This SR does not offer that operation' },
  notLicensed: { code: 1007, errno: 'ENOSYS', retry: 'after-fix', says: 'The storage offers this operation only with a licence' },
  offlineOnly: { code: 1008, errno: 'EBUSY', retry: 'after-fix', says: 'The operation needs the VDI to be detached' },
  busy: { code: 1009, errno: 'EBUSY', retry: 'later', says: 'The object is in use' },
  stillPresented: { code: 1010, errno: 'EBUSY', retry: 'after-fix', says: 'The volume is still presented to a host' },
  hasDependents: { code: 1011, errno: 'EBUSY', retry: 'after-fix', says: 'Other objects depend on this one' },
  restoreNotSafe: { code: 1012, errno: 'EPERM', retry: 'never', says: 'Restoring would affect other objects' },
  noSpace: { code: 1013, errno: 'ENOSPC', retry: 'after-fix', says: 'There is not enough space' },
  limitExceeded: { code: 1014, errno: 'ENOSPC', retry: 'after-fix', says: 'A limit of the storage is reached' },
  sizeOutOfRange: { code: 1015, errno: 'EINVAL', retry: 'never', says: 'The size is outside of what is possible here' },
  inProgress: { code: 1016, errno: 'EBUSY', retry: 'later', says: 'Another operation runs on the same object' },
  lockUnavailable: { code: 1017, errno: 'ENOLCK', retry: 'later', says: 'The lock is held by somebody else' },
  unreachable: { code: 1018, errno: 'EIO', retry: 'later', says: 'The storage does not answer' },
  outcomeUnknown: { code: 1019, errno: 'EIO', retry: 'after-reading-state', says: 'The operation ended without telling its outcome' },
  arrayFault: { code: 1020, errno: 'EIO', retry: 'after-fix', says: 'The array answered with a fault' },
  identityMismatch: { code: 1021, errno: 'EIO', retry: 'never', says: 'What is there is not what was expected' },
  staleGeneration: { code: 1022, errno: 'EPERM', retry: 'after-reading-state', says: 'The state has changed since it was read' },
  notReplicated: { code: 1030, errno: 'EINVAL', retry: 'never', says: 'The object is not replicated' },
  wrongRole: { code: 1031, errno: 'EPERM', retry: 'never', says: 'This side does not have the role the operation needs' },
  wouldLoseData: { code: 1032, errno: 'EPERM', retry: 'after-fix', says: 'The operation would discard data' },
  forceRequired: { code: 1033, errno: 'EPERM', retry: 'never', says: 'Only an explicit force of the operator allows this' },
  peerMaybeActive: { code: 1034, errno: 'EPERM', retry: 'after-fix', says: 'The other side may still be active' },
  splitBrain: { code: 1035, errno: 'EIO', retry: 'after-fix', says: 'Both sides have taken writes' },
  partialFailure: { code: 1036, errno: 'EIO', retry: 'after-fix', says: 'Some items failed' },
  cancelled: { code: 1040, errno: 'EIO', retry: 'later', says: 'The operation was cancelled' },
  driverBug: { code: 1050, errno: 'EIO', retry: 'never', says: 'The storage manager itself failed' },
  srNotAttached: { code: 1060, errno: 'ENODEV', retry: 'after-fix', says: 'The SR is not attached to this host' },
  notEmpty: { code: 1061, errno: 'EBUSY', retry: 'after-fix', says: 'The SR still holds VDIs' },
  placeNotBlank: { code: 1062, errno: 'EEXIST', retry: 'never', says: 'The place holds something already' },
  placeMissing: { code: 1063, errno: 'ENODEV', retry: 'after-fix', says: 'The place of the SR is not there' },
  imageCorrupt: { code: 1064, errno: 'EIO', retry: 'after-fix', says: 'The image is damaged or is not what it claims to be' },
  toolMissing: { code: 1065, errno: 'EIO', retry: 'after-fix', says: 'A host tool is missing' },
  toolFailed: { code: 1066, errno: 'EIO', retry: 'after-fix', says: 'A host tool failed' },
  ioError: { code: 1067, errno: 'EIO', retry: 'after-fix', says: 'Reading or writing the storage failed' },
  readOnly: { code: 1068, errno: 'EPERM', retry: 'never', says: 'The object is read-only' },
} as const satisfies Record<string, ErrorRow>

export type ErrorKind = keyof typeof errorTable

/** What is known about one failure. Facts are shown and logged: they never hold a secret. */
export interface ErrorFacts {
  /** The parameter at fault, as the caller spelt it. */
  readonly field?: string
  /** Which layer failed: `engine`, `driver:file`, `format:vhd`, `host:mount` ... */
  readonly layer?: string
  /** What the caller can do about it, as an imperative sentence. */
  readonly remedy?: string
  /** True when something may have been changed before the failure; absent means nothing was. */
  readonly mayHaveChanged?: boolean
  readonly details?: Readonly<Record<string, string | number | boolean | null>>
  readonly cause?: unknown
}

/** Carried by every StorageError, whichever copy of this module made it. */
const brand = Symbol.for('storage-manager.StorageError')

/** The one thrown class of the project: a kind from the table, a sentence that says what was found, and the facts. */
export class StorageError extends Error {
  readonly kind: ErrorKind
  readonly facts: ErrorFacts
  readonly [brand] = true

  /** A driver from outside may bring its own copy of this class along, in its bundle: its errors are ours all the same. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value
  }

  constructor(kind: ErrorKind, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.name = 'StorageError'
    this.kind = kind
    this.facts = facts
  }
}

/** One failure as plain data: what travels in `error.data` of JSON-RPC and what tables print. */
export interface ErrorReport {
  readonly kind: ErrorKind
  readonly code: number
  readonly errno: Errno
  readonly message: string
  readonly retry: Retry
  readonly field?: string
  readonly layer?: string
  readonly remedy?: string
  readonly may_have_changed?: boolean
  readonly details?: Readonly<Record<string, string | number | boolean | null>>
}

export const reportError = (error: StorageError): ErrorReport => {
  const row = errorTable[error.kind]
  const { field, layer, remedy, mayHaveChanged, details } = error.facts
  return {
    kind: error.kind,
    code: row.code,
    errno: row.errno,
    message: error.message,
    retry: row.retry,
    ...(field === undefined ? {} : { field }),
    ...(layer === undefined ? {} : { layer }),
    ...(remedy === undefined ? {} : { remedy }),
    ...(mayHaveChanged === undefined ? {} : { may_have_changed: mayHaveChanged }),
    ...(details === undefined ? {} : { details }),
  }
}

/** The other direction: what a client rebuilds from `error.data`. */
export const errorFromReport = (report: ErrorReport): StorageError =>
  new StorageError(report.kind, report.message, {
    ...(report.field === undefined ? {} : { field: report.field }),
    ...(report.layer === undefined ? {} : { layer: report.layer }),
    ...(report.remedy === undefined ? {} : { remedy: report.remedy }),
    ...(report.may_have_changed === undefined ? {} : { mayHaveChanged: report.may_have_changed }),
    ...(report.details === undefined ? {} : { details: report.details }),
  })

/** System error codes of Node and the kind they mean when nothing nearer to the place knew better. */
const kindOfSystemCode: Readonly<Record<string, ErrorKind>> = {
  ENOENT: 'placeMissing',
  ENODEV: 'placeMissing',
  ENXIO: 'placeMissing',
  ENOTDIR: 'placeMissing',
  EACCES: 'permissionDenied',
  EPERM: 'permissionDenied',
  EROFS: 'readOnly',
  ENOSPC: 'noSpace',
  EDQUOT: 'noSpace',
  EFBIG: 'limitExceeded',
  EMFILE: 'limitExceeded',
  EBUSY: 'busy',
  ETXTBSY: 'busy',
  EEXIST: 'alreadyExists',
  ETIMEDOUT: 'unreachable',
  ESTALE: 'unreachable',
  EHOSTDOWN: 'unreachable',
  EHOSTUNREACH: 'unreachable',
}

const remedyOfKind: Partial<Record<ErrorKind, string>> = {
  placeMissing: 'Check that the place is there and mounted, then try again',
  permissionDenied: 'Give the user that runs the storage manager access to it',
  readOnly: 'Make the place writable (remount it read-write) or use another one',
  noSpace: 'Free some space there, then try again',
  ioError: 'Look at the kernel log of this host and at the health of the storage',
}

export const isSystemError = (error: unknown): error is NodeJS.ErrnoException & { readonly code: string } =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error

/** Linux error numbers that Node has no name for: it calls them "Unknown system error -116". */
const unnamed: Readonly<Record<string, readonly [code: string, says: string]>> = {
  37: ['ENOLCK', 'no record locks available'],
  61: ['ENODATA', 'no data available'],
  116: ['ESTALE', 'stale file handle'],
  117: ['EUCLEAN', 'the structure of the file system needs cleaning'],
  122: ['EDQUOT', 'disk quota exceeded'],
  123: ['ENOMEDIUM', 'no medium found'],
}

const unnamedPattern = /Unknown system error -(\d+)/g

/** The error code by its name, also where Node only has the number. */
export const systemCode = (error: { readonly code: string }): string =>
  error.code.replace(unnamedPattern, (text, number: string) => unnamed[number]?.[0] ?? text)

/** Its sentence, with the name in place of the number. */
export const systemMessage = (error: Error): string =>
  error.message.replace(/^(Unknown system error -\d+: )(?=Unknown)/, '').replace(unnamedPattern, (text, number: string) => unnamed[number]?.join(': ') ?? text)

/** Turns whatever was thrown into a StorageError; `layer` says who was at work. An unknown throw is a bug of ours. */
export const toStorageError = (error: unknown, layer: string): StorageError => {
  if (error instanceof StorageError) return error
  if (error instanceof Error && error.name === 'AbortError') {
    return new StorageError('cancelled', 'The operation was cancelled', { layer, cause: error, mayHaveChanged: true })
  }
  if (isSystemError(error)) {
    const kind = kindOfSystemCode[systemCode(error)] ?? 'ioError'
    const remedy = remedyOfKind[kind]
    return new StorageError(kind, systemMessage(error), { layer, cause: error, ...(remedy === undefined ? {} : { remedy }) })
  }
  const message = error instanceof Error ? error.message : String(error)
  return new StorageError('driverBug', `Unexpected failure: ${message}`, {
    layer,
    cause: error,
    mayHaveChanged: true,
    remedy: 'Report this with the log lines of the same call id',
  })
}
