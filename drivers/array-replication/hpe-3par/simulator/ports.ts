/** The ports of an array: two of iSCSI, one of FC with nobody on it, one for remote copy (facts 12 and 23.5). */
import { list, type Handler, type PortPos, type SimArray } from './model.ts'
import { refuse } from './refusals.ts'

export interface Port {
  readonly portPos: PortPos
  readonly mode: number
  readonly linkState: number
  readonly nodeWWN: string
  readonly portWWN: string
  readonly type: number
  readonly protocol: number
  readonly failoverState: number
  readonly device: readonly string[]
  readonly label?: string
  readonly HWAddr?: string
  readonly IPAddr?: string
  readonly iSCSIName?: string
  readonly iSCSIPortInfo?: Readonly<Record<string, string | number>>
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0').toUpperCase()

export const portsOf = (array: SimArray): readonly Port[] => {
  const nodeWWN = `2FF70002AC${hex(array.id, 6)}`
  const common = (node: number, slot: number, cardPort: number) => ({
    portPos: { node, slot, cardPort }, mode: 2, linkState: 4, nodeWWN, portWWN: `2${node}${slot}${cardPort}0002AC${hex(array.id, 6)}`, failoverState: 1, device: [] as readonly string[],
  })
  const iscsi = array.iscsiAddresses.map((address, index): Port => {
    const port = common(index, 2, 1)
    const name = `iqn.2000-05.com.3pardata:${port.portWWN.toLowerCase()}`
    return {
      ...port, type: 8, protocol: 2, label: `iSCSI${index}`, HWAddr: `02:00:00:${hex(array.index, 2)}:00:${hex(index, 2)}`, IPAddr: address, iSCSIName: name,
      iSCSIPortInfo: { IPAddr: address, iSCSIName: name, netmask: '255.0.0.0', gateway: '0.0.0.0', mtu: 1500, vlan: 0, stgt: 21, tpgt: 21, iSNSAddr: '0.0.0.0', iSNSPort: 3205, rate: '10Gbps' },
    }
  })
  return [
    ...iscsi,
    { ...common(0, 1, 1), type: 1, protocol: 1, label: 'FC0' },
    { ...common(0, 3, 1), mode: 4, type: 7, protocol: 4, label: 'RCIP0', IPAddr: '127.0.0.1' },
  ]
}

/** `n:s:p`; throws 400/55 when it is none, 404/20 when there is no such port. */
export const parsePort = (array: SimArray, text: string): Port => {
  const match = /^([0-7]):(\d):(\d)$/.exec(text)
  if (match === null) throw refuse('portSpec', text)
  return needPort(array, { node: Number(match[1]), slot: Number(match[2]), cardPort: Number(match[3]) })
}

export const samePort = (one: PortPos | undefined, other: PortPos | undefined): boolean =>
  one?.node === other?.node && one?.slot === other?.slot && one?.cardPort === other?.cardPort

export const needPort = (array: SimArray, position: PortPos): Port => {
  const port = portsOf(array).find(({ portPos }) => samePort(portPos, position))
  if (port === undefined) throw refuse('portMissing', `${position.node}:${position.slot}:${position.cardPort}`)
  return port
}

export const portRoutes = [
  ['GET', '/ports', (({ array }) => list(portsOf(array))) satisfies Handler],
  ['GET', '/ports/:port', (({ array, params }) => ({ body: parsePort(array, params['port'] ?? '') })) satisfies Handler],
  ['GET', '/ports/:port/iSCSIVlans', (({ array, params }) => {
    parsePort(array, params['port'] ?? '')
    return { body: { iSCSIVlans: [] } }
  }) satisfies Handler],
] as const satisfies readonly (readonly [string, string, Handler])[]
