/** What the adapter says of itself: answers of the five commands that need no array. */
import { localised, protocols } from './parts.ts'
import { anyText, idText, flag, list, optional, record, text, textWith, words } from './shape.ts'

const deviceIdentifications = words('wwn', 'number', 'initiator+number', 'number+target', 'initiator+number+target')

export const adapterInfo = record({}, {
  Name: localised('Shown to the user.'),
  Version: text(idText, 'Shown to the user.'),
  Vendor: localised('Shown to the user.'),
  Uuid: text({ type: 'uuid' }, 'Identity of the adapter: the same in all its versions (RFC 4122).'),
  HelpUrl: optional(text(anyText, 'Documentation.')),
}, 'The adapter.')

export const strings = {
  kind: 'record',
  says: 'Translations.',
  attributes: { locale: idText },
  children: { String: { ...textWith(anyText, { id: idText }, 'The translation of that string.'), occurs: '+' } },
} as const

const definition = record({ code: { type: 'integer', min: 1000 } }, {
  Description: localised('What happened; may hold {Placeholders}.'),
  FixHint: localised('What the user can do; may hold {Placeholders}.'),
}, 'Its number and words.')

export const errorDefinitions = {
  ErrorDefinitions: list('ErrorDefinition', definition, 'code'),
  WarningDefinitions: optional(list('WarningDefinition', definition, 'code')),
} as const

const feature = (says: string) => optional(flag(says))

export const capabilities = record({}, {
  ReplicationSoftwares: list('ReplicationSoftware', record({}, { Name: text(anyText, 'Shown.'), Version: text(idText, 'Shown.') }, 'Shown to the user only.')),
  ArrayModels: list('ArrayModel', record({}, { Name: text(anyText, 'Shown.'), Vendor: localised('Shown.') }, 'Shown to the user only.')),
  Features: record({}, {
    MultiArrayDiscovery: feature('One set of connection parameters may answer several arrays.'),
    ConsistencyGroups: feature('Devices may be replicated as one unit.'),
    DynamicAccessRestriction: feature('testFailoverStart and failover get access groups, and obey them.'),
    DeviceIdentification: optional(text(deviceIdentifications, 'Which form of Identity is used; not for NFS and Datastore.')),
    Protocols: list('Protocol', text(protocols, 'Case sensitive.')),
    VmImageConsistency: optional(record({}, { SnapshotNamePattern: text(anyText, 'Perl 5 regular expression.') }, 'Replicas hold quiesced images of virtual machines.')),
    OneLunPerIScsiTarget: feature('Every LUN has an iSCSI target of its own.'),
  }, 'What the adapter can do.'),
  Commands: list('Command', record({ name: idText }, {
    Locales: optional(list('Locale', record({ id: idText }, {}, 'A language tag (RFC 1766).'), 'id')),
    ExecutionLocation: optional(text(words('source', 'target'), 'Only of syncOnce, reverseReplication and restoreReplication; absent: source.')),
    CustomProperties: optional(list('CustomProperty', textWith(anyText, { name: idText, stringId: { ...idText, optional: true } }, 'Label shown to the user.'), 'name')),
  }, 'A command that is supported.'), 'name'),
}, 'The adapter and the arrays it knows.')

const title = localised('Shown to the user; at most 64 characters.', 64)
const hint = localised('Shown to the user; at most 256 characters.', 256)

export const connectionParameters = list('Connection', record({ id: idText }, {
  Title: title,
  Hint: hint,
  Addresses: list('Address', record({ id: idText }, { Title: title, Hint: hint }, 'An address of the management system.'), 'id'),
  Username: optional(record({}, { Title: title, Hint: hint }, 'SRM protects what is entered.')),
  Password: optional(record({}, { Title: title, Hint: hint }, 'SRM protects what is entered.')),
  Opaques: optional(list('Opaque', record({ id: idText, optional: { type: 'boolean', optional: true } }, { Title: title, Hint: hint }, 'SRM does not protect what is entered.'), 'id')),
}, 'Parameters that belong together.'), 'id')
