/**
 * Passwords that rest encrypted in a configuration. Form: `enc1:<salt>:<iv>:<tag>:<text>`, each part base64url: AES-256-GCM with a key of
 * scrypt (N 2^15, r 8, p 1) over the pass-phrase and the salt. A wrong pass-phrase and a damaged text are told, and never make a password.
 */
import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto'
import { StorageError } from '../../../core/errors.ts'
import { layer } from './wsapi/layer.ts'

const prefix = 'enc1:'
const cost = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const

export const isEncrypted = (text: string): boolean => text.startsWith(prefix)

const keyOf = (passPhrase: string, salt: Buffer): Buffer => scryptSync(passPhrase, salt, 32, cost)

export const encryptPassword = (password: string, passPhrase: string): string => {
  const [salt, iv] = [randomBytes(16), randomBytes(12)]
  const cipher = createCipheriv('aes-256-gcm', keyOf(passPhrase, salt), iv)
  const text = Buffer.concat([cipher.update(password, 'utf8'), cipher.final()])
  return prefix + [salt, iv, cipher.getAuthTag(), text].map((part) => part.toString('base64url')).join(':')
}

/** `field` is named when it cannot be read; neither the text nor the pass-phrase is. */
export const decryptPassword = (text: string, passPhrase: string, field: string): string => {
  const [salt, iv, tag, data, ...more] = text.slice(prefix.length).split(':').map((part) => Buffer.from(part, 'base64url'))
  try {
    if (salt?.length !== 16 || iv?.length !== 12 || tag?.length !== 16 || data === undefined || more.length > 0) throw new Error('not in this form')
    const decipher = createDecipheriv('aes-256-gcm', keyOf(passPhrase, salt), iv)
    decipher.setAuthTag(tag)
    return Buffer.concat([decipher.update(data), decipher.final()]).toString('utf8')
  } catch {
    throw new StorageError('invalidArgument', `${field}: the encrypted password cannot be read: it was encrypted with another pass-phrase, or is damaged`, {
      layer, field, remedy: 'Encrypt the passwords of both arrays with the same pass-phrase, which pass_phrase_file holds',
    })
  }
}
