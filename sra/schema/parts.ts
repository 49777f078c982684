/** Pieces that documents of several commands share. Law: Storage Replication Adapter interface 2.0, chapter "Commands Syntax". */
import { anyText, idText, flag, free, list, many, message, optional, record, text, textWith, words } from './shape.ts'

export const protocols = words('FC', 'iSCSI', 'NFS', 'Datastore')
export const sourceState = words('read-write', 'read-only')
const writable = words('read-write')
const stringId = { stringId: { ...idText, optional: true } } as const

/** Of a promoted target; id and state come together. */
export const promoted = { id: idText, state: writable } as const
export const maybePromoted = { id: { ...idText, optional: true }, state: { ...writable, optional: true } } as const

export const localised = (says: string, maxLength?: number) => textWith(maxLength === undefined ? anyText : { type: 'text', maxLength } as const, stringId, says)

export const warnings = optional(list('Warning', message('Something unusual that did not prevent the operation.')))
export const failed = { children: { Error: message('Why it failed; in place of a result.') } } as const

export const name = optional(text(anyText, 'For the user; absent: the id or key is shown.'))
export const success = flag('The item is in the state asked for, now or already before.')
export const arrayId = text(idText, 'The array of this site.')
export const peerArrayId = text(idText, 'The array of the other site.')
export const replicationSettings = free('Written by queryReplicationSettings, kept by SRM and handed back as it was; a hint that may be out of date.')

/** How a host finds the device. Table 7. */
export const identity = optional({
  kind: 'choice',
  says: 'How a host finds the device; absent while it is presented to none.',
  choices: [
    { children: { Wwn: text(idText, 'World Wide Name (FC and iSCSI).') } },
    {
      children: {
        Lun: many(textWith({ type: 'integer', min: 0 }, { target: { ...idText, optional: true }, initiatorGroupId: { ...idText, optional: true } },
          'Logical unit number; without target it needs StoragePorts, without initiatorGroupId every initiator sees the same number.')),
      },
    },
    { children: { NfsName: text(idText, 'Mount path of an NFS volume.') } },
    { children: { DatastoreMoId: text(idText, 'Managed object id of a datastore.') } },
  ],
})

export const recoveryPoint = record({ id: idText }, {
  Name: optional(text(anyText, 'For the user.')),
  Time: text({ type: 'time' }, 'Of the data.'),
  VmImageConsistencyEnabled: optional(flag('It holds quiesced images of virtual machines; needs VmImageConsistency among the capabilities.')),
}, 'A point in time the target can be brought to.')

const initiatorGroups = optional(list('InitiatorGroup', record({ id: idText }, {
  Initiator: many(record({ id: idText, type: words('FC', 'iSCSI') }, {}, 'One HBA of a host.')),
}, 'Initiators that see the same numbers.'), 'id'))

const storagePorts = optional(list('StoragePort', record({ id: idText, type: words('FC', 'iSCSI', 'NFS') }, {}, 'WWPN, iqn, or address of the NFS server.'), 'id'))

/** What stands behind the groups and devices where devices are identified. */
export const ports = { InitiatorGroups: initiatorGroups, StoragePorts: storagePorts } as const
