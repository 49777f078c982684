/**
 * Who a LUN is: the identity it states in VPD page 83 (SPC-4, 7.8.6), never its number or its device name. Numbers are given
 * to another disk in a moment, names at every boot.
 */
import { createHash } from 'node:crypto'
import { asVdiUuid, type VdiUuid } from '../../core/ids.ts'

export interface LunIdentity {
  /** As the kernel spells it: `naa.6001405...`, `eui.0025...`, `t10.IET     00010001`; blanks folded, hex in lower case. */
  readonly name: string
  /** As udev, multipath and dconf spell it (SCSIid): `36001405...`, `20025...`, `1IET_00010001`. */
  readonly scsiId: string
  /** It may not be unique in the world (no maker's number in it): only together with the target does it mean one disk. */
  readonly weak: boolean
}

const prefixes: Readonly<Record<string, string>> = { naa: '3', eui: '2', t10: '1' }

const fold = (text: string): string => text.replaceAll('\0', ' ').trim().replace(/\s+/g, ' ')

/** NAA 2, 5 and 6 begin with their type and the maker's 24 bits; tgt and others leave those zero. NAA 3 is chosen locally. */
const isWeak = (kind: string, value: string): boolean => {
  if (kind === 'naa') return value.startsWith('3') || /^[56]000000/.test(value) || /^2...000000/.test(value)
  if (kind === 'eui') return value.startsWith('000000')
  return true
}

/** Reads the kernel's `wwid` attribute; undefined for a LUN that states no identity. */
export const lunIdentity = (kernelName: string): LunIdentity | undefined => {
  const name = fold(kernelName)
  const [, kind, value] = /^(naa|eui|t10)\.(.+)$/i.exec(name) ?? []
  if (kind === undefined || value === undefined) return name === '' ? undefined : { name, scsiId: name.replaceAll(' ', '_'), weak: true }
  const known = kind.toLowerCase()
  const plain = known === 't10' ? value : value.toLowerCase()
  return { name: `${known}.${plain}`, scsiId: `${prefixes[known] ?? ''}${plain.replaceAll(' ', '_')}`, weak: isWeak(known, plain) }
}

/** Whether two spellings mean the same; `given` may be the kernel's or udev's. */
export const isIdentity = (identity: LunIdentity, given: string): boolean =>
  identity.scsiId === given || identity.scsiId.toLowerCase() === given.toLowerCase() || lunIdentity(given)?.name === identity.name

/**
 * uuids of this project's LUNs: version 5 (RFC 9562, 5.5) in this namespace, so that anybody can repeat it:
 * `uuidgen --sha1 --namespace 5b2d8c1e-7a04-4f43-9d1c-3c0f6f0f8e11 --name 36001405...`
 */
const namespace = '5b2d8c1e-7a04-4f43-9d1c-3c0f6f0f8e11'

const version5 = (name: string): string => {
  const digest = createHash('sha1').update(Buffer.from(namespace.replaceAll('-', ''), 'hex')).update(name).digest()
  const bytes = digest.subarray(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** The VDI of a LUN: one way from its SCSI id, the same on every host and under every number. `target` counts for weak identities only. */
export const vdiOfLun = (identity: LunIdentity, target: string): VdiUuid =>
  asVdiUuid(version5(identity.weak ? `${target} ${identity.scsiId}` : identity.scsiId))
