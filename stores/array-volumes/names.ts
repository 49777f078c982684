/** How SRs and VDIs are called on an array. A uuid becomes 26 characters (RFC 4648 base 32, lower case), so that names fit into the 31 that arrays allow. */
import { asVdiUuid, isUuid, type SrUuid, type VdiUuid } from '../../core/ids.ts'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
const digits = 26

const shortId = (uuid: SrUuid | VdiUuid): string => {
  const value = BigInt(`0x${uuid.replaceAll('-', '')}`)
  return Array.from({ length: digits }, (_, index) => alphabet[Number((value >> BigInt((digits - 1 - index) * 5)) & 31n)]).join('')
}

/** undefined for what `shortId` cannot have made. */
const longId = (short: string): string | undefined => {
  if (short.length !== digits || short.split('').some((one) => !alphabet.includes(one))) return undefined
  const value = short.split('').reduce((sum, one) => (sum << 5n) | BigInt(alphabet.indexOf(one)), 0n)
  const hex = value.toString(16).padStart(32, '0')
  const uuid = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
  return hex.length === 32 && isUuid(uuid) ? uuid : undefined
}

/** Of the volume or snapshot of a VDI. `turn`: while the one before it is still needed under the same uuid. */
export const objectName = (vdi: VdiUuid, turn = 0): string => `vdi-${shortId(vdi)}${turn === 0 ? '' : String(turn)}`

/** Keys of what is kept on the array. All of one SR begin with that of the SR. */
export const keys = {
  all: 'sm.',
  sr: (sr: SrUuid): string => `sm.${shortId(sr)}`,
  /** Disks: on both arrays of a pair. */
  disk: (sr: SrUuid, vdi: VdiUuid): string => `sm.${shortId(sr)}.v.${shortId(vdi)}`,
  /** Snapshots: on the array that has them. */
  snapshot: (sr: SrUuid, vdi: VdiUuid): string => `sm.${shortId(sr)}.s.${shortId(vdi)}`,
  /** Volumes and snapshots of deleted VDIs that others still depend on. */
  remnant: (sr: SrUuid, name: string): string => `sm.${shortId(sr)}.h.${name}`,
  lock: (sr: SrUuid, vdi: VdiUuid, epoch: number): string => `${keys.locks(sr, vdi)}${String(epoch).padStart(10, '0')}`,
  locks: (sr: SrUuid, vdi: VdiUuid): string => `sm.${shortId(sr)}.l.${shortId(vdi)}.`,
} as const

export type ReadKey =
  | { readonly kind: 'sr'; readonly sr: string }
  | { readonly kind: 'disk' | 'snapshot'; readonly sr: string; readonly vdi: VdiUuid }
  | { readonly kind: 'lock'; readonly sr: string; readonly vdi: VdiUuid; readonly epoch: number }
  | { readonly kind: 'remnant'; readonly sr: string; readonly name: string }

/** undefined: no key of ours. */
export const readKey = (key: string): ReadKey | undefined => {
  const [mark, srShort = '', kind, rest = '', epoch] = key.split('.')
  const sr = longId(srShort)
  if (mark !== 'sm' || sr === undefined) return undefined
  if (kind === undefined) return { kind: 'sr', sr }
  if (kind === 'h' && rest !== '') return { kind: 'remnant', sr, name: rest }
  const uuid = longId(rest)
  if (uuid === undefined) return undefined
  const vdi = asVdiUuid(uuid)
  if (kind === 'l' && epoch !== undefined && /^\d{10}$/.test(epoch)) return { kind: 'lock', sr, vdi, epoch: Number(epoch) }
  return kind === 'v' || kind === 's' ? { kind: kind === 'v' ? 'disk' : 'snapshot', sr, vdi } : undefined
}
