/** How hosts find devices (interface 2.0, table 7), in the one form that the array has. Ports and initiator groups stand in the same response. */
import type { DeviceIdentity, ReplicationTraits } from '../core/array/replication.ts'
import type { AccessGroup } from '../core/array/types.ts'
import type { Here } from './arrays.ts'
import type { AnswerOf } from './schema/index.ts'

type ReplicatedDevices = AnswerOf<'discoverDevices'>['replicatedDevices']
type Identity = NonNullable<NonNullable<NonNullable<ReplicatedDevices['sourceDevices']>[number]>['identity']>
type Ports = Pick<ReplicatedDevices, 'initiatorGroups' | 'storagePorts'>

/** A World Wide Name is written in pairs of digits, as consoles of hosts show it. */
const wwnOf = (wwid: string): string => (wwid.replace(/^[a-z]+\./, '').match(/../g) ?? []).join(':').toUpperCase()

export const identityOf = (identity: DeviceIdentity | undefined): { readonly identity?: Identity } => {
  if (identity === undefined) return {}
  if (identity.kind === 'wwn') return { identity: { wwn: wwnOf(identity.wwid) } }
  if (identity.kind === 'nfs') return { identity: { nfsName: identity.path } }
  if (identity.luns.length === 0) return {}
  return { identity: { lun: identity.luns.map(({ lun, target, initiatorGroup }) => ({ text: lun, ...(target === undefined ? {} : { target }), ...(initiatorGroup === undefined ? {} : { initiatorGroupId: initiatorGroup }) })) } }
}

const portKinds = { fc: 'FC', iscsi: 'iSCSI', nfs: 'NFS' } as const

const initiatorsOf = ({ initiators }: AccessGroup) =>
  initiators.flatMap(({ kind, id }) => (kind === 'fc' || kind === 'iscsi' ? [{ id, type: portKinds[kind] }] : []))

/** A number without a target needs the ports; one of its own for each group of initiators needs the groups. */
const needs: Readonly<Record<ReplicationTraits['identification'], { readonly ports: boolean; readonly groups: boolean }>> = {
  wwn: { ports: false, groups: false },
  number: { ports: true, groups: false },
  'initiator+number': { ports: true, groups: true },
  'number+target': { ports: false, groups: false },
  'initiator+number+target': { ports: false, groups: true },
  nfs: { ports: true, groups: false },
}

/** Asked of the array once a command, and only when its identities refer to them. An address takes the place of an NFS port's name. */
export const portsOf = async ({ array, traits, world }: Here, identities: readonly (DeviceIdentity | undefined)[]): Promise<Ports> => {
  if (identities.every((identity) => identity === undefined)) return {}
  const { ports: wantsPorts, groups: wantsGroups } = needs[traits.identification]
  const named = new Set(identities.flatMap((identity) => (identity?.kind === 'lun' ? identity.luns.flatMap(({ initiatorGroup }) => initiatorGroup ?? []) : [])))
  const [ports, groups] = await Promise.all([wantsPorts ? array.ports(world.ctx) : [], wantsGroups ? array.access?.groups(world.ctx) ?? [] : []])
  const initiatorGroups = groups.filter(({ name }) => named.has(name)).map((group) => ({ id: group.name, initiator: initiatorsOf(group) })).filter(({ initiator }) => initiator.length > 0)
  const storagePorts = ports.filter(({ kind }) => (kind === 'nfs') === (traits.identification === 'nfs')).map(({ kind, name }) => ({ id: name, type: portKinds[kind] }))
  return { ...(initiatorGroups.length === 0 ? {} : { initiatorGroups }), ...(storagePorts.length === 0 ? {} : { storagePorts }) }
}
