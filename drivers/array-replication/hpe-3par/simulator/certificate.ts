/**
 * A self-signed certificate, as such arrays have one: made once, kept in the state directory. Written out by hand (X.509 v3,
 * RFC 5280 section 4.1) because Node makes keys and signatures but no certificates, and one fixed shape needs no library.
 */
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Certificate {
  readonly key: string
  readonly cert: string
  /** SHA-256 of the certificate, hex pairs with colons. */
  readonly fingerprint: string
}

const der = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const content = Buffer.concat(parts)
  const size = content.length
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}
const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts)
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))
const utcTime = (date: Date): Buffer => der(0x17, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
const commonName = '550403'
const subjectAltName = '551d11'
const basicConstraints = '551d13'
const tenYears = 10 * 365 * 86_400_000

const make = (name: string): { readonly key: string; readonly cert: string } => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subject = sequence(der(0x31, sequence(oid(commonName), der(0x0c, Buffer.from(name)))))
  const names = sequence(der(0x82, Buffer.from('localhost')), der(0x82, Buffer.from(name)), der(0x87, Buffer.from([127, 0, 0, 1])))
  // It is its own authority: a client that is given it as CA accepts it.
  const extensions = sequence(sequence(oid(basicConstraints), der(0x01, Buffer.from([0xff])), der(0x04, sequence(der(0x01, Buffer.from([0xff]))))), sequence(oid(subjectAltName), der(0x04, names)))
  const serial = randomBytes(8)
  serial[0] = 0x01
  const now = Date.now()
  const body = sequence(der(0xa0, der(0x02, Buffer.from([2]))), der(0x02, serial), ecdsaWithSha256, subject, sequence(utcTime(new Date(now - 86_400_000)), utcTime(new Date(now + tenYears))),
    subject, publicKey.export({ type: 'spki', format: 'der' }), der(0xa3, extensions))
  const signed = sequence(body, ecdsaWithSha256, der(0x03, Buffer.from([0]), sign('sha256', body, privateKey)))
  const cert = `-----BEGIN CERTIFICATE-----\n${signed.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

/** The certificate of `<directory>/<name>.pem` (key and certificate in one file, 0600), made when it is not there. */
export const certificateOf = (directory: string, name: string): Certificate => {
  const path = join(directory, `${name}.pem`)
  if (!existsSync(path)) {
    const { key, cert } = make(name)
    writeFileSync(`${path}.new`, key + cert, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }
  const pem = readFileSync(path, 'utf8')
  const parsed = new X509Certificate(pem.slice(pem.indexOf('-----BEGIN CERTIFICATE-----')))
  const fingerprint = createHash('sha256').update(parsed.raw).digest('hex').toUpperCase().replace(/..(?=.)/g, '$&:')
  return { key: createPrivateKey(pem).export({ type: 'pkcs8', format: 'pem' }).toString(), cert: parsed.toString(), fingerprint }
}
