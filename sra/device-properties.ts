/** Properties of a device that queryDeviceDetails answers: name, label for the user, value. */
import type { ReplicationUnit, UnitMember } from '../core/array/replication.ts'
import { timeOf } from './recovery-points.ts'

interface Property {
  readonly name: string
  readonly label: string
  readonly value: (unit: ReplicationUnit, member: UnitMember) => string
}

export const deviceProperties: readonly Property[] = [
  { name: 'size', label: 'Size in bytes', value: (_unit, member) => String(member.size) },
  { name: 'mode', label: 'Replication mode', value: (unit) => unit.mode },
  { name: 'transfer', label: 'State of the transfer', value: (unit) => unit.transfer },
  { name: 'sync', label: 'State of the copy', value: (_unit, member) => member.sync },
  { name: 'lastConsistent', label: 'Last complete copy', value: (_unit, member) => (member.lastConsistent.kind === 'time' ? timeOf(member.lastConsistent.ms) : member.lastConsistent.kind) },
]
