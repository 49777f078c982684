/** Who may reach a device: access groups of a request (interface 2.0, table 11) as initiators of the array. */
import type { Initiator } from '../core/array/types.ts'
import type { Here } from './arrays.ts'
import { refuse, type Item } from './items.ts'
import { shown } from './log/log.ts'
import type { RequestOf } from './schema/index.ts'
import type { Message } from './schema/shape.ts'
import { notPresented } from './warnings.ts'

type Parameters = RequestOf<'failover'>['parameters']
export type Group = NonNullable<Parameters['targetGroups']>[number]
export type Device = NonNullable<Parameters['targetDevices']>[number]
export type Target = Group | Device
type Granted = readonly { readonly id: string }[] | undefined

const kinds = { FC: 'fc', iSCSI: 'iscsi', NFS: 'nfs', Host: 'host' } as const

/** Port names in one spelling, whatever letters the host's console uses. */
const initiatorOf = ({ id, type, chapName }: NonNullable<Parameters['accessGroups']>[number]['initiator'][number]): Initiator =>
  ({ kind: kinds[type], id: type === 'FC' ? id.trim().toLowerCase() : id.trim(), ...(chapName === undefined ? {} : { chapName }) })

export interface Access {
  /** By member key. Absent: the request asks for nobody this array could present to. */
  readonly initiators?: Readonly<Record<string, readonly Initiator[]>>
  readonly warnings: readonly Message[]
}

const nobody = (key: string): Message => notPresented({ key }, 'the request names no initiator that this array can present to')

/**
 * SRM names every initiator of a host, of all protocols: those that the array does not speak are left out. invalidArgument when the item
 * names an access group that the request does not hold.
 */
export const accessOf = (here: Here, groups: Parameters['accessGroups'], { asked, unit, log }: Item<Target>): Access => {
  // Without the feature the array presents as it is configured.
  if (!here.traits.dynamicAccess) return { initiators: {}, warnings: [] }
  const known = new Map((groups ?? []).map(({ id, initiator }) => [id, initiator.map(initiatorOf)]))
  const spoken = (granted: Granted): readonly Initiator[] => {
    const all = (granted ?? []).flatMap(({ id }) => {
      const found = known.get(id)
      if (found === undefined) throw refuse('invalidArgument', `The access group ${shown(id)} of ${shown(asked.key)} is not in the request`, 'Name it under AccessGroups')
      return found
    })
    const heard = all.filter(({ kind }) => (here.driver.protocols as readonly string[]).includes(kind))
    for (const { kind, id } of all) if (!heard.some((one) => one.id === id)) log.write('verbose', `Initiator ${shown(id)} (${kind}) is left out: the array does not present over ${kind}`)
    return [...new Map(heard.map((one) => [`${one.kind} ${one.id}`, one])).values()]
  }
  const wanted: readonly (readonly [member: string, granted: Granted])[] = unit.kind === 'device'
    ? unit.members.map(({ key }) => [key, 'accessGroups' in asked ? asked.accessGroups : undefined])
    : ('targetDevices' in asked ? asked.targetDevices ?? [] : []).map(({ key, accessGroups }) => [key, accessGroups])
  const stranger = wanted.find(([member]) => !unit.members.some(({ key }) => key === member))
  if (stranger !== undefined) throw refuse('invalidArgument', `The group ${shown(asked.key)} has no device ${shown(stranger[0])}`, 'Discover the devices again')
  const initiators = Object.fromEntries(wanted.map(([member, granted]) => [member, spoken(granted)]))
  if (Object.values(initiators).every((list) => list.length === 0)) return { warnings: [nobody(asked.key)] }
  const without = unit.members.filter(({ key }) => (initiators[key] ?? []).length === 0)
  return { initiators, warnings: without.map(({ key }) => nobody(key)) }
}
