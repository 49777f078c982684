/**
 * What responses must keep to beyond the tables: rules that tie one part of a document to another. One row a rule, with the
 * chapter that asks for it; each looks at a document and names the places that break it.
 */
import type { Place } from './read.ts'
import { isCommand, type CommandName } from './schema/index.ts'
import { sraNamespace } from './tree.ts'
import { shown } from './values.ts'

export interface Breach {
  readonly place: Place
  readonly found: string
}

export interface Rule {
  readonly commands: readonly CommandName[]
  readonly chapter: string
  readonly wanted: string
  /** `root` is the Response. */
  readonly check: (root: Place) => readonly Breach[]
}

/** The elements at the end of a way of names; `*` stands for any. */
const at = (place: Place, ...names: readonly string[]): readonly Place[] => {
  const [name, ...more] = names
  if (name === undefined) return [place]
  return place.element.children.filter((child) => child.namespace === sraNamespace && (name === '*' || child.name === name)).flatMap((child) => at({ element: child, outer: place }, ...more))
}
const attribute = (place: Place, name: string): string | undefined => place.element.attributes.get(name)
const has = (place: Place, name: string): boolean => at(place, name).length > 0
const textOf = (place: Place): string => place.element.text.trim()
const within = (place: Place, name: string): readonly Place[] => at(place, '*').flatMap((child) => [...(child.element.name === name ? [child] : []), ...within(child, name)])

const repeated = (places: readonly Place[], name: string): readonly Breach[] => {
  const seen = new Set<string>()
  return places.flatMap((place) => {
    const value = attribute(place, name)
    if (value === undefined) return []
    if (seen.has(value)) return [{ place, found: `${name} ${shown(value)} again` }]
    seen.add(value)
    return []
  })
}

const mandatory = [
  'queryInfo', 'queryCapabilities', 'queryConnectionParameters', 'discoverArrays', 'discoverDevices', 'testFailoverStart', 'testFailoverStop', 'failover', 'reverseReplication', 'restoreReplication',
  'syncOnce', 'querySyncStatus',
] as const satisfies readonly CommandName[]
const together = [
  ['syncOnce', 'querySyncStatus'], ['querySyncStatus', 'syncOnce'], ['prepareReverseReplication', 'reverseReplication'], ['prepareRestoreReplication', 'restoreReplication'],
] as const satisfies readonly (readonly [CommandName, CommandName])[]

const commandsOf = (root: Place): readonly Place[] => at(root, 'AdapterCapabilities', 'Commands', 'Command')
const commandOf = (root: Place, name: CommandName): Place | undefined => commandsOf(root).find((place) => attribute(place, 'name') === name)
const features = (root: Place): readonly Place[] => at(root, 'AdapterCapabilities', 'Features')
const protocolsOf = (place: Place): readonly string[] => at(place, 'Protocols', 'Protocol').map(textOf)

const capabilities: readonly Rule[] = [
  {
    commands: ['queryCapabilities'], chapter: 'queryCapabilities, table 4', wanted: 'the commands that must be supported (syncOnce and querySyncStatus by the first release of SRM with this interface)',
    check: (root) => at(root, 'AdapterCapabilities', 'Commands').flatMap((place) => mandatory.filter((name) => commandOf(root, name) === undefined).map((name) => ({ place, found: `no ${name}` }))),
  },
  {
    commands: ['queryCapabilities'], chapter: 'queryCapabilities, table 4', wanted: 'names of commands of the interface, case sensitive',
    check: (root) => commandsOf(root).filter((place) => !isCommand(attribute(place, 'name') ?? '')).map((place) => ({ place, found: shown(attribute(place, 'name') ?? '') })),
  },
  {
    commands: ['queryCapabilities'], chapter: 'queryCapabilities', wanted: 'both commands, as one needs the other',
    check: (root) => together.flatMap(([one, other]) => {
      const place = commandOf(root, one)
      return place !== undefined && commandOf(root, other) === undefined ? [{ place, found: `no ${other}` }] : []
    }),
  },
  {
    commands: ['queryCapabilities'], chapter: 'queryCapabilities', wanted: 'prepareRestoreReplication, so that replication can be restored while the recovery site is gone',
    check: (root) => {
      const place = commandOf(root, 'restoreReplication')
      return place !== undefined && at(place, 'ExecutionLocation').some((location) => textOf(location) === 'target') && commandOf(root, 'prepareRestoreReplication') === undefined ? [{ place, found: 'ExecutionLocation target' }] : []
    },
  },
  {
    commands: ['queryCapabilities'], chapter: 'queryCapabilities, table 4', wanted: 'ExecutionLocation of syncOnce, reverseReplication and restoreReplication only',
    check: (root) => commandsOf(root).filter((place) => has(place, 'ExecutionLocation') && !['syncOnce', 'reverseReplication', 'restoreReplication'].includes(attribute(place, 'name') ?? '')).map((place) => ({ place, found: 'ExecutionLocation' })),
  },
  {
    commands: ['queryCapabilities'], chapter: 'queryCapabilities, table 4', wanted: 'Locales of queryStrings and CustomProperties of queryDeviceDetails',
    check: (root) => ([['queryStrings', 'Locales'], ['queryDeviceDetails', 'CustomProperties']] as const).flatMap(([name, part]) => {
      const place = commandOf(root, name)
      return place !== undefined && !has(place, part) ? [{ place, found: `no ${part}` }] : []
    }),
  },
  {
    commands: ['queryCapabilities'], chapter: 'queryCapabilities, table 4', wanted: 'DeviceIdentification where the protocols are FC or iSCSI, and only there',
    check: (root) => features(root).filter((place) => has(place, 'DeviceIdentification') !== protocolsOf(place).some((protocol) => protocol === 'FC' || protocol === 'iSCSI')).map((place) => ({ place, found: `${has(place, 'DeviceIdentification') ? 'DeviceIdentification' : 'none'} with ${protocolsOf(place).join(', ')}` })),
  },
  {
    commands: ['queryCapabilities'], chapter: 'queryCapabilities, OneLunPerIScsiTarget', wanted: 'iSCSI, and identification by number+target or initiator+number+target',
    check: (root) => features(root).filter((place) => has(place, 'OneLunPerIScsiTarget') && !(protocolsOf(place).includes('iSCSI') && at(place, 'DeviceIdentification').some((one) => textOf(one).endsWith('number+target')))).map((place) => ({ place, found: 'OneLunPerIScsiTarget' })),
  },
]

const identifying = ['discoverDevices', 'testFailoverStart', 'failover'] as const satisfies readonly CommandName[]
/** The element that holds the lists. */
const answer = (root: Place): readonly Place[] => at(root, '*').filter(({ element }) => ['ReplicatedDevices', 'TestFailoverStartResults', 'FailoverResults'].includes(element.name))

const wwn = /^[0-9a-f]{2}(:[0-9a-f]{2}){7}$/i
const iscsiName = /^(iqn\.|eui\.|naa\.)\S+$/i
const address = /^[0-9a-f.:%]+$|^[a-z0-9.-]+$/i
const formOf: Readonly<Record<string, RegExp>> = { FC: wwn, iSCSI: iscsiName, NFS: address }

const identities: readonly Rule[] = [
  {
    commands: identifying, chapter: 'discoverDevices, table 8 (Lun)', wanted: 'StoragePorts, as a number without target is only unique within the array',
    check: (root) => answer(root).filter((place) => !has(place, 'StoragePorts')).flatMap((place) => within(place, 'Lun')).filter((lun) => attribute(lun, 'target') === undefined).slice(0, 1).map((place) => ({ place, found: 'no target and no StoragePorts' })),
  },
  {
    commands: identifying, chapter: 'discoverDevices, table 8 (Lun)', wanted: 'the id of an InitiatorGroup of the same response',
    check: (root) => {
      const groups = new Set(answer(root).flatMap((place) => at(place, 'InitiatorGroups', 'InitiatorGroup')).map((group) => attribute(group, 'id')))
      return answer(root).flatMap((place) => within(place, 'Lun')).flatMap((place) => {
        const group = attribute(place, 'initiatorGroupId')
        return group === undefined || groups.has(group) ? [] : [{ place, found: `initiatorGroupId ${shown(group)}` }]
      })
    },
  },
  {
    commands: identifying, chapter: 'discoverDevices, table 8 (StoragePorts)', wanted: 'StoragePorts of type NFS with the addresses of the server, and no InitiatorGroups',
    check: (root) => answer(root).flatMap((place) => {
      const [volume] = within(place, 'NfsName')
      if (volume === undefined) return []
      return [
        ...(at(place, 'StoragePorts', 'StoragePort').some((port) => attribute(port, 'type') === 'NFS') ? [] : [{ place: volume, found: 'no StoragePort of type NFS' }]),
        ...(has(place, 'InitiatorGroups') ? [{ place, found: 'InitiatorGroups' }] : []),
      ]
    }),
  },
  {
    commands: identifying, chapter: 'discoverDevices, table 8 (Initiator, StoragePort)', wanted: 'FC: 8 hexadecimal pairs with colons; iSCSI: a name of RFC 3721; NFS: an address',
    check: (root) => answer(root).flatMap((place) => [...at(place, 'InitiatorGroups', 'InitiatorGroup', 'Initiator'), ...at(place, 'StoragePorts', 'StoragePort')])
      .filter((place) => !(formOf[attribute(place, 'type') ?? ''] ?? /^/).test(attribute(place, 'id') ?? '')).map((place) => ({ place, found: shown(attribute(place, 'id') ?? '') })),
  },
]

const devices = (root: Place, ...names: readonly string[]): readonly Place[] => at(root, 'ReplicatedDevices', ...names)
const sources = (root: Place): readonly Place[] => [...devices(root, 'ConsistencyGroups', 'ConsistencyGroup', 'SourceDevices', 'SourceDevice'), ...devices(root, 'SourceDevices', 'SourceDevice')]
const groupTargets = (root: Place): readonly Place[] => devices(root, 'TargetGroups', 'TargetGroup', 'TargetDevices', 'TargetDevice')
const targets = (root: Place): readonly Place[] => [...groupTargets(root), ...devices(root, 'TargetDevices', 'TargetDevice')]
const isPromoted = (place: Place): boolean => attribute(place, 'id') !== undefined && attribute(place, 'state') !== undefined

const discovery: readonly Rule[] = [
  {
    commands: ['discoverDevices'], chapter: 'discoverDevices, table 8 (TargetGroup, TargetDevice)', wanted: 'both id and state of a promoted target, neither of another',
    check: (root) => [...devices(root, 'TargetGroups', 'TargetGroup'), ...targets(root)].filter((place) => (attribute(place, 'id') === undefined) !== (attribute(place, 'state') === undefined)).map((place) => ({ place, found: 'one of id and state' })),
  },
  {
    commands: ['discoverDevices'], chapter: 'discoverDevices, table 8 (Identity)', wanted: 'Identity of a target only when it is promoted',
    check: (root) => targets(root).filter((place) => has(place, 'Identity') && !isPromoted(place)).map((place) => ({ place, found: 'Identity' })),
  },
  {
    commands: ['discoverDevices'], chapter: 'discoverDevices (demoted source)', wanted: 'no Identity of a demoted source, as no host is expected to see it',
    check: (root) => sources(root).filter((place) => has(place, 'Identity') && attribute(place, 'state') === 'read-only').map((place) => ({ place, found: 'Identity with state read-only' })),
  },
  {
    commands: ['discoverDevices'], chapter: 'discoverDevices (consistency groups)', wanted: 'members of the type of their group; only a source group that is read-write may mix read-write and read-only members',
    check: (root) => [
      ...devices(root, 'ConsistencyGroups', 'ConsistencyGroup').filter((place) => attribute(place, 'state') === 'read-only').flatMap((group) => at(group, 'SourceDevices', 'SourceDevice')).filter((place) => attribute(place, 'state') !== 'read-only').map((place) => ({ place, found: 'read-write in a group that is read-only' })),
      ...devices(root, 'TargetGroups', 'TargetGroup').flatMap((group) => at(group, 'TargetDevices', 'TargetDevice').filter((place) => isPromoted(place) !== isPromoted(group)).map((place) => ({ place, found: isPromoted(group) ? 'not promoted in a promoted group' : 'promoted in a group that is not' }))),
    ],
  },
  {
    commands: ['discoverDevices'], chapter: 'discoverDevices, table 8 (SourceDevice)', wanted: 'ids that are unique in the array, over groups and standalone devices',
    check: (root) => [...repeated([...sources(root), ...targets(root)], 'id'), ...repeated([...devices(root, 'ConsistencyGroups', 'ConsistencyGroup'), ...devices(root, 'TargetGroups', 'TargetGroup')], 'id')],
  },
  {
    commands: ['discoverDevices'], chapter: 'discoverDevices, table 8 (TargetDevice)', wanted: 'keys that are unique',
    check: (root) => [...repeated([...targets(root), ...sources(root).flatMap((place) => at(place, 'TargetDevice'))], 'key'), ...repeated([...devices(root, 'TargetGroups', 'TargetGroup'), ...devices(root, 'ConsistencyGroups', 'ConsistencyGroup', 'TargetGroup')], 'key')],
  },
  {
    commands: ['discoverDevices'], chapter: 'discoverDevices, table 8 (Snapshot)', wanted: 'a copy of every member and of nothing else',
    check: (root) => devices(root, 'TargetGroups', 'TargetGroup').flatMap((group) => at(group, 'Snapshot').filter((copy) => {
      const keys = (place: Place): string => at(place, 'TargetDevices', 'TargetDevice').map((member) => attribute(member, 'key') ?? '').sort().join('\n')
      return keys(group) !== keys(copy)
    }).map((place) => ({ place, found: 'other members than those of the group' }))),
  },
]

const others: readonly Rule[] = [
  {
    commands: ['queryStrings'], chapter: 'queryStrings, table 2', wanted: 'ids that are unique',
    check: (root) => repeated(at(root, 'Strings', 'String'), 'id'),
  },
  {
    commands: ['queryErrorDefinitions'], chapter: 'Error Reporting', wanted: 'placeholders of the form {Name}',
    check: (root) => [...at(root, '*', '*', 'Description'), ...at(root, '*', '*', 'FixHint')].filter((place) => /[{}]/.test(place.element.text.replace(/\{[A-Za-z_][\w.-]*\}/g, ''))).map((place) => ({ place, found: 'a brace without its partner or without a name' })),
  },
  {
    commands: ['syncOnce', 'querySyncStatus'], chapter: 'syncOnce, table 14 (DeviceSync)', wanted: 'a session of its own for every item',
    check: (root) => repeated(within(root, 'DeviceSync'), 'id'),
  },
]

export const rules: readonly Rule[] = [...capabilities, ...identities, ...discovery, ...others]
