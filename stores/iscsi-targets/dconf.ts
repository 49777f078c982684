/** The dconf keys that reach a target, shared by the drivers of this family, and what they mean. */
import * as z from 'zod'
import type { Tool } from '../../core/contract.ts'
import { StorageError } from '../../core/errors.ts'
import { defaultPort, parsePortal, type Portal } from '../../host/iscsi/portal.ts'
import type { Chap } from '../../host/iscsi/records.ts'

/** RFC 3720, 3.2.6; underscores are not legal and in use. Nothing in it may be taken for a path or an option. */
const iscsiName = z.string().regex(
  /^(iqn\.\d{4}-\d{2}\.[A-Za-z0-9][A-Za-z0-9._:-]{0,200}|eui\.[0-9A-Fa-f]{16}|naa\.[0-9A-Fa-f]{16}([0-9A-Fa-f]{16})?)$/,
  'must be an iSCSI name, like iqn.2001-04.com.example:disks',
)

const portals = z.string().max(1024).refine((text) => text.split(',').every((one) => parsePortal(one.trim()) !== undefined), 'must be a host or address, with :port if need be; several are separated by commas')

const number = (low: number, high: number) =>
  z.string().regex(/^\d{1,6}$/, 'must be a whole number').refine((text) => Number(text) >= low && Number(text) <= high, `must be from ${low} to ${high}`)

/** open-iscsi keeps 255 bytes and cuts blanks off; nothing else could be typed on most arrays either. */
const credential = z.string().max(255, 'must be at most 255 characters').regex(/^[!-~]([ -~]*[!-~])?$/, 'must be printable ASCII without blanks at the ends')

export const targetShape = {
  target: portals.meta({ description: 'Portal of the target: host or address, with :port if it is not the usual one; several separated by commas', examples: ['192.0.2.10', '192.0.2.10,198.51.100.10:3261'] }),
  targetIQN: iscsiName.meta({ description: 'IQN of the target', examples: ['iqn.2001-04.com.example:disks'] }),
  localIQN: iscsiName.optional().meta({ description: 'IQN under which this host logs in; absent: the name in /etc/iscsi/initiatorname.iscsi' }),
  chapuser: credential.optional().meta({ description: 'CHAP user that this host proves itself with' }),
  chappassword: credential.optional().meta({ description: 'Its password', secret: true }),
  chapuser_in: credential.optional().meta({ description: 'Mutual CHAP: user that the target proves itself with' }),
  chappassword_in: credential.optional().meta({ description: 'Its password', secret: true }),
  port: number(1, 65535).optional().meta({ description: 'Port of the portals in `target` that name none (3260)' }),
  usediscoverynumber: number(1, 64).optional().meta({ description: 'Use only this one of the portals under which the target advertises itself, counted from 1 as the probe lists them' }),
  multipath: z.enum(['auto', 'yes', 'no']).default('auto').meta({ description: 'yes: log in to all portals and use multipath maps; no: one portal; auto: yes where multipathd runs' }),
  login_timeout: number(1, 300).default('15').meta({ description: 'Seconds that one try to log in may take' }),
  replacement_timeout: number(0, 86400).optional().meta({ description: 'Seconds that I/O waits for a lost session before it fails (15 with multipath, 120 without)' }),
} as const

const TargetDconf = z.object(targetShape)
export type TargetDconf = z.output<typeof TargetDconf>

/** The portals that were named, each with its port. */
export const namedPortals = ({ target, port }: Pick<TargetDconf, 'target' | 'port'>): readonly Portal[] =>
  target.split(',').flatMap((one) => parsePortal(one.trim(), port === undefined ? defaultPort : Number(port)) ?? [])

const missing = (key: string, because: string): StorageError =>
  new StorageError('invalidArgument', `device_config.${key}: is missing, but ${because} is given`, { field: `device_config.${key}`, layer: 'store:iscsi-targets', remedy: `Give ${key}, or leave ${because} out` })

type Credentials = Partial<Pick<TargetDconf, 'chapuser' | 'chappassword' | 'chapuser_in' | 'chappassword_in'>>

/** Credentials come in pairs, and the target proves itself only to whoever proves itself. */
export const chapOf = ({ chapuser, chappassword, chapuser_in, chappassword_in }: Credentials): Chap | undefined => {
  if (chapuser === undefined && chappassword === undefined) {
    if (chapuser_in !== undefined || chappassword_in !== undefined) throw missing('chapuser', chapuser_in === undefined ? 'chappassword_in' : 'chapuser_in')
    return undefined
  }
  if (chapuser === undefined) throw missing('chapuser', 'chappassword')
  if (chappassword === undefined) throw missing('chappassword', 'chapuser')
  if (chapuser_in === undefined && chappassword_in === undefined) return { user: chapuser, password: chappassword }
  if (chapuser_in === undefined) throw missing('chapuser_in', 'chappassword_in')
  if (chappassword_in === undefined) throw missing('chappassword_in', 'chapuser_in')
  return { user: chapuser, password: chappassword, incoming: { user: chapuser_in, password: chappassword_in } }
}

/** Tools that every driver of this family needs. */
export const iscsiTools = [
  { name: 'iscsiadm', debianPackage: 'open-iscsi', neededFor: 'discovery, login and logout' },
  { name: 'udevadm', debianPackage: 'udev', neededFor: 'waiting for the names of disks' },
  { name: 'sg_vpd', debianPackage: 'sg3-utils', neededFor: 'asking a LUN who it is' },
  { name: 'blockdev', debianPackage: 'util-linux', neededFor: 'flushing a LUN, and keeping readers from writing' },
  { name: 'find', debianPackage: 'findutils', neededFor: 'seeing who has a LUN open' },
  { name: 'tee', debianPackage: 'coreutils', neededFor: 'taking a vanished disk out of the system' },
  { name: 'multipathd', debianPackage: 'multipath-tools', neededFor: 'several paths to a LUN (multipath)' },
  { name: 'multipath', debianPackage: 'multipath-tools', neededFor: 'taking a multipath map away (multipath)' },
] as const

/** What a driver needs whose SRs lie on LUNs: the tools of its store, and those of the way there. */
export const toolsOnLuns = (tools: readonly Tool[]): readonly Tool[] => [
  ...tools,
  ...iscsiTools.filter(({ name }) => !tools.some((tool) => tool.name === name)),
  { name: 'sg_persist', debianPackage: 'sg3-utils', neededFor: 'holding the LUNs for one host (persistent reservations)' },
]
