/** Reads what sg_vpd and sg_persist say (sg3-utils 1.46; Debian 12). */
import { StorageError } from '../../core/errors.ts'
import { lunIdentity } from './identity.ts'

const unexpected = (tool: string, text: string): StorageError =>
  new StorageError('toolFailed', `${tool} answered something else than expected: ${JSON.stringify(text.slice(0, 200))}`, {
    layer: `host:${tool}`, remedy: 'Report this with the version of sg3-utils on this host',
  })

const ofDesignator = (type: number, data: Buffer): string | undefined => {
  if (type === 1) return `t10.${data.toString('latin1')}`
  if (type === 2) return `eui.${data.toString('hex')}`
  if (type === 3) return `naa.${data.toString('hex')}`
  // SCSI name string: spelt as the kernel does already.
  return type === 8 ? data.toString('utf8') : undefined
}

/**
 * Names of the logical unit in a hex dump of VPD page 83 (SPC-4, 7.8.6: designators with association 0), as `lunIdentity`
 * spells them. A device that is no LUN answers with none.
 *
 * Sample, `sg_vpd --page=0x83 -HHH /dev/sda` of an LIO LUN:
 *   00 83 00 ac 01 03 00 10  60 01 40 5a aa aa aa a0
 *   00 04 00 08 00 00 00 00  02 01 00 34 4c 49 4f 2d
 *   4f 52 47 20 46 49 4c 45  49 4f 3a 61 61 61 61 61
 */
export const parsePage83 = (text: string): readonly string[] => {
  const hex = text.replace(/\s/g, '')
  const page = /^([0-9a-f]{2})+$/i.test(hex) ? Buffer.from(hex, 'hex') : Buffer.alloc(0)
  if (page.length < 4 || page[1] !== 0x83) throw unexpected('sg_vpd', text)
  const end = Math.min(page.length, 4 + page.readUInt16BE(2))
  const names: string[] = []
  for (let at = 4; at + 4 <= end; at += 4 + (page[at + 3] ?? 0)) {
    const association = ((page[at + 1] ?? 0) >> 4) & 3
    const name = association === 0 ? ofDesignator((page[at + 1] ?? 0) & 0xf, page.subarray(at + 4, at + 4 + (page[at + 3] ?? 0))) : undefined
    const identity = name === undefined ? undefined : lunIdentity(name)
    if (identity !== undefined) names.push(identity.name)
  }
  return names
}

/** One registration of a LUN. */
export interface Registration {
  readonly key: bigint
  readonly holder: boolean
  /** Port of the initiator, as `iqn.2024-01.org.example:host,i,0x00023d000001`; absent when the LUN does not tell. */
  readonly initiator?: string
}

export interface ReservationState {
  /** PRgeneration: grows with each register, preempt and clear. */
  readonly generation: number
  readonly registrations: readonly Registration[]
}

const generationIn = (text: string): number => {
  const [, digits] = /PR generation=0x([0-9a-f]+)/.exec(text) ?? []
  if (digits === undefined) throw unexpected('sg_persist', text)
  return Number.parseInt(digits, 16)
}

/**
 * Sample, `sg_persist --in --read-full-status /dev/sdd`:
 *     LIO-ORG   FILEIO            4.0
 *     Peripheral device type: disk
 *     PR generation=0x5
 *       Key=0x5300010203040506
 *         All target ports bit clear
 *         Relative port address: 0x1
 *         << Reservation holder >>
 *         scope: LU_SCOPE,  type: Write Exclusive, registrants only
 *         Transport Id of initiator:
 *           iSCSI world wide unique port id: iqn.2024-01.org.example:custom,i,0x00023d000001
 *       Key=0x5300020203040599
 *         All target ports bit clear
 *         Relative port address: 0x1
 *         not reservation holder
 *         Transport Id of initiator:
 *           iSCSI world wide unique port id: iqn.2024-01.org.example:warm,i,0x00023d000002
 * Without registrations: `PR generation=0x7` and `No full status descriptors`.
 */
export const parseFullStatus = (text: string): ReservationState => ({
  generation: generationIn(text),
  registrations: text.split(/^\s*(?=Key=0x)/m).slice(1).map((part) => {
    const [, key] = /^Key=0x([0-9a-f]+)/.exec(part) ?? []
    const [, initiator] = /iSCSI (?:world wide unique port id|name): (\S+)/.exec(part) ?? []
    return { key: BigInt(`0x${key ?? '0'}`), holder: part.includes('<< Reservation holder >>'), ...(initiator === undefined ? {} : { initiator }) }
  }),
})

/**
 * For LUNs without the full status. Samples, `sg_persist --in --read-reservation /dev/sda`:
 *     PR generation=0x2, Reservation follows:
 *       Key=0x5300010203040506
 *       scope: LU_SCOPE,  type: Write Exclusive, registrants only
 * or `PR generation=0x0, there is NO reservation held`.
 */
export const parseReservation = (text: string): ReservationState => {
  const [, key] = /Key=0x([0-9a-f]+)/.exec(text) ?? []
  if (key === undefined && !text.includes('NO reservation held')) throw unexpected('sg_persist', text)
  return { generation: generationIn(text), registrations: key === undefined ? [] : [{ key: BigInt(`0x${key}`), holder: true }] }
}

/** Sample, `find /proc -maxdepth 3 ...`: `/proc/1234/fd/7`, one a line. The processes, each once. */
export const parseOpeners = (text: string): readonly number[] => [...new Set([...text.matchAll(/^\/proc\/(\d+)\/fd\//gm)].map(([, pid]) => Number(pid)))]
