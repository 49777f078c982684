/** Host-facing ports, as the contract has them. A target name belongs to one port. */
import { isIPv6 } from 'node:net'
import type { ArrayCtx, StoragePort } from '../../../core/array/types.ts'
import type { Near } from './near.ts'
import { portMode, portProtocol, portReady } from './wsapi/enums.ts'
import type { Port } from './wsapi/schemas.ts'
import { listPorts, vlanAddresses } from './wsapi/system.ts'

const iscsiPort = 3260

const pairs = (wwn: string): string => (wwn.replaceAll(/[^0-9A-Fa-f]/g, '').toLowerCase().match(/../g) ?? []).join(':')

interface Configured {
  readonly address: string
  readonly port: number
}

/** `hpe3par_iscsi_ips`, which may name another port than the usual one. */
const configured = (text: string): Configured => {
  const [, address, port] = isIPv6(text) ? [] : /^(.*):(\d+)$/.exec(text) ?? []
  return { address: address ?? text, port: port === undefined ? iscsiPort : Number(port) }
}

const nameOf = ({ portPos }: Port): string => `${portPos.node}:${portPos.slot}:${portPos.cardPort}`

const iscsiPorts = async (ctx: ArrayCtx, near: Near, port: Port, wanted: readonly Configured[]): Promise<readonly StoragePort[]> => {
  const name = port.iSCSIName ?? port.iSCSIPortInfo?.iSCSIName
  if (name === undefined) return []
  const own = port.IPAddr ?? port.iSCSIPortInfo?.IPAddr
  const found = port.iSCSIPortInfo?.vlan === 1 ? await vlanAddresses(near.api, port, ctx.signal) : own === undefined ? [] : [own]
  const addresses = wanted.length === 0 ? found.map((address) => ({ address, port: iscsiPort })) : wanted.filter(({ address }) => found.includes(address))
  return addresses.map(({ address, port: number }): StoragePort => ({
    id: found.length > 1 ? `${nameOf(port)} ${address}` : nameOf(port), kind: 'iscsi', name, address, port: number, online: port.linkState === portReady,
  }))
}

/** One request, and one more for each port with VLANs. With `hpe3par_iscsi_ips` only those addresses. */
export const portsOf = async (ctx: ArrayCtx, near: Near): Promise<readonly StoragePort[]> => {
  const wanted = near.settings.access.iscsiIps.map(configured)
  const facing = (await listPorts(near.api, ctx.signal)).filter(({ mode }) => mode === portMode.target)
  const all = await Promise.all(facing.map(async (port): Promise<readonly StoragePort[]> => {
    if (port.protocol === portProtocol.iscsi) return iscsiPorts(ctx, near, port, wanted)
    if (port.protocol !== portProtocol.fc && port.protocol !== portProtocol.fcoe) return []
    return port.portWWN === undefined ? [] : [{ id: nameOf(port), kind: 'fc', name: pairs(port.portWWN), online: port.linkState === portReady }]
  }))
  return all.flat()
}
