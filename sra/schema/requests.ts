/** What the commands are asked with: the parameters of each and the envelope of all. */
import { arrayId, peerArrayId, replicationSettings } from './parts.ts'
import { anyText, idText, list, many, optional, record, text, textWith, words, type Attributes, type Children } from './shape.ts'

const secret = { type: 'text', secret: true } as const

export const connections = optional(list('Connection', record({ id: idText }, {
  Addresses: list('Address', textWith(anyText, { id: idText }, 'What the user entered for that address.'), 'id'),
  Username: optional(text(secret, 'What the user entered.')),
  Password: optional(text(secret, 'What the user entered.')),
  Opaques: optional(list('Opaque', textWith(secret, { id: idText }, 'What the user entered for that parameter.'), 'id')),
}, 'One group of the parameters of queryConnectionParameters, with values.'), 'id'))

const logLevels = { ...words('trivia', 'verbose', 'info', 'warning', 'error'), otherwise: 'verbose' } as const

export const envelope = {
  Name: text({ type: 'token' }, 'The command.'),
  OutputFile: text(idText, 'Local path for the response.'),
  StatusFile: optional(text(anyText, 'Local path that progress is appended to.')),
  LogLevel: optional(text(logLevels, 'How much is logged.')),
  LogDirectory: optional(text(anyText, 'Local directory for log files.')),
  Connections: connections,
} as const

/** Lists of items by what names them. `A` are further attributes, `C` further children of each item. */
const sources = <const A extends Attributes, const C extends Children>(more: A, inside: C) => ({
  ConsistencyGroups: optional(list('ConsistencyGroup', record({ id: idText, ...more }, inside, 'By its id.'), 'id')),
  SourceDevices: optional(list('SourceDevice', record({ id: idText, ...more }, inside, 'By its id.'), 'id')),
})
const targets = <const A extends Attributes>(more: A) => ({
  TargetGroups: optional(list('TargetGroup', record({ key: idText, ...more }, {}, 'By its key.'), 'key')),
  TargetDevices: optional(list('TargetDevice', record({ key: idText, ...more }, {}, 'By its key.'), 'key')),
})
const oneSide = [['ConsistencyGroups', 'SourceDevices'], ['TargetGroups', 'TargetDevices']] as const

const bySide = <const A extends Attributes>(more: A) => ({
  kind: 'record' as const,
  says: 'Ids where the command runs at the source, keys where it runs at the target.',
  exclusive: oneSide,
  children: { ArrayId: arrayId, PeerArrayId: peerArrayId, ...sources(more, {}), ...targets(more) },
})

export const byTarget = record({}, { ArrayId: arrayId, ...targets({}) }, 'Keys of discoverDevices.')
export const bySource = record({}, { ArrayId: arrayId, ...sources({}, {}) }, 'Ids of discoverDevices.')
export const syncOnce = bySide({})
export const queryReplicationSettings = bySide({})
export const querySyncStatus = bySide({ syncId: idText })

/** For reverse and restore, and their preparations. */
export const byId = record({}, {
  ArrayId: arrayId,
  PeerArrayId: peerArrayId,
  ConsistencyGroups: optional(list('ConsistencyGroup', record({ id: idText }, { ReplicationSettings: optional(replicationSettings) }, 'By its id.'), 'id')),
  Devices: optional(list('Device', record({ id: idText }, { ReplicationSettings: optional(replicationSettings) }, 'By its id.'), 'id')),
}, 'Ids that failover returned, or of the original sources, by the site it runs at.')

const granted = list('AccessGroup', record({ id: idText }, {}, 'One of the groups above.'), 'id')
const wantedPoint = optional(record({ id: idText }, {}, 'Absent: the latest.'))

/** For testFailoverStart and failover. Table 11. */
export const withAccess = record({}, {
  ArrayId: arrayId,
  AccessGroups: optional(list('AccessGroup', record({ id: idText }, {
    Initiator: many(record({ id: idText, type: words('FC', 'iSCSI', 'NFS', 'Host'), chapName: { ...idText, optional: true } }, {}, 'One HBA, address, host or cluster.')),
  }, 'Hosts that may be granted access.'), 'id')),
  TargetGroups: optional(list('TargetGroup', record({ key: idText }, {
    RecoveryPoint: wantedPoint,
    TargetDevices: optional(list('TargetDevice', record({ key: idText }, { AccessGroups: granted }, 'Who needs this member.'), 'key')),
  }, 'By its key.'), 'key')),
  TargetDevices: optional(list('TargetDevice', record({ key: idText }, { AccessGroups: optional(granted), RecoveryPoint: wantedPoint }, 'By its key.'), 'key')),
}, 'AccessGroups come only where dynamic access restriction is among the capabilities.')

export const onePair = record({}, { ArrayId: arrayId, PeerArrayId: peerArrayId }, 'A pair of discoverArrays.')

export const oneLocale = record({}, { Locale: text({ type: 'token' }, 'A language tag (RFC 1766).') }, 'Which translation is wanted.')

export const byDevice = record({}, {
  ArrayId: arrayId,
  Devices: list('Device', record({ id: idText }, {}, 'By its id.'), 'id'),
}, 'Ids of discoverDevices.')
