/** Answers that tell what is replicated and how it stands. */
import { failed, identity, localised, maybePromoted, name, ports, recoveryPoint, replicationSettings, sourceState, warnings } from './parts.ts'
import { anyText, idText, list, optional, record, text } from './shape.ts'

export const arrays = {
  ...list('Array', record({ id: idText }, {
    Name: name,
    Model: record({}, { Name: text(anyText, 'Shown.'), Vendor: localised('Shown.') }, 'Shown to the user.'),
    ReplicationSoftware: record({}, { Name: text(anyText, 'Shown.'), Version: text(idText, 'Shown.') }, 'Shown to the user.'),
    PeerArrays: list('PeerArray', record({ id: idText }, {}, 'An array it replicates with.'), 'id'),
  }, 'An array that replicates; its id is stable and unique.'), 'id'),
  atLeast: 0,
} as const

/** TargetDevice stands before Identity, as in every example of the interface; its table has them the other way round, so both are read. */
const sourceDevice = {
  ...record({ id: idText, state: sourceState }, {
    Name: name,
    TargetDevice: record({ key: idText }, {}, 'The same key that the other site shows.'),
    Identity: identity,
  }, 'read-write: a source. read-only: prepared for failover, without Identity.'),
  anyOrder: true,
} as const

const targetGroup = record({ key: idText, ...maybePromoted }, {
  Name: name,
  TargetDevices: list('TargetDevice', record({ key: idText, ...maybePromoted }, { Name: name, Identity: identity }, 'A member.'), 'key'),
  Snapshot: optional(record({ id: idText }, {
    TargetDevices: list('TargetDevice', record({ key: idText }, { Snapshot: record({ id: idText }, { Identity: identity }, 'Its copy.') }, 'A member.'), 'key'),
    RecoveryPoint: recoveryPoint,
  }, 'Made by testFailoverStart.')),
}, 'id and state only when promoted.')

const targetDevice = record({ key: idText, ...maybePromoted }, {
  Name: name,
  Identity: identity,
  Snapshot: optional(record({ id: idText }, { Identity: identity, RecoveryPoint: recoveryPoint }, 'Made by testFailoverStart.')),
}, 'id and state only when promoted, Identity only then.')

export const replicatedDevices = record({}, {
  ConsistencyGroups: optional(list('ConsistencyGroup', record({ id: idText, state: sourceState }, {
    Name: name,
    TargetGroup: record({ key: idText }, {}, 'The same key that the other site shows.'),
    SourceDevices: list('SourceDevice', sourceDevice, 'id'),
  }, 'A group that is source here.'), 'id')),
  TargetGroups: optional(list('TargetGroup', targetGroup, 'key')),
  SourceDevices: optional(list('SourceDevice', sourceDevice, 'id')),
  TargetDevices: optional(list('TargetDevice', targetDevice, 'key')),
  ...ports,
}, 'What the two arrays replicate, in both directions.')

const settingsResult = { children: { ReplicationSettings: replicationSettings, Warnings: warnings } } as const
const settingsById = { kind: 'choice', attributes: { id: idText }, choices: [settingsResult, failed], says: 'An item of the request.' } as const
const settingsByKey = { kind: 'choice', attributes: { key: idText }, choices: [settingsResult, failed], says: 'An item of the request.' } as const

/** One side's lists, never both. */
const oneSide = [['ConsistencyGroups', 'SourceDevices'], ['TargetGroups', 'TargetDevices']] as const

export const settings = {
  kind: 'record', says: 'Settings of each item.', exclusive: oneSide,
  children: {
    ConsistencyGroups: optional(list('ConsistencyGroup', settingsById, 'id')), SourceDevices: optional(list('SourceDevice', settingsById, 'id')),
    TargetGroups: optional(list('TargetGroup', settingsByKey, 'key')), TargetDevices: optional(list('TargetDevice', settingsByKey, 'key')),
  },
} as const

export const deviceDetails = record({}, {
  Devices: list('Device', {
    kind: 'choice', says: 'A device of the request.', attributes: { id: idText },
    choices: [
      { children: { CustomProperties: list('CustomProperty', record({ name: idText, value: anyText }, {}, 'A property of the adapter.'), 'name'), Warnings: warnings } },
      failed,
    ],
  }, 'id'),
}, 'Properties of each device.')

const pointsByKey = {
  kind: 'choice', says: 'An item of the request.', attributes: { key: idText },
  choices: [{ children: { RecoveryPoints: list('RecoveryPoint', recoveryPoint, 'id'), Warnings: warnings } }, failed],
} as const

export const recoveryPoints = record({}, {
  TargetGroups: optional(list('TargetGroup', pointsByKey, 'key')),
  TargetDevices: optional(list('TargetDevice', pointsByKey, 'key')),
}, 'Points each item can be brought to.')

const syncResult = {
  children: {
    DeviceSync: record({ id: idText, status: { type: 'word', words: ['inProgress', 'complete'] } }, {
      Progress: optional(text({ type: 'integer', min: 0, max: 100 }, 'Percent.')),
      RemainingTimeEstimate: optional(text({ type: 'integer', min: 0 }, 'Seconds.')),
    }, 'One session of replication, by its id.'),
    Warnings: warnings,
  },
} as const
const syncById = { kind: 'choice', attributes: { id: idText }, choices: [syncResult, failed], says: 'An item of the request.' } as const
const syncByKey = { kind: 'choice', attributes: { key: idText }, choices: [syncResult, failed], says: 'An item of the request.' } as const

export const syncs = {
  kind: 'record', says: 'How far each item is; the lists are those of the request.', exclusive: oneSide,
  children: {
    ConsistencyGroups: optional(list('ConsistencyGroup', syncById, 'id')), SourceDevices: optional(list('SourceDevice', syncById, 'id')),
    TargetGroups: optional(list('TargetGroup', syncByKey, 'key')), TargetDevices: optional(list('TargetDevice', syncByKey, 'key')),
  },
} as const
