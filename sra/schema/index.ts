/**
 * The table of the 22 commands of the Storage Replication Adapter interface 2.0, and the types that follow from it:
 * `RequestOf<'failover'>` is what a command is asked with, `ResponseOf<'failover'>` what it answers. Read with
 * `readRequest` and write with `writeResponse`; whoever plays SRM uses `writeRequest` and `readResponse`.
 */
import * as adapter from './adapter.ts'
import * as discovery from './discovery.ts'
import { warnings } from './parts.ts'
import * as recovery from './recovery.ts'
import * as requests from './requests.ts'
import { message, propertyOf, type ChoiceShape, type Children, type RecordShape, type Shape, type TypeOf } from './shape.ts'

interface CommandRow {
  readonly says: string
  /** Chapter of the interface. */
  readonly chapter: string
  /** It talks to arrays: its request has Connections. */
  readonly connects: boolean
  readonly parameters?: RecordShape
  /** What stands first in its response. */
  readonly answer: Children
}

const failoverChapter = 'testFailoverStart, testFailoverStop and failover'
const checkChapter = 'checkTestFailoverStart and checkFailover'
const reverseChapter = 'reverseReplication (and prepareReverseReplication)'
const restoreChapter = 'restoreReplication (and prepareRestoreReplication)'

export const commandTable = {
  queryInfo: { says: 'Name, version and identity of the adapter.', chapter: 'queryInfo', connects: false, answer: { AdapterInfo: adapter.adapterInfo } },
  queryStrings: { says: 'Texts in one language.', chapter: 'queryStrings', connects: false, parameters: requests.oneLocale, answer: { Strings: adapter.strings } },
  queryErrorDefinitions: { says: 'Errors and warnings of the adapter.', chapter: 'queryErrorDefinitions', connects: false, answer: adapter.errorDefinitions },
  queryCapabilities: { says: 'Arrays, features and commands it knows.', chapter: 'queryCapabilities', connects: false, answer: { AdapterCapabilities: adapter.capabilities } },
  queryConnectionParameters: { says: 'What it needs to reach an array.', chapter: 'queryConnectionParameters', connects: false, answer: { AdapterConnectionParameters: adapter.connectionParameters } },
  discoverArrays: { says: 'Arrays that replicate, with their peers.', chapter: 'discoverArrays', connects: true, answer: { Arrays: discovery.arrays } },
  discoverDevices: { says: 'What two arrays replicate, and how it stands.', chapter: 'discoverDevices', connects: true, parameters: requests.onePair, answer: { ReplicatedDevices: discovery.replicatedDevices } },
  queryReplicationSettings: { says: 'Settings that reverse and restore get back as a hint.', chapter: 'queryReplicationSettings', connects: true, parameters: requests.queryReplicationSettings, answer: { ReplicationSettings: discovery.settings } },
  queryDeviceDetails: { says: 'Properties of devices, for the user.', chapter: 'queryDeviceDetails', connects: true, parameters: requests.byDevice, answer: { DeviceDetails: discovery.deviceDetails } },
  queryRecoveryPoints: { says: 'Points in time that targets can be brought to.', chapter: 'queryRecoveryPoints', connects: true, parameters: requests.byTarget, answer: { QueryRecoveryPointsResults: discovery.recoveryPoints } },
  syncOnce: { says: 'Starts one transfer of all changes.', chapter: 'syncOnce', connects: true, parameters: requests.syncOnce, answer: { SyncOnceResults: discovery.syncs } },
  querySyncStatus: { says: 'How far those transfers are.', chapter: 'querySyncStatus', connects: true, parameters: requests.querySyncStatus, answer: { QuerySyncStatusResults: discovery.syncs } },
  checkTestFailoverStart: { says: 'Would a test start?', chapter: checkChapter, connects: true, parameters: requests.byTarget, answer: { CheckTestFailoverStartResults: recovery.targetsDone } },
  testFailoverStart: { says: 'Makes writable copies and presents them; replication goes on.', chapter: failoverChapter, connects: true, parameters: requests.withAccess, answer: { TestFailoverStartResults: recovery.testCopies } },
  testFailoverStop: { says: 'Takes those copies away.', chapter: failoverChapter, connects: true, parameters: requests.byTarget, answer: { TestFailoverStopResults: recovery.targetsDone } },
  checkFailover: { says: 'Would a failover succeed?', chapter: checkChapter, connects: true, parameters: requests.byTarget, answer: { CheckFailoverResults: recovery.targetsDone } },
  prepareFailover: { says: 'Makes sources read-only and keeps a copy of them.', chapter: 'prepareFailover', connects: true, parameters: requests.bySource, answer: { PrepareFailoverResults: recovery.sourcesDone } },
  failover: { says: 'Stops replication, makes targets writable and presents them.', chapter: failoverChapter, connects: true, parameters: requests.withAccess, answer: { FailoverResults: recovery.failovers } },
  prepareReverseReplication: { says: 'The part of a reversal that belongs to the other site.', chapter: reverseChapter, connects: true, parameters: requests.byId, answer: { PrepareReverseReplicationResults: recovery.idsDone } },
  reverseReplication: { says: 'Replicates from the promoted side back.', chapter: reverseChapter, connects: true, parameters: requests.byId, answer: { ReverseReplicationResults: recovery.idsDone } },
  prepareRestoreReplication: { says: 'The part of a restore that belongs to the other site.', chapter: restoreChapter, connects: true, parameters: requests.byId, answer: { PrepareRestoreReplicationResults: recovery.idsDone } },
  restoreReplication: { says: 'Discards what was written since failover and replicates as before.', chapter: restoreChapter, connects: true, parameters: requests.byId, answer: { RestoreReplicationResults: recovery.idsDone } },
} as const satisfies Record<string, CommandRow>

export type CommandName = keyof typeof commandTable
export const commandNames = Object.keys(commandTable) as readonly CommandName[]
export const isCommand = (name: string): name is CommandName => Object.hasOwn(commandTable, name)

export const commandRow = (command: CommandName): CommandRow => commandTable[command]
export const parametersElement = (command: CommandName): string => `${command.slice(0, 1).toUpperCase()}${command.slice(1)}Parameters`

export type Connections = NonNullable<TypeOf<typeof requests.connections>>
export type LogLevel = TypeOf<typeof requests.envelope.LogLevel>

type Row<C extends CommandName> = (typeof commandTable)[C]

interface Envelope<C> {
  readonly command: C
  readonly outputFile: string
  readonly statusFile?: string | undefined
  readonly logLevel: LogLevel
  readonly logDirectory?: string | undefined
  /** Empty for commands that talk to no array. */
  readonly connections: Connections
}

/** `parameters` is undefined for commands that have none. */
export type RequestOf<C extends CommandName> = Envelope<C> & { readonly parameters: Row<C> extends { readonly parameters: infer P } ? TypeOf<P> : undefined }
export type AnyRequest = { readonly [C in CommandName]: RequestOf<C> }[CommandName]

export type AnswerOf<C extends CommandName> = TypeOf<{ readonly kind: 'record'; readonly children: Row<C>['answer'] & { readonly Warnings: typeof warnings } }>
/** Either the answer with warnings, or one error for the whole command. */
export type ResponseOf<C extends CommandName> = AnswerOf<C> | { readonly error: TypeOf<typeof wholeError> }

const wholeError = message('Why the whole command failed.')

/** The whole response of a command. */
export const responseShape = (command: CommandName): ChoiceShape => ({
  kind: 'choice',
  choices: [{ children: { ...commandRow(command).answer, Warnings: warnings } }, { children: { Error: wholeError } }],
})

/** The whole request of a command. */
export const requestShape = (command: CommandName): RecordShape => {
  const { connects, parameters } = commandRow(command)
  const { Name, Connections, ...others } = requests.envelope
  const { occurs: _always, ...required } = Connections
  const children: Record<string, Shape> = { Name, ...(connects ? { Connections: required } : {}), ...others, ...(parameters === undefined ? {} : { [parametersElement(command)]: parameters }) }
  return { kind: 'record', anyOrder: true, children }
}

/** The property that the parameters of a command become in a value of `requestShape`. */
export const parametersProperty = (command: CommandName): string => propertyOf(parametersElement(command))
