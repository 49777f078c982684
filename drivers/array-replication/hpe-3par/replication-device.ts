/**
 * The `replication_device` of a backend: one line of `key:value` entries about the array on the other side. Entries are parted by commas or
 * blanks, a key and its value by a colon or an equals sign; blanks within a value part the pairs of a CPG map.
 */
import { StorageError } from '../../../core/errors.ts'
import { layer } from './wsapi/layer.ts'

export const deviceKeys = [
  'backend_id', 'replication_mode', 'cpg_map', 'snap_cpg_map', 'sync_period', 'hpe3par_api_url', 'hpe3par_username', 'hpe3par_password', 'hpe3par_iscsi_ips',
  'hpe3par_ca_file', 'hpe3par_fingerprint', 'san_ip', 'san_login', 'san_password',
] as const
export type DeviceKey = (typeof deviceKeys)[number]

const field = 'connection.replication_device'

export const deviceError = (key: string, found: string, remedy: string): StorageError =>
  new StorageError('invalidArgument', `${field}.${key}: ${found}`, { layer, field: `${field}.${key}`, remedy })

const isKey = (text: string): text is DeviceKey => (deviceKeys as readonly string[]).includes(text)

/** Never repeats a piece it does not understand: it may be the rest of a password that has a comma. */
export const parseReplicationDevice = (text: string): Readonly<Partial<Record<DeviceKey, string>>> => {
  const entries: Partial<Record<DeviceKey, string>> = {}
  for (const part of text.split(',')) {
    let open: DeviceKey | undefined
    for (const piece of part.trim().split(/\s+/).filter((one) => one !== '')) {
      const [, key, value] = /^([a-z0-9_]+)[:=](.*)$/i.exec(piece) ?? []
      if (key !== undefined && isKey(key)) {
        if (entries[key] !== undefined) throw deviceError(key, 'is given twice', `Give ${key} once`)
        entries[key] = value ?? ''
        open = key
      } else if (open === 'cpg_map' || open === 'snap_cpg_map') {
        entries[open] = `${entries[open]} ${piece}`
      } else {
        const known = key !== undefined && /^[a-z][a-z0-9]*(_[a-z0-9]+)+$/.test(key)
        throw new StorageError('invalidArgument', `${field}: ${known ? `unknown key ${JSON.stringify(key)}` : 'a part of it is no key:value entry'} (entry ${Object.keys(entries).length + 1})`, {
          layer, field, remedy: `It takes: ${deviceKeys.join(', ')}; a password with a comma or a blank must be given encrypted`,
        })
      }
    }
  }
  return entries
}

/** `A:B C:D` to a map from CPGs of this side to those of the other. */
export const parseCpgMap = (key: 'cpg_map' | 'snap_cpg_map', text: string | undefined): ReadonlyMap<string, string> => {
  if (text === undefined) throw deviceError(key, 'is missing', `Give ${key}:SOURCE_CPG:TARGET_CPG; both cpg_map and snap_cpg_map are mandatory`)
  const pairs = text.split(/\s+/).filter((one) => one !== '').map((pair) => pair.split(':'))
  const map = new Map<string, string>()
  for (const [from, to, ...more] of pairs) {
    if (from === undefined || from === '' || to === undefined || to === '' || more.length > 0) throw deviceError(key, `${JSON.stringify(text.slice(0, 80))} is no pair of CPGs`, `Write it as ${key}:SOURCE_CPG:TARGET_CPG`)
    if (map.has(from)) throw deviceError(key, `maps ${from} twice`, 'Give each CPG of this side once')
    map.set(from, to)
  }
  if (map.size === 0) throw deviceError(key, 'is empty', `Write it as ${key}:SOURCE_CPG:TARGET_CPG`)
  return map
}
