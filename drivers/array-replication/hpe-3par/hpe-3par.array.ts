/** Arrays of the 3PAR class over their WSAPI: volumes, access, copies, QoS, and remote copy groups. */
import { arrayContractVersion } from '../../../core/array/contract.ts'
import { defineArray } from '../../../core/array/define-array.ts'
import { features } from './capabilities.ts'
import { Connection, exampleConnection, settingsOf } from './connection.ts'
import { arrayType, openArray } from './open.ts'
import { traits } from './replication/section.ts'
import { sizeLimits } from './volumes.ts'

export default defineArray({
  type: arrayType,
  title: '3PAR-class arrays',
  summary: 'Volumes in common provisioning groups, exports to hosts, virtual and physical copies, and remote copy groups, over the array\'s web API.',
  contract: arrayContractVersion,
  protocols: ['fc', 'iscsi'],
  features,
  limits: sizeLimits,
  customNames: { snapshot: true, clone: true },
  replication: traits,
  example: exampleConnection,
  connection: Connection,
  connect: async (ctx, connection) => openArray(ctx, await settingsOf(ctx, connection)),
})
