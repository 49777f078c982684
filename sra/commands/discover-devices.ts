/**
 * discoverDevices: the units of a pair of arrays in both directions, as one view of their state. A source is read-write, or read-only once
 * it was demoted; a target has its key only, and id, state and identity as long as it is promoted; a test copy stands beside its target.
 */
import type { DeviceIdentity, ReplicationUnit, TestCopy, UnitMember } from '../../core/array/replication.ts'
import { withArray } from '../arrays.ts'
import { identityOf, portsOf } from '../identity.ts'
import { idOf, keyOf } from '../items.ts'
import { shown } from '../log/log.ts'
import { shownPoint } from '../recovery-points.ts'
import type { AnswerOf } from '../schema/index.ts'
import type { ArrayRun } from './index.ts'

type Devices = AnswerOf<'discoverDevices'>['replicatedDevices']
type One<K extends keyof Devices> = NonNullable<Devices[K]> extends readonly (infer T)[] ? T : never

const sourceState = (unit: ReplicationUnit): 'read-write' | 'read-only' => (unit.role === 'source' ? 'read-write' : 'read-only')

const sourceDevice = (unit: ReplicationUnit, member: UnitMember): One<'sourceDevices'> => ({
  id: member.volume, state: sourceState(unit), name: member.name, targetDevice: { key: member.key },
  ...(unit.role === 'source' ? identityOf(member.identity) : {}),
})

const sourceGroup = (unit: ReplicationUnit): One<'consistencyGroups'> => ({
  id: idOf(unit), state: sourceState(unit), name: unit.name, targetGroup: { key: keyOf(unit) }, sourceDevices: unit.members.map((member) => sourceDevice(unit, member)),
})

/** Only beside a target: a promoted one shows itself, although a copy may be left. */
const testOf = (unit: ReplicationUnit): TestCopy | undefined => (unit.role === 'target' ? unit.testCopies.find(({ complete }) => complete) : undefined)

const promotedAs = (unit: ReplicationUnit, id: string): { readonly id?: string; readonly state?: 'read-write' } => (unit.role === 'promoted' ? { id, state: 'read-write' } : {})

const targetDevice = (unit: ReplicationUnit, member: UnitMember) => ({
  key: member.key, ...promotedAs(unit, member.volume), name: member.name, ...(unit.role === 'promoted' ? identityOf(member.identity) : {}),
})

const copiesOf = (test: TestCopy) => test.members.map(({ key, copy, identity }) => ({ key, snapshot: { id: copy, ...identityOf(identity) } }))

const targetGroup = (unit: ReplicationUnit): One<'targetGroups'> => {
  const test = testOf(unit)
  return {
    key: keyOf(unit), ...promotedAs(unit, idOf(unit)), name: unit.name, targetDevices: unit.members.map((member) => targetDevice(unit, member)),
    ...(test === undefined ? {} : { snapshot: { id: test.id, targetDevices: copiesOf(test), recoveryPoint: shownPoint(test.recoveryPoint) } }),
  }
}

const standaloneTarget = (unit: ReplicationUnit, member: UnitMember): One<'targetDevices'> => {
  const test = testOf(unit)
  const [copy] = test?.members ?? []
  return { ...targetDevice(unit, member), ...(test === undefined || copy === undefined ? {} : { snapshot: { id: copy.copy, ...identityOf(copy.identity), recoveryPoint: shownPoint(test.recoveryPoint) } }) }
}

const identitiesOf = (unit: ReplicationUnit): readonly (DeviceIdentity | undefined)[] => [
  ...(unit.role === 'source' || unit.role === 'promoted' ? unit.members.map(({ identity }) => identity) : []), ...(testOf(unit)?.members.map(({ identity }) => identity) ?? []),
]

const some = <K extends keyof Devices>(name: K, list: readonly One<K>[]): Pick<Devices, K> | Record<string, never> => (list.length === 0 ? {} : { [name]: list } as unknown as Pick<Devices, K>)

export const run: ArrayRun<'discoverDevices'> = async (request, world) => withArray(request, world, async (here) => {
  const known = here.units.filter((unit) => {
    // A role that the array cannot tell is no role that may be made up; members without end would break the table.
    const reason = unit.role === 'unknown' ? 'the array does not tell whether it is a source or a target' : unit.members.length === 0 ? 'it has no device' : undefined
    if (reason !== undefined) world.log.write('warning', `Excluded: ${unit.kind} ${shown(unit.name)} (${shown(unit.id)}): ${reason}`)
    return reason === undefined
  })
  const sending = known.filter(({ role }) => role === 'source' || role === 'demoted')
  const receiving = known.filter(({ role }) => role === 'target' || role === 'promoted')
  const single = <T>(units: readonly ReplicationUnit[], show: (unit: ReplicationUnit, member: UnitMember) => T): readonly T[] =>
    units.filter(({ kind }) => kind === 'device').flatMap((unit) => unit.members.slice(0, 1).map((member) => show(unit, member)))
  const devices = {
    ...some('consistencyGroups', sending.filter(({ kind }) => kind === 'group').map(sourceGroup)),
    ...some('targetGroups', receiving.filter(({ kind }) => kind === 'group').map(targetGroup)),
    ...some('sourceDevices', single(sending, sourceDevice)),
    ...some('targetDevices', single(receiving, standaloneTarget)),
    ...(await portsOf(here, known.flatMap(identitiesOf))),
  }
  for (const unit of known) world.log.write('verbose', `Found ${unit.kind} ${shown(unit.kind === 'group' ? unit.id : idOf(unit))}, key ${shown(keyOf(unit))}: ${unit.role}, ${unit.members.length} ${unit.members.length === 1 ? 'device' : 'devices'}`)
  return { replicatedDevices: devices }
})
