/** Properties of a device that queryDeviceDetails answers. Their labels are with the capabilities. */
import type { ReplicationUnit, UnitMember } from '../core/array/replication.ts'
import { timeOf } from './recovery-points.ts'

interface Property {
  readonly name: string
  readonly value: (unit: ReplicationUnit, member: UnitMember) => string
}

export const deviceProperties: readonly Property[] = [
  { name: 'size', value: (_unit, member) => String(member.size) },
  { name: 'mode', value: (unit) => unit.mode },
  { name: 'transfer', value: (unit) => unit.transfer },
  { name: 'sync', value: (_unit, member) => member.sync },
  { name: 'lastConsistent', value: (_unit, member) => (member.lastConsistent.kind === 'time' ? timeOf(member.lastConsistent.ms) : member.lastConsistent.kind) },
]
