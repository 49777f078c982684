import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../core/errors.ts'
import { hideInError, hideSecrets } from '../../core/secrets.ts'

describe('hiding secrets', () => {
  it('finds them in texts however deep they lie', () => {
    expect(hideSecrets({ a: ['login with pw-1 failed', { b: 'pw-1pw-2' }], n: 7, u: undefined }, ['pw-1', 'pw-2'])).toEqual({ a: ['login with *** failed', { b: '******' }], n: 7, u: undefined })
  })

  it('leaves no secret in any text', () => {
    fc.assert(fc.property(fc.string({ minLength: 4, maxLength: 20 }).filter((text) => !text.includes('*')), fc.string(), fc.string(), (secret, before, after) => {
      fc.pre(!`${before}***${after}`.includes(secret))
      expect(hideSecrets(`${before}${secret}${after}`, [secret])).not.toContain(secret)
    }))
  })

  it('keeps everything else of an error', () => {
    const error = new StorageError('toolFailed', 'iscsiadm said: bad password hunter22', { layer: 'host:iscsi', remedy: 'Not hunter22', mayHaveChanged: true, details: { stderr: 'hunter22', exit_code: 24 }, cause: new Error('hunter22') })
    const hidden = hideInError(error, ['hunter22'])
    expect(hidden).toBeInstanceOf(StorageError)
    expect(hidden.kind).toBe('toolFailed')
    expect(hidden.message).toBe('iscsiadm said: bad password ***')
    expect(hidden.facts).toEqual({ layer: 'host:iscsi', remedy: 'Not ***', mayHaveChanged: true, details: { stderr: '***', exit_code: 24 } })
    expect(String(hidden.stack)).not.toContain('hunter22')
  })

  it('is the same error when there is nothing to hide', () => {
    const error = new StorageError('busy', 'in use')
    expect(hideInError(error, [])).toBe(error)
  })
})
