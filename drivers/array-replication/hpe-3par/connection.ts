/** How an array of this class is reached and what it replicates to: the keys of the replication note, each with its rules, and what they come to. */
import { isIP } from 'node:net'
import * as z from 'zod'
import type { ReplicationMode } from '../../../core/array/replication.ts'
import type { ArrayConnection, ArrayCtx } from '../../../core/array/types.ts'
import { StorageError } from '../../../core/errors.ts'
import { decryptPassword, isEncrypted } from './passwords.ts'
import { deviceError, parseCpgMap, parseReplicationDevice, type DeviceKey } from './replication-device.ts'
import { layer } from './wsapi/layer.ts'
import { isFingerprint, type TlsTrust } from './wsapi/tls.ts'

const cpgName = z.string().regex(/^[A-Za-z0-9._-]{1,31}$/, 'must be the name of a CPG: up to 31 letters, digits, dots, dashes and underscores')
const apiUrl = z.string().regex(/^https:\/\/[^/?#@\s]+(\/[^?#@\s]*)?$/, 'must be an https URL like https://192.0.2.10:8080/api/v1')

const connectionShape = {
  hpe3par_api_url: apiUrl.meta({ description: 'Address of the array\'s API: https://ARRAY:8080/api/v1, port 443 on newer arrays', role: 'address' }),
  hpe3par_username: z.string().min(1, 'must not be empty').meta({ description: 'User of the API; needs the role edit or super', role: 'username' }),
  hpe3par_password: z.string().min(1, 'must not be empty').meta({ description: 'Its password, or the password encrypted (enc1:...)', secret: true, role: 'password' }),
  hpe3par_cpg: cpgName.meta({ description: 'CPG that volumes are made in' }),
  hpe3par_snapcpg: cpgName.optional().meta({ description: 'CPG that snapshots take their space from (hpe3par_cpg)' }),
  hpe3par_iscsi_ips: z.string().optional().meta({ description: 'iSCSI addresses of the array, separated by commas; needed for hosts that log in by iSCSI' }),
  hpe3par_ca_file: z.string().startsWith('/', 'must be an absolute path').optional().meta({ description: 'File with the CA (PEM) that signed the array\'s certificate' }),
  hpe3par_fingerprint: z.string().refine(isFingerprint, 'must be a SHA-256 fingerprint: 64 hex digits, colons allowed').optional().meta({ description: 'SHA-256 fingerprint of the array\'s certificate, when no CA vouches for it' }),
  san_ip: z.string().optional().meta({ description: 'Management address for operators; nothing is done over it' }),
  san_login: z.string().optional().meta({ description: 'Management user for operators' }),
  san_password: z.string().optional().meta({ description: 'Its password, or the password encrypted (enc1:...)', secret: true }),
  pass_phrase_file: z.string().startsWith('/', 'must be an absolute path').optional().meta({ description: 'Private file with the pass-phrase of encrypted passwords' }),
  replication_device: z.string().optional().meta({ description: 'The array on the other side: backend_id, replication_mode, cpg_map, snap_cpg_map, its API address, user and password, and more; see docs', secret: true }),
} as const

export const Connection = z.strictObject(connectionShape)
export type Connection = z.output<typeof Connection>

/** One array, ready to be connected to. */
export interface Access {
  readonly url: string
  readonly user: string
  readonly password: string
  readonly tls: TlsTrust
  readonly iscsiIps: readonly string[]
}

export interface PeerSettings {
  /** Name of the target on this array: how the arrays call each other. */
  readonly target: string
  readonly mode: ReplicationMode
  readonly periodSeconds: number | undefined
  readonly cpgMap: ReadonlyMap<string, string>
  readonly snapCpgMap: ReadonlyMap<string, string>
  readonly access: Access
}

export interface Settings {
  readonly access: Access
  readonly cpg: string
  readonly snapCpg: string
  readonly peer: PeerSettings | undefined
}

const wrong = (key: string, found: string, remedy: string): StorageError => new StorageError('invalidArgument', `connection.${key}: ${found}`, { layer, field: `connection.${key}`, remedy })

/** Seconds; the array's own bounds (replication note, note 1). */
const period = { least: 300, most: 31_622_400, usual: 900 } as const

/** As the note calls them: asynchronous is the periodic mode, streaming the journaled one. */
const modes: Readonly<Record<string, ReplicationMode>> = { synchronous: 'synchronous', asynchronous: 'periodic', streaming: 'asynchronous' }

/** Separated by commas for this array, by semicolons within a replication_device (note 3). */
const addresses = (key: string, text: string | undefined, separator: ',' | ';', fail: (key: string, found: string, remedy: string) => StorageError): readonly string[] => {
  if (text === undefined) return []
  const other = separator === ',' ? ';' : ','
  if (text.includes(other)) throw fail(key, `${JSON.stringify(text.slice(0, 80))} is separated by ${JSON.stringify(other)}`, `Separate the addresses by ${JSON.stringify(separator)} here`)
  const found = text.split(separator).map((one) => one.trim())
  const bad = found.find((one) => isIP(one.replace(/:\d+$/, '')) === 0 && isIP(one) === 0)
  if (bad !== undefined) throw fail(key, `${JSON.stringify(bad.slice(0, 60))} is no IP address`, `Give the iSCSI addresses of the array, separated by ${JSON.stringify(separator)}`)
  return found
}

const readFile = async (ctx: Pick<ArrayCtx, 'host'>, path: string, key: string, fail: typeof wrong): Promise<string> => {
  const text = await ctx.host.files.readText(path, 1024 * 1024)
  if (text === undefined) throw fail(key, `there is no file ${path}`, 'Give the path of a file that can be read')
  return text
}

const trustOf = async (ctx: Pick<ArrayCtx, 'host'>, caFile: string | undefined, fingerprint: string | undefined, fail: typeof wrong): Promise<TlsTrust> => {
  if (caFile !== undefined && fingerprint !== undefined) throw fail('hpe3par_fingerprint', 'is given beside hpe3par_ca_file', 'Give one of them')
  if (fingerprint !== undefined) {
    if (!isFingerprint(fingerprint)) throw fail('hpe3par_fingerprint', 'is no SHA-256 fingerprint', 'Give 64 hex digits, without colons here')
    return { fingerprint }
  }
  if (caFile === undefined) return 'system'
  const ca = await readFile(ctx, caFile, 'hpe3par_ca_file', fail)
  if (!ca.includes('-----BEGIN CERTIFICATE-----')) throw fail('hpe3par_ca_file', `${caFile} holds no certificate in PEM form`, 'Give a file that begins with -----BEGIN CERTIFICATE-----')
  return { ca }
}

type Device = Readonly<Partial<Record<DeviceKey, string>>>

const need = (device: Device, key: DeviceKey): string => {
  const value = device[key]
  if (value === undefined || value === '') throw deviceError(key, 'is missing', `Give ${key}:VALUE`)
  return value
}

const modeOf = (device: Device): { readonly mode: ReplicationMode; readonly periodSeconds: number | undefined } => {
  const name = need(device, 'replication_mode')
  const mode = Object.hasOwn(modes, name) ? modes[name] : undefined
  if (mode === undefined) throw deviceError('replication_mode', `is ${JSON.stringify(name.slice(0, 40))}`, `Give one of: ${Object.keys(modes).join(', ')}`)
  if (mode !== 'periodic') {
    if (device.sync_period !== undefined) throw deviceError('sync_period', `is given with replication_mode ${name}`, 'Leave it out, or use replication_mode:asynchronous')
    return { mode, periodSeconds: undefined }
  }
  const seconds = device.sync_period === undefined ? period.usual : Number(device.sync_period)
  if (!Number.isSafeInteger(seconds) || seconds < period.least || seconds > period.most) {
    throw deviceError('sync_period', `is ${JSON.stringify((device.sync_period ?? '').slice(0, 40))}`, `Give seconds from ${period.least} to ${period.most}, or leave it out for ${period.usual}`)
  }
  return { mode, periodSeconds: seconds }
}

/** All passwords or none are encrypted: note 3 of the fibre channel part, note 4 of the iSCSI part. */
const checkEncryption = (own: Connection, device: Device | undefined): boolean => {
  const passwords: readonly (readonly [key: string, value: string | undefined])[] = [
    ['hpe3par_password', own.hpe3par_password], ['san_password', own.san_password],
    ['replication_device.hpe3par_password', device?.hpe3par_password], ['replication_device.san_password', device?.san_password],
  ]
  const given = passwords.flatMap(([key, value]) => (value === undefined ? [] : [{ key, encrypted: isEncrypted(value) }]))
  const encrypted = given.some((one) => one.encrypted)
  const plain = given.find((one) => !one.encrypted)
  if (encrypted && plain !== undefined) throw wrong(plain.key, 'is not encrypted, and another password is', 'Encrypt the passwords of both arrays with the same pass-phrase, or none of them')
  return encrypted
}

const passPhraseOf = async (ctx: Pick<ArrayCtx, 'host'>, path: string | undefined): Promise<string> => {
  if (path === undefined) throw wrong('pass_phrase_file', 'is missing, and the passwords are encrypted', 'Give the private file that holds the pass-phrase')
  const phrase = (await readFile(ctx, path, 'pass_phrase_file', wrong)).trim()
  if (phrase === '') throw wrong('pass_phrase_file', `${path} is empty`, 'Write the pass-phrase into it')
  return phrase
}

const peerOf = async (ctx: Pick<ArrayCtx, 'host'>, own: Connection, device: Device, password: string): Promise<PeerSettings> => {
  const cpgMap = parseCpgMap('cpg_map', device.cpg_map)
  const snapCpgMap = parseCpgMap('snap_cpg_map', device.snap_cpg_map)
  const target = need(device, 'backend_id')
  if (!/^[A-Za-z0-9._-]{1,24}$/.test(target)) throw deviceError('backend_id', 'is no name of a remote copy target', 'Give the name under which this array knows the other: up to 24 letters, digits, dots, dashes and underscores')
  const url = need(device, 'hpe3par_api_url')
  if (!apiUrl.safeParse(url).success) throw deviceError('hpe3par_api_url', 'is no https URL', 'Write it as https://ARRAY:8080/api/v1')
  if (url === own.hpe3par_api_url) throw deviceError('hpe3par_api_url', 'is the address of this array itself', 'Give the address of the other array')
  for (const [key, map, cpg] of [['cpg_map', cpgMap, own.hpe3par_cpg], ['snap_cpg_map', snapCpgMap, own.hpe3par_snapcpg ?? own.hpe3par_cpg]] as const) {
    if (!map.has(cpg)) throw deviceError(key, `says nothing of ${cpg}`, `Add ${cpg}:TARGET_CPG to it`)
  }
  const iscsiIps = addresses('hpe3par_iscsi_ips', device.hpe3par_iscsi_ips, ';', deviceError)
  const here = addresses('hpe3par_iscsi_ips', own.hpe3par_iscsi_ips, ',', wrong)
  const upfront = 'Give the iSCSI addresses of both arrays, or of neither'
  if (here.length > 0 && iscsiIps.length === 0) throw deviceError('hpe3par_iscsi_ips', 'is missing, and this array has it', upfront)
  if (here.length === 0 && iscsiIps.length > 0) throw wrong('hpe3par_iscsi_ips', 'is missing, and the replication_device has it', upfront)
  return {
    target, cpgMap, snapCpgMap, ...modeOf(device),
    access: { url, user: need(device, 'hpe3par_username'), password, tls: await trustOf(ctx, device.hpe3par_ca_file, device.hpe3par_fingerprint, deviceError), iscsiIps },
  }
}

/** Checks every rule and reads what files are named. Errors: invalidArgument, one at a time, naming field, what was found and the remedy; no secret in it. */
export const settingsOf = async (ctx: Pick<ArrayCtx, 'host'>, own: Connection): Promise<Settings> => {
  if ((own.san_login === undefined) !== (own.san_password === undefined)) {
    throw own.san_login === undefined ? wrong('san_login', 'is missing, but san_password is given', 'Give both or none') : wrong('san_password', 'is missing, but san_login is given', 'Give both or none')
  }
  const device = own.replication_device === undefined ? undefined : parseReplicationDevice(own.replication_device)
  const peerPassword = device === undefined ? '' : need(device, 'hpe3par_password')
  const encrypted = checkEncryption(own, device)
  const phrase = encrypted ? await passPhraseOf(ctx, own.pass_phrase_file) : ''
  const plain = (text: string, field: string): string => (encrypted ? decryptPassword(text, phrase, field) : text)
  return {
    cpg: own.hpe3par_cpg, snapCpg: own.hpe3par_snapcpg ?? own.hpe3par_cpg,
    access: {
      url: own.hpe3par_api_url, user: own.hpe3par_username, password: plain(own.hpe3par_password, 'connection.hpe3par_password'),
      tls: await trustOf(ctx, own.hpe3par_ca_file, own.hpe3par_fingerprint, wrong), iscsiIps: addresses('hpe3par_iscsi_ips', own.hpe3par_iscsi_ips, ',', wrong),
    },
    peer: device === undefined ? undefined : await peerOf(ctx, own, device, plain(peerPassword, 'connection.replication_device.hpe3par_password')),
  }
}

export const exampleConnection: ArrayConnection = {
  hpe3par_api_url: 'https://192.0.2.10:8080/api/v1', hpe3par_username: 'storage', hpe3par_password: 'secret', hpe3par_cpg: 'FC_r6',
}
