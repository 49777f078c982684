/**
 * A configuration file with several named arrays, as storage administrators keep it: `[NAME]` before the keys of each, keys before the first
 * name and those of `[DEFAULT]` belong to the array DEFAULT. A value goes on in the next line when that line begins with blanks, as replication_device does.
 */
import type { ArrayConnection } from '../../../core/array/types.ts'
import { StorageError } from '../../../core/errors.ts'
import { Connection } from './connection.ts'
import { layer } from './wsapi/layer.ts'

const known: ReadonlySet<string> = new Set(Object.keys(Connection.shape))

/** Keys that such files have for others who read them; they are no business of ours. */
const foreign: ReadonlySet<string> = new Set(['host_etcd_port_number', 'host_etcd_ip_address', 'hpedockerplugin_driver', 'logging', 'ssh_hosts_key_file', 'suppress_requests_ssl_warnings'])

const wrong = (line: number, field: string, found: string, remedy: string): StorageError =>
  new StorageError('invalidArgument', `line ${line}: ${found}`, { layer, field, remedy })

/** Name -> connection, unchecked beyond its keys. Errors name line and key, and repeat no value. */
export const parseBackends = (text: string): ReadonlyMap<string, ArrayConnection> => {
  const backends = new Map<string, Record<string, string>>()
  let name = 'DEFAULT'
  let open: string | undefined
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = index + 1
    const trimmed = raw.trim()
    if (trimmed === '' || trimmed.startsWith('#') || trimmed.startsWith(';')) continue
    const section = /^\[([A-Za-z0-9._-]{1,64})\]$/.exec(trimmed)?.[1]
    if (section !== undefined) {
      if (backends.has(section)) throw wrong(line, section, `the array ${section} is there twice`, 'Give each array a name of its own')
      backends.set(section, {})
      name = section
      open = undefined
      continue
    }
    const backend = backends.get(name) ?? {}
    backends.set(name, backend)
    if (/^\s/.test(raw) && open !== undefined) {
      backend[open] = `${backend[open] ?? ''} ${trimmed}`
      continue
    }
    const [, key, value] = /^([a-z][a-z0-9_]*)\s*=\s*(.*)$/.exec(trimmed) ?? []
    if (key === undefined || value === undefined) throw wrong(line, name, 'is no key=value, no [NAME] and no continued value', 'Begin a line with blanks to continue the value before it')
    open = undefined
    if (foreign.has(key)) continue
    if (!known.has(key)) throw wrong(line, `${name}.${key}`, `${name} has the unknown key ${key}`, `Its keys are: ${[...known].join(', ')}`)
    if (backend[key] !== undefined) throw wrong(line, `${name}.${key}`, `${name} has the key ${key} twice`, 'Give it once; one array replicates to one other')
    backend[key] = value
    open = key
  }
  return backends
}

/** The array of that name; DEFAULT when none is named. */
export const backendOf = (backends: ReadonlyMap<string, ArrayConnection>, name = 'DEFAULT'): ArrayConnection => {
  const found = backends.get(name)
  if (found !== undefined) return found
  throw new StorageError('notFound', `There is no array ${JSON.stringify(name.slice(0, 64))} in the configuration`, { layer, field: 'backend', remedy: `It has: ${[...backends.keys()].join(', ') || 'none'}` })
}
