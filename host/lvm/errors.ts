/**
 * What LVM meant. Every failure ends with status 5, and only the text differs; the text is a hint for the kind and the
 * remedy, never proof of anything: callers look at the group again before they believe it (lab: a disk that gives errors
 * makes LVM say "not found").
 */
import { StorageError, type ErrorKind } from '../../core/errors.ts'

interface Hint {
  readonly pattern: RegExp
  readonly kind: ErrorKind
  readonly remedy?: string
}

// Texts of lvm2 2.03.16.
const hints: readonly Hint[] = [
  { pattern: /unrecognized option|[Ii]nvalid option|unknown option/, kind: 'toolFailed', remedy: 'This lvm2 is too old: 2.03.12 or newer is needed' },
  { pattern: /too large for circular buffer|metadata.*too large/i, kind: 'limitExceeded', remedy: 'The metadata area of the volume group is full: delete VDIs or shorten their descriptions' },
  { pattern: /nsufficient free space|nsufficient suitable (allocatable )?extents|has insufficient free/i, kind: 'noSpace', remedy: 'Delete VDIs, or add a device to the volume group' },
  // Before the next one: LVM says both of a pool that could not write its metadata, whatever room it has.
  { pattern: /needs check|has read-only metadata/, kind: 'ioError', remedy: 'The thin pool could not write its metadata: look at the kernel log and the health of the devices, then detach the SR and attach it again, which checks the pool' },
  { pattern: /free space in thin pool .* reached threshold|out of data space/i, kind: 'noSpace', remedy: 'Delete VDIs or snapshots, or enlarge the thin pool' },
  { pattern: /already exists in volume group|A volume group called .* already exists/, kind: 'alreadyExists' },
  { pattern: /in use\.|open logical volume|Can't open .* exclusively|device is in use/i, kind: 'busy', remedy: 'Close whatever uses it: lsof and dmsetup ls --tree show what does' },
  { pattern: /duplicate PV|with duplicates/i, kind: 'identityMismatch', remedy: 'Two devices carry the same physical volume: take one away, or give the copy an identity of its own with smctl sr reidentify' },
  { pattern: /while PVs are missing|Refusing activation of partial LV|Couldn't find device with uuid/, kind: 'placeMissing', remedy: 'Bring the missing device back; pvs names it' },
  { pattern: /[Ii]nput\/output error|Failed to write|Error (reading|writing)|read failed|write failed/, kind: 'ioError', remedy: 'Look at the kernel log of this host and at the health of the storage' },
  { pattern: /Read-only file system|Permission denied/, kind: 'permissionDenied', remedy: 'Run the storage manager as root, on a host whose /etc/lvm and /run can be written' },
]

/** The same failure with a nearer kind and a remedy; anything but a failed tool is passed through. */
export const explainLvm = (error: unknown): unknown => {
  if (!(error instanceof StorageError) || error.kind !== 'toolFailed') return error
  const said = error.facts.details?.['stderr']
  const text = typeof said === 'string' && said !== '' ? said : error.message
  const hint = hints.find(({ pattern }) => pattern.test(text))
  if (hint === undefined) return error
  return new StorageError(hint.kind, error.message, { ...error.facts, layer: 'host:lvm', ...(hint.remedy === undefined ? {} : { remedy: hint.remedy }), cause: error })
}

/** LVM said that it does not know the group or the volume. A hint: see above. */
export const saysNotFound = (error: unknown): boolean =>
  error instanceof StorageError && error.kind === 'toolFailed'
  && /Volume group "[^"]*" not found|Failed to find logical volume|[Ll]ogical volume .* not found/.test(String(error.facts.details?.['stderr'] ?? error.message))
