/** Addresses of iSCSI portals, in the spellings of dconf, iscsiadm, sysfs and the record files. */
import { isIPv6 } from 'node:net'

export interface Portal {
  /** Without brackets. */
  readonly address: string
  readonly port: number
}

/** A portal of a target, as discovery tells it. */
export interface TargetPortal extends Portal {
  readonly iqn: string
  /** Target portal group tag. */
  readonly group: number
}

export const defaultPort = 3260

/** Reads `host`, `host:port`, `[v6]:port` or a bare v6 address; undefined when it is none of them. */
export const parsePortal = (text: string, port = defaultPort): Portal | undefined => {
  const [, v6, host, digits] = /^(?:\[([^\]]+)\]|([0-9a-z][0-9a-z.-]*))(?::(\d{1,5}))?$/i.exec(text) ?? []
  const address = isIPv6(text) ? text : v6 === undefined || isIPv6(v6) ? v6 ?? host : undefined
  const given = digits === undefined ? port : Number(digits)
  return address === undefined || given < 1 || given > 65535 ? undefined : { address, port: given }
}

/** As iscsiadm takes and prints it: `192.0.2.10:3260`, `[2001:db8::1]:3260`. */
export const formatPortal = ({ address, port }: Portal): string => `${address.includes(':') ? `[${address}]` : address}:${port}`

/** One spelling of an address: v6 in its short form. */
const canonical = (address: string): string => {
  if (!address.includes(':')) return address.toLowerCase()
  try {
    return new URL(`http://[${address}]`).hostname.slice(1, -1)
  } catch {
    return address.toLowerCase()
  }
}

export const samePortal = (a: Portal, b: Portal): boolean => a.port === b.port && canonical(a.address) === canonical(b.address)
