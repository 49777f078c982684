/** Who this machine is: its id in locks on shared storage, and which boot this is. */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'

const firstReadable = (paths: readonly string[]): string | undefined => {
  for (const path of paths) {
    try {
      const text = readFileSync(path, 'utf8').trim()
      if (text !== '') return text
    } catch {
      // The next one may be there; a container often has neither.
    }
  }
  return undefined
}

/**
 * `<hostname>-<8 digits>`: readable in an error at night, unique by a digest of the machine id. The machine id itself is
 * confidential (machine-id(5)) and is not written to shared storage.
 */
export const hostId = (): string => {
  const { createHash } = process.getBuiltinModule('node:crypto')
  const machine = firstReadable(['/etc/machine-id', '/var/lib/dbus/machine-id']) ?? hostname()
  return `${hostname().split('.')[0] ?? 'host'}-${createHash('sha256').update(`storage-manager ${machine}`).digest('hex').slice(0, 8)}`
}

/** Without /proc every start counts as the same boot: nothing is then taken for detached that may be attached. */
export const bootId = (): string => firstReadable(['/proc/sys/kernel/random/boot_id']) ?? 'unknown-boot'
