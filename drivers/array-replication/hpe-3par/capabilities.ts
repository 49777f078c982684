/** What arrays of this class can do at most, and what one of them can do now: its licences and its release counted in. */
import type { Capabilities, Capability } from '../../../core/array/types.ts'
import type { System } from './wsapi/schemas.ts'

const sync: Capability = { level: 'online', completion: 'sync' }
const never: Capability = { level: 'unsupported', completion: 'sync', reason: 'notImplemented' }

export const features: Capabilities = {
  accessControl: { ...sync, limit: 1024 },
  iscsi: never,
  resize: sync,
  shrink: never,
  snapshot: { ...sync, limit: -1 },
  multiSnapshot: sync,
  restore: { level: 'offline', completion: 'async' },
  clone: { level: 'online', completion: 'async', limit: -1 },
  cloneFromSnapshot: { level: 'online', completion: 'async', limit: -1 },
  split: never,
  qos: sync,
  thin: sync,
  replication: sync,
}

/** Licences by the words that the array has for them. */
const licences = { replication: 'Remote Copy', qos: 'Priority Optimization', thin: 'Thin Provisioning' } as const
type Licensed = keyof typeof licences

/** Arrays that list no licences have them all. An expired one does not count. */
export const licensed = (system: System, feature: Licensed, nowMs: number): boolean => {
  const list = system.licenseInfo?.licenses
  if (list === undefined || list.length === 0) return true
  return list.some(({ name, expiryTimeSec }) =>
    (name?.includes(licences[feature]) === true || name?.includes('Golden License') === true) && (expiryTimeSec === undefined || expiryTimeSec <= 0 || expiryTimeSec * 1000 > nowMs))
}

export const liveCapabilities = (system: System, nowMs: number): Capabilities => {
  const missing = (Object.keys(licences) as readonly Licensed[]).filter((feature) => !licensed(system, feature, nowMs))
  return { ...features, ...Object.fromEntries(missing.map((feature) => [feature, { ...features[feature], level: 'unsupported', reason: 'notLicensed' }])) }
}
