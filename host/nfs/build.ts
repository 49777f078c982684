/** Mount options and argument vectors for NFS. */
import type { Command } from '../../core/ports.ts'
import { isIpv4, isIpv6, socketHost } from './address.ts'

export const nfsVersions = ['3', '4', '4.0', '4.1', '4.2'] as const
export type NfsVersion = (typeof nfsVersions)[number]

export interface NfsOptions {
  readonly server: string
  /** `4` takes the highest minor version that both sides speak. */
  readonly version: NfsVersion
  readonly policy: 'hard' | 'soft'
  /** Tenths of a second until a request is sent again. */
  readonly timeo: number
  /** How often it is sent again before that counts as a major time-out. */
  readonly retrans: number
  readonly port?: number
  readonly readOnly?: boolean
}

/**
 * One option each, from checked parts. Attributes are never cached: what another host renames, resizes or deletes is seen at
 * once. Each mount has its own superblock (nosharecache): of two SRs on one export, the first would else decide for the second
 * whether it is hard or soft. retry=0: the helper tries once, repeating is ours.
 */
export const nfsMountOptions = (options: NfsOptions): readonly string[] => [
  options.readOnly === true ? 'ro' : 'rw',
  `vers=${options.version}`,
  // Of a name, the resolver decides: proto=tcp would mean IPv4 only.
  ...(isIpv6(options.server) ? ['proto=tcp6'] : isIpv4(options.server) ? ['proto=tcp'] : []),
  ...(options.port === undefined ? [] : [`port=${options.port}`]),
  options.policy,
  `timeo=${options.timeo}`,
  `retrans=${options.retrans}`,
  'retry=0',
  'actimeo=0',
  'nosharecache',
  'nosuid',
  'nodev',
  'noexec',
]

/** The exports of a server that has a mount daemon; NFSv4 alone needs none. */
export const showmountCommand = (server: string, timeoutMs: number): Command => ({
  argv: ['showmount', '--no-headers', '--exports', '--', socketHost(server)],
  timeoutMs,
  effect: 'read',
})
