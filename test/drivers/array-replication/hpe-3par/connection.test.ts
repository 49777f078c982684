/** The configuration of the replication note: what is accepted, and every way to get it wrong. */
import { describe, expect, it } from 'vitest'
import { parseDconf } from '../../../../core/define-driver.ts'
import { StorageError } from '../../../../core/errors.ts'
import type { Files, Host } from '../../../../core/ports.ts'
import { Connection, settingsOf } from '../../../../drivers/array-replication/hpe-3par/connection.ts'
import { decryptPassword, encryptPassword, isEncrypted } from '../../../../drivers/array-replication/hpe-3par/passwords.ts'

const files: Readonly<Record<string, string>> = { '/etc/sm/ca.pem': '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n', '/etc/sm/phrase': 'open sesame\n', '/etc/sm/other': 'something else\n', '/etc/sm/empty': '\n', '/etc/sm/text': 'no certificate' }
const host = { files: { readText: async (path: string) => files[path] } as unknown as Files } as Host

const own: Readonly<Record<string, string>> = {
  hpe3par_api_url: 'https://192.0.2.10:8080/api/v1', hpe3par_username: 'edit', hpe3par_password: 'own-secret', hpe3par_cpg: 'FC_r6', hpe3par_snapcpg: 'FC_r5', hpe3par_iscsi_ips: '198.51.100.1,198.51.100.2',
}
const device: Readonly<Record<string, string>> = {
  backend_id: 'array-b', replication_mode: 'asynchronous', cpg_map: 'FC_r6:NL_r6', snap_cpg_map: 'FC_r5:NL_r5', hpe3par_api_url: 'https://192.0.2.20:8080/api/v1', hpe3par_username: 'edit', hpe3par_password: 'peer-secret',
  hpe3par_iscsi_ips: '203.0.113.1;203.0.113.2',
}
type Change = Readonly<Record<string, string | undefined>>
const defined = (all: Change): Record<string, string> => Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined))
const line = (change: Change = {}): string => Object.entries(defined({ ...device, ...change })).map(([key, value]) => `${key}:${value}`).join(', ')
const settings = async (change: Change = {}, deviceChange: Change = {}) =>
  settingsOf({ host }, parseDconf('hpe-3par', Connection, defined({ ...own, replication_device: line(deviceChange), ...change }), 'connection'))

describe('a configuration', () => {
  it('is taken as the note writes it', async () => {
    expect(await settings()).toEqual({
      access: { url: own['hpe3par_api_url'], user: 'edit', password: 'own-secret', tls: 'system', iscsiIps: ['198.51.100.1', '198.51.100.2'] }, cpg: 'FC_r6', snapCpg: 'FC_r5',
      peer: {
        target: 'array-b', mode: 'periodic', periodSeconds: 900, cpgMap: new Map([['FC_r6', 'NL_r6']]), snapCpgMap: new Map([['FC_r5', 'NL_r5']]),
        access: { url: device['hpe3par_api_url'], user: 'edit', password: 'peer-secret', tls: 'system', iscsiIps: ['203.0.113.1', '203.0.113.2'] },
      },
    })
  })

  it('is taken with the missing comma and the equals sign of the note, and over several lines', async () => {
    const text = `backend_id:array-b,\n replication_mode:synchronous,\n cpg_map:FC_r6:NL_r6 FC_r1:NL_r1,\n snap_cpg_map:FC_r5:NL_r5\n hpe3par_api_url:https://192.0.2.20:8080/api/v1,\n hpe3par_username:edit, hpe3par_password:peer-secret\n hpe3par_iscsi_ips=203.0.113.1`
    const { peer } = await settings({ replication_device: text })
    expect(peer).toMatchObject({ mode: 'synchronous', periodSeconds: undefined, cpgMap: new Map([['FC_r6', 'NL_r6'], ['FC_r1', 'NL_r1']]) })
    expect(peer?.access.iscsiIps).toEqual(['203.0.113.1'])
  })

  it.each([['300', 300], ['31622400', 31_622_400], [undefined, 900]])('has the period %s', async (sync_period, seconds) => {
    expect((await settings({}, { sync_period })).peer?.periodSeconds).toBe(seconds)
  })

  it.each([['synchronous', 'synchronous'], ['asynchronous', 'periodic'], ['streaming', 'asynchronous']])('calls %s what is %s elsewhere', async (replication_mode, mode) => {
    expect((await settings({}, { replication_mode })).peer?.mode).toBe(mode)
  })

  it('takes passwords that are encrypted with one pass-phrase', async () => {
    const [a, b] = [encryptPassword('own-secret', 'open sesame'), encryptPassword('peer-secret', 'open sesame')]
    const found = await settings({ hpe3par_password: a, pass_phrase_file: '/etc/sm/phrase' }, { hpe3par_password: b })
    expect([found.access.password, found.peer?.access.password]).toEqual(['own-secret', 'peer-secret'])
  })
})

const enc = (text: string, phrase = 'open sesame'): string => encryptPassword(text, phrase)
const violations: Readonly<Record<string, readonly [field: string, own: Change, device?: Change]>> = {
  'no address': ['connection.hpe3par_api_url', { hpe3par_api_url: undefined }],
  'an address in the clear': ['connection.hpe3par_api_url', { hpe3par_api_url: 'http://192.0.2.10:8008/api/v1' }],
  'no user': ['connection.hpe3par_username', { hpe3par_username: undefined }],
  'no password': ['connection.hpe3par_password', { hpe3par_password: undefined }],
  'no CPG': ['connection.hpe3par_cpg', { hpe3par_cpg: undefined }],
  'a CPG that is no name': ['connection.hpe3par_cpg', { hpe3par_cpg: 'a/b' }],
  'a misspelt key': ['connection.hpe3par_cpgs', { hpe3par_cpgs: 'x' }],
  'iSCSI addresses with semicolons for the own array': ['connection.hpe3par_iscsi_ips', { hpe3par_iscsi_ips: '198.51.100.1;198.51.100.2' }],
  'an iSCSI address that is none': ['connection.hpe3par_iscsi_ips', { hpe3par_iscsi_ips: '198.51.100.1,array' }],
  'iSCSI addresses of the other array only': ['connection.hpe3par_iscsi_ips', { hpe3par_iscsi_ips: undefined }],
  'iSCSI addresses of this array only': ['connection.replication_device.hpe3par_iscsi_ips', {}, { hpe3par_iscsi_ips: undefined }],
  'a login without its password': ['connection.san_password', { san_login: 'x' }],
  'a password without its login': ['connection.san_login', { san_password: 'x' }],
  'CA and fingerprint together': ['connection.hpe3par_fingerprint', { hpe3par_ca_file: '/etc/sm/ca.pem', hpe3par_fingerprint: 'ab'.repeat(32) }],
  'a CA file that is not there': ['connection.hpe3par_ca_file', { hpe3par_ca_file: '/etc/sm/none' }],
  'a CA file without a certificate': ['connection.hpe3par_ca_file', { hpe3par_ca_file: '/etc/sm/text' }],
  'a fingerprint that is none': ['connection.hpe3par_fingerprint', { hpe3par_fingerprint: 'abc' }],
  'only the own password encrypted': ['connection.replication_device.hpe3par_password', { hpe3par_password: enc('own-secret'), pass_phrase_file: '/etc/sm/phrase' }],
  'only the other password encrypted': ['connection.hpe3par_password', { pass_phrase_file: '/etc/sm/phrase' }, { hpe3par_password: enc('peer-secret') }],
  'encrypted passwords without a pass-phrase': ['connection.pass_phrase_file', { hpe3par_password: enc('own-secret') }, { hpe3par_password: enc('peer-secret') }],
  'an empty pass-phrase': ['connection.pass_phrase_file', { hpe3par_password: enc('own-secret'), pass_phrase_file: '/etc/sm/empty' }, { hpe3par_password: enc('peer-secret') }],
  'two pass-phrases': ['connection.replication_device.hpe3par_password', { hpe3par_password: enc('own-secret'), pass_phrase_file: '/etc/sm/phrase' }, { hpe3par_password: enc('peer-secret', 'something else') }],
  'no backend_id': ['connection.replication_device.backend_id', {}, { backend_id: undefined }],
  'a backend_id that is no target': ['connection.replication_device.backend_id', {}, { backend_id: 'x'.repeat(25) }],
  'no replication_mode': ['connection.replication_device.replication_mode', {}, { replication_mode: undefined }],
  'an unknown replication_mode': ['connection.replication_device.replication_mode', {}, { replication_mode: 'sometimes' }],
  'no cpg_map': ['connection.replication_device.cpg_map', {}, { cpg_map: undefined }],
  'no snap_cpg_map': ['connection.replication_device.snap_cpg_map', {}, { snap_cpg_map: undefined }],
  'a cpg_map that is no pair': ['connection.replication_device.cpg_map', {}, { cpg_map: 'FC_r6' }],
  'a cpg_map that says nothing of the CPG': ['connection.replication_device.cpg_map', {}, { cpg_map: 'SSD:SSD' }],
  'a snap_cpg_map that says nothing of the CPG': ['connection.replication_device.snap_cpg_map', {}, { snap_cpg_map: 'SSD:SSD' }],
  'a cpg_map with a CPG twice': ['connection.replication_device.cpg_map', {}, { cpg_map: 'FC_r6:A FC_r6:B' }],
  'a period that is too short': ['connection.replication_device.sync_period', {}, { sync_period: '299' }],
  'a period that is too long': ['connection.replication_device.sync_period', {}, { sync_period: '31622401' }],
  'a period that is no number': ['connection.replication_device.sync_period', {}, { sync_period: 'often' }],
  'a period of synchronous replication': ['connection.replication_device.sync_period', {}, { sync_period: '900', replication_mode: 'synchronous' }],
  'no address of the other array': ['connection.replication_device.hpe3par_api_url', {}, { hpe3par_api_url: undefined }],
  'an address of the other array in the clear': ['connection.replication_device.hpe3par_api_url', {}, { hpe3par_api_url: 'http://192.0.2.20:8008/api/v1' }],
  'the own address for the other array': ['connection.replication_device.hpe3par_api_url', {}, { hpe3par_api_url: own['hpe3par_api_url'] }],
  'no user of the other array': ['connection.replication_device.hpe3par_username', {}, { hpe3par_username: undefined }],
  'no password of the other array': ['connection.replication_device.hpe3par_password', {}, { hpe3par_password: undefined }],
  'commas between iSCSI addresses of the other array': ['connection.replication_device', {}, { hpe3par_iscsi_ips: '203.0.113.1,203.0.113.2' }],
  'an unknown key of the other array': ['connection.replication_device', {}, { backend_name: 'x' }],
  'a password with a comma': ['connection.replication_device', {}, { hpe3par_password: 'peer-secret,x' }],
}

describe('a violation is one clear error', () => {
  it.each(Object.entries(violations))('%s', async (_, [field, change, deviceChange]) => {
    const error = await settings(change, deviceChange).then(() => undefined, (thrown: unknown) => thrown)
    if (!(error instanceof StorageError)) throw new Error(`not refused: ${String(error)}`)
    expect(error.kind).toBe('invalidArgument')
    expect(error.facts.field).toBe(field)
    expect(error.facts.remedy).toMatch(/\w/)
    const told = JSON.stringify([error.message, error.facts])
    for (const secret of ['own-secret', 'peer-secret', 'open sesame', 'enc1:']) expect(told.replace('(enc1:...)', '')).not.toContain(secret)
  })
})

describe('an encrypted password', () => {
  it('comes back with its pass-phrase, and looks different each time', () => {
    const [a, b] = [encryptPassword('päss wörd,:', 'phrase'), encryptPassword('päss wörd,:', 'phrase')]
    expect(a).not.toBe(b)
    expect(isEncrypted(a)).toBe(true)
    expect(decryptPassword(a, 'phrase', 'f')).toBe('päss wörd,:')
  })
  it('is refused when any of it was changed', () => {
    const text = encryptPassword('secret', 'phrase')
    for (const bad of [text.slice(0, -2), `${text}:AA`, 'enc1:', 'enc1:a:b:c:d', text.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))]) expect(() => decryptPassword(bad, 'phrase', 'f')).toThrow(StorageError)
  })
})
