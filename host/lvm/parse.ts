/** Reads LVM's JSON reports. Every value is a string, absent ones are empty (lvmreport(7)); real output stands above each parser. */
import { StorageError } from '../../core/errors.ts'
import { parseAttributes, type VolumeAttributes } from './attributes.ts'

export interface VolumeGroup {
  readonly name: string
  readonly uuid: string
  readonly tags: readonly string[]
  /** Bytes, as all sizes here. */
  readonly size: number
  readonly free: number
  readonly extentSize: number
  readonly missing: number
  /** udev activates its volumes when its devices appear. */
  readonly autoactivation: boolean
}

export interface LogicalVolume {
  readonly name: string
  readonly uuid: string
  readonly attributes: VolumeAttributes
  readonly size: number
  readonly tags: readonly string[]
  readonly pool?: string
  /** Used part of the size, 0 to 1; only of active thin volumes and pools. */
  readonly dataUsed?: number
  readonly metadataUsed?: number
  /** In LVM's words: partial, failed, out_of_data ... */
  readonly health?: string
  /** Of a pool: whether writers get an error when it is full, or wait. */
  readonly whenFull?: 'error' | 'queue'
}

export interface PhysicalVolume {
  /** Device node, `[unknown]` when it is missing. */
  readonly device: string
  /** Absent: the device is no physical volume. */
  readonly uuid?: string
  readonly missing: boolean
  /** Of the physical volume, and of the device it is on. */
  readonly size: number
  readonly deviceSize: number
  /** Where data begins; label and metadata are before it. */
  readonly dataStart: number
  readonly metadataSize: number
  readonly metadataFree: number
  readonly volumes: number
  readonly group?: VolumeGroup
}

type Row = Readonly<Record<string, unknown>>

const unreadable = (what: string, cause?: unknown): StorageError =>
  new StorageError('toolFailed', `LVM answered something that is not understood: ${what.slice(0, 300)}`, {
    layer: 'host:lvm', cause, remedy: 'Run the command of the log by hand; this version of lvm2 may be too old (2.03.12 is needed) or too new',
  })

/** A report cut short or empty is never "no rows": it throws. */
const rowsOf = (text: string, kind: 'lv' | 'vg' | 'pv'): readonly Row[] => {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw unreadable(text === '' ? 'nothing' : text, error)
  }
  const reports = (parsed as { readonly report?: unknown } | null)?.report
  const rows = Array.isArray(reports) && reports.length > 0 ? reports.flatMap((one: Row) => one[kind]) : [undefined]
  if (!rows.every((row): row is Row => typeof row === 'object' && row !== null)) throw unreadable(text)
  return rows
}

const textOf = (row: Row, key: string): string => {
  const value = row[key]
  if (typeof value !== 'string') throw unreadable(`no ${key} in ${JSON.stringify(row)}`)
  return value
}

const bytesOf = (row: Row, key: string): number => {
  const value = Number(textOf(row, key))
  if (!Number.isSafeInteger(value) || value < 0 || row[key] === '') throw unreadable(`${key} is ${JSON.stringify(row[key])}`)
  return value
}

const partOf = (row: Row, key: string): number | undefined => {
  const text = textOf(row, key)
  const value = Number(text)
  return text === '' || !Number.isFinite(value) || value < 0 ? undefined : value / 100
}

const tagsOf = (row: Row, key: string): readonly string[] => textOf(row, key).split(',').filter((tag) => tag !== '')

const groupOf = (row: Row): VolumeGroup => ({
  name: textOf(row, 'vg_name'),
  uuid: textOf(row, 'vg_uuid'),
  tags: tagsOf(row, 'vg_tags'),
  size: bytesOf(row, 'vg_size'),
  free: bytesOf(row, 'vg_free'),
  extentSize: bytesOf(row, 'vg_extent_size'),
  missing: bytesOf(row, 'vg_missing_pv_count'),
  autoactivation: textOf(row, 'vg_autoactivation') !== '',
})

const present = <T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== '')) as { [K in keyof T]?: Exclude<T[K], undefined> }

const volumeOf = (row: Row): LogicalVolume => {
  const attributes = parseAttributes(textOf(row, 'lv_attr'))
  if (attributes === undefined) throw unreadable(`lv_attr is ${JSON.stringify(row['lv_attr'])}`)
  return {
    name: textOf(row, 'lv_name'),
    uuid: textOf(row, 'lv_uuid'),
    attributes,
    size: bytesOf(row, 'lv_size'),
    tags: tagsOf(row, 'lv_tags'),
    ...(row['lv_when_full'] === 'error' || row['lv_when_full'] === 'queue' ? { whenFull: row['lv_when_full'] } : {}),
    ...present({ pool: textOf(row, 'pool_lv'), dataUsed: partOf(row, 'data_percent'), metadataUsed: partOf(row, 'metadata_percent'), health: textOf(row, 'lv_health_status') }),
  }
}

export interface VolumeReport {
  /** Absent when there is no volume: the rows carry it. */
  readonly group?: VolumeGroup
  readonly volumes: readonly LogicalVolume[]
}

// lvm2 2.03.16, lvs --reportformat json --units b --nosuffix -o lv_uuid,lv_name,... VG (a thin pool in use; tags shortened):
//   {
//       "report": [
//           {
//               "lv": [
//                   {"lv_uuid":"f1KWIE-KWpV-W5TP-KIap-e3Nn-fTbj-M6oUqA", "lv_name":"LV-98de866e-b035-4b1a-a571-613bff542b89",
//                    "lv_attr":"Vwi---tz--", "lv_size":"209715200", "lv_tags":"sm.name=x", "pool_lv":"pool", "data_percent":"",
//                    "metadata_percent":"", "lv_health_status":"", "lv_when_full":"", "vg_name":"VG_XenStorage-87b8646b-b800-9500-cb7b-af3b74e02f5c",
//                    "vg_uuid":"cyZPd8-onUP-MMBN-egoZ-XZun-fKRM-24x0TV", "vg_tags":"sm.state=preparing", "vg_size":"2130706432",
//                    "vg_free":"0", "vg_extent_size":"4194304", "vg_missing_pv_count":"0", "vg_autoactivation":""},
//                   {"lv_uuid":"Ebbkc2-K9AC-Xl30-NL6Z-gpeH-lDTn-I1HnJS", "lv_name":"pool", "lv_attr":"twi-aotzD-", "lv_size":"2122317824",
//                    "lv_tags":"", "pool_lv":"", "data_percent":"100.00", "metadata_percent":"23.93", "lv_health_status":"out_of_data",
//                    "lv_when_full":"error", ...}
//               ]
//           }
//       ]
//   }
// A group without volumes: "lv": [ ] and status 0. No such group: status 5.
export const parseVolumes = (text: string): VolumeReport => {
  const rows = rowsOf(text, 'lv')
  const [first] = rows
  return { ...(first === undefined ? {} : { group: groupOf(first) }), volumes: rows.map(volumeOf) }
}

// lvm2 2.03.16, vgs ... -o vg_name,vg_uuid,vg_tags,vg_size,vg_free,vg_extent_size,vg_missing_pv_count,vg_autoactivation VG:
//   {"report": [{"vg": [{"vg_name":"VG_XenStorage-87b8646b-b800-9500-cb7b-af3b74e02f5c", "vg_uuid":"cyZPd8-onUP-MMBN-egoZ-XZun-fKRM-24x0TV",
//     "vg_tags":"sm.state=preparing", "vg_size":"2130706432", "vg_free":"2130706432", "vg_extent_size":"4194304", "vg_missing_pv_count":"0",
//     "vg_autoactivation":""}]}]}
export const parseGroups = (text: string): readonly VolumeGroup[] => rowsOf(text, 'vg').map(groupOf)

// lvm2 2.03.16, pvs -a --devices /dev/vda,/dev/vdc (vda: one of two of its group, the other is missing; vdc: blank):
//   {"report": [{"pv": [
//     {"pv_name":"/dev/vda", "pv_uuid":"13vSsI-5T6D-jjWA-9grK-Cd6r-dSbS-wbofiT", "pv_missing":"", "pv_size":"1065353216",
//      "dev_size":"1073741824", "pe_start":"5242880", "pv_mda_size":"5238784", "pv_mda_free":"2615296", "lv_count":"2",
//      "vg_name":"VG_XenStorage-87b8646b-b800-9500-cb7b-af3b74e02f5c", ..., "vg_missing_pv_count":"1"},
//     {"pv_name":"/dev/vdc", "pv_uuid":"", "pv_missing":"", "pv_size":"0", "dev_size":"1073741824", "pe_start":"0", "pv_mda_size":"0",
//      "pv_mda_free":"0", "lv_count":"0", "vg_name":"", "vg_uuid":"", ..., "vg_missing_pv_count":"0", "vg_autoactivation":"enabled"},
//     {"pv_name":"[unknown]", "pv_uuid":"E3UHvM-T1ZX-Y33F-3cjL-nW6G-tXpr-NGg3Qd", "pv_missing":"missing", "dev_size":"0", ...}
//   ]}]}
// and on stderr: WARNING: VG ... is missing PV E3UHvM-T1ZX-Y33F-3cjL-nW6G-tXpr-NGg3Qd (last written to /dev/vdb).
export const parsePhysical = (text: string): readonly PhysicalVolume[] =>
  rowsOf(text, 'pv').map((row) => {
    const uuid = textOf(row, 'pv_uuid')
    return {
      device: textOf(row, 'pv_name'),
      missing: textOf(row, 'pv_missing') !== '',
      size: bytesOf(row, 'pv_size'),
      deviceSize: bytesOf(row, 'dev_size'),
      dataStart: bytesOf(row, 'pe_start'),
      metadataSize: bytesOf(row, 'pv_mda_size'),
      metadataFree: bytesOf(row, 'pv_mda_free'),
      volumes: bytesOf(row, 'lv_count'),
      ...(uuid === '' ? {} : { uuid }),
      ...(row['vg_name'] === '' ? {} : { group: groupOf(row) }),
    }
  })

/** Where a missing physical volume was last seen, from the warnings beside a report; a hint for people. */
export const lastSeen = (stderr: string, pvUuid: string): string | undefined =>
  new RegExp(`is missing PV ${pvUuid} \\(last written to ([^)\\s]+)\\)`).exec(stderr)?.[1]
