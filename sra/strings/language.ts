/**
 * What there is to be said to a user, as names: each language is one file that must have all of them. Numbers of errors are those
 * of core/errors.ts; warnings have numbers of their own range. The default language of the interface is English.
 */
import { errorTable, type ErrorKind } from '../../core/errors.ts'

/** Kinds that arrays and their replication can fail with; any other is told as driverBug. */
export const definedErrors = [
  'invalidArgument', 'unauthenticated', 'permissionDenied', 'notFound', 'alreadyExists', 'notSupported', 'notLicensed', 'offlineOnly', 'busy', 'stillPresented',
  'hasDependents', 'restoreNotSafe', 'noSpace', 'limitExceeded', 'inProgress', 'lockUnavailable', 'unreachable', 'outcomeUnknown', 'arrayFault', 'identityMismatch',
  'staleGeneration', 'notReplicated', 'wrongRole', 'wouldLoseData', 'forceRequired', 'peerMaybeActive', 'splitBrain', 'partialFailure', 'cancelled', 'driverBug', 'ioError',
] as const satisfies readonly ErrorKind[]
export type DefinedError = (typeof definedErrors)[number]

const isDefined = (kind: ErrorKind): kind is DefinedError => (definedErrors as readonly ErrorKind[]).includes(kind)
export const codeOf = (kind: ErrorKind): number => errorTable[isDefined(kind) ? kind : 'driverBug'].code

/** Every error carries these two. */
export const errorPlaceholders = ['Found', 'Remedy'] as const

export const warningTable = {
  /** Asked for what was so already. */
  noChange: { code: 2001, placeholders: ['Item', 'Found'] },
  /** prepareFailover after failover. */
  preparedLate: { code: 2002, placeholders: ['Item'] },
  notPresented: { code: 2003, placeholders: ['Item', 'Found'] },
  settingsNotApplied: { code: 2004, placeholders: ['Item', 'Found'] },
  notFullyReplicated: { code: 2005, placeholders: ['Item', 'Found'] },
  testRunning: { code: 2006, placeholders: ['Item'] },
  degraded: { code: 2007, placeholders: ['Item', 'Found'] },
  /** What none of the others says, in the engine's own words. */
  other: { code: 2008, placeholders: ['Found', 'Remedy'] },
} as const satisfies Record<string, { readonly code: number; readonly placeholders: readonly string[] }>
export type WarningName = keyof typeof warningTable
export type WarningPlaceholder<W extends WarningName> = (typeof warningTable)[W]['placeholders'][number]

const textNames = [
  'AdapterName', 'VendorName', 'ConnectionTitle', 'ConnectionHint', 'AddressTitle', 'AddressHint', 'UsernameTitle', 'UsernameHint', 'PasswordTitle', 'PasswordHint',
  'SettingsTitle', 'SettingsHint', 'FilterTitle', 'FilterHint', 'PropertySize', 'PropertyMode', 'PropertyTransfer', 'PropertySync', 'PropertyLastConsistent',
] as const
export type TextName = (typeof textNames)[number]

export type Words = readonly [description: string, fixHint: string]

export interface Language {
  readonly errors: Readonly<Record<DefinedError, Words>>
  readonly warnings: Readonly<Record<WarningName, Words>>
  readonly texts: Readonly<Record<TextName, string>>
}

/** stringIds, as they are published. */
export const stringIds = {
  description: (code: number): string => `Description${code}`,
  fixHint: (code: number): string => `FixHint${code}`,
  text: (name: TextName): string => name,
} as const

/** Every string of a language under its stringId, in the order of the tables. */
export const stringsOf = ({ errors, warnings, texts }: Language): readonly { readonly id: string; readonly text: string }[] => [
  ...textNames.map((name) => ({ id: stringIds.text(name), text: texts[name] })),
  ...[...definedErrors.map((kind) => [errorTable[kind].code, errors[kind]] as const), ...(Object.keys(warningTable) as WarningName[]).map((name) => [warningTable[name].code, warnings[name]] as const)]
    .flatMap(([code, [description, fixHint]]) => [{ id: stringIds.description(code), text: description }, { id: stringIds.fixHint(code), text: fixHint }]),
]
